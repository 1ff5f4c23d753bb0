"""The trials of a search compared: the order, the table, the figures."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from stages.common import files, intervals, objective
from stages.common.finalists import Finalist
from stages.common.names import counted
from stages.common.schema import Schema
from stages.common.settings import Space
from stages.common.trials import Trial, ranked


def best(trials: Sequence[Trial]) -> int:
    """Return the trial that ranks first."""
    return ranked(trials)[0]


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
        settings = [cell(trial.point[name]) if name in trial.point else "" for name in names]
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


def cell(value: Any) -> str:
    """Return a setting as the text that `adoption` reads back, unrounded."""
    return value if isinstance(value, str) else json.dumps(value)


def figures(
    trials: Sequence[Trial], finalists: Sequence[Finalist], schema: Schema, seed: int
) -> Mapping[str, Any]:
    """Return the flat figures of a search; seed: of the correction for choosing the best."""
    score = objective.SCORE[schema.task]
    scores = [trial.scores for trial in trials if trial.scores is not None]
    corrected = intervals.best_of(torch.stack(scores), seed) if scores else None
    chosen = finalists[0] if finalists else None
    return {
        "search_trials": len(trials),
        "search_diverged": sum(trial.status == "diverged" for trial in trials),
        "search_best_trial": chosen.trial if chosen else None,
        f"search_best_val_{score}": chosen.mean if chosen else None,
        f"search_best_val_{score}_sd": chosen.deviation if chosen else None,
        f"search_max_val_{score}": trials[best(trials)].best.val_score,
        f"search_corrected_val_{score}": corrected,
        f"search_median_val_{score}": statistics.median(trial.best.val_score for trial in trials),
    }


def sentence(
    trials: Sequence[Trial],
    finalists: Sequence[Finalist],
    schema: Schema,
    found: Mapping[str, Any],
    adopted: bool = False,
) -> str:
    """Return the highest score, the settings that are proposed and their figures, as a line.

    adopted: whether params.yaml has those settings.
    """
    counts = f"search: {counted(len(trials), 'trial')}, {found['search_diverged']} diverged"
    if not finalists:
        return (
            f"{counts}; none got better than the starting weights; lower train.lr in search.space"
        )
    score, chosen = objective.SCORE[schema.task], finalists[0]
    value = found[f"search_corrected_val_{score}"]
    corrected = "" if value is None else f" (corrected for choosing it: {value:.3f})"
    point = trials[chosen.trial].point
    settings = ", ".join(f"{section}.{key} {value}" for (section, key), value in point.items())
    return (
        f"{counts}; highest val {score} {found[f'search_max_val_{score}']:.3f}{corrected}; of the "
        f"best {len(finalists)}, from {len(chosen.starts)} new starts each, trial {chosen.trial} "
        f"has the best mean, {chosen.mean:.3f} +- {chosen.deviation:.3f}: {settings}; "
        + ("params.yaml has them" if adopted else "adopt it with `python -m stages.search --adopt`")
    )
