"""The search space and the points drawn from it.

A point is a valid `model` and `train` section with some settings replaced.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from pydantic import ValidationError

from stages.common.errors import UserError
from stages.common.settings import Model, Range, Search, Train
from stages.common.streams import stream

DIGITS = 4  # of a drawn number: short in params.yaml, the same on every machine

MOST_POINTS = 1_000_000  # of a grid
NEAR = 0.05  # of an axis: this close to an end a value is on the edge

Name = tuple[str, str]  # section and key
Point = dict[Name, Any]
NEEDS: dict[Name, tuple[str, str]] = {  # a setting of the model matters with this value of another
    ("model", "negative_slope"): ("activation", "leaky_relu"),
    ("model", "init_low"): ("init", "uniform"),
    ("model", "init_high"): ("init", "uniform"),
}


def draw(search: Search, model: Model) -> list[Point]:
    """Return at most `search.trials` points, the same for the same seed.

    A grid is the product over the sorted names, each point once, shuffled when it has more
    points than trials. Random and Sobol draws take each setting independently; tpe starts from
    a Sobol draw. A point leaves out what makes no difference to it, such as the slope of
    another activation; `model` has what the space does not vary.
    """
    axes = {(section, key): axis for section, key, axis in search.space.axes()}
    generator = stream("search", search.seed)
    relevant = partial(without_void, model)
    if search.method == "grid":
        points = {repr(point): point for point in map(relevant, _product(axes))}
        return _part(list(points.values()), search.trials, generator)
    return [
        relevant({name: _value(axes[name], share) for name, share in zip(axes, row, strict=False)})
        for row in _shares(search, max(1, len(axes)), generator)
    ]


def _product(axes: Mapping[Name, Any]) -> Iterator[Point]:
    total = math.prod(len(values) for values in axes.values())
    if total > MOST_POINTS:
        raise UserError(
            f"search.space: a grid of {total} points, more than {MOST_POINTS}; give fewer values "
            "or set search.method to random"
        )
    return (dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))


def _part(points: list[Point], most: int, generator: torch.Generator) -> list[Point]:
    if len(points) <= most:
        return points
    order = torch.randperm(len(points), generator=generator).tolist()
    return [points[index] for index in order[:most]]


def _shares(search: Search, axes: int, generator: torch.Generator) -> list[list[float]]:
    """Return numbers from 0 to below 1, one per trial and axis."""
    if search.method in ("sobol", "tpe"):
        seed = int(torch.randint(2**31, (), generator=generator))
        engine = torch.quasirandom.SobolEngine(axes, scramble=True, seed=seed)
        return engine.draw(search.trials, dtype=torch.float64).tolist()
    return torch.rand(search.trials, axes, generator=generator, dtype=torch.float64).tolist()


def _value(axis: list[Any] | Range, share: float) -> Any:
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
    return rounded(axis, value)


def rounded(axis: Range, value: float) -> float:
    """Return a number with few digits, inside its range."""
    return min(max(float(f"{value:.{DIGITS}g}"), axis.low), axis.high)


def without_void(model: Model, point: Point) -> Point:
    """Return a point without the settings that its other settings make void."""

    def void(name: Name) -> bool:
        if name not in NEEDS:
            return False
        other, value = NEEDS[name]
        return bool(point.get(("model", other), getattr(model, other)) != value)

    return {name: value for name, value in point.items() if not void(name)}


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


def edges(point: Point, search: Search, model: Model, train: Train) -> list[str]:
    """Return a word on each number of a point that is at an end of its axis.

    Ends that cannot be moved, such as a dropout of 0, are left out.
    """
    found = []
    for section, key, axis in search.space.axes():
        value, span = point.get((section, key)), _span(axis)
        if span is None or not isinstance(value, int | float):
            continue
        low, high, log = span
        place = (
            math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)
        )
        beyond = {"low": low / 2 if log else low - (high - low), "high": 2 * high}
        end = "low" if place < NEAR else "high" if place > 1 - NEAR else ""
        if end and _valid(point | {(section, key): type(value)(beyond[end])}, model, train):
            found.append(
                f"{section}.{key} {value} (the {end} end is {low if end == 'low' else high})"
            )
    return found


def _span(axis: list[Any] | Range) -> tuple[float, float, bool] | None:
    """Return the ends of an axis and whether its steps are factors; None where it has no ends.

    A list has ends if it is of three numbers or more.
    """
    if isinstance(axis, Range):
        return axis.low, axis.high, axis.scale == "log"
    numbers = [each for each in axis if isinstance(each, int | float)]
    if len(set(numbers)) < len(axis) or len(axis) < 3:
        return None
    return min(numbers), max(numbers), False


def _valid(point: Point, model: Model, train: Train) -> bool:
    try:
        apply(point, model, train)
    except UserError:
        return False
    return True
