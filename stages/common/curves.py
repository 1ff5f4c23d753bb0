"""What was measured per epoch, as tables for plots, and figures drawn from them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from statistics import fmean

from stages.common import files
from stages.common.health import Health
from stages.common.record import Record

STILL = 0.1  # of the first loss: a loss that stays within it has not moved
MARGIN = 1.1  # times the lowest validation loss: from here on a member overfits


def write_history(path: Path, history: Sequence[Record], best: Sequence[Record]) -> None:
    """Write one row per epoch: means and range over the members that were still training.

    best: each member at its best epoch; `best_members` counts them.
    """
    means = ["running_loss", "train_loss", "val_loss", "train_score", "val_score"]
    ranges = [f"{name}_{end}" for name in means[1:] for end in ("lowest", "highest")]
    at_best = Counter(record.epoch for record in best)
    rows = []
    for epoch in sorted({record.epoch for record in history}):
        same = [record for record in history if record.epoch == epoch]
        measured = [_finite(getattr(record, name) for record in same) for name in means]
        ends = [end for values in measured[1:] for end in _ends(values)]
        rows.append([epoch, len(same), *map(_mean, measured), *ends, at_best[epoch]])
    files.write_csv(path, ["epoch", "members", *means, *ranges, "best_members"], rows)


def write_health(path: Path, health: Sequence[tuple[int, Health]]) -> None:
    """Write one row per epoch and layer: means over the members that were still training."""
    measured = [field.name for field in fields(Health) if field.name not in ("layer", "member")]
    header = ["epoch", "layer", *measured]
    rows = []
    for epoch, layer in sorted({(epoch, found.layer) for epoch, found in health}):
        same = [found for at, found in health if (at, found.layer) == (epoch, layer)]
        means = [_mean(_finite(getattr(found, name) for found in same)) for name in measured]
        rows.append([epoch, f"layer{layer}", *means])
    files.write_csv(path, header, rows)


def overfit_epoch(history: Sequence[Record], best: Record) -> int | None:
    """Return the first epoch after a member's best at which it overfits; None if it never does."""
    later = (record for record in history if record.member == best.member)
    for record in later:
        if record.epoch > best.epoch and record.val_loss > MARGIN * best.val_loss:
            return record.epoch
    return None


def still(*courses: Sequence[float]) -> bool:
    """Return whether no loss moved: each stays near the one that its course begins with."""
    return all(
        abs(loss - losses[0]) <= STILL * abs(losses[0]) for losses in courses for loss in losses
    )


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _mean(values: Sequence[float]) -> float:
    """Return the mean; NaN when there is no value."""
    return fmean(values) if values else math.nan


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest value; NaN when there is none."""
    return min(values, default=math.nan), max(values, default=math.nan)
