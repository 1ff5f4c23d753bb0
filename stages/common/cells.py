"""The cells of one column, and cells read as numbers, truth values and dates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common import dates
from stages.common.errors import UserError

LARGEST = float(np.finfo(np.float32).max)
EXACT = 2**53  # whole numbers up to here are exact in float64
THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(\.\d{3})+")  # where a comma marks the fraction
TRUTH = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "1": 1.0, "0": 0.0}


@dataclass(frozen=True)
class Cells:
    """The cells of one column of a table, in the order of its rows.

    values: float64 numbers, NaN without a value; or, when `texts` is given, each row's place
    among the distinct texts, int32, -1 without a value. start: the first cell's row number.
    """

    name: str
    values: NDArray[Any]
    texts: tuple[str, ...] | None = None
    start: int = 0

    def __len__(self) -> int:
        return len(self.values)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which cells have no value, bool (rows,)."""
        return np.isnan(self.values) if self.texts is None else self.values < 0

    def take(self, rows: NDArray[Any]) -> Cells:
        """Return the cells of some rows: a mask, or places. Their row numbers are lost."""
        return Cells(self.name, self.values[rows], self.texts)

    def as_texts(self) -> Cells:
        """Return the same cells as texts: a number is written as `written` does."""
        if self.texts is not None:
            return self
        known = ~self.missing
        distinct = np.unique(self.values[known])
        values = np.full(len(self), -1, dtype=np.int32)
        values[known] = np.searchsorted(distinct, self.values[known])
        return Cells(self.name, values, tuple(map(written, distinct.tolist())), self.start)


def of(column: pd.Series, missing: Sequence[str], decimal: str) -> Cells:
    """Return the cells of a column as pandas has read it: numbers, or texts.

    Texts are stripped, those in `missing` have no value, and those that are numbers are
    written in one way, so that 1, 1.0 and 01 are one level. Numbers are texts where float64
    may have lost digits: the file has them all. UserError for a point between thousands
    beside decimal commas.
    """
    name, start = str(column.name), int(column.index[0])
    if column.dtype.kind in "iuf":
        read = Cells(name, column.to_numpy(dtype=np.float64, copy=True), None, start)
        return read.as_texts() if (np.abs(read.values) >= EXACT).any() else read
    codes, distinct = pd.factorize(column)
    if decimal == ",":
        _check_points(name, start, codes, [str(text).strip() for text in distinct])
    places: dict[str, int] = {}
    gaps = set(_levels(missing, decimal))
    moved = np.full(len(distinct) + 1, -1, dtype=np.int32)  # the last: no value
    for at, text in enumerate(_levels([str(text) for text in distinct], decimal)):
        if text not in gaps:
            moved[at] = places.setdefault(text, len(places))
    return Cells(name, moved[codes], tuple(places), start)


def _levels(texts: Sequence[str], decimal: str) -> list[str]:
    """Return texts stripped, those that are numbers written in the one way."""
    plain = [_plain(text, decimal) for text in texts]
    found = []
    for text, number in zip(plain, parsed(plain).tolist(), strict=True):
        long = abs(number) >= EXACT and text.lstrip("+-").isdigit()  # float64 may merge two
        found.append(written(number) if abs(number) <= LARGEST and not long else text)
    return found


def _check_points(name: str, start: int, codes: NDArray[Any], texts: Sequence[str]) -> None:
    """Raise UserError when `1.234` stands among numbers without a point."""
    grouped = [at for at, text in enumerate(texts) if THOUSANDS.fullmatch(text)]
    if not grouped:
        return
    plain = ~np.isnan(parsed([_plain(text, ",") for text in texts if "." not in text]))
    if plain.sum() > 0 and len(texts) <= 2 * (len(grouped) + plain.sum()):
        raise UserError(
            f"row {start + int(np.argmax(codes == grouped[0]))}, column '{name}': "
            f"'{texts[grouped[0]]}' is a fraction or a thousand; write thousands without a mark"
        )


def _plain(text: str, decimal: str) -> str:
    text = text.strip()
    if text[:2] in ("b'", 'b"') and text[-1:] == text[1]:  # bytes that Python has printed
        text = text[2:-1]
    if decimal == "," and re.fullmatch(r"[-+]?\d*,\d+([eE][-+]?\d+)?", text):
        text = text.replace(",", ".")
    return text


def written(number: float) -> str:
    """Return the one way in which a number is written as a level: without a needless .0."""
    return str(int(number)) if number.is_integer() and abs(number) <= EXACT else repr(number)


def parsed(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return texts as float64, NaN for each that is no number."""
    read = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce")
    return read.to_numpy(dtype=np.float64)


def read(cells: Cells, kind: str, form: str) -> NDArray[np.float64]:
    """Return the cells of a numeric, boolean or date column as numbers, NaN without a value."""
    if kind == "date":
        return days(cells, form)
    return truth(cells) if kind == "boolean" else numbers(cells)


def numbers(cells: Cells) -> NDArray[np.float64]:
    """Return float64 (rows,), NaN without a value; UserError names the first that is no number."""
    if cells.texts is None:
        values = cells.values
    else:
        values = _spread(cells, parsed(cells.texts))
        _check(cells, np.isnan(values), "a number")
    _check(cells, np.abs(values) > LARGEST, "a number that float32 holds")
    return values


def truth(cells: Cells) -> NDArray[np.float64]:
    """Return 0.0, 1.0 or NaN; UserError names the first cell that is neither."""
    cells = cells.as_texts()
    read = [TRUTH.get(text.lower(), np.nan) for text in cells.texts or ()]
    values = _spread(cells, np.array(read, dtype=np.float64))
    _check(cells, np.isnan(values), "true or false")
    return values


def days(cells: Cells, form: str) -> NDArray[np.float64]:
    """Return days since 1970, float64; UserError names the first cell that is no such date."""
    cells = cells.as_texts()
    read = [dates.day(text, form) for text in cells.texts or ()]
    values = _spread(cells, np.array(read, dtype=np.float64))
    _check(cells, np.isnan(values), "a date as the training rows have them")
    return values


def _spread(cells: Cells, of_texts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the value of each cell from the values of the distinct texts."""
    values: NDArray[np.float64] = np.append(of_texts, np.nan)[cells.values]
    return values


def _check(cells: Cells, bad: NDArray[np.bool_], kind: str) -> None:
    """Raise UserError that names the first bad cell that has a value."""
    if not bad.any():
        return
    rows = np.flatnonzero(bad & ~cells.missing)
    if not len(rows):
        return
    at = int(rows[0])
    value = cells.texts[cells.values[at]] if cells.texts else written(float(cells.values[at]))
    more = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
    raise UserError(
        f"row {cells.start + at}, column '{cells.name}': '{value}' is not {kind}{more}; mend the "
        "cell, add it to preprocess.missing_values, or leave the column out"
    )
