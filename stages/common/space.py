"""The search space and the points drawn from it.

A point is a valid `model` and `train` section with some settings replaced.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from pydantic import ValidationError

from stages.common.errors import UserError
from stages.common.settings import Model, Range, Search, Train
from stages.common.streams import stream

DIGITS = 4  # of a drawn number: short in params.yaml, the same on every machine

MOST_POINTS = 1_000_000  # of a grid

Point = dict[tuple[str, str], Any]  # (section, key) -> value


def draw(search: Search) -> list[Point]:
    """Return at most `search.trials` points, the same for the same seed.

    A grid is the product over the sorted names, shuffled when it has more points than
    trials. Random draws take each setting independently.
    """
    axes = {(section, key): axis for section, key, axis in search.space.axes()}
    generator = stream("search", search.seed)
    if search.method == "random":
        return [
            {name: _value(axis, generator) for name, axis in axes.items()}
            for _ in range(search.trials)
        ]
    lists = [axis for axis in axes.values() if isinstance(axis, list)]
    total = math.prod(len(values) for values in lists)
    if total > MOST_POINTS:
        raise UserError(
            f"search.space: a grid of {total} points, more than {MOST_POINTS}; give fewer values "
            "or set search.method to random"
        )
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*lists)]
    if total > search.trials:
        order = torch.randperm(total, generator=generator).tolist()
        points = [points[index] for index in order[: search.trials]]
    return points


def _value(axis: list[Any] | Range, generator: torch.Generator) -> Any:
    share = torch.rand((), generator=generator, dtype=torch.float64).item()
    if isinstance(axis, list):
        return axis[int(share * len(axis))]
    if axis.scale == "integer":
        lowest, highest = (int(end) for end in axis.ends())
        return lowest + int(share * (highest - lowest + 1))
    if axis.scale == "log":
        low, high = math.log(axis.low), math.log(axis.high)
        value = math.exp(low + share * (high - low))
    else:
        value = axis.low + share * (axis.high - axis.low)
    return min(max(float(f"{value:.{DIGITS}g}"), axis.low), axis.high)


def apply(point: Point, model: Model, train: Train) -> tuple[Model, Train]:
    """Return the two sections with a point's settings in place."""
    sections = {"model": model.model_dump(), "train": train.model_dump()}
    for (section, key), value in point.items():
        sections[section][key] = value
    try:
        return Model.model_validate(sections["model"]), Train.model_validate(sections["train"])
    except ValidationError as error:
        reason = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        values = ", ".join(f"{section}.{key} {value}" for (section, key), value in point.items())
        raise UserError(
            f"search.space: {reason}; no trial may have {values}: mend the values there"
        ) from error
