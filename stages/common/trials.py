"""The trials of a search, trained in stacks of one shape.

Trials that share a shape, an activation and the settings of the whole stack train at
once; they see the same rows in the same order, so they differ by their settings only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from stages.common import initialize, space, training
from stages.common.network import check_budget, count_parameters
from stages.common.partition import Partition
from stages.common.recipe import Recipe
from stages.common.resume import Saves
from stages.common.schema import Schema
from stages.common.settings import Model, Search, Train
from stages.common.space import Point
from stages.common.training import Record

IN_ONE_STACK = (  # settings that all members of a stack share, besides the shape
    ("model", "hidden"),
    ("model", "activation"),
    ("train", "optimizer"),
    ("train", "batch_size"),
    ("train", "decay_bias"),
    ("train", "patience"),
)


@dataclass(frozen=True)
class Trial:
    """One point of the space and what came of it, at its best epoch."""

    point: Point
    parameters: int
    best: Record
    diverged: bool
    scores: Tensor | None = None  # of each validation row, float32 (rows,)


def run(
    schema: Schema,
    points: Sequence[Point],
    rows: Partition,
    val: Partition,
    model: Model,
    train: Train,
    search: Search,
    saves: Saves | None = None,
) -> list[Trial]:
    """Train every point, stack by stack, and return the trials in the order of the points.

    Trial t starts from weights of its own (search.seed, t). Divergence ends a trial, not
    the search.
    """
    done: dict[int, Trial] = {}
    sections = [space.apply(point, model, train) for point in points]
    for number, indices in enumerate(_stacks(sections)):
        models = [sections[index][0] for index in indices]
        trains = [sections[index][1] for index in indices]
        widths = [schema.n_features, *models[0].hidden, schema.n_outputs]
        check_budget(widths, models[0].max_parameters)
        stack = initialize.stack(
            widths,
            models[0].activation,
            [(search.seed, index) for index in indices],
            [each.init for each in models],
            [(each.init_low, each.init_high) for each in models],
            [each.negative_slope for each in models],
        ).to(rows.target.device)
        each = [
            one.model_dump() | {"dropout": other.dropout}
            for one, other in zip(trains, models, strict=True)
        ]
        shared = trains[0].model_dump() | {"epochs": search.epochs, "seed": search.seed}
        recipe = Recipe.of(each, stack.depth, shared).to(rows.target.device)
        slot = saves.slot(f"stack{number}") if saves else None
        fitted = training.fit(schema.task, stack, recipe, rows, val, slot=slot)
        scores = training.row_scores(schema.task, fitted.stack, val)
        for place, index in enumerate(indices):
            best, diverged = fitted.best[place], fitted.diverged[place]
            size = count_parameters(widths)
            done[index] = Trial(points[index], size, best, diverged, scores[place])
    return [done[index] for index in range(len(points))]


def _stacks(sections: Sequence[tuple[Model, Train]]) -> list[list[int]]:
    """Group trials whose stack settings are the same; the order of the trials is kept."""
    groups: dict[str, list[int]] = {}
    for index, (model, train) in enumerate(sections):
        both = {"model": model, "train": train}
        key = json.dumps([getattr(both[section], name) for section, name in IN_ONE_STACK])
        groups.setdefault(key, []).append(index)
    return list(groups.values())
