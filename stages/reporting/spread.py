"""Differences with their intervals: larger than chance, within noise, or it cannot be told."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stages.common.intervals import FEW, Z95, wilson

LEVEL = 0.05  # a p-value below it is no chance

# share of rows without an interval of its own -> the figure that counts the rows
ROWS = {
    "test_linear_accuracy": "test_rows",
    "test_majority_accuracy": "test_rows",
    "finetuned_test_base_accuracy": "finetuned_test_rows",
    "finetuned_test_majority_accuracy": "finetuned_test_rows",
    "ensemble_val_accuracy": "rows_val",
    "val_accuracy": "rows_val",
    "search_best_val_accuracy": "rows_val",
}


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def shown(self) -> str:
        """Return the ends."""
        return f"{self.low:.3f} to {self.high:.3f}"


@dataclass(frozen=True)
class Difference:
    """A difference, whether it is larger than chance (None: cannot be told), and by what."""

    value: float
    clear: bool | None
    basis: str

    def verdict(self) -> str:
        """Return in a few words whether it is larger than chance."""
        if self.value == 0:
            return "the same"
        words = {True: "larger than the spread", False: "within noise", None: "cannot be told"}
        return words[self.clear]

    def word(self) -> str:
        """Return the verdict with its basis."""
        return self.verdict() if self.value == 0 else f"{self.verdict()}: {self.basis}"


def interval(figures: Mapping[str, Any], key: str) -> Interval | None:
    """Return a figure with the interval that is recorded or that its rows give; None without."""
    value, low, high = (figures.get(f"{key}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return None
    if low is not None and high is not None:
        return Interval(value, low, high)
    rows = figures.get(ROWS.get(key, ""), 0)
    return Interval(value, *wilson(round(value * rows), rows)) if rows else None


def apart(one: Interval, other: Interval) -> Interval:
    """Return one minus other with an interval made from both (Newcombe 1998, method 10).

    It takes them as independent: of figures of the same rows it is wider than need be.
    """
    value = one.value - other.value
    low = value - math.hypot(one.value - one.low, other.high - other.value)
    high = value + math.hypot(one.high - one.value, other.value - other.low)
    return Interval(value, low, high)


def of_intervals(one: Interval, other: Interval) -> Difference:
    """Return one minus other, judged by the interval of the difference."""
    found = apart(one, other)
    clear = found.low > 0 or found.high < 0
    return Difference(found.value, clear, f"95 % interval {found.low:+.3f} to {found.high:+.3f}")


def of_deviations(value: float, one: float, other: float) -> Difference:
    """Return a difference judged by the standard deviations over starting weights.

    It is larger than the spread when two single starts would seldom be so far apart.
    """
    spread = math.hypot(one, other)
    if spread == 0:
        return Difference(value, None, "every start gave the same, or there was one")
    clear = abs(value) > Z95 * spread
    return Difference(value, clear, f"{abs(value) / spread:.1f} standard deviations between starts")


def strictest(found: Sequence[Difference]) -> Difference:
    """Return of several judgements of a difference one that sees noise, else one that is clear.

    What other rows could change and what other starting weights could change are two kinds of
    chance: a difference has to be larger than both.
    """
    order = (False, True, None)
    return min(found, key=lambda one: order.index(one.clear))


def of_pairs(one: Sequence[bool], other: Sequence[bool]) -> Difference:
    """Return the difference of two shares of the same rows (McNemar's test, exact).

    one, other: for each row whether it is right.
    """
    pairs = list(zip(one, other, strict=True))
    gained, lost = pairs.count((True, False)), pairs.count((False, True))
    changed = gained + lost
    ways = tail = 1  # of so many changes to be gained, of so many or fewer
    for count in range(min(gained, lost)):
        ways = ways * (changed - count) // (count + 1)
        tail += ways
    chance = min(1.0, 2 * tail / 2**changed)
    basis = f"the same test rows, {gained} now right, {lost} now wrong, p = {chance:.2g}"
    return Difference((gained - lost) / len(pairs), chance < LEVEL, basis)


def of_losses(value: float, one: Sequence[float], other: Sequence[float]) -> Difference:
    """Return a difference judged by the losses of the same rows, one minus other.

    It is larger than chance when the 95 % interval of their mean difference leaves out 0.
    """
    moved = [mine - theirs for mine, theirs in zip(one, other, strict=True)]
    if len(moved) < FEW:
        return Difference(value, None, "there are few test rows")
    error = statistics.stdev(moved) / math.sqrt(len(moved))
    clear = abs(statistics.fmean(moved)) > Z95 * error
    return Difference(value, clear, f"the same {len(moved)} test rows, squared errors in pairs")
