"""Starting weights of a stack, from their keys alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from stages.common.network import Stack
from stages.common.streams import stream


def stack(
    widths: Sequence[int],
    activation: str,
    keys: Sequence[tuple[int, int]],
    schemes: Sequence[str],
    bounds: Sequence[tuple[float, float]],
    negative_slopes: Sequence[float],
) -> Stack:
    """Return a stack of len(keys) members with widths F, hidden ..., C.

    Every member (named by its key) and layer has a random stream of its own, so a
    member's weights depend on its key alone, and a layer's do not shift when another
    layer changes.
    """
    weights, biases = [], []
    for index, (before, after) in enumerate(itertools.pairwise(widths)):
        pairs = [
            _layer(
                before,
                after,
                _gain(activation, slope),
                stream("weights", *key, index),
                scheme,
                bound,
            )
            for key, scheme, bound, slope in zip(
                keys, schemes, bounds, negative_slopes, strict=True
            )
        ]
        weights.append(torch.stack([weight for weight, _ in pairs]))
        biases.append(torch.stack([bias for _, bias in pairs]))
    return Stack(weights, biases, activation, torch.tensor(negative_slopes, dtype=torch.float32))


def _gain(activation: str, negative_slope: float) -> float:
    """Return what keeps the spread of signals through an activation (He et al. 2015, LeCun)."""
    if activation == "leaky_relu":
        return math.sqrt(2 / (1 + negative_slope * negative_slope))
    return {"relu": math.sqrt(2.0), "tanh": 5 / 3}.get(activation, 1.0)


def _layer(
    before: int,
    after: int,
    gain: float,
    generator: torch.Generator,
    scheme: str,
    bounds: tuple[float, float],
) -> tuple[Tensor, Tensor]:
    """Draw weight (in, out) and bias (1, out).

    default: uniform, bound 1/sqrt(fan_in), as torch.nn.Linear. xavier: uniform, bound
    gain * sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010). kaiming: uniform, bound
    gain * sqrt(3 / fan_in) (He et al. 2015). uniform: between the given bounds. Biases
    are as in default, but 0 for xavier and kaiming.
    """
    default = 1 / math.sqrt(before)
    limit = {
        "default": default,
        "xavier": gain * math.sqrt(6 / (before + after)),
        "kaiming": gain * math.sqrt(3 / before),
    }
    low, high = bounds if scheme == "uniform" else (-limit[scheme], limit[scheme])
    weight = torch.rand(after, before, generator=generator).T * (high - low) + low
    bias = torch.rand(1, after, generator=generator) * (2 * default) - default
    if scheme in ("xavier", "kaiming"):
        bias = torch.zeros_like(bias)
    return weight, bias
