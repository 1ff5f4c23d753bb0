"""ROC and precision-recall curves of a classifier, one class against the rest.

A curve is a list of points (x, y), from x 0 to 1, and the area below it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_roc

DRAWN = 12  # classes with a curve, the most frequent ones
MOST = 100  # points of a curve
FINE = 500  # parts of an axis: too small to tell points within one apart
CLOSE = 0.001  # of an axis: a point this near to the line between its neighbours says nothing

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    """A curve of one class."""

    name: str
    points: Points
    area: float


def frequent(target: Tensor, classes: int, most: int) -> list[int]:
    """Return the most frequent of the classes in target (B,), at most `most`, in their order."""
    count = torch.bincount(target, minlength=classes).tolist()
    return sorted(sorted(range(classes), key=lambda at: -count[at])[:most])


def curves(
    predicted: Tensor, target: Tensor, names: Sequence[str]
) -> tuple[list[Sequence[object]], list[Sequence[object]]]:
    """Return the points of ROC and precision-recall curves: class, x, y, area of the class.

    predicted: probabilities (B, C); target: classes (B,). The DRAWN most frequent classes have
    a curve; the mean of these has no name.
    """
    traced = [
        trace(names[at], predicted[:, at], target == at)
        for at in frequent(target, len(names), DRAWN)
        if 0 < (target == at).sum() < len(target)
    ]
    return (
        [*_rows([roc for roc, _ in traced], height)],
        [*_rows([precision for _, precision in traced], best_beyond)],
    )


def trace(name: str, score: Tensor, positive: Tensor) -> tuple[Curve, Curve]:
    """Return ROC and precision-recall curve of a score (B,) for rows that are positive (B,).

    The areas are AUROC and average precision, of all points; what is kept are corners.
    """
    rates = binary_roc(score, positive.long())
    x, y = rates[0].double(), rates[1].double()
    hits, false = y[1:] * positive.sum(), x[1:] * (~positive).sum()
    shares = hits / (hits + false)
    precision = torch.cat([shares[:1], shares])
    area = ((x[1:] - x[:-1]) * (y[1:] + y[:-1])).sum().item() / 2
    average = ((y[1:] - y[:-1]) * precision[1:]).sum().item()
    told_apart = _told_apart(x + y)
    return (
        Curve(name, thin(_points(x[told_apart], y[told_apart])), area),
        Curve(name, thin(_points(y[told_apart], precision[told_apart])), average),
    )


def _told_apart(along: Tensor) -> Tensor:
    """Return the points before and after each step to another part of an axis, and the ends."""
    cell = (along * FINE).long()
    steps = (cell[1:] - cell[:-1]).nonzero()[:, 0]
    ends = torch.tensor([0, len(along) - 1])
    told_apart: Tensor = torch.cat([ends, steps, steps + 1]).unique()
    return told_apart


def _points(x: Tensor, y: Tensor) -> Points:
    return list(zip(x.tolist(), y.tolist(), strict=True))


def thin(points: Points) -> Points:
    """Return the MOST points, or fewer, that stand out most (Douglas and Peucker 1973)."""
    kept = {0, len(points) - 1}
    waiting = [_farthest(points, 0, len(points) - 1)]
    while waiting and len(kept) < MOST:
        distance, at, start, end = heapq.heappop(waiting)
        if -distance > CLOSE:
            kept.add(at)
            for part in ((start, at), (at, end)):
                heapq.heappush(waiting, _farthest(points, *part))
    return [points[at] for at in sorted(kept)]


def _farthest(points: Points, start: int, end: int) -> tuple[float, int, int, int]:
    """Return the point farthest from the line of two others: distance (negative), number."""
    (x, y), (right, top) = points[start], points[end]
    dx, dy = right - x, top - y
    length = max(abs(dx), abs(dy)) or 1.0

    def distance(at: int) -> float:
        px, py = points[at][0] - x, points[at][1] - y
        if dx == dy == 0:
            return max(abs(px), abs(py))
        return abs(px * dy - py * dx) / length

    found = max(range(start, end + 1), key=distance)
    return -distance(found), found, start, end


def height(points: Points, x: float) -> float:
    """Return the height of a curve at x; the upper one where it is vertical."""
    after = next((at for at, point in enumerate(points) if point[0] > x), None)
    if after is None:
        return points[-1][1]
    (left, low), (right, high) = points[after - 1], points[after]
    return low + (high - low) * (x - left) / (right - left)


def best_beyond(points: Points, x: float) -> float:
    """Return the highest point of a curve from x on: the precision that this recall can have."""
    return max(y for at, y in points if at >= x)


def _rows(
    found: Sequence[Curve], read: Callable[[Points, float], float]
) -> Iterator[Sequence[object]]:
    """Yield name, x, y and area of the points of each curve, then of their mean."""
    for curve in found:
        for x, y in curve.points:
            yield curve.name, x, y, curve.area
    if found:
        area = fmean(curve.area for curve in found)
        for step in range(MOST + 1):
            x = step / MOST
            yield "", x, fmean(read(curve.points, x) for curve in found), area
