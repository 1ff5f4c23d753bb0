"""Text cells read as numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from stages.common.errors import UserError

LARGEST = float(np.finfo(np.float32).max)
TRUTH = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "1": 1.0, "0": 0.0}


def numbers(cells: pd.Series) -> pd.Series:
    """Return the cells as float64, NA as NaN; UserError names the first that is no number."""
    values = pd.to_numeric(cells, errors="coerce").astype("float64")
    _checked(cells, values, "a number")
    return _checked(cells, values.where(values.abs() <= LARGEST), "a number that float32 holds")


def truth(cells: pd.Series) -> pd.Series:
    """Return the cells as 0.0, 1.0 or NaN; UserError names the first that is neither."""
    return _checked(cells, cells.str.lower().map(TRUTH).astype("float64"), "true or false")


def _checked(cells: pd.Series, values: pd.Series, kind: str) -> pd.Series:
    junk = cells[values.isna() & cells.notna()]
    if junk.empty:
        return values
    more = f" (and {len(junk) - 1} more)" if len(junk) > 1 else ""
    raise UserError(
        f"row {junk.index[0]}, column '{junk.name}': '{junk.iloc[0]}' is not {kind}{more}; "
        "mend the cell, empty it, or leave the column out"
    )
