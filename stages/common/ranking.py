"""The trials of a search compared: the winner, the table, the effect of each setting."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from stages.common import files, intervals, objective
from stages.common.schema import Schema
from stages.common.settings import Range, Space
from stages.common.trials import Trial

BANDS = 3  # of a range, in the table of effects


def best(trials: Sequence[Trial]) -> int:
    """Return the trial that ranks first."""
    return min(range(len(trials)), key=lambda at: (*trials[at].rank, at))


def write_table(path: Path, trials: Sequence[Trial], space: Space) -> None:
    """Write one row per trial: every setting searched, its size, its figures.

    A setting that makes no difference to a trial is left empty.
    """
    names = [(section, key) for section, key, _ in space.axes()]
    figures = ("best_epoch", "train_loss", "train_score", "val_loss", "val_score")
    header = [
        "trial",
        *(".".join(name) for name in names),
        "parameters",
        *figures,
        "rung",
        "status",
    ]
    rows = []
    for index, trial in enumerate(trials):
        settings = [_cell(trial.point[name]) if name in trial.point else "" for name in names]
        record = trial.best
        measured = [
            record.epoch,
            record.train_loss,
            record.train_score,
            record.val_loss,
            record.val_score,
        ]
        rows.append([index, *settings, trial.parameters, *measured, trial.rung, trial.status])
    files.write_csv(path, header, rows)


def _cell(value: Any) -> str:
    """Return a setting as the text that `adoption` reads back, unrounded."""
    return value if isinstance(value, str) else json.dumps(value)


def write_effects(path: Path, trials: Sequence[Trial], space: Space) -> None:
    """Write, for each setting, the mean and best validation score by its value.

    A range is cut into three bands with the same number of trials each. With a list that
    has 0 in it, the row of 0 is the search without that remedy.
    """
    rows = []
    for section, key, axis in space.axes():
        name = (section, key)
        concerned = [trial for trial in trials if name in trial.point]
        ordered = sorted(concerned, key=lambda trial: _order(trial.point[name]))
        bands = _bands(ordered) if isinstance(axis, Range) else _levels(ordered, name)
        for band in bands:
            values = [trial.point[name] for trial in band]
            scores = [trial.best.val_score for trial in band]
            same = values[0] == values[-1]
            label = _cell(values[0]) if same else f"{values[0]} to {values[-1]}"
            rows.append(
                [f"{section}.{key}", label, len(band), statistics.fmean(scores), max(scores)]
            )
    files.write_csv(path, ("setting", "value", "trials", "mean_val_score", "best_val_score"), rows)


def _order(value: Any) -> tuple[bool, Any]:
    number = isinstance(value, int | float)
    return (not number, value if number else json.dumps(value))


def _bands(ordered: Sequence[Trial]) -> list[Sequence[Trial]]:
    cuts = [round(part * len(ordered) / BANDS) for part in range(BANDS + 1)]
    return [ordered[low:high] for low, high in itertools.pairwise(cuts) if low < high]


def _levels(ordered: Sequence[Trial], name: tuple[str, str]) -> list[list[Trial]]:
    return [list(group) for _, group in itertools.groupby(ordered, lambda trial: trial.point[name])]


def figures(trials: Sequence[Trial], schema: Schema, seed: int) -> Mapping[str, Any]:
    """Return the flat figures of a search; seed: of the correction for choosing the best."""
    winner = best(trials)
    score = objective.SCORE[schema.task]
    scores = [trial.scores for trial in trials if trial.scores is not None]
    corrected = intervals.best_of(torch.stack(scores), seed) if scores else None
    return {
        "search_trials": len(trials),
        "search_diverged": sum(trial.status == "diverged" for trial in trials),
        "search_best_trial": winner if trials[winner].learnt else None,
        f"search_max_val_{score}": trials[winner].best.val_score,
        f"search_corrected_val_{score}": corrected,
        f"search_median_val_{score}": statistics.median(trial.best.val_score for trial in trials),
    }


def sentence(trials: Sequence[Trial], schema: Schema, found: Mapping[str, Any]) -> str:
    """Return the best trial, its figures (of `figures`) and its settings, as a line."""
    winner, score = trials[best(trials)], objective.SCORE[schema.task]
    value = found[f"search_corrected_val_{score}"]
    corrected = "" if value is None else f" (corrected for choosing it: {value:.3f})"
    settings = ", ".join(
        f"{section}.{key} {value}" for (section, key), value in winner.point.items()
    )
    if not winner.learnt:
        return (
            f"search: {found['search_trials']} trials, none got better than its starting weights; "
            "lower train.lr in search.space"
        )
    return (
        f"search: {found['search_trials']} trials, {found['search_diverged']} diverged; best val "
        f"{score} {winner.best.val_score:.3f}{corrected} with {settings}; adopt it "
        "with `python -m stages.search --adopt`"
    )
