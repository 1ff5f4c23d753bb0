"""Fine-tuning on a second table: all arms trained in one stack, and what transfer gained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.common import arms as ways
from stages.common import files, intervals, objective, training
from stages.common.arms import Arm
from stages.common.checkpoint import Checkpoint
from stages.common.network import Stack, count_parameters
from stages.common.partition import Partition
from stages.common.recipe import Recipe
from stages.common.schema import Schema
from stages.common.settings import Finetune
from stages.common.training import Fitted, Record


@dataclass(frozen=True)
class Gain:
    """Mean score of fine-tuning and control, their difference, its 95 % interval."""

    epoch: int
    tuned: float
    control: float
    gain: float
    low: float
    high: float


@dataclass(frozen=True)
class Transfer:
    """What fine-tuning gave. The first arm is the one that was asked for."""

    checkpoint: Checkpoint
    arms: Sequence[Arm]
    best: Sequence[Sequence[Record]]  # of each arm: its members at their best epoch
    control: int  # index of the arm that fine-tuning is compared with
    gains: Sequence[Gain]  # after each epoch
    final: Gain  # every member at its best epoch
    keeps_head: bool


def run(
    base: Checkpoint, schema: Schema, rows: Partition, val: Partition, settings: Finetune
) -> Transfer:
    """Train every arm at once on the second table; compare them on its validation rows."""
    settings = settings.model_copy(
        update={"members": min(settings.members, len(base.stack))}  # each continues another one
    )
    used, members = base.settings["train"], settings.members
    arms = ways.plan(settings.freeze, base.stack.depth, settings.lr, used["lr"])
    stack = ways.starting_weights(base, schema, arms, members, settings.seed).to(rows.target.device)
    recipe = _recipe(base, arms, settings).to(rows.target.device)
    scores: list[Tensor] = []

    def observe(epoch: int, stack: Stack, active: list[int]) -> None:
        now = scores[-1].clone() if scores else torch.zeros(len(recipe.lr), len(val))
        now[active] = training.row_scores(schema.task, stack, val)
        scores.append(now)

    fitted = training.fit(schema.task, stack, recipe, rows, val, observe)
    best = [fitted.best[at : at + members] for at in range(0, len(fitted.best), members)]
    control = min(
        (index for index, arm in enumerate(arms) if arm.scratch),
        key=lambda index: _mean([record.val_loss for record in best[index]]),
    )

    def compare(epoch: int, now: Tensor) -> Gain:
        ours, theirs = now[:members], now[control * members : (control + 1) * members]
        low, high = intervals.paired_bootstrap(ours - theirs, settings.seed)
        means = ours.double().mean().item(), theirs.double().mean().item()
        return Gain(epoch, *means, means[0] - means[1], low, high)

    gains = [compare(epoch, now) for epoch, now in enumerate(scores)]
    final = compare(settings.epochs, training.row_scores(schema.task, fitted.stack, val))
    checkpoint = _checkpoint(base, schema, fitted, settings)
    return Transfer(checkpoint, arms, best, control, gains, final, ways.keeps_head(base, schema))


def _recipe(base: Checkpoint, arms: Sequence[Arm], settings: Finetune) -> Recipe:
    """Return the base model's recipe with each arm's learning rate and frozen layers."""
    used = base.settings["train"] | {"dropout": base.settings["model"]["dropout"]}
    each = [used | {"lr": arm.lr} for arm in arms for _ in range(settings.members)]
    budget = {"epochs": settings.epochs, "patience": settings.epochs, "seed": settings.seed}
    frozen = [arm.frozen for arm in arms for _ in range(settings.members)]
    return Recipe.of(each, base.stack.depth, used | budget, frozen)


def _checkpoint(base: Checkpoint, schema: Schema, fitted: Fitted, settings: Finetune) -> Checkpoint:
    """Return the fine-tuned members as a model of their own."""
    asked = torch.arange(settings.members, device=fitted.stack.negative_slope.device)
    used = base.settings | {"finetune": settings.model_dump()}
    return Checkpoint(fitted.stack.take(asked), schema, used)


def epochs_to_control(result: Transfer) -> int | None:
    """Return the first epoch at which fine-tuning scores what the control reaches at its best."""
    goal = max(gain.control for gain in result.gains)
    return next((gain.epoch for gain in result.gains if gain.tuned >= goal), None)


def verdict(gain: Gain) -> str:
    """Return positive, negative or unclear: does the interval of the gain exclude 0?"""
    if gain.low > 0:
        return "positive"
    return "negative" if gain.high < 0 else "unclear"


def figures(result: Transfer) -> dict[str, Any]:
    """Return the flat figures of a fine-tune, on validation rows of the second table."""
    score = objective.SCORE[result.checkpoint.schema.task]
    stack, final = result.checkpoint.stack, result.final
    frozen = sum(
        count_parameters(stack.widths[index : index + 2])
        for index, still in enumerate(result.arms[0].frozen)
        if still
    )
    first = next((gain.epoch for gain in result.gains if gain.low > 0), None)
    return {
        f"finetune_val_{score}": final.tuned,
        f"control_val_{score}": final.control,
        f"untuned_val_{score}": result.gains[0].tuned if result.keeps_head else None,
        "transfer_gain": final.gain,
        "transfer_gain_low": final.low,
        "transfer_gain_high": final.high,
        "transfer": verdict(final),
        "transfer_first_clear_epoch": first,
        "epochs_to_control": epochs_to_control(result),
        "frozen_parameters": frozen,
        "trainable_parameters": count_parameters(stack.widths) - frozen,
    }


def write(result: Transfer, curve: Path, depths: Path, metrics: Path) -> None:
    """Write the gain per epoch, the arms and the figures; print them in words."""
    header = ("epoch", "finetuned", "from_scratch", "gain", "gain_low", "gain_high")
    files.write_csv(curve, header, ([*vars(gain).values()] for gain in result.gains))
    rows = []
    for arm, best in zip(result.arms, result.best, strict=True):
        scores = [record.val_score for record in best]
        loss = _mean([record.val_loss for record in best])
        rows.append(
            (arm.name, arm.lr, sum(arm.frozen), _mean(scores), min(scores), max(scores), loss)
        )
    names = ("arm", "lr", "frozen_layers", "val_score", "lowest", "highest", "val_loss")
    files.write_csv(depths, names, rows)
    files.write_metrics(metrics, figures(result))
    final, used = result.final, result.checkpoint.settings
    if used["finetune"]["lr"] > used["train"]["lr"]:
        print(
            f"finetune.lr {used['finetune']['lr']:g} is above train.lr {used['train']['lr']:g}: "
            "fine-tuning usually takes smaller steps"
        )
    print(
        f"finetune: {result.arms[0].name}, {result.gains[-1].epoch} epochs: val "
        f"{objective.SCORE[result.checkpoint.schema.task]} {final.tuned:.3f} against "
        f"{final.control:.3f} {result.arms[result.control].name}; gain {final.gain:+.3f} "
        f"({final.low:+.3f} to {final.high:+.3f}): {verdict(final)} transfer"
    )


def write_nothing(curve: Path, depths: Path, metrics: Path) -> None:
    """Write the same files for a pipeline without a second table."""
    files.write_csv(curve, ("epoch", "finetuned", "from_scratch"), [(0, None, None)])
    files.write_csv(depths, ("arm", "val_score"), [("no second table", None)])
    files.write_metrics(metrics, {"transfer": "no second table"})


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
