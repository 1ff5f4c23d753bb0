"""How a CSV file is written: encoding, separator, decimal mark, title lines, header.

What a sample of the file decides safely is detected; what it leaves open is a UserError that
names the setting to set. A row is what csv.reader makes of one or more lines; blank lines, also
those of spaces, are no rows and count for nothing but the number of a line. Cells are stripped.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TextIO

from pydantic import BaseModel, ConfigDict

from stages.common import text
from stages.common.errors import UserError

SAMPLE = 2**16  # characters that are looked at, up to the end of their line
FEWEST = 20  # lines of a sample, however long they are
MOST_TITLES = 5
SEPARATORS = ",;\t|"
BLANK = " \t\r\n"

NUMBER = r"[-+]?(?:[0-9]+(?:[{0}][0-9]*)?|[{0}][0-9]+)(?:[eE][-+]?[0-9]+)?"  # {0}: decimal marks
FRACTION = r"[-+]?[0-9]*{0}[0-9]+(?:[eE][-+]?[0-9]+)?"
ANY, COMMA, POINT = NUMBER.format(".,"), FRACTION.format(","), FRACTION.format(r"\.")
THOUSANDS = r"[-+]?[1-9][0-9]{0,2},[0-9]{3}"  # or a decimal comma: one cannot know
GROUPED = (  # surely thousands separators: both marks in one number, or one mark twice
    r"[-+]?[0-9]{1,3}(?:(?:\.[0-9]{3})+,[0-9]+|(?:,[0-9]{3})+\.[0-9]+"
    r"|(?:\.[0-9]{3}){2,}|(?:,[0-9]{3}){2,})"
)


class Dialect(BaseModel):
    """All that a reader must know of a file, beside its column names."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    encoding: str  # a codec; utf-8-sig and utf-16 for files with a byte-order mark
    separator: str
    decimal: Literal[".", ","]
    title_lines: int  # rows above the table that are no part of it
    header: bool  # False: no row has the names, they are column_0, column_1, ...


def detect(
    path: Path,
    encoding: str = "auto",
    separator: str = "auto",
    decimal: str = "auto",
    header: str = "auto",
) -> tuple[Dialect, tuple[str, ...]]:
    """Return the dialect and the column names; only the first 64 KiB or so are read.

    header: `first` (row below the title), `none` or `auto`. Raises UserError for a file that
    is no table, for names that are not unique, and for what cannot be told without a guess.
    """
    encoding = text.codec(path, encoding)
    with _opened(path, encoding) as stream:
        lines, whole = _sample(stream)
        if any(text.NUL in line for line in lines):
            raise text.no_text(path, encoding)
        separator = _separator(lines, whole) if separator == "auto" else separator
        places, rows = _rows(lines, separator, whole)
    title = _title(rows)[0]
    above = list(zip(places, rows, strict=True))[:title]
    places, rows = places[title:], rows[title:]
    if not any(map(any, rows if header == "none" else rows[:1])):
        raise UserError(f"{path}: empty; the first line must name the columns")
    place = f"{path}, line {places[0]}"
    others = SEPARATORS.replace(separator, "")
    if len(rows[0]) == 1 and any(mark in rows[0][0] for mark in others):
        raise UserError(
            f"{place}: one column only, '{rows[0][0][:60]}'; is the separator "
            f"'{separator}'? set preprocess.separator"
        )
    number = NUMBER.format(".," if decimal == "auto" else decimal)
    named = _has_names(rows, number, place) if header == "auto" else header == "first"
    for line, row in () if named else above:
        alone = row.index(max(row))
        if len(row) > 1 and row[alone] and not _above_numbers([row, *rows], alone, number):
            raise UserError(
                f"{path}, line {line}: '{row[alone]}' is alone: a title or a row? delete the line, "
                "or write NA where the row has no value"
            )
    names = _names(rows[0] if named else [""] * len(rows[0]), place)
    for line, row in zip(places, rows, strict=True):
        _check_width(path, line, row, names, named)
    if named and whole and len(rows) == 1:
        raise UserError(f"{path}: a header but no rows; put rows below it")
    if decimal == "auto":
        decimal = _decimal(path, names, rows[1:] if named else rows)
    found = {"encoding": encoding, "separator": separator, "decimal": decimal}
    return Dialect.model_validate(found | {"title_lines": title, "header": named}), names


