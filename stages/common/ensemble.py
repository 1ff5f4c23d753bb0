"""The members of the base model: one shape, one recipe, starting weights of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from torch import Tensor

from stages.common import (
    advice,
    curves,
    files,
    health,
    initialize,
    measurement,
    objective,
    training,
)
from stages.common.checkpoint import Checkpoint
from stages.common.gate import Overfit
from stages.common.health import Health
from stages.common.names import counted
from stages.common.network import Stack, count_parameters
from stages.common.partition import Partition
from stages.common.recipe import Recipe
from stages.common.resume import Slot
from stages.common.schema import Schema
from stages.common.settings import Model, Train
from stages.common.training import Fitted


@dataclass(frozen=True)
class Trained:
    """A trained stack with what was measured on the way."""

    checkpoint: Checkpoint
    fitted: Fitted
    health: list[tuple[int, Health]]  # with the epoch


def train(
    schema: Schema,
    rows: Partition,
    val: Partition,
    model: Model,
    settings: Train,
    slot: Slot | None = None,
) -> Trained:
    """Train `settings.members` networks at once and examine their health after each epoch."""
    members = settings.members
    stack = starting_weights(schema, model, members, settings.seed).to(rows.target.device)
    shared = settings.model_dump()
    each = {**shared, "dropout": model.dropout}
    recipe = Recipe.of([each] * members, stack.depth, shared).to(rows.target.device)

    def observe(epoch: int, stack: Stack, members: list[int]) -> Tensor:
        found = health.examine(schema.task, stack, rows)
        return health.table(replace(one, member=members[one.member]) for one in found)

    fitted = training.fit(schema.task, stack, recipe, rows, val, observe, slot)
    used = {"model": model.model_dump(), "train": shared}
    seen = [
        (epoch, one) for epoch, rows in enumerate(fitted.observed) for one in health.of_table(rows)
    ]
    return Trained(Checkpoint(fitted.stack, schema, used), fitted, seen)


def starting_weights(schema: Schema, model: Model, members: int, seed: int) -> Stack:
    """Return the stack that `train` starts from."""
    return initialize.stack(
        [schema.n_features, *model.hidden, schema.n_outputs],
        model.activation,
        [(seed, member) for member in range(members)],
        [model.init] * members,
        [(model.init_low, model.init_high)] * members,
        [model.negative_slope] * members,
    )


def figures(trained: Trained, rows: Partition, val: Partition) -> dict[str, Any]:
    """Return the flat figures of the base model on training and validation rows.

    Means are over members, each at its best epoch; `ensemble_*` is their joint prediction.
    """
    best, fitted = trained.fitted.best, trained.fitted
    task = trained.checkpoint.schema.task
    score = objective.SCORE[task]
    scores = [record.val_score for record in best]
    late = [curves.overfit_epoch(fitted.history, record) for record in best]
    overfit = sorted(epoch for epoch in late if epoch is not None)
    norms = measurement.weight_norms(fitted.stack)
    parameters = count_parameters(fitted.stack.widths)
    together = measurement.measure_together(task, fitted.stack, val)
    kept = health.examine(task, fitted.stack, rows)
    hidden = [found for found in kept if found.layer < fitted.stack.depth - 1]
    spread = max(found.spread for epoch, found in trained.health if epoch == 0)
    return {
        "train_loss": fmean([record.train_loss for record in best]),
        f"train_{score}": fmean([record.train_score for record in best]),
        "val_loss": fmean([record.val_loss for record in best]),
        f"val_{score}": fmean(scores),
        f"val_{score}_deviation": stdev(scores) if len(scores) > 1 else 0.0,
        "ensemble_val_loss": together[0],
        f"ensemble_val_{score}": together[1],
        "best_epoch": fmean([record.epoch for record in best]),
        "overfit_gap": fmean([record.val_loss - record.train_loss for record in best]),
        "overfit_members": len(overfit),
        "overfit_epoch": overfit[len(overfit) // 2] if overfit else None,
        "diverged_members": sum(fitted.diverged),
        "parameters": parameters,
        "parameters_per_row": parameters / len(rows),
        "weight_norm": fmean(norms),
        "gradient_first_to_last": health.first_to_last(kept),
        "starting_spread": spread,
        "saturated_share": fmean([found.saturated for found in hidden] or [0.0]),
        "dead_share": fmean([found.dead for found in hidden] or [0.0]),
    }


def write_figures(
    path: Path,
    trained: Trained,
    beside: dict[str, Any],
    passed: Overfit,
    rows: Partition,
    val: Partition,
) -> None:
    """Write metrics/train.json and print what it says of the base model in words.

    beside: figures of the linear model.
    """
    found = figures(trained, rows, val)
    gate = {"gate_steps": passed.steps, "gate_loss": passed.loss, "gate_score": passed.score}
    files.write_metrics(path, found | beside | gate)
    score, members = objective.SCORE[trained.checkpoint.schema.task], len(trained.fitted.best)
    spread = f" +- {found[f'val_{score}_deviation']:.3f}" if members > 1 else ""
    print(
        f"base: {counted(members, 'member')} of {counted(found['parameters'], 'parameter')}, "
        f"best epoch {found['best_epoch']:.0f}: val {score} {found[f'val_{score}']:.3f}{spread}, "
        f"together {found[f'ensemble_val_{score}']:.3f}; train {score} "
        f"{found[f'train_{score}']:.3f}"
    )
    for line in advice.lines(found, trained.fitted, trained.checkpoint.settings["model"]):
        print(line)
