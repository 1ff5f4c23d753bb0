"""The best trials of a search once more, each from several starting weights.

One trial is one start: among many, the best of them is partly luck. What is adopted is the
settings with the best mean over new starts.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stages.common import files, race
from stages.common.resume import Saves
from stages.common.trials import Common, Trial, ranked

MOST = 4  # finalists
STARTS = 4  # of each
HEADER = ("trial", "starts", "mean_val_score", "sd_val_score", "lowest", "highest", "mean_val_loss")


@dataclass(frozen=True)
class Finalist:
    """A trial of the search and what its settings gave from new starts."""

    trial: int
    starts: list[Trial]

    @property
    def scores(self) -> list[float]:
        """Validation score of each start."""
        return [start.best.val_score for start in self.starts]

    @property
    def mean(self) -> float:
        """Mean validation score."""
        return statistics.fmean(self.scores)

    @property
    def deviation(self) -> float:
        """Standard deviation of the validation score over starts."""
        return statistics.stdev(self.scores)

    @property
    def loss(self) -> float:
        """Mean validation loss."""
        return statistics.fmean(start.best.val_loss for start in self.starts)


def run(common: Common, found: Sequence[Trial], saves: Saves | None = None) -> list[Finalist]:
    """Train the best trials again, all to the last epoch; return them, the best mean first.

    There are none when no trial has learnt anything.
    """
    best = [at for at in ranked(found) if found[at].learnt][:MOST]
    if not best:
        return []
    points = [found[at].point for at in best for _ in range(STARTS)]
    whole = replace(common, search=common.search.model_copy(update={"halving": 1}))
    again = race.run(whole, points, saves, first=len(found))
    finalists = [
        Finalist(at, again[place * STARTS : (place + 1) * STARTS]) for place, at in enumerate(best)
    ]
    return sorted(finalists, key=order)


def order(finalist: Finalist) -> tuple[float, float, int]:
    """Return what sorts finalists: the higher mean score, then the lower mean loss."""
    return -finalist.mean, finalist.loss, finalist.trial


def write(path: Path, finalists: Sequence[Finalist]) -> None:
    """Write a row per finalist, the one that is proposed first."""
    rows = [
        [
            each.trial,
            len(each.starts),
            each.mean,
            each.deviation,
            min(each.scores),
            max(each.scores),
            each.loss,
        ]
        for each in finalists
    ]
    files.write_csv(path, HEADER, rows)
