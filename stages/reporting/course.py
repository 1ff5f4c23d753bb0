"""How training went, in words: what it learnt, whether it overfits and by which rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.common import ensemble
from stages.reporting import alarms
from stages.reporting.section import counted
from stages.reporting.tracked import Tracked

MILD = 0.25  # gap between validation and training loss, in training losses: below, no overfitting


def gap(figures: Mapping[str, Any]) -> float:
    """Return how far validation is above training loss, in training losses as `train` counts."""
    return float(figures["overfit_gap"] / max(figures["train_loss"], ensemble.LEAST_LOSS))


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
    losses = (
        f"at the epoch that is kept ({figures['best_epoch']:.0f} on average) the validation loss "
        f"is {figures['val_loss']:.4f}, the training loss {figures['train_loss']:.4f}; the gap is "
        f"{found:.2f} training losses"
    )
    rule = (
        f"The rule: a gap of up to {MILD:g} training losses is no overfitting, up to "
        f"{ensemble.OVERFIT:g} mild, above strong; a training loss below {ensemble.LEAST_LOSS:g} "
        "counts as that."
    )
    if found > MILD:
        degree = "strongly" if found > ensemble.OVERFIT else "mildly"
        remedy = ensemble.remedy(dict(figures))
        return [f"It overfits {degree}: {losses}. The remedy that fits: {remedy}.", rule]
    if failed:
        return [f"Whether it would overfit cannot be told before training works: {losses}.", rule]
    return [f"It does not overfit: {losses}.", rule]


def later(state: Tracked) -> list[str]:
    """Return what came after the epochs that are kept, and what the curves are means of."""
    figures, rows = state.figures, state.rows("plots/training.csv")
    late, networks = figures.get("overfit_members", 0), alarms.members(state)
    said = ["In no network did the validation loss rise by a tenth after the epoch that is kept."]
    if late:
        said = [
            f"Later, after the epoch that is kept, the validation loss of {late} of "
            f"{counted(networks, 'network')} rose again by more than a tenth, in half of them by "
            f"epoch {figures['overfit_epoch']}: the plots show those epochs too, the weights that "
            "are kept are from before."
        ]
    if rows and int(rows[-1]["members"]) < networks:
        said.append(
            "The curves are means over the networks that were still training: at epoch "
            f"{rows[-1]['epoch']}, {rows[-1]['members']} of {networks}."
        )
    return said
