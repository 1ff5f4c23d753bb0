"""What is said before any figure is praised: training that failed, test rows that are no test."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from stages.common import curves
from stages.common.names import counted
from stages.reporting.models import MODELS
from stages.reporting.tracked import Tracked

TRIVIAL = {  # unit of the test figure: the answer that needs no model
    "accuracy": ("majority", "always answering the most frequent class"),
    "rmse": ("mean", "always answering the mean of the training rows"),
}
REPEATS = ("duplicates", "near-duplicates")
GIVEN = ("target copy", "monotone copy", "leaking column", "group overlap")
REPEATED = re.compile(r"([1-9]\d* of \d+ test rows) are (equal|near) to a training row")
SMALL, LARGE = "too small", "too large"  # steps of training
CLEAR = 1.5  # times chance: balanced accuracy from here on is no luck with a few rows
MOST = 3  # reasons in a sentence
AUDIT = "metrics/audit.csv"


def failed(state: Tracked) -> list[str]:
    """Return a sentence for each way in which training gave no useful model."""
    return [*networks(state), *(said for prefix in MODELS for said in _below(state, prefix))]


def members(state: Tracked) -> int:
    """Return how many networks the base model has: those that training began with."""
    rows = state.rows("plots/training.csv")
    return int(rows[0]["members"]) if rows else int(state.settings.get("train.members", 1))


def networks(state: Tracked) -> list[str]:
    """Return a sentence when networks diverged, never got better than they started, or hardly."""
    wrong, stuck = steps(state), _stuck(state)
    if not wrong:
        return []
    lr = f"train.lr (now {state.settings.get('train.lr', 'unknown')})"
    remedy = f"{'raise' if wrong == SMALL else 'lower'} {lr}"
    if diverged := state.figures.get("diverged_members", 0):
        reason = "they diverged"
    elif stuck:
        reason = "they never got better than the starting weights"
    else:
        first, last = (float(row["train_loss"]) for row in _ends(state))
        return [
            f"Training has hardly begun: its loss went from {first:.4g} to {last:.4g} and the last "
            f"epoch is the best; {remedy} or train.epochs (now "
            f"{state.settings.get('train.epochs', 'unknown')})."
        ]
    return [
        f"Training failed for {diverged or stuck} of {counted(members(state), 'network')}: "
        f"{reason}; {remedy}."
    ]


def steps(state: Tracked) -> str:
    """Return SMALL or LARGE where networks did not learn for steps of that size, else nothing."""
    if state.figures.get("diverged_members", 0):
        return LARGE
    still = _still(state.rows("plots/training.csv"))
    if _stuck(state):
        return SMALL if still else LARGE
    return SMALL if still and 2 * int(_ends(state)[1]["best_members"]) > members(state) else ""


def _stuck(state: Tracked) -> int:
    """Return how many networks are best at epoch 0, before training."""
    return sum(int(row["best_members"]) for row in state.rows("plots/training.csv")[:1])


def _ends(state: Tracked) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return what was measured at the first and the last epoch."""
    rows = state.rows("plots/training.csv")
    return rows[0], rows[-1]


def _still(rows: Sequence[Mapping[str, str]]) -> bool:
    """Return whether no loss moved: that of epochs that ran, which rises if steps are large, too.

    The one is measured from epoch 0 on, the other, with noise and weights, from epoch 1.
    """
    measured, running = (
        [float(row[name] or "nan") for row in rows] for name in ("train_loss", "running_loss")
    )
    return len(rows) > 1 and curves.still(measured, running[1:])


def _below(state: Tracked, prefix: str) -> list[str]:
    """Return a sentence when a model's test figure is not above that of a trivial answer."""
    figures, name = state.figures, f"The {MODELS[prefix].name}"
    for unit, (key, answer) in TRIVIAL.items():
        own, trivial = (figures.get(f"{prefix}test_{each}") for each in (unit, f"{key}_{unit}"))
        if own is None or trivial is None:
            continue
        if own <= trivial if unit == "accuracy" else own >= trivial:
            said = (
                f"{name} does no better than {answer}: {own:.3f} against {trivial:.3f} on test rows"
            )
            return [f"{said}{_balanced(state, prefix)}."]
    return []


def _balanced(state: Tracked, prefix: str) -> str:
    """Return that a model is clearly above chance where each class counts alike, or nothing."""
    found = state.figures.get(f"{prefix}test_balanced_accuracy")
    classes = {row["actual"] for row in state.rows(f"plots/{prefix}predicted.csv")}
    if found is None or not classes or found < CLEAR / len(classes) or steps(state):
        return ""
    return f"; where each class counts alike it does, {found:.3f} against {1 / len(classes):.3f}"


def leaks(state: Tracked, prefix: str) -> list[str]:
    """Return a sentence on what makes a model's test figure too good, from the audit."""
    if not state.figures.get(f"{prefix}test_rows"):
        return []
    found = [row for row in state.rows("audit.csv") if row["table"] == MODELS[prefix].table]
    reasons = [reason for row in found if (reason := _reason(row))]
    if not reasons:
        return []
    more = f"; and {len(reasons) - MOST} more" if len(reasons) > MOST else ""
    return [
        f"The figure of the {MODELS[prefix].name} may be too good: "
        f"{'; '.join(reasons[:MOST])}{more} ({AUDIT})."
    ]


def _reason(row: Mapping[str, Any]) -> str:
    """Return why a finding makes test figures too good; empty when it does not."""
    if row["check"] in GIVEN:
        return f"{row['column']} {row['finding']}"
    repeated = REPEATED.search(row["finding"]) if row["check"] in REPEATS else None
    how = {"equal": "are equal to a training row", "near": "are nearly equal to a training row"}
    return f"{repeated[1]} {how[repeated[2]]}" if repeated else ""
