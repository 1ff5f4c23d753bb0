"""What the audit looks at, a column or the target of every row, and what it finds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.common.cells import Cells


@dataclass(frozen=True)
class Finding:
    """One line of the audit.

    check: one of those in `audit` or in `duplicates`; column: its name, "" when the finding
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


class Column:
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
class Rows:
    """Target and part of every row; names: of the classes, None in regression."""

    target: Column
    parts: NDArray[np.int8]
    names: tuple[str, ...] | None

    @cached_property
    def train(self) -> NDArray[np.bool_]:
        """Which rows are training rows, bool (rows,)."""
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
        return squares(self.value[one], self.value[other])

    @cached_property
    def chance(self) -> float:
        """The mean of `apart` over all pairs of rows."""
        rows = len(self.parts)
        if self.names is not None:
            return 1 - int((self.counts * (self.counts - 1)).sum()) / (rows * (rows - 1))
        return 2 * mean(squares(self.value, mean(self.value))) * rows / (rows - 1)

    def name(self, place: int) -> str:
        """Return the name of a class, as a message has it."""
        assert self.names is not None
        text = self.names[place]
        return repr(text if len(text) <= 40 else text[:37] + "...")


def mean(values: NDArray[np.float64]) -> float:
    """Return the mean, its sum correctly rounded."""
    return math.fsum(values.tolist()) / len(values)


def squares(values: NDArray[np.float64], centre: Any) -> NDArray[np.float64]:
    """Return the squares of the distances from one centre or several."""
    return np.asarray((values - centre) * (values - centre))
