"""95 % intervals: of a share, and of a paired difference."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stages.common.streams import stream

Z95 = 1.959963984540054  # two-sided 95 % of the normal distribution
RESAMPLES = 2000


def wilson(correct: int, rows: int) -> tuple[float, float]:
    """Return the score interval of the share correct / rows (Wilson 1927); within 0 and 1."""
    share, z2 = correct / rows, Z95**2
    middle = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = Z95 / (1 + z2 / rows) * math.sqrt(share * (1 - share) / rows + z2 / (4 * rows**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def paired_bootstrap(difference: Tensor, seed: int) -> tuple[float, float]:
    """Return the percentile interval of the mean of differences (seeds, rows).

    Seeds and rows are both drawn again with replacement (two-way bootstrap, Owen 2007), so
    the interval covers other rows as well as other starting weights.
    """
    seeds, rows = difference.shape
    generator = stream("bootstrap", seed)
    by_seed = _counts(seeds, generator) @ difference.double().cpu()  # (RESAMPLES, rows)
    means = (by_seed * _counts(rows, generator)).sum(dim=1) / (seeds * rows)
    ordered = means.sort().values.tolist()
    return ordered[round(0.025 * RESAMPLES)], ordered[round(0.975 * RESAMPLES) - 1]


def _counts(size: int, generator: torch.Generator) -> Tensor:
    """Return how often each of `size` things is drawn, float64 (RESAMPLES, size)."""
    drawn = torch.randint(size, (RESAMPLES, size), generator=generator)
    counts = torch.zeros(RESAMPLES, size, dtype=torch.float64)
    return counts.scatter_add_(1, drawn, torch.ones_like(counts))
