"""Figures of a finished stack on one part, with intervals, and the rows it gets wrong.

The members' predictions are averaged first: the figures are those of the ensemble.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import torch
import torchmetrics.classification as metrics
from torch import Tensor

from stages.common import intervals, objective
from stages.common.checkpoint import Checkpoint
from stages.common.measurement import CHUNK
from stages.common.network import Stack
from stages.common.partition import Partition
from stages.common.products import product
from stages.common.schema import Schema
from stages.common.tally import ClassTally, ValueTally

TOP_FEATURES = 3
Figures = dict[str, float | int | None]


def predict(stack: Stack, schema: Schema, features: Tensor) -> Tensor:
    """Return class probabilities (B, C), or values (B,) in the unit of the table, float32.

    Rows with the same features have the same answer: a product rounds by the place of a row,
    and what ranks rows would take that for a difference.
    """
    if len(features) == 0:
        width = () if schema.task == "regression" else (schema.n_outputs,)
        return torch.empty(0, *width)
    different, places = features.unique(dim=0, return_inverse=True)
    chunks = [
        objective.join(schema.task, stack(chunk))[0] for chunk in torch.split(different, CHUNK)
    ]
    found = torch.cat(chunks)[places]
    if schema.task == "regression":
        return found[:, 0] * schema.target.scale + schema.target.shift
    return found.exp()


def figures(predicted: Tensor, schema: Schema, part: Partition, bins: int) -> Figures:
    """Return the figures of the answers to a part, by name.

    predicted: what `predict` returns, on the CPU; bins: of the calibration error. Classes:
    accuracy with its 95 % interval, balanced accuracy (mean recall) and AUROC over the classes
    that the part has, macro F1, expected calibration error and loss. Values: R2, and RMSE with
    its 95 % interval and MAE in the unit of the table.
    """
    if schema.task == "regression":
        return value_figures(predicted, actual(schema, part).cpu())
    target = part.target.cpu()
    tally = ClassTally(schema.n_outputs)
    tally.add(predicted, target)
    return tally.figures() | class_figures(predicted, target, bins)


def class_figures(predicted: Tensor, target: Tensor, bins: int) -> Figures:
    """Return torchmetrics' figures of class probabilities (B, C) that need every row at once."""
    classes = predicted.shape[1]
    present = torch.bincount(target, minlength=classes) > 0
    auroc = metrics.MulticlassAUROC(classes, average="none")
    calibration = metrics.MulticlassCalibrationError(classes, n_bins=bins, norm="l1")
    for metric in (auroc, calibration):
        metric.update(predicted, target)
    with warnings.catch_warnings():  # of a class that is not there, whose AUROC is left out
        warnings.filterwarnings("ignore", message="No (positive|negative) samples")
        curves = auroc.compute()[present]
    return {
        "auroc": curves.mean().item() if len(curves) > 1 else None,
        "calibration_error": calibration.compute().item(),
    }


def value_figures(predicted: Tensor, target: Tensor) -> Figures:
    """Return RMSE, MAE and R2 of predicted values (B,)."""
    tally = ValueTally()
    tally.add(predicted, target)
    return tally.figures()


def baseline(schema: Schema, part: Partition, own: Tensor) -> Figures:
    """Return what `beside` does of answering the most frequent training class, or the mean."""
    if schema.task == "regression":
        constant = torch.full((len(part),), schema.target.shift)
        return beside("mean", schema, part, own, constant)
    majority = schema.target.counts.index(max(schema.target.counts))
    always = torch.zeros(len(part), schema.n_outputs)
    always[:, majority] = 1.0
    return beside("majority", schema, part, own, always)


def reference(
    model: Checkpoint, name: str, schema: Schema, part: Partition, own: Tensor
) -> Figures:
    """Return what `beside` does of another model, if it answers the same."""
    if model.schema.target.classes != schema.target.classes:
        return {}
    # each table has its own scaling of values
    other = predict(model.stack, model.schema, part.features).cpu()
    return beside(name, schema, part, own, other)


