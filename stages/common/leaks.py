"""Leaks of the target: a feature that copies it, one that gives it away, groups across parts."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stages.common.evidence import Column, Finding, Rows, mean, squares

EVIDENCE = 8  # rows outside the largest class below which a copy may well be chance
LEAK = 0.98  # share of rows, or of variance, that no honest feature explains alone
BINS, BIN_ROWS = 200, 5  # at most so many bins of a number, each of so many training rows
GROUP_VALUES, GROUP_ROWS, GROUP_PAIRS = 50, 50, 50  # least values, most rows each, least pairs
FEW = 10  # values of a number that need no bins


def find(x: Column, rows: Rows) -> Finding | None:
    """Find a feature that copies the target, whose values are groups, or that gives it away."""
    if rows.target.levels == 1 or len(rows.parts) - int(rows.counts.max()) < EVIDENCE:
        return None
    return _copy(x, rows) or group(x, rows) or _leak(x, rows)


def _copy(x: Column, rows: Rows) -> Finding | None:
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


def _leak(x: Column, rows: Rows) -> Finding | None:
    """Find a feature that alone gives the target of rows that its rule was not made from.

    Both the training and the other rows must reach LEAK: by luck the other rows of a small
    table may. Above a large majority class no more than a fifth of the errors may be left.
    """
    remedy = "leave it out of preprocess.features unless it is known before the target is"
    leak = None if rows.names is None else _missing_leak(x, rows)
    if leak is not None or rows.train.all() or not rows.train.any():
        return leak
    rules = [x.place] if 2 * x.levels <= len(x.place) else []
    rules += [_bins(x, rows.train)] if x.number and x.levels > FEW else []
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


def _missing_leak(x: Column, rows: Rows) -> Finding | None:
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
        f" {rows.name(which)} and in {outside / (size - int(rows.counts[which])):.1%} of the"
        " others"
    )
    remedy = "leave it out of preprocess.features; no rule of preprocess.missing hides such gaps"
    strength = round(1 - int(wrong[which]) / int(fewer[which]), 4)
    return Finding("leaking column", x.name, strength, message, remedy)


def _bins(x: Column, train: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the bin of each row, of about equally many training rows; gaps have their own."""
    counts = np.bincount(x.place[train], minlength=x.levels)
    bins = max(1, min(BINS, int(counts.sum()) // BIN_ROWS))
    bin_of = np.minimum((np.cumsum(counts) - counts) * bins // int(counts.sum()), bins - 1)
    bin_of[x.known :] = bins
    return np.asarray(bin_of[x.place])


def _hits(rule: NDArray[np.int64], rows: Rows) -> tuple[float, float]:
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


def _explained(rule: NDArray[np.int64], rows: Rows) -> tuple[float, float]:
    """Return R2 of the training rows' mean at each place, in the training and the other rows."""
    trained, y = rule[rows.train], rows.value[rows.train]
    counts = np.bincount(trained, minlength=int(rule.max()) + 1)
    sums = np.bincount(trained, weights=y, minlength=len(counts))  # adds in the order of the rows
    guess = np.where(counts > 0, sums / np.maximum(counts, 1), mean(y))[rule]
    scores = []
    for mask in (rows.train, ~rows.train):
        y = rows.value[mask]
        spread = mean(squares(y, mean(y)))
        scores.append(1 - mean(squares(y, guess[mask])) / spread if spread > 0 else 0.0)
    return scores[0], scores[1]


def group(x: Column, rows: Rows) -> Finding | None:
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
    within, across = mean(apart[same]), mean(apart[~same])
    error = math.sqrt(
        mean(squares(apart[same], within)) / pairs
        + mean(squares(apart[~same], across)) / (x.known - 1)
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
