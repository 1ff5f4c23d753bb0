"""Tables for plots of a finished stack's answers: where it fails, and can it be trusted.

Each function yields the rows of one file, after the name of the model. C classes, B rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from stages.common import evaluation, thresholds
from stages.common.partition import Partition
from stages.common.schema import Schema

CELLS = 24  # classes with a row and a column of their own in the confusion matrix
OTHER = "other classes"
ANOTHER = "another of the others"  # the answer of a row of these that is wrong
VALUES = 2000  # rows of a regression, at most, evenly spread over the part

# file: its columns after the name of the model
COLUMNS = {
    "confusion.csv": ("actual", "predicted", "rows", "share"),
    "reliability.csv": ("bin", "confidence", "accuracy", "rows"),
    "classes.csv": ("class", "rows", "precision", "recall", "f1"),
    "roc.csv": ("class", "false_positive_rate", "true_positive_rate", "area"),
    "precision_recall.csv": ("class", "recall", "precision", "area"),
    "residuals.csv": ("actual", "predicted", "residual"),
}

Rows = Iterator[Sequence[object]]


def tables(schema: Schema, predicted: Tensor, part: Partition, bins: int) -> dict[str, Rows]:
    """Return the rows of each file that says something of the task.

    predicted: probabilities (B, C), or values (B,) in the unit of the table; bins: of the
    confidence.
    """
    if schema.task == "regression":
        return {"residuals.csv": residuals(predicted, evaluation.actual(schema, part).cpu())}
    target = part.target.cpu()
    given = predicted, target, schema.target.classes
    roc, precision_recall = thresholds.curves(*given)
    return {
        "confusion.csv": confusion(*given),
        "reliability.csv": reliability(predicted, target, bins),
        "classes.csv": classes(*given),
        "roc.csv": iter(roc),
        "precision_recall.csv": iter(precision_recall),
    }


def confusion(predicted: Tensor, target: Tensor, names: Sequence[str]) -> Rows:
    """Yield the rows of each actual and predicted class, and their share of the actual one's.

    Beyond the CELLS most frequent classes all others are one, whose wrong answers among them
    stand apart: what is on the diagonal is right.
    """
    own = thresholds.frequent(target, len(names), CELLS)
    label = {at: name if at in own else OTHER for at, name in enumerate(names)}

    def answer(truth: int, guess: int) -> tuple[str, str]:
        astray = truth != guess and label[truth] == label[guess]
        return label[truth], ANOTHER if astray else label[guess]

    guesses = predicted.argmax(dim=1).tolist()
    pairs = list(map(answer, target.tolist(), guesses))
    cells, rows = Counter(pairs), Counter(truth for truth, _ in pairs)
    more = len(own) < len(names)
    order = [names[at] for at in own] + [OTHER] * more
    for truth in order:
        for guess in order + [ANOTHER] * more:
            found = cells[truth, guess]
            yield truth, guess, found, found / rows[truth] if rows[truth] else None


def reliability(predicted: Tensor, target: Tensor, bins: int) -> Rows:
    """Yield each bin of confidence that has rows: its number, mean confidence, accuracy, rows.

    The confidence is the probability of the answer; an honest model is right as often.
    """
    confidence, guess = predicted.max(dim=1)
    inner = torch.linspace(0, 1, bins + 1)[1:-1]
    bin_of = torch.bucketize(confidence, inner, right=True)
    counted, sure, right = (
        torch.bincount(bin_of, weights, minlength=bins).tolist()
        for weights in (None, confidence.double(), (guess == target).double())
    )
    for number, rows in enumerate(counted):
        if rows:
            yield number, sure[number] / rows, right[number] / rows, rows


def classes(predicted: Tensor, target: Tensor, names: Sequence[str]) -> Rows:
    """Yield the rows, precision, recall and F1 of each class that has rows.

    A class that is never the answer has no precision.
    """
    guess = predicted.argmax(dim=1)
    counts = [
        torch.bincount(which, minlength=len(names)).tolist()
        for which in (target, guess, target[guess == target])
    ]
    for name, rows, answers, right in zip(names, *counts, strict=True):
        if rows:
            precision = right / answers if answers else None
            yield name, rows, precision, right / rows, 2 * right / (rows + answers)


def residuals(predicted: Tensor, actual: Tensor) -> Rows:
    """Yield actual value, predicted value and their difference, of at most VALUES rows."""
    size = min(VALUES, len(actual))
    index = torch.arange(size) * len(actual) // max(size, 1)
    for truth, guess in zip(actual[index].tolist(), predicted[index].tolist(), strict=True):
        yield truth, guess, guess - truth
