"""How training went, in words: what it learnt, whether it overfits and by which rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.common import advice
from stages.common.names import counted
from stages.reporting import alarms
from stages.reporting.tracked import Tracked

MILD = 0.25  # gap between validation and training loss, in training losses: below, no overfitting


def gap(figures: Mapping[str, Any]) -> float:
    """Return how far validation is above training loss, in training losses as `train` counts."""
    return float(figures["overfit_gap"] / max(figures["train_loss"], advice.LEAST_LOSS))


def learnt(figures: Mapping[str, Any]) -> list[str]:
    if "gate_steps" not in figures:
        return []
    return [
        f"One batch was known by heart after {counted(figures['gate_steps'], 'step')} (score "
        f"{figures['gate_score']:.3f}, loss {figures['gate_loss']:.4f}): a network of this shape "
        "can learn these columns. That step has a learning rate of its own and says nothing of "
        "train.lr."
    ]


def overfits(figures: Mapping[str, Any], failed: bool) -> list[str]:
    """Return the verdict with its figures, and its rule; failed: training gave no useful model."""
    found = gap(figures)
    least = figures["train_loss"] < advice.LEAST_LOSS
    losses = (
        f"with each network at its own best epoch ({figures['best_epoch']:.0f} on average) the "
        f"validation loss is {figures['val_loss']:.4f}, the training loss "
        f"{figures['train_loss']:.4f}; the gap is {found:.2f} times "
        f"{f'{advice.LEAST_LOSS:g}' if least else 'the training loss'}"
    )
    rule = (
        f"The rule: a gap of up to {MILD:g} times the training loss is no overfitting, up to "
        f"{advice.OVERFIT:g} mild, above strong; in place of a lower "
        f"training loss {advice.LEAST_LOSS:g} is taken, as near 0 any gap is many times it."
    )
    if found > MILD:
        degree = "strongly" if found > advice.OVERFIT else "mildly"
        remedy = advice.remedy(dict(figures))
        return [f"It overfits {degree}: {losses}. The remedy that fits: {remedy}.", rule]
    if failed:
        return [f"Whether it would overfit cannot be told before training works: {losses}.", rule]
    return [f"It does not overfit: {losses}.", rule]


def later(state: Tracked) -> str:
    """Return what came after the epochs that are kept."""
    late = state.figures.get("overfit_members", 0)
    if not late:
        return "In no network did the validation loss rise by a tenth after its best epoch."
    return (
        f"Later, after their best epochs, the validation loss of {late} of "
        f"{counted(alarms.members(state), 'network')} rose again by more than a tenth, in half "
        f"of them by epoch {state.figures['overfit_epoch']}; the weights that are kept are from "
        "before."
    )


def curves(state: Tracked) -> list[str]:
    """Return what the curves of the plots are means of."""
    rows, networks = state.rows("plots/training.csv"), alarms.members(state)
    if not rows or int(rows[-1]["members"]) == networks:
        return []
    return [
        "The plots go on after the epochs that are kept; a curve is the mean over the networks "
        "that were still training: at epoch "
        f"{rows[-1]['epoch']}, {rows[-1]['members']} of {networks}."
    ]


def fall(state: Tracked) -> str:
    """Return how far the training loss went, over all epochs."""
    rows = state.rows("plots/training.csv")
    if not rows:
        return "not measured"
    first, last = (float(row["train_loss"] or "nan") for row in (rows[0], rows[-1]))
    return f"training loss {first:.4g} at epoch 0, {last:.4g} at epoch {rows[-1]['epoch']}"


def dead(state: Tracked) -> tuple[str, float]:
    """Return the layer with most dead units, in words, and their share, at the epoch kept."""
    rows, kept = state.rows("plots/health.csv"), state.figures["best_epoch"]
    if not rows:
        share = state.figures["dead_share"]
        return f"a share of {share:.3f} is 0 on every row, mean of the layers", share
    epoch = min((row["epoch"] for row in rows), key=lambda epoch: abs(int(epoch) - kept))
    of_layers = [row for row in rows if row["epoch"] == epoch and row["dead"]]
    worst = max(of_layers, key=lambda row: float(row["dead"]), default=None)
    if worst is None:
        return "not measured", 0.0
    share = float(worst["dead"])
    if share == 0:
        return f"no unit is 0 on every row, at epoch {epoch}", share
    return f"{worst['layer']}: a share of {share:.3f} is 0 on every row, at epoch {epoch}", share
