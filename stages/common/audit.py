"""What makes the figures of a table dishonest, found before any training.

Only counts, sorts, comparisons and correctly rounded arithmetic: the same findings, to the
byte, on any x86-64 processor. No check looks at two features at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.common import leaks
from stages.common.cells import Cells
from stages.common.evidence import Column, Finding, Rows
from stages.common.names import SHOWN
from stages.common.settings import PARTS

CHECKS = (
    *("target copy", "monotone copy", "leaking column", "id", "group overlap", "constant"),
    *("class missing", "tiny classes", "drift"),
)
TINY = 10  # rows below which a class is tiny
RUN = 100  # rows of a sample that stand together: the rows of a group often do
DRIFT = 0.15  # distance of two parts below which drift is too small to matter


def sample(rows: int, most: int) -> NDArray[np.bool_]:
    """Return which of so many rows to examine, at most `most`: evenly spaced runs of rows."""
    runs = np.arange(rows) // RUN
    return np.asarray(runs % -(-rows // most) == 0)


def examine(
    features: Sequence[Cells], aside: Sequence[Cells], target: Cells, parts: NDArray[np.int8]
) -> list[Finding]:
    """Return what is wrong with a table, in the order of CHECKS and then of the columns.

    All arguments describe the same rows, in the order of the file. aside: columns left out of
    the features, looked at as groups only; target: with texts, a class per row, without, the
    values of a regression, none missing; parts: 0 train, 1 val, 2 test, int8 (rows,). A column
    is found at most once as copy, leak, id or group. Fewer than two rows have no findings.
    """
    if len(parts) < 2:
        return []
    assert not target.missing.any(), target.name
    found: list[Finding | None] = []
    with np.errstate(all="ignore"):  # of infinite values: what comes out as NaN is not found
        place = Column(target)
        names = target.texts and tuple(target.texts[code] for code in np.unique(target.values))
        rows = Rows(place, parts, names)
        for cells in features:
            found += _feature(Column(cells), rows, 2 * len(features))
        found += [leaks.group(Column(cells), rows) for cells in aside]
        found += _classes(rows)
    return sorted((each for each in found if each), key=lambda each: CHECKS.index(each.check))


def _feature(x: Column, rows: Rows, tests: int) -> list[Finding | None]:
    if x.levels == 1:
        what = "has no value in any row" if x.missing.all() else "has the same value in all rows"
        return [Finding("constant", x.name, 1.0, what, "leave it out of preprocess.features")]
    first = leaks.find(x, rows) or _id(x)
    return [first, None if first and first.check == "id" else _drift(x, rows, tests)]


def _id(x: Column) -> Finding | None:
    """Find a column that numbers or names the rows.

    Whole numbers, all distinct, are an id when they rise or fall through the file, or when so
    many drawn at random from their range would give at least ten equal pairs (birthdays): a
    dense numbering, also of a sample of the table. Measurements that are no whole numbers
    never are. Texts are an id when at most one in twenty repeats another.
    """
    rows = int(len(x.place) - x.missing.sum())
    remedy = "leave it out of preprocess.features; or name it in preprocess.split.time"
    if rows < TINY or 2 * rows < len(x.place):
        return None
    share = x.known / rows
    if not x.number:
        message = f"{x.known} different texts in {rows} rows"
        remedy = "leave it out of preprocess.features; or name it in preprocess.split.group"
        return Finding("id", x.name, round(share, 4), message, remedy) if share >= 0.95 else None
    if not x.whole or share < 1:
        return None
    values = x.values[~x.missing]
    rising = bool((values[1:] > values[:-1]).all() or (values[1:] < values[:-1]).all())
    if not rising and rows * (rows - 1) < 20 * float(values.max() - values.min() + 1):
        return None
    how = "in the order of the file" if rising else "almost without gaps"
    return Finding("id", x.name, 1.0, f"{rows} different whole numbers {how}", remedy)


def _classes(rows: Rows) -> list[Finding | None]:
    if rows.names is None:
        return []
    found: list[Finding | None] = []
    for part, title in enumerate(PARTS):
        inside = rows.target.place[rows.parts == part]
        absent = np.flatnonzero(np.bincount(inside, minlength=rows.target.levels) == 0)
        if len(inside) and len(absent):
            message = f"{len(absent)} without a row in {title}: {_listed(rows, absent)}"
            remedy = "set preprocess.split.stratify, enlarge the part or merge the classes"
            found.append(_whole("class missing", rows, len(absent), message, remedy))
    tiny = np.flatnonzero(rows.counts < TINY)
    if len(tiny):
        message = f"{len(tiny)} with fewer than {TINY} rows: {_listed(rows, tiny)}"
        remedy = "merge or drop them in the table: their figures are of single rows"
        found.append(_whole("tiny classes", rows, len(tiny), message, remedy))
    return found


def _whole(check: str, rows: Rows, count: int, message: str, remedy: str) -> Finding:
    return Finding(check, rows.target.name, float(count), message, remedy)


def _listed(rows: Rows, classes: NDArray[Any]) -> str:
    named = [f"{rows.name(each)} ({rows.counts[each]} rows)" for each in classes[:SHOWN]]
    return ", ".join(named) + (", ..." if len(classes) > SHOWN else "")


def _drift(x: Column, rows: Rows, tests: int) -> Finding | None:
    """Find a feature that is distributed otherwise in val or test than in train.

    Numbers: the Kolmogorov-Smirnov distance, a missing value as the largest; its tail is at
    most 2 exp(-2 c^2) at c sqrt(1/n + 1/m) (Massart 1990, asymptotically for two samples).
    Texts: half the sum of the differences of shares, less the largest mean that chance gives
    it (Jensen); beyond that its tail is no heavier (McDiarmid 1989). c is chosen for one false
    finding in a thousand tables of so many tests (Bonferroni). Assumes independent rows.
    """
    c = math.sqrt((7.6 + 0.7 * tests.bit_length()) / 2)  # 7.6 = ln 2000; 0.7 > ln 2
    train = np.bincount(x.place[rows.train], minlength=x.levels)
    told: list[tuple[float, str]] = []
    for part in (1, 2):
        other = np.bincount(x.place[rows.parts == part], minlength=x.levels)
        n, m = int(train.sum()), int(other.sum())
        if n == 0 or m == 0:
            continue
        spread, expected = 1 / n + 1 / m, 0.0
        if x.number:
            distance = float(np.abs(np.cumsum(train) / n - np.cumsum(other) / m).max())
        else:
            share = (train + other) / (n + m)
            distance = math.fsum(np.abs(train / n - other / m)) / 2
            expected = math.fsum(np.sqrt(share * (1 - share) * spread)) / 2
        if distance - expected >= max(DRIFT, c * math.sqrt(spread)):
            told.append((round(distance, 4), f"{distance:.3f} between train and {PARTS[part]}"))
    if not told:
        return None
    kind = "Kolmogorov-Smirnov distance" if x.number else "difference of shares"
    message = f"{kind} {', '.join(words for _, words in told)}"
    remedy = "deal the rows at random unless time or groups must part them (preprocess.split), "
    remedy += "or trust test figures for such rows only"
    return Finding("drift", x.name, max(told)[0], message, remedy)
