"""What makes the figures of a table dishonest, found before any training.

Only counts, sorts, comparisons and correctly rounded arithmetic: the same findings, to the
byte, on any x86-64 processor. No check looks at two features at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.common.cells import Cells

PARTS = ("train", "val", "test")
CHECKS = (
    *("target copy", "monotone copy", "leaking column", "id", "group overlap", "constant"),
    *("class missing", "tiny classes", "drift"),
)
EVIDENCE = 8  # rows outside the largest class below which a copy may well be chance
LEAK = 0.98  # share of rows, or of variance, that no honest feature explains alone
BINS, BIN_ROWS = 200, 5  # at most so many bins of a number, each of so many training rows
GROUP_VALUES, GROUP_ROWS, GROUP_PAIRS = 50, 50, 50  # least values, most rows each, least pairs
TINY = 10  # rows below which a class is tiny
NAMED = 8  # classes named in a message
DRIFT = 0.15  # distance of two parts below which drift is too small to matter


@dataclass(frozen=True)
class Finding:
    """One line of the audit.

    check: one of CHECKS, or of those in `duplicates`; column: its name, "" when the finding
    concerns whole rows; strength: 0 to 1, or the number that the message begins with;
    message: what was found; remedy: what to do about it, naming the settings.
    """

    check: str
    column: str
    strength: float
    message: str
    remedy: str

    @property
    def line(self) -> str:
        """What was found, where, and what to do about it."""
        what = "classes of" if self.check in ("class missing", "tiny classes") else "column"
        place = f"{what} '{self.column}': " if self.column else ""
        return f"{place}{self.message}; {self.remedy}"


class _Column:
    """A column as places among its distinct values.

    place: int64 (rows,), 0 up to levels - 1, numbers in their order; a missing value is a
    value of its own, the last.
    """

    def __init__(self, cells: Cells) -> None:
        self.name, self.values, self.missing = cells.name, cells.values, cells.missing
        self.number = cells.texts is None
        values = cells.values if self.number else np.where(self.missing, 2**31 - 1, cells.values)
        distinct = np.unique(values)  # all NaN as one, the last
        self.place = np.searchsorted(distinct, values)
        self.levels = len(distinct)
        self.known = self.levels - bool(self.missing.any())  # distinct values that are no gap
        numbers = distinct[: self.known]
        self.whole = self.number and bool((numbers == np.floor(numbers)).all())


@dataclass(frozen=True)
class _Rows:
    """Target and part of every row; names: of the classes, None in regression."""

    target: _Column
    parts: NDArray[np.int8]
    names: tuple[str, ...] | None

    @cached_property
    def train(self) -> NDArray[np.bool_]:
        return np.equal(self.parts, 0)

    @cached_property
    def value(self) -> NDArray[np.float64]:
        """The regression target, moved and scaled to 0 ... 1."""
        low, high = self.target.values.min(), self.target.values.max()
        return np.asarray((self.target.values - low) / (high - low))

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Rows of each distinct target (levels,)."""
        return np.bincount(self.target.place).astype(np.int64)

    def apart(self, one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
        """Return how far apart the targets of pairs of rows are: 0 or 1, or squared."""
        if self.names is not None:
            different = self.target.place[one] != self.target.place[other]
            return np.asarray(different, dtype=np.float64)
        return _squares(self.value[one], self.value[other])

    @cached_property
    def chance(self) -> float:
        """The mean of `apart` over all pairs of rows."""
        rows = len(self.parts)
        if self.names is not None:
            return 1 - int((self.counts * (self.counts - 1)).sum()) / (rows * (rows - 1))
        return 2 * _mean(_squares(self.value, _mean(self.value))) * rows / (rows - 1)


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
        place = _Column(target)
        names = target.texts and tuple(target.texts[code] for code in np.unique(target.values))
        rows = _Rows(place, parts, names)
        for cells in features:
            found += _feature(_Column(cells), rows, 2 * len(features))
        found += [_group(_Column(cells), rows) for cells in aside]
        found += _classes(rows)
    return sorted((each for each in found if each), key=lambda each: CHECKS.index(each.check))


def _feature(x: _Column, rows: _Rows, tests: int) -> list[Finding | None]:
    if x.levels == 1:
        what = "has no value in any row" if x.missing.all() else "has the same value in all rows"
        return [Finding("constant", x.name, 1.0, what, "leave it out of preprocess.features")]
    told = rows.target.levels > 1 and len(rows.parts) - int(rows.counts.max()) >= EVIDENCE
    first = (_copy(x, rows) or _group(x, rows) or _leak(x, rows)) if told else None
    first = first or _id(x)
    return [first, None if first and first.check == "id" else _drift(x, rows, tests)]


def _copy(x: _Column, rows: _Rows) -> Finding | None:
    """Find a feature that says the target: equal up to scale, one to one, or by its order."""
    remedy = "leave it out of preprocess.features: it is the target under another name"
    if x.number and rows.names is None and x.known == x.levels and _straight(x.values, rows.value):
        message = "the target is this column, or a multiple of it plus a constant, in every row"
        return Finding("target copy", x.name, 1.0, message, remedy)
    target = np.zeros(x.levels, dtype=np.int64)
    target[x.place] = rows.target.place
    if not (target[x.place] == rows.target.place).all():
        return None
    if x.levels == rows.target.levels and 2 * x.levels <= len(x.place):
        message = f"each of its {x.levels} values stands for one value of the target, in every row"
        return Finding("target copy", x.name, 1.0, message, remedy)
    along = target[: x.known]  # the target where this column has a value, in its order
    several = len(np.unique(along)) > 1
    if rows.names is None:
        sorted_alike = bool((along[1:] >= along[:-1]).all() or (along[1:] <= along[:-1]).all())
    else:
        sorted_alike = int((along[1:] != along[:-1]).sum()) == len(np.unique(along)) - 1
    if not x.number or not sorted_alike or not several:
        return None
    order = "the order of the target" if rows.names is None else "one class after the other"
    message = f"rows sorted by it are in {order}, without an exception"
    return Finding("monotone copy", x.name, 1.0, message, remedy)


def _straight(x: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    """Say whether y, of range 0 to 1, lies on a line over x, but for a millionth."""
    low, high = x.argmin(), x.argmax()
    slope = (y[high] - y[low]) / (x[high] - x[low])
    return bool((np.abs(y - y[low] - slope * (x - x[low])) <= 1e-6).all())


def _leak(x: _Column, rows: _Rows) -> Finding | None:
    """Find a feature that alone gives the target of rows that its rule was not made from.

    Both the training and the other rows must reach LEAK: by luck the other rows of a small
    table may. Above a large majority class no more than a fifth of the errors may be left.
    """
    remedy = "leave it out of preprocess.features unless it is known before the target is"
    leak = None if rows.names is None else _missing_leak(x, rows.names, rows)
    if leak is not None or rows.train.all() or not rows.train.any():
        return leak
    rules = [x.place] if 2 * x.levels <= len(x.place) else []
    rules += [_bins(x, rows.train)] if x.number and x.levels > TINY else []
    score = _hits if rows.names is not None else _explained
    pairs = [score(rule, rows) for rule in rules]
    trained, other = max(pairs, key=min, default=(0.0, 0.0))
    if not min(trained, other) >= LEAK:
        return None
    if rows.names is None:
        message = f"alone explains {other:.1%} of the target's variance in the val and test rows"
        return Finding("leaking column", x.name, round(other, 4), message, remedy)
    counts = np.bincount(rows.target.place[~rows.train])
    largest = int(counts.max()) / int(counts.sum())
    message = f"alone gives the class of {other:.1%} of the val and test rows"
    message += f" (the largest class: {largest:.1%})"
    enough = 10 * (1 - min(trained, other)) <= 1 - largest
    return Finding("leaking column", x.name, round(other, 4), message, remedy) if enough else None


def _missing_leak(x: _Column, names: tuple[str, ...], rows: _Rows) -> Finding | None:
    """Find a class whose rows are the ones without a value, or the only ones with one."""
    size, gaps = len(x.place), int(x.missing.sum())
    both = np.bincount(rows.target.place[x.missing], minlength=rows.target.levels)
    wrong = rows.counts + gaps - 2 * both  # rows for which missing does not mean this class
    wrong = np.minimum(wrong, size - wrong)
    fewer = np.minimum(rows.counts, size - rows.counts)
    which = int((wrong / fewer).argmin())
    inside, outside = int(both[which]), gaps - int(both[which])
    if fewer[which] < EVIDENCE or 20 * wrong[which] > fewer[which]:
        return None
    message = (
        f"is missing in {inside / int(rows.counts[which]):.1%} of the rows of class"
        f" {_name(names[which])} and in {outside / (size - int(rows.counts[which])):.1%} of the"
        " others"
    )
    remedy = "leave it out of preprocess.features; no rule of preprocess.missing hides such gaps"
    strength = round(1 - int(wrong[which]) / int(fewer[which]), 4)
    return Finding("leaking column", x.name, strength, message, remedy)


def _bins(x: _Column, train: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the bin of each row, of about equally many training rows; gaps have their own."""
    counts = np.bincount(x.place[train], minlength=x.levels)
    bins = max(1, min(BINS, int(counts.sum()) // BIN_ROWS))
    bin_of = np.minimum((np.cumsum(counts) - counts) * bins // int(counts.sum()), bins - 1)
    bin_of[x.known :] = bins
    return np.asarray(bin_of[x.place])


def _hits(rule: NDArray[np.int64], rows: _Rows) -> tuple[float, float]:
    """Return the share of training and of other rows in the commonest class of their place.

    The classes are counted in the training rows; a place without one takes the largest class.
    """
    classes = rows.target.levels
    pairs, counts = np.unique((rule * classes + rows.target.place)[rows.train], return_counts=True)
    pairs = pairs[np.lexsort((counts, pairs // classes))]  # the commonest is the last of its place
    last = np.append(pairs[1:] // classes != pairs[:-1] // classes, True)
    largest = np.bincount(rows.target.place[rows.train]).argmax()
    guess = np.full(int(rule.max()) + 1, largest)
    guess[pairs[last] // classes] = pairs[last] % classes
    hit = guess[rule] == rows.target.place
    trained, other = hit[rows.train], hit[~rows.train]
    return int(trained.sum()) / len(trained), int(other.sum()) / len(other)


def _explained(rule: NDArray[np.int64], rows: _Rows) -> tuple[float, float]:
    """Return R2 of the training rows' mean at each place, in the training and the other rows."""
    trained, y = rule[rows.train], rows.value[rows.train]
    counts = np.bincount(trained, minlength=int(rule.max()) + 1)
    sums = np.bincount(trained, weights=y, minlength=len(counts))  # adds in the order of the rows
    guess = np.where(counts > 0, sums / np.maximum(counts, 1), _mean(y))[rule]
    scores = []
    for mask in (rows.train, ~rows.train):
        y = rows.value[mask]
        spread = _mean(_squares(y, _mean(y)))
        scores.append(1 - _mean(_squares(y, guess[mask])) / spread if spread > 0 else 0.0)
    return scores[0], scores[1]


def _id(x: _Column) -> Finding | None:
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


def _group(x: _Column, rows: _Rows) -> Finding | None:
    """Find a column of many values, a few rows each, whose rows share their target and are split.

    Rows are paired with the next one of the same value (in a scrambled order: the file may
    be sorted by the target), and the last of a value with the first of the next. It is a group
    when targets within a value are at most half as far apart as those of any two rows, by five
    standard errors. For numbers the next value's rows must not be alike as well: such a number
    is a measurement. Misses groups of fewer than GROUP_VALUES values, which no count tells
    from an honest category, and numbered groups in the order of the target.
    """
    known = np.flatnonzero(~x.missing)
    pairs = len(known) - x.known
    if (x.number and not x.whole) or x.known < GROUP_VALUES or pairs < GROUP_PAIRS:
        return None
    if len(known) > GROUP_ROWS * x.known:
        return None
    order = known[np.lexsort(((known * 2654435761) % 2**32, x.place[known]))]
    same = x.place[order[1:]] == x.place[order[:-1]]
    apart = rows.apart(order[1:], order[:-1])
    within, across = _mean(apart[same]), _mean(apart[~same])
    error = math.sqrt(
        _mean(_squares(apart[same], within)) / pairs
        + _mean(_squares(apart[~same], across)) / (x.known - 1)
    )
    chance = min(rows.chance, across) if x.number else rows.chance
    measured = x.number and across < rows.chance / 2
    if measured or not chance > 0 or not 2 * within <= chance or not chance - within >= 5 * error:
        return None
    trained = np.zeros(x.levels, dtype=bool)
    trained[x.place[rows.train]] = True
    other = known[~rows.train[known]]
    shared = int(trained[x.place[other]].sum())
    message = (
        f"{x.known} values of about {len(known) / x.known:.1f} rows; {shared} of {len(other)} val"
        f" and test rows share theirs with a training row, and targets within a value are"
        f" {within / chance:.1%} as far apart as others"
    )
    remedy = "name it in preprocess.split.group: all rows of a value go to one part"
    finding = Finding("group overlap", x.name, round(1 - within / chance, 4), message, remedy)
    return finding if shared else None


def _classes(rows: _Rows) -> list[Finding | None]:
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
        remedy = "merge or drop them in preprocess.csv: their figures are of single rows"
        found.append(_whole("tiny classes", rows, len(tiny), message, remedy))
    return found


def _whole(check: str, rows: _Rows, count: int, message: str, remedy: str) -> Finding:
    return Finding(check, rows.target.name, float(count), message, remedy)


def _listed(rows: _Rows, classes: NDArray[Any]) -> str:
    assert rows.names is not None
    named = [f"{_name(rows.names[each])} ({rows.counts[each]} rows)" for each in classes[:NAMED]]
    return ", ".join(named) + (", ..." if len(classes) > NAMED else "")


def _drift(x: _Column, rows: _Rows, tests: int) -> Finding | None:
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
    remedy = "deal the rows at random (preprocess.split), or trust test figures for such rows only"
    return Finding("drift", x.name, max(told)[0], message, remedy)


def _name(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _mean(values: NDArray[np.float64]) -> float:
    return math.fsum(values.tolist()) / len(values)


def _squares(values: NDArray[np.float64], centre: Any) -> NDArray[np.float64]:
    return np.asarray((values - centre) * (values - centre))
