"""Loss and score of a finished or half-trained stack on one part, and the size of its weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stages.common import objective
from stages.common.network import Stack
from stages.common.objective import Task
from stages.common.partition import Partition

CHUNK = 256  # rows evaluated at once: what a stack makes of them should fit a cache


def measure(task: Task, stack: Stack, part: Partition) -> tuple[Tensor, Tensor]:
    """Return mean loss and mean score of each member over a part, float64 (K,) each.

    Nothing is left switched on or off: dropout exists only where a mask is passed, and no
    random number is drawn.
    """
    loss = torch.zeros(len(stack), dtype=torch.float64, device=part.target.device)
    score = torch.zeros_like(loss)
    for x, y in part.batches(CHUNK):
        outputs = stack(x)
        loss += objective.losses(task, outputs, y).double().sum(dim=1)
        score += objective.scores(task, outputs, y).double().sum(dim=1)
    return loss / len(part), score / len(part)


def measure_together(task: Task, stack: Stack, part: Partition) -> tuple[float, float]:
    """Return mean loss and score of the members' joint prediction over a part."""
    loss = score = 0.0
    for x, y in part.batches(CHUNK):
        joint = objective.join(task, stack(x))
        loss += objective.losses(task, joint, y).double().sum().item()
        score += objective.scores(task, joint, y).double().sum().item()
    return loss / len(part), score / len(part)


def row_scores(task: Task, stack: Stack, part: Partition) -> Tensor:
    """Return the score of each member and row, float32 (K, rows), on the CPU."""
    pairs = part.batches(CHUNK)
    return torch.cat([objective.scores(task, stack(x), y) for x, y in pairs], dim=1).cpu()


def weight_norms(stack: Stack) -> list[float]:
    """Return the L2 norm of each member's weights, biases left out."""
    squares = sum(layer.weight.double().square().sum(dim=(1, 2)) for layer in stack.layers)
    return [math.sqrt(square) for square in squares.tolist()]  # type: ignore[union-attr]
