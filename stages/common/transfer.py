"""Fine-tuning on a second table: all arms trained in one stack, and what transfer gained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from stages.common import arms as ways
from stages.common import files, intervals, measurement, objective, training
from stages.common.arms import Arm
from stages.common.checkpoint import Checkpoint
from stages.common.names import counted
from stages.common.network import Stack, count_parameters
from stages.common.partition import Partition
from stages.common.recipe import Recipe
from stages.common.record import Record
from stages.common.resume import Slot
from stages.common.schema import Schema
from stages.common.settings import Finetune
from stages.common.training import Fitted

CURVE = ("epoch", "finetuned", "from_scratch", "gain", "gain_low", "gain_high", "control")
DEPTHS = ("arm", "lr", "frozen_layers", "val_score", "lowest", "highest", "val_loss")


@dataclass(frozen=True)
class Gain:
    """Mean score of fine-tuning and control after an epoch, the difference, its 95 % interval."""

    epoch: int
    tuned: float
    control: float
    gain: float
    low: float
    high: float
    name: str  # of the control: the from-scratch arm with the best score at this epoch


@dataclass(frozen=True)
class Transfer:
    """What fine-tuning gave. The first arm is the one that was asked for."""

    checkpoint: Checkpoint
    arms: Sequence[Arm]
    best: Sequence[Sequence[Record]]  # of each arm: its members at their best epoch
    gains: Sequence[Gain]  # after each epoch
    final: Gain  # every member at its best epoch
    keeps_head: bool
    stuck: int  # fine-tuned members that never got better than the base model


def run(
    base: Checkpoint,
    schema: Schema,
    rows: Partition,
    val: Partition,
    settings: Finetune,
    slot: Slot | None = None,
) -> Transfer:
    """Train every arm at once on the second table; compare them on its validation rows."""
    if settings.members > len(base.stack):  # each fine-tuned member continues another one
        print(f"finetune.members {settings.members}: {len(base.stack)}, as the base model has")
        settings = settings.model_copy(update={"members": len(base.stack)})
    used, members = base.settings["train"], settings.members
    arms = ways.plan(settings.freeze, base.stack.depth, settings.lr, used["lr"])
    stack = ways.starting_weights(base, schema, arms, members, settings.seed).to(rows.target.device)
    recipe = _recipe(base, arms, settings).to(rows.target.device)

    def observe(epoch: int, stack: Stack, active: list[int]) -> Tensor:
        now = torch.full((len(recipe.lr), len(val)), torch.nan)  # of members that have stopped
        now[active] = measurement.row_scores(schema.task, stack, val)
        return now

    fitted = training.fit(schema.task, stack, recipe, rows, val, observe, slot)
    scores = _last_known(fitted.observed)
    best = [fitted.best[at : at + members] for at in range(0, len(fitted.best), members)]
    controls = [index for index, arm in enumerate(arms) if arm.scratch]

    def compare(epoch: int, now: Tensor) -> Gain:
        by_arm = now.view(len(arms), members, len(val))
        control = max(controls, key=lambda index: by_arm[index].double().mean().item())
        low, high = intervals.paired_bootstrap(by_arm[0] - by_arm[control], settings.seed)
        ours, theirs = (by_arm[index].double().mean().item() for index in (0, control))
        return Gain(epoch, ours, theirs, ours - theirs, low, high, arms[control].name)

    gains = [compare(epoch, now) for epoch, now in enumerate(scores)]
    final = compare(settings.epochs, measurement.row_scores(schema.task, fitted.stack, val))
    checkpoint = _checkpoint(base, schema, fitted, settings)
    stuck = sum(record.epoch == 0 for record in best[0])
    return Transfer(checkpoint, arms, best, gains, final, ways.keeps_head(base, schema), stuck)


def _last_known(scores: Sequence[Tensor]) -> list[Tensor]:
    """Return the scores (members, rows) after each epoch; who has stopped keeps its last."""
    known = [scores[0]]
    for now in scores[1:]:
        known.append(torch.where(now.isnan(), known[-1], now))
    return known


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
    clear = [gain.epoch for gain in result.gains[1:] if gain.low > 0]
    return {
        f"finetune_val_{score}": final.tuned,
        f"control_val_{score}": final.control,
        f"untuned_val_{score}": result.gains[0].tuned if result.keeps_head else None,
        "transfer_gain": final.gain,
        "transfer_gain_low": final.low,
        "transfer_gain_high": final.high,
        "transfer": verdict(final),
        "transfer_clear_epochs": len(clear),
        "finetune_epochs": final.epoch,
        "finetune_stuck_members": result.stuck,
        "epochs_to_control": epochs_to_control(result),
        "frozen_parameters": frozen,
        "trainable_parameters": count_parameters(stack.widths) - frozen,
    }


def write(result: Transfer, curve: Path, depths: Path, metrics: Path) -> None:
    """Write the gain per epoch, the arms and the figures; print them in words."""
    files.write_csv(curve, CURVE, ([*vars(gain).values()] for gain in result.gains))
    rows = []
    for arm, best in zip(result.arms, result.best, strict=True):
        scores = [record.val_score for record in best]
        loss = fmean([record.val_loss for record in best])
        rows.append(
            (arm.name, arm.lr, sum(arm.frozen), fmean(scores), min(scores), max(scores), loss)
        )
    files.write_csv(depths, DEPTHS, rows)
    files.write_metrics(metrics, figures(result))
    final, used = result.final, result.checkpoint.settings
    if result.stuck:
        stuck = counted(result.stuck, "member")
        print(f"{stuck} never got better than the base model; try another finetune.lr")
    if used["finetune"]["lr"] > used["train"]["lr"]:
        print(
            f"finetune.lr {used['finetune']['lr']:g} is above train.lr {used['train']['lr']:g}: "
            "fine-tuning usually takes smaller steps"
        )
    print(
        f"finetune: {result.arms[0].name}, {counted(result.gains[-1].epoch, 'epoch')}: val "
        f"{objective.SCORE[result.checkpoint.schema.task]} {final.tuned:.3f} against "
        f"{final.control:.3f} {final.name}; gain {final.gain:+.3f} "
        f"({final.low:+.3f} to {final.high:+.3f}): {verdict(final)} transfer"
    )


def write_nothing(curve: Path, depths: Path, metrics: Path) -> None:
    """Write the same files, without rows, for a pipeline without a second table."""
    files.write_csv(curve, CURVE, [])
    files.write_csv(depths, DEPTHS, [])
    files.write_metrics(metrics, {"transfer": "no second table"})
