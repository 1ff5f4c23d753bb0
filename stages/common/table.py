"""A CSV file as text columns, and slices of its columns resolved to names.

Rows are numbered from 0 after the header, as pandas' iloc numbers them.
"""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.common.errors import UserError

MISSING = (
    "",
    "NA",
    "N/A",
    "n/a",
    "NaN",
    "nan",
    "NULL",
    "null",
    "None",
    "none",
    "?",
    "#N/A",
    "<NA>",
)
SEPARATORS = ",;\t|"
LOOK = 20  # lines in which the separator is found


@dataclass(frozen=True)
class Columns:
    """Which columns are features, which one is the target, which are left out."""

    features: tuple[str, ...]
    target: str
    left_out: tuple[str, ...]


def read(path: Path, separator: str) -> pd.DataFrame:
    """Read a CSV file; every cell is text, a cell without a value is NA.

    separator: one character, or `auto`. Raises UserError for a missing, empty, unreadable
    or ragged file and for column names that are empty or not unique.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            if separator == "auto":
                separator = find_separator(list(itertools.islice(stream, LOOK)))
                stream.seek(0)
            rows = csv.reader(stream, delimiter=separator, skipinitialspace=True)
            header = _check_lines(path, rows, separator)
        frame = pd.read_csv(
            path,
            sep=separator,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            skipinitialspace=True,
        )
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; put the table there or mend the setting") from error
    except IsADirectoryError as error:
        raise UserError(f"{path}: a folder; name a CSV file in it") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text; save the table as UTF-8") from error
    except (pd.errors.ParserError, csv.Error) as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise UserError(
            f"{path}: not a table: {reason}; mend that line or the separator"
        ) from error
    if frame.empty:
        raise UserError(f"{path}: a header but no rows; put rows below it")
    frame.columns = pd.Index(header)
    stripped = pd.DataFrame({name: frame[name].str.strip() for name in frame})
    return stripped.mask(stripped.isin(MISSING))


def find_separator(lines: Sequence[str]) -> str:
    """Return the character that cuts all lines into the same number of cells, at least two.

    Of several the one with the most cells; a comma when there is none (one column).
    """
    cells = {}
    for mark in SEPARATORS:
        rows = list(csv.reader(lines, delimiter=mark, skipinitialspace=True))
        if len(lines) == LOOK:
            rows = rows[:-1]  # a quoted cell may go on in the next line
        counts = {len(row) for row in rows if row}
        cells[mark] = counts.pop() if len(counts) == 1 else 1
    return max(SEPARATORS, key=lambda mark: cells[mark])  # the first of equals: a comma


def _check_lines(path: Path, rows: Iterator[list[str]], separator: str) -> list[str]:
    """Return the column names; UserError for bad names and for the first ragged line."""
    names = [name.strip() for name in next(rows, [])]
    if not any(names):
        raise UserError(f"{path}: empty; the first line must name the columns")
    if "\0" in "".join(names):
        raise UserError(f"{path}: not a text file; save the table as CSV")
    if len(names) == 1 and any(mark in names[0] for mark in SEPARATORS):
        raise UserError(
            f"{path}, line 1: one column only, '{names[0][:60]}'; is the separator "
            f"'{separator}'? set preprocess.separator"
        )
    if "" in names:
        raise UserError(f"{path}, line 1: column {names.index('') + 1} has no name; name it")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise UserError(f"{path}, line 1: {count} columns are named '{name}'; rename them")
    for row in rows:
        if row and len(row) != len(names):
            raise UserError(
                f"{path}, line {rows.line_num}: {len(row)} cells, but the header names "  # type: ignore[attr-defined]
                f"{len(names)} columns; mend that line or set preprocess.separator"
            )
    return names


def resolve(
    names: Sequence[str], features: str | Sequence[str | int], target: int | str, aside: str = ""
) -> Columns:
    """Resolve an iloc slice, positions or names to column names.

    `names` are all columns of the table, `aside` is a column that is no feature because it
    names the part of a row (empty: none). Raises UserError for what the table does not
    have and for a target among the features.
    """
    target_name = _pick(names, target, "preprocess.target")
    if isinstance(features, str):
        bounds = [int(bound) if bound else None for bound in features.split(":")]
        chosen = [name for name in names[slice(*bounds)] if name != aside]
    else:
        chosen = [_pick(names, item, "preprocess.features") for item in features]
    if target_name in chosen:
        raise UserError(
            f"preprocess.features {features}: the target '{target_name}' is among the features; "
            "leave it out, or the network only copies it"
        )
    if not chosen:
        raise UserError(f"preprocess.features {features}: no column of {len(names)} is chosen")
    if aside in chosen or len(set(chosen)) < len(chosen):
        raise UserError(f"preprocess.features {features}: a column is named twice or is the split")
    rest = (name for name in names if name not in chosen and name != target_name)
    return Columns(tuple(chosen), target_name, tuple(rest))


def _pick(names: Sequence[str], item: int | str, key: str) -> str:
    if isinstance(item, int):
        if not -len(names) <= item < len(names):
            raise UserError(f"{key}: there is no column {item}, the table has {len(names)}")
        return names[item]
    if item not in names:
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise UserError(f"{key}: there is no column '{item}'; the table has {shown}")
    return item