def beside(name: str, schema: Schema, part: Partition, own: Tensor, other: Tensor) -> Figures:
    """Return accuracy or RMSE of other answers, and what is gained over them on the same rows.

    own, other: probabilities (B, C), or values (B,) in the unit of the table. The gain, with its
    95 % interval, is own accuracy less the other, or the other RMSE less the own: positive is
    better.
    """
    figures: Figures
    ends: intervals.Ends
    if schema.task == "regression":
        errors = [answer - actual(schema, part).cpu() for answer in (own, other)]
        mine, theirs = (math.sqrt(each.double().square().mean().item()) for each in errors)
        ends = intervals.paired_errors(*errors)
        figures = {f"{name}_rmse": theirs, f"{name}_gain": theirs - mine}
    else:
        right, right_too = (each.argmax(dim=1) == part.target.cpu() for each in (own, other))
        gained, lost = int((right & ~right_too).sum()), int((right_too & ~right).sum())
        ends = intervals.paired_shares(gained, lost, len(part))
        accuracy = int(right_too.sum()) / len(part)
        figures = {f"{name}_accuracy": accuracy, f"{name}_gain": (gained - lost) / len(part)}
    return figures | {f"{name}_gain_low": ends[0], f"{name}_gain_high": ends[1]}


def actual(schema: Schema, part: Partition) -> Tensor:
    """Return the values (B,) of a regression target in the unit of the table."""
    return part.target * schema.target.scale + schema.target.shift


def named(schema: Schema, predicted: Tensor) -> Iterator[list[object]]:
    """Yield the answer of each row: the class and a probability per class, or the value.

    A value is a text with the digits that float32 has, however small it is.
    """
    if schema.task == "regression":
        for value in predicted.tolist():
            yield [f"{value:.7g}"]
        return
    names = schema.target.classes
    for place, shares in zip(predicted.argmax(dim=1).tolist(), predicted.tolist(), strict=True):
        yield [names[place], *shares]


def answers(schema: Schema, part: Partition, predicted: Tensor) -> list[tuple[object, object]]:
    """Return (actual, predicted) of every row that was predicted: class names, or values."""
    if schema.task == "regression":
        return list(zip(actual(schema, part).tolist(), predicted.tolist(), strict=True))
    names = schema.target.classes
    pairs = zip(part.target.tolist(), predicted.argmax(dim=1).tolist(), strict=True)
    return [(names[truth], names[guess]) for truth, guess in pairs]


def errors(
    stack: Stack, schema: Schema, part: Partition, predicted: Tensor
) -> Iterator[list[object]]:
    """Yield the misclassified rows, most confident first, or the rows by absolute residual.

    predicted: what `predict` returns for the stack, on the CPU. Each is [row in the CSV,
    actual, predicted, confidence or residual, the encoded features that speak most for the
    prediction].
    """
    if schema.task == "regression":
        weight = predicted - actual(schema, part).cpu()
        order = weight.abs().argsort(descending=True, stable=True).tolist()
    else:
        weight, guess = predicted.max(dim=1)
        wrong = guess != part.target.cpu()
        order = weight.argsort(descending=True, stable=True).tolist()
        order = [index for index in order if wrong[index]]
    pairs = answers(schema, part, predicted)
    reasons = top_features(stack, schema, part.features[order])
    for index, reason in zip(order, reasons, strict=True):
        truth, guessed = pairs[index]
        yield [int(part.row[index]), truth, guessed, weight[index].item(), " ".join(reason)]


def top_features(stack: Stack, schema: Schema, features: Tensor) -> list[list[str]]:
    """Return, for each row (B, F), the features with the largest gradient times input.

    The gradient is that of the members' mean output for their own answer (Shrikumar et
    al. 2017): a first-order account of what speaks for it.
    """
    if len(features) == 0:
        return []
    done = stack.run(features)
    outputs = done.outputs.requires_grad_()
    answer = objective.join(schema.task, outputs)[0].max(dim=1).values
    (gradient,) = torch.autograd.grad(answer.sum(), outputs)
    *_, (_, first) = stack.backward(done, gradient)
    by_input = product(first, stack.layers[0].weight.mT).sum(dim=0)
    share = by_input * features
    names = schema.feature_names
    order = share.argsort(dim=1, descending=True, stable=True)[:, :TOP_FEATURES]
    return [[names[index] for index in row] for row in order.tolist()]


def sentence(model: str, found: Figures, rows: str = "test rows") -> str:
    """Return the headline figures beside their baselines, with their intervals, as a line."""
    parts = []
    for name, value in found.items():
        if isinstance(value, float) and not name.endswith(("_low", "_high")):
            ends = [found.get(f"{name}_{end}") for end in ("low", "high")]
            interval = "" if None in ends else f" ({ends[0]:.3f} to {ends[1]:.3f})"
            parts.append(f"{name} {value:.3f}{interval}")
    return f"{model} on {found['rows']} {rows}: {', '.join(parts)}"
