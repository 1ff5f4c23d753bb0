"""Health of a stack on a fixed probe batch: saturation, dead units, gradients, spread."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import astuple, dataclass

import torch
from torch import Tensor

from stages.common import activations, objective
from stages.common.network import Stack
from stages.common.objective import Task
from stages.common.partition import Partition

PROBE_ROWS = 256
SATURATED = 0.01  # derivative of the activation below which a unit learns next to nothing
EXPLODING = 100.0  # spread of a layer of the starting weights above which a warning is printed
FLAT = ("sigmoid", "softplus")  # where they are used most their slope is far below 1
STEADY = ("xavier", "kaiming")  # starting weights that keep the spread of a gradient
VANISHING = 0.05  # first-to-last gradient ratio below which a warning is printed


@dataclass(frozen=True)
class Health:
    """One layer of one member.

    saturated: share of (unit, row) pairs whose activation has a derivative below SATURATED;
    dead: share of units with derivative 0 on every row (both 0 for the output layer);
    gradient: L2 norm of the loss's gradient to the layer's weight; spread: standard
    deviation of what the layer computes before its activation; weight_*: of its weights.
    """

    layer: int
    member: int
    saturated: float
    dead: float
    gradient: float
    spread: float
    weight_low: float
    weight_high: float
    weight_deviation: float


def examine(task: Task, stack: Stack, part: Partition) -> list[Health]:
    """Return the health of each layer and member on PROBE_ROWS rows, evenly spread over a part."""
    size = min(PROBE_ROWS, len(part))
    rows = torch.arange(size, device=part.target.device) * len(part) // size
    x, y = part.features[rows], part.target[rows]
    done = stack.run(x)
    _, gradient = objective.training_losses(task, done.outputs, y)
    gradients = [torch.empty_like(parameter) for parameter in stack.parameters()]
    stack.write_gradients(done, gradient / size, out=gradients)
    found = []
    for layer, (before, gradient) in enumerate(zip(done.computed, gradients[::2], strict=True)):
        squares = gradient.double().square().sum(dim=(1, 2)).tolist()
        spread = before.double().var(dim=(1, 2), correction=0).tolist()
        if layer < stack.depth - 1:
            one, behind = torch.ones_like(before), done.activated[layer]
            slope = activations.backward(
                stack.activation, stack.negative_slope, one, before, behind
            )
            steepness = slope.abs()
            saturated = (steepness < SATURATED).double().mean(dim=(1, 2)).tolist()
            dead = (steepness == 0).all(dim=1).double().mean(dim=1).tolist()
        else:
            saturated = dead = [0.0] * len(stack)
        flat = stack.layers[layer].weight.double().flatten(1)
        columns = (
            saturated,
            dead,
            [math.sqrt(square) for square in squares],
            [math.sqrt(square) for square in spread],
            flat.amin(1).tolist(),
            flat.amax(1).tolist(),
            [math.sqrt(square) for square in flat.var(1, correction=0).tolist()],
        )
        found += [
            Health(layer, member, *row) for member, row in enumerate(zip(*columns, strict=True))
        ]
    return found


def table(found: Iterable[Health]) -> Tensor:
    """Return a row per layer and member, float64 (n, fields of Health)."""
    return torch.tensor([astuple(one) for one in found], dtype=torch.float64)


def of_table(rows: Tensor) -> list[Health]:
    """Return what `table` was made of."""
    return [Health(int(layer), int(member), *figures) for layer, member, *figures in rows.tolist()]


def first_to_last(found: list[Health]) -> float:
    """Return the median over members of the first layer's gradient norm over the last's.

    A value near 0 means that the gradient vanishes on its way back.
    """
    last = max(health.layer for health in found)
    first = {health.member: health.gradient for health in found if health.layer == 0}
    ratios = [
        first[health.member] / health.gradient
        for health in found
        if health.layer == last and health.gradient > 0
    ]
    return statistics.median(ratios) if ratios else math.nan


def vanishing(ratio: float, activation: str, init: str) -> str:
    """Return a sentence when the gradient vanishes, "" otherwise; ratio: `first_to_last`."""
    if not ratio < VANISHING:
        return ""
    changes = []
    if activation in FLAT:
        changes.append("model.activation to relu")
    if init not in STEADY:
        changes.append("model.init to kaiming")
    remedy = f"set {' and '.join(changes)}, or take" if changes else "take"
    return (
        f"the gradient vanishes (first to last layer {ratio:.1e}, {activation}): {remedy} "
        "fewer layers"
    )