def check_widths(path: Path, dialect: Dialect, names: Sequence[str]) -> int:
    """Read the whole file and return the line in which the last row begins.

    Raises UserError for the first row with another number of cells.
    """
    line = 0
    with _opened(path, dialect.encoding) as stream:
        cut = _cut(stream, dialect.separator)
        for line, row in itertools.islice(cut, dialect.title_lines, None):
            _check_width(path, line, row, names, dialect.header)
    return line


def _check_width(path: Path, line: int, row: list[str], names: Sequence[str], named: bool) -> None:
    if len(row) != len(names):
        quoted = any("\n" in cell or "\r" in cell for cell in row)
        raise UserError(
            f"{path}, line {line}: {len(row)} cells, but the "
            f"{'header names' if named else 'first row has'} {len(names)} columns; "
            f"mend {'the quotes there' if quoted else 'that line'} or set preprocess.separator"
        )


@contextmanager
def _opened(path: Path, encoding: str) -> Iterator[TextIO]:
    """Open a text; a UserError says why it cannot be read as a table."""
    try:
        with text.opened(path, encoding) as stream:
            yield stream
    except csv.Error as error:
        raise UserError(
            f"{path}, {error}; does a quote stay open there? mend it or set preprocess.separator"
        ) from error


def _sample(stream: Iterable[str]) -> tuple[list[str], bool]:
    """Return the first lines with their ends, and whether they are all there are."""
    lines: list[str] = []
    size = 0
    for line in stream:
        if size >= SAMPLE and len(lines) >= FEWEST:
            return lines, False
        lines.append(line)
        size += len(line)
    return lines, True


def _rows(lines: list[str], separator: str, whole: bool) -> tuple[list[int], list[list[str]]]:
    """Return each row's first line, counted from 1, and its cells."""
    found = [(line, [cell.strip() for cell in row]) for line, row in _cut(lines, separator)]
    if not whole:
        del found[-1:]  # a quoted cell may go on in the next line
    return [line for line, _ in found], [row for _, row in found]


