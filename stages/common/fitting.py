"""The schema fitted to the training rows of a table, one column at a time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from stages.common import cells, dates, targets
from stages.common.cells import TRUTH
from stages.common.errors import UserError
from stages.common.schema import (
    NO_VALUE,
    Category,
    Dropped,
    Missing,
    Numeric,
    Scale,
    Schema,
    Task,
)
from stages.common.spool import Spool
from stages.common.table import Roles

MOSTLY = 0.8  # of the values: from here on a column is of a kind, and the rest is junk
MOST_LEVELS = 64  # of a category; rarer ones share the column of other levels
MOST_TEXTS = 2**17  # different texts of a column; with more it is no category
RARE = 3  # training rows from which on a level has a column of its own
KNOTS = 100  # of quantile scaling
# Numbers with a sign of currency or percent, or with marks between thousands.
DECORATED = re.compile(r"[-+$€£\s]*\d+([,.'\s]\d{3})*([.,]\d+)?\s?[%$€£]?")
# The same with a unit or a bound, such as 71.3 kg and <0.5; FEW of them may as well be levels.
MEASURED = re.compile(rf"[<>≤≥~]?{DECORATED.pattern}([^\W\d_]|[/°²³]){{0,6}}")
FEW = 20
# An encoded number far outside what training rows have says "far out", not how far: the
# network has learnt nothing there, and a huge input would drown all others.
HELD: dict[Scale, tuple[float | None, float | None]] = {
    "standard": (-5.0, 5.0),
    "robust": (-5.0, 5.0),
    "quantile": (None, None),  # the outermost knots hold it
    "minmax": (-1.0, 2.0),
    "none": (None, None),
}
NO_VALUES = "no value in the training rows"
CONSTANT = "the same in every training row"

Rows = NDArray[np.bool_]  # which rows of the table are training rows, (rows,)
Numbers = NDArray[np.float64]


def fit(
    spool: Spool,
    train: Rows,
    roles: Roles,
    task: Task,
    missing: Missing,
    scale: Scale,
    categorical: Collection[str] = (),
) -> Schema:
    """Return the schema of the training rows.

    categorical: columns that are levels even where they are numbers. Raises UserError for
    cells that cannot be read as their column's kind.
    """
    columns = [
        fit_column(spool, name, train, scale, name in categorical) for name in roles.features
    ]
    features = [column for column in columns if not isinstance(column, Dropped)]
    if not features:
        raise UserError(
            "preprocess.features: no chosen column varies over the training rows; choose others"
        )
    dropped = [column for column in columns if isinstance(column, Dropped)]
    target = targets.fit(spool, roles.target, train, task)
    return Schema(
        task=task, missing=missing, scale=scale, features=features, dropped=dropped, target=target
    )


def fit_column(
    spool: Spool, name: str, train: Rows, scale: Scale, categorical: bool
) -> Numeric | Category | Dropped:
    """Return how one column is encoded, or why it carries nothing."""
    position, kind = spool.names.index(name), "numeric"
    if categorical or spool.is_text(name):
        survey = _survey(spool, name, train)
        kind = "category" if categorical and survey.values else survey.kind(name)
        if kind == "category":
            return _fit_category(name, position, survey)
        if kind == "none":
            return Dropped(name=name, position=position, reason=NO_VALUES)
    form = kind if kind in dates.FORMATS else ""
    kind = "date" if form else kind
    parts = [
        cells.read(block, kind, form)[Spool.part(train, block)] for block in spool.blocks(name)
    ]
    return _fit_numbers(name, position, kind, form, np.concatenate(parts), scale)


@dataclass
class _Survey:
    """What the training rows of a column have: its texts, how many read as numbers or dates."""

    counts: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    values: int = 0
    numbers: int = 0
    decorated: int = 0
    measured: int = 0
    dated: Counter[str] = field(default_factory=Counter)  # format of dates -> rows
    example: str = ""

    def kind(self, name: str) -> str:
        """Return none, boolean, numeric, category, or a date format."""
        if not self.values:
            return "none"
        if {text.lower() for text in self.counts} <= set(TRUTH) and not self.counts.keys() <= {
            "0",
            "1",
        }:
            return "boolean"
        if self.numbers >= MOSTLY * self.values:
            return "numeric"
        formats = [form for form in self.dated if self.dated[form] == max(self.dated.values())]
        if formats and self.dated[formats[0]] < MOSTLY * self.values:
            formats = []
        if len(formats) > 1:
            raise UserError(
                f"column '{name}': '{self.example}' may be day/month or month/day; write dates as "
                "2024-12-31, or leave the column out"
            )
        if formats:
            return formats[0]
        measured = self.measured >= MOSTLY * self.values and len(self.counts) > FEW
        if measured or self.decorated >= MOSTLY * self.values:
            raise UserError(
                f"column '{name}': numbers with signs or units, such as '{self.example}'; write "
                "them as 1234.5, leave the column out, or name it in preprocess.categorical"
            )
        return "category"


def _survey(spool: Spool, name: str, train: Rows) -> _Survey:
    found = _Survey()
    for block in spool.blocks(name):
        kept = block.take(Spool.part(train, block)).as_texts()
        texts = kept.texts or ()
        times = np.bincount(kept.values + 1, minlength=len(texts) + 1)[1:]
        there: list[int] = np.flatnonzero(times).tolist()
        here = [texts[at] for at in there]
        found.example = found.example or (here[0] if here else "")
        found.rows += len(kept)
        found.values += int(times.sum())
        found.numbers += int(times[~np.isnan(cells.parsed(texts))].sum())
        found.decorated += sum(int(times[at]) for at in there if DECORATED.fullmatch(texts[at]))
        found.measured += sum(int(times[at]) for at in there if MEASURED.fullmatch(texts[at]))
        for form in dates.FORMATS:
            rows = sum(int(times[at]) for at in there if dates.fits(texts[at], form))
            found.dated.update({form: rows} if rows else {})
        if len(found.counts) <= MOST_TEXTS:
            found.counts.update(dict(zip(here, times[there].tolist(), strict=True)))
    return found


def _fit_category(name: str, position: int, survey: _Survey) -> Category | Dropped:
    counts = survey.counts
    if len(counts) > MOST_TEXTS:
        reason = f"more than {MOST_TEXTS} different texts"
        return Dropped(name=name, position=position, reason=reason)
    gaps = survey.rows - survey.values
    if len(counts) == 1 and not gaps:
        return Dropped(name=name, position=position, reason=CONSTANT)
    if gaps:
        counts = counts + Counter({NO_VALUE: gaps})
    levels = [level for level in counts if counts[level] >= RARE]
    if not levels:
        reason = f"no text is in {RARE} training rows"
        return Dropped(name=name, position=position, reason=reason)
    levels = sorted(levels, key=lambda level: (-counts[level], level))[:MOST_LEVELS]
    return Category(kind="category", name=name, position=position, levels=sorted(levels))


def _fit_numbers(
    name: str, position: int, kind: str, form: str, values: Numbers, scale: Scale
) -> Numeric | Dropped:
    found = values[~np.isnan(values)]
    if len(found) == 0:
        return Dropped(name=name, position=position, reason=NO_VALUES)
    gaps = len(found) < len(values)
    if not gaps and bool((found == found[0]).all()):
        return Dropped(name=name, position=position, reason=CONSTANT)
    if scale in ("robust", "quantile"):
        found.sort()
    scale = "none" if kind == "boolean" else scale
    shift, unit = _scaling(found, scale)
    knots, scores = _knots(found) if scale == "quantile" else ([], [])
    low, high = HELD[scale]
    return Numeric(
        kind=kind,  # type: ignore[arg-type]
        name=name,
        position=position,
        shift=shift,
        scale=unit,
        low=low,
        high=high,
        knots=knots,
        scores=scores,
        date_format=form,
        fill=_median(found),
        indicator=gaps,
    )


def _scaling(values: Numbers, scale: Scale) -> tuple[float, float]:
    """Return shift and scale; a column that does not vary is not scaled. robust: sorted values."""
    if scale in ("none", "quantile"):
        return 0.0, 1.0
    if (values == values[0]).all():  # their mean may be off by a last digit
        return float(values[0]), 1.0
    if scale == "minmax":
        shift, unit = float(values.min()), float(values.max() - values.min())
    elif scale == "robust":
        quarter = len(values) // 4
        shift, unit = _median(values), float(values[-1 - quarter] - values[quarter])
    else:
        shift, unit = float(values.mean()), float(values.std())
    return shift, unit if unit > 0 else 1.0


def _median(values: Numbers) -> float:
    """Return the median; np.median takes six times as long, for it looks for NaN as well."""
    half = len(values) // 2
    parted = np.partition(values, half)
    upper = float(parted[half])
    middle = upper if len(values) % 2 else (float(parted[:half].max()) + upper) / 2
    return middle + 0.0  # of -0.0 and 0.0 either may be in the middle


def _knots(values: Numbers) -> tuple[list[float], list[float]]:
    """Return values at equally likely levels of sorted values, and their normal scores.

    Levels that share a value share their mean score.
    """
    levels = [(at + 0.5) / KNOTS for at in range(KNOTS)]
    picked = [float(values[int(level * len(values))]) for level in levels]
    of_value: dict[float, list[float]] = {}
    for value, level in zip(picked, levels, strict=True):
        of_value.setdefault(value, []).append(NormalDist().inv_cdf(level))
    scores = [round(sum(each) / len(each), 6) for each in of_value.values()]
    return list(of_value), scores
