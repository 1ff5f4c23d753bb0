"""95 % intervals of shares, errors and paired differences; the best of many, corrected."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stages.common.streams import stream

Z95 = 1.959963984540054  # two-sided 95 % of the normal distribution
RESAMPLES = 2000
FEW = 10  # errors: the spread of fewer is not known well enough for an interval

Ends = tuple[float, float] | tuple[None, None]  # of an interval, or there is none


def wilson(correct: int, rows: int) -> tuple[float, float]:
    """Return the score interval of the share correct / rows (Wilson 1927); within 0 and 1."""
    share, z2 = correct / rows, Z95 * Z95
    middle = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = Z95 / (1 + z2 / rows) * math.sqrt(share * (1 - share) / rows + z2 / (4 * rows**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def paired_shares(gained: int, lost: int, rows: int) -> tuple[float, float]:
    """Return the interval of the difference of two shares of the same rows.

    gained, lost: rows that only the first, only the second has right. It is Wald's interval
    after half a row is added to each of the four kinds of rows (Agresti and Min 2005).
    """
    total, more, less = rows + 2, gained + 0.5, lost + 0.5
    middle = (more - less) / total
    half = Z95 * math.sqrt((more + less) / total - middle * middle) / math.sqrt(total)
    return max(-1.0, middle - half), min(1.0, middle + half)


def error(rmse: float, fourths: float, rows: int) -> Ends:
    """Return the interval of a root mean square error, by the delta method; none for few rows.

    fourths: mean of the fourth powers of the errors. Of 40 normal errors it holds the truth in
    92 of 100 cases, of more nearer to 95.
    """
    if rows < FEW:
        return None, None
    spread = max(0.0, fourths - rmse**4) / (rows - 1)  # of the mean square
    half = Z95 * math.sqrt(spread) / (2 * rmse) if rmse > 0 else 0.0
    return max(0.0, rmse - half), rmse + half


def paired_errors(one: Tensor, other: Tensor) -> Ends:
    """Return the interval of the RMSE of `other` less that of `one`, errors (B,) of the same rows.

    By the delta method: a row's part in an RMSE is its squared error over twice the RMSE.
    None for few rows.
    """
    if len(one) < FEW:
        return None, None
    squares = [errors.double().square() for errors in (one, other)]
    roots = [math.sqrt(each.mean().item()) for each in squares]
    parts = [each / (2 * root or 1.0) for each, root in zip(squares, roots, strict=True)]
    half = Z95 * math.sqrt((parts[1] - parts[0]).var().item() / len(one))
    return roots[1] - roots[0] - half, roots[1] - roots[0] + half


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


def best_of(scores: Tensor, seed: int) -> float:
    """Return what the best of several can be expected to score on rows it was not chosen by.

    scores: (candidates, rows). The best of many looks better than it is. In each resample
    the best is chosen by the rows drawn and scored on the rows left out (Tsamardinos et al.
    2018, bootstrap bias correction); the mean over resamples is returned, or the highest
    score of all rows where chance has put it above that. A candidate with a score that is not
    finite is left out; NaN when none remains.
    """
    scores = scores[scores.isfinite().all(dim=1)].double()
    if len(scores) == 0:
        return math.nan
    drawn = _counts(scores.shape[1], stream("best of", seed))  # (RESAMPLES, rows)
    left_out = (drawn == 0).double()
    usable = left_out.sum(dim=1) > 0
    chosen = (drawn @ scores.T).argmax(dim=1)  # (RESAMPLES,)
    outside = (left_out * scores[chosen]).sum(dim=1)[usable] / left_out.sum(dim=1)[usable]
    return min(outside.mean().item(), scores.mean(dim=1).max().item())


def _counts(size: int, generator: torch.Generator) -> Tensor:
    """Return how often each of `size` things is drawn, float64 (RESAMPLES, size)."""
    drawn = torch.randint(size, (RESAMPLES, size), generator=generator)
    counts = torch.zeros(RESAMPLES, size, dtype=torch.float64)
    return counts.scatter_add_(1, drawn, torch.ones_like(counts))