def _cut(lines: Iterable[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row's first line and its cells, without the lines that pandas skips as blank."""
    last = ""

    def watched() -> Iterator[str]:
        nonlocal last
        for last in lines:  # noqa: UP028
            yield last

    reader = csv.reader(watched(), delimiter=separator, skipinitialspace=True)
    first = 1
    try:
        for row in reader:
            if len(row) > 1 or (row and (row[0].strip(BLANK) or last.strip(BLANK))):
                yield first, row
            first = reader.line_num + 1
    except csv.Error as error:
        raise csv.Error(f"line {first}: {error}") from error


def _separator(lines: list[str], whole: bool) -> str:
    """Return the mark that cuts all rows below the title alike, into two cells at least.

    Of several one without a title, then the one with most numbers (in `1,5;2,5` the comma
    is none), then the one with most cells. A comma when there is none.
    """
    best, most = ",", (-MOST_TITLES - 1, 0.0, 0)
    for mark in SEPARATORS:
        try:
            _, rows = _rows(lines, mark, whole)
        except csv.Error:  # a whole line in one cell can be longer than csv allows
            continue
        title, width = _title(rows)
        cells = [cell for row in rows[title:] for cell in row]
        if width >= 2:
            numbers = len([cell for cell in cells if re.fullmatch(ANY, cell)])
            if (score := (-title, numbers / len(cells), width)) > most:
                best, most = mark, score
    return best


def _title(rows: list[list[str]]) -> tuple[int, int]:
    """Return how many rows are a title, and how many cells each row below has (0: it varies)."""
    title = 0
    for row in rows[:MOST_TITLES]:
        filled = [cell for cell in row if cell]
        alone = len(filled) == 1 and not row[-1] and not re.fullmatch(ANY, filled[0])
        if not (len(row) == 1 or alone or (title and not filled)):
            break
        title += 1
    below = rows[title:]
    width = len(below[0]) if len({len(row) for row in below}) == 1 else 0
    if title and len(below) >= 2 and width >= 2:
        # `a,` above `x,1` is a header whose second name is missing
        padded = any(len(row) > 1 for row in rows[:title])
        if width > 2 or not padded or not any(re.fullmatch(ANY, cell) for cell in below[0]):
            return title, width
    return 0, len(rows[0]) if len({len(row) for row in rows}) == 1 else 0


def _has_names(rows: list[list[str]], number: str, place: str) -> bool:
    """Return whether the first row has the names; UserError if it may as well have values."""
    first, *body = rows
    found = [cell for cell in first if re.fullmatch(number, cell)]
    values = [float(cell.replace(",", ".")) for cell in found]
    if not found:
        return True
    fraction = any(re.search("[.,]", cell) for cell in found)
    unlike = fraction or not all(map(float.is_integer, values)) or len(set(values)) < len(values)
    if unlike and not any(_above_numbers(rows, at, number) for at in range(len(first))):
        return False  # few names have a fraction, and all are unique
    start = 0 if first[0] in found else 1
    counted = first[start : start + len(found)] == found and start + len(found) >= len(first) - 1
    steps = values == [values[0] + step for step in range(len(values))]
    # `0,1` may be a row by chance; pandas writes `,0,1` for a table without names
    if counted and steps and (len(values) > 2 or (not first[0] and values[0] == 0)):
        return True
    if body and not any(re.fullmatch(number, cell) for row in body for cell in row):
        return True
    raise UserError(
        f"{place}: '{found[0]}': is it a name or a value? set preprocess.header to first or none"
    )


def _above_numbers(rows: list[list[str]], at: int, number: str) -> bool:
    """Return whether the first row has a text in a column that has only numbers below."""
    first, *below = [row[at] for row in rows if len(row) > at and row[at]] or [""]
    text = bool(rows[0][at]) and not re.fullmatch(number, first)
    return text and bool(below) and all(re.fullmatch(number, cell) for cell in below)


def _names(cells: list[str], place: str) -> tuple[str, ...]:
    names = tuple(cell or f"column_{position}" for position, cell in enumerate(cells))
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise UserError(f"{place}: {count} columns are named '{name}'; rename them")
    return names


def _decimal(path: Path, names: Sequence[str], rows: list[list[str]]) -> str:
    """Return the decimal mark of the columns that are numbers for the most part."""
    first: dict[str, tuple[str, str]] = {}  # pattern: name and cell
    sure = False
    for name, column in zip(names, zip(*rows, strict=True), strict=False):
        digits = [cell for cell in column if re.search("[0-9]", cell)]
        cells = [cell for cell in digits if re.fullmatch(f"{ANY}|{GROUPED}", cell)]
        if 2 * len(cells) < len(digits):
            continue
        for cell, pattern in itertools.product(cells, (GROUPED, COMMA, POINT)):
            if re.fullmatch(pattern, cell):
                first.setdefault(pattern, (name, cell))
                sure |= pattern == COMMA and not re.fullmatch(THOUSANDS, cell)
    if GROUPED in first:
        name, cell = first[GROUPED]
        raise UserError(
            f"{path}: column '{name}' has numbers with thousands separators, such as '{cell}'; "
            "write them without; if the column is not used, set preprocess.decimal to , or ."
        )
    if COMMA not in first:
        return "."
    name, cell = first[COMMA]
    if not sure:
        raise UserError(
            f"{path}: column '{name}': '{cell}' is a fraction or a thousand; set "
            "preprocess.decimal to , for a fraction, or to . and write thousands without a mark"
        )
    if POINT in first:
        other, point = first[POINT]
        raise UserError(
            f"{path}: column '{name}' has a decimal comma, '{cell}', and column '{other}' a "
            f"decimal point, '{point}'; set preprocess.decimal to , or ."
        )
    return ","
