"""The cells of one column, and text cells read as numbers, truth values and dates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Cells:
    """The cells of one column of a table, in the order of its rows.

    values: float64 numbers, NaN without a value; or, when `texts` is given, each row's place
    among the distinct texts, int32, -1 without a value.
    """

    name: str
    values: NDArray[Any]
    texts: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which cells have no value, bool (rows,)."""
        return np.isnan(self.values) if self.texts is None else self.values < 0

    def take(self, rows: NDArray[Any]) -> Cells:
        """Return the cells of some rows: a mask, or places."""
        return Cells(self.name, self.values[rows], self.texts)
