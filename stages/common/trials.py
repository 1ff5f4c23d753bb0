"""A trial of a search, the order of trials, and what all of them share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from stages.common.partition import Partition
from stages.common.record import Record
from stages.common.schema import Schema
from stages.common.settings import Model, Search, Train
from stages.common.space import Point


@dataclass(frozen=True)
class Common:
    """What all trials of a search share; a point replaces settings of `model` and `train`."""

    schema: Schema
    rows: Partition
    val: Partition
    model: Model
    train: Train
    search: Search


@dataclass(frozen=True)
class Trial:
    """One point of the space and what came of it, at its best epoch.

    rung: the last one that it has reached, from 0 on; status: done, stopped (others were
    better at that rung) or diverged.
    """

    point: Point
    parameters: int
    best: Record
    status: str = "done"
    rung: int = 0
    scores: Tensor | None = None  # of each validation row, float32 (rows,)

    @property
    def learnt(self) -> bool:
        """Whether it got better than its starting weights and did not diverge."""
        return self.best.epoch > 0 and self.status != "diverged"

    @property
    def rank(self) -> tuple[bool, float, float]:
        """What sorts trials, the best first: the higher score, then the lower loss."""
        keys = -self.best.val_score, self.best.val_loss
        score, loss = (key if math.isfinite(key) else math.inf for key in keys)
        return not self.learnt, score, loss


def ranked(trials: Sequence[Trial]) -> list[int]:
    """Return the places of trials, the best first; of equal ones the first."""
    return sorted(range(len(trials)), key=lambda at: (*trials[at].rank, at))
