"""What went wrong in a training, and the settings that help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.common import curves, health
from stages.common.names import counted
from stages.common.training import Fitted

OVERFIT = 1.0  # gap between validation and training loss, in training losses
LEAST_LOSS = 0.05  # below this the training loss is no measure of the gap
CAPACITY = 1.0  # parameters per training row above which capacity is the likelier cause


def lines(found: Mapping[str, Any], fitted: Fitted, model: Mapping[str, Any]) -> list[str]:
    """Return a line for each thing that went wrong or that a remedy fits.

    found: `figures`; model: the settings of that section.
    """
    said = []
    if found["diverged_members"]:
        said.append(f"diverged: {counted(found['diverged_members'], 'member')}; lower train.lr")
    if stuck := _stuck(fitted):
        change = "raise" if all(_still(fitted, member) for member in stuck) else "lower"
        said.append(
            f"{counted(len(stuck), 'member')} never got better than the starting weights; "
            f"{change} train.lr"
        )
    if found["starting_spread"] > health.EXPLODING:
        said.append(
            f"outputs explode: they spread by {found['starting_spread']:.0f} before training; set "
            "preprocess.scale to standard or model.init to default"
        )
    if line := health.vanishing(
        found["gradient_first_to_last"], model["activation"], model["init"]
    ):
        said.append(line)
    learnt = any(record.epoch > 0 for record in fitted.best)
    if learnt and found["overfit_gap"] > OVERFIT * max(found["train_loss"], LEAST_LOSS):
        said.append(
            f"overfitting: val loss {found['val_loss']:.3f} against train loss "
            f"{found['train_loss']:.3f}; {remedy(found)}"
        )
    return said


def _stuck(fitted: Fitted) -> list[int]:
    """Return the members that did not diverge and are best before training."""
    return [
        record.member
        for record in fitted.best
        if record.epoch == 0 and not fitted.diverged[record.member]
    ]


def _still(fitted: Fitted, member: int) -> bool:
    """Return whether neither training loss of a member moved; that of large steps does."""
    seen = [record for record in fitted.history if record.member == member]
    losses, running = (
        [getattr(record, name) for record in seen] for name in ("train_loss", "running_loss")
    )
    return curves.still(losses, running[1:])


def remedy(found: Mapping[str, Any]) -> str:
    """Return the measured cause of overfitting and the settings that fit it."""
    if found["parameters_per_row"] > CAPACITY:
        return (
            f"{found['parameters_per_row']:.1f} parameters per row: smaller model.hidden, higher "
            "model.dropout, or train.noise and train.mixup in place of more rows"
        )
    return f"weight norm {found['weight_norm']:.1f}: raise train.weight_decay"
