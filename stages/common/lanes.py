"""Functions of numbers, by the same instructions for every number of a tensor.

The last few numbers of a tensor miss the vector instructions and take other code, with another
rounding in `exp` and its kin. They would be the last member's of a stack, whoever that is:
zeros behind them give every member the same code.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

LANES = 64  # a multiple of the numbers that one round of vector instructions takes


def by_lanes(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Return a function of tensors of one shape, number by number."""
    first = tensors[0]
    spare = -first.numel() % LANES
    if spare == 0:
        return function(*tensors)
    padded = (torch.cat([each.flatten(), each.new_zeros(spare)]) for each in tensors)
    return function(*padded)[: first.numel()].view_as(first)
