"""What each setting of a search does to the result, and how much it matters."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stages.common import files, ranking
from stages.common.settings import Range, Space
from stages.common.trials import Trial, ranked

BANDS = 3  # of a range

Band = Sequence[Trial]


def write_effects(path: Path, trials: Sequence[Trial], space: Space) -> None:
    """Write, for each setting, the mean and best validation score by its value.

    A range is cut into three bands with the same number of trials each. With a list that
    has 0 in it, the row of 0 is the search without that remedy.
    """
    rows = []
    for name, bands in _banded(trials, space):
        for band in bands:
            values = [trial.point[name] for trial in band]
            scores = [trial.best.val_score for trial in band]
            same = values[0] == values[-1]
            label = ranking.cell(values[0]) if same else f"{values[0]} to {values[-1]}"
            rows.append([".".join(name), label, len(band), statistics.fmean(scores), max(scores)])
    files.write_csv(path, ("setting", "value", "trials", "mean_val_score", "best_val_score"), rows)


def write_importance(path: Path, trials: Sequence[Trial], space: Space) -> None:
    """Write how much of the trials' places in the ranking each setting explains, alone.

    It is omega squared (Hays 1963) of a one-way analysis of variance over the values of the
    setting (bands of a range): the share of the variance, less what chance explains; 0 at
    least. Places, not scores, as one trial that diverged would outweigh all others.
    """
    place = {id(trials[at]): number for number, at in enumerate(ranked(trials))}
    rows: list[tuple[float, str, int]] = []
    for name, bands in _banded(trials, space):
        groups = [[float(place[id(trial)]) for trial in band] for band in bands]
        concerned = len(list(itertools.chain(*groups)))
        rows.append((-_omega_squared(groups), ".".join(name), concerned))
    table = [(name, count, -explained) for explained, name, count in sorted(rows)]
    files.write_csv(path, ("setting", "trials", "importance"), table)


def _omega_squared(groups: Sequence[Sequence[float]]) -> float:
    every = [value for group in groups for value in group]
    spare = len(every) - len(groups)  # degrees of freedom within the groups
    if len(groups) < 2 or spare < 1:
        return 0.0
    total = len(every) * statistics.pvariance(every)
    within = math.fsum(len(group) * statistics.pvariance(group) for group in groups) / spare
    between = total - within * spare
    return max(0.0, (between - (len(groups) - 1) * within) / (total + within))


def _banded(trials: Sequence[Trial], space: Space) -> Iterator[tuple[tuple[str, str], list[Band]]]:
    """Yield each setting with the trials that it makes a difference to, by its value."""
    for section, key, axis in space.axes():
        name = (section, key)
        concerned = [trial for trial in trials if name in trial.point]
        ordered = sorted(concerned, key=lambda trial: _order(trial.point[name]))
        yield name, _bands(ordered) if isinstance(axis, Range) else _levels(ordered, name)


def _order(value: Any) -> tuple[bool, Any]:
    number = isinstance(value, int | float)
    return (not number, value if number else json.dumps(value))


def _bands(ordered: Band) -> list[Band]:
    cuts = [round(part * len(ordered) / BANDS) for part in range(BANDS + 1)]
    return [ordered[low:high] for low, high in itertools.pairwise(cuts) if low < high]


def _levels(ordered: Band, name: tuple[str, str]) -> list[Band]:
    return [list(group) for _, group in itertools.groupby(ordered, lambda trial: trial.point[name])]
