"""The linear model beside the base model, as good as it can be: a weak one flatters the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stages.common import ensemble, measurement, network, objective, training
from stages.common.checkpoint import Checkpoint
from stages.common.partition import Partition
from stages.common.recipe import Recipe
from stages.common.resume import Saves, Slot
from stages.common.schema import Schema
from stages.common.settings import Model, Train
from stages.common.training import Fitted

# Times the network's learning rate. With many features that go together the smaller steps are
# needed. Larger ones make the validation loss jump, and the lowest jump is luck: chosen by it,
# models did worse on rows that had no part in the choice.
RATES = (1.0, 0.5, 0.25, 0.125)
USUAL = 0.01  # a rate for scaled features, in case the network's suits nothing
UNREGULARISED = {"noise": 0.0, "mixup": 0.0, "weight_decay": 0.0}


def candidates(settings: Train) -> list[Train]:
    """Return the settings that the linear model may be trained with, those given first.

    They suit the network. A linear model may want smaller steps, and it has less to
    overfit with, so each rate is also tried without noise, mixing and weight decay.
    Class weights stay: they say what is to be learnt.
    """
    found = [
        settings.model_copy(update={"lr": lr, **change})
        for change in ({}, UNREGULARISED)
        for lr in (*(settings.lr * rate for rate in RATES), USUAL)
    ]
    return list(dict.fromkeys(found))


def train(
    schema: Schema,
    rows: Partition,
    val: Partition,
    model: Model,
    settings: Train,
    saves: Saves | None = None,
) -> Checkpoint:
    """Train `settings.members` linear models with the candidate that validates best.

    One member of each candidate, all in one stack, is enough to choose by: the loss of a
    linear model has one minimum, wherever it starts. The lowest validation loss wins; a
    candidate that diverges counts as it was before.
    """
    linear = model.model_copy(update={"hidden": []})
    slots = [saves.slot(name) if saves else None for name in ("candidates", "linear")]
    found = candidates(settings)
    tried = _fit(schema, rows, val, linear, found, 1, slots[0])
    chosen = found[min(tried.best, key=lambda record: record.val_loss).member]
    fitted = _fit(schema, rows, val, linear, [chosen], settings.members, slots[1])
    used = {"model": linear.model_dump(), "train": chosen.model_dump()}
    return Checkpoint(fitted.stack, schema, used)


def _fit(
    schema: Schema,
    rows: Partition,
    val: Partition,
    model: Model,
    found: Sequence[Train],
    members: int,
    slot: Slot | None,
) -> Fitted:
    """Train the first members of every candidate in one stack, candidate by candidate."""
    start = ensemble.starting_weights(schema, model, members, found[0].seed)
    stack = network.concatenate([start] * len(found)).to(rows.target.device)
    each = [one.model_dump() | {"dropout": model.dropout} for one in found for _ in range(members)]
    recipe = Recipe.of(each, stack.depth, found[0].model_dump()).to(rows.target.device)
    return training.fit(schema.task, stack, recipe, rows, val, slot=slot, thorough=False)


def figures(trained: Checkpoint, val: Partition) -> dict[str, Any]:
    """Return the flat figures of the linear model: its members' joint score, what was chosen."""
    task = trained.schema.task
    score = measurement.measure_together(task, trained.stack, val)[1]
    return {
        f"linear_val_{objective.SCORE[task]}": score,
        "linear_lr": trained.settings["train"]["lr"],
    }


def sentence(trained: Checkpoint, found: dict[str, Any]) -> str:
    """Return the validation score and the settings that were chosen, as a line."""
    used = trained.settings["train"]
    score = objective.SCORE[trained.schema.task]
    chosen = ", ".join(f"{key} {used[key]:g}" for key in ("lr", *UNREGULARISED))
    return f"linear model: val {score} {found[f'linear_val_{score}']:.3f} with {chosen}"
