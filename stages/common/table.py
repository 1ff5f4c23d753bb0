"""A CSV file as text columns, and slices of its columns resolved to names.

Rows are numbered from 0 after the header, as pandas' iloc numbers them.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.common.errors import UserError

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "none", "?")


SEPARATORS = ",;\t|"


@dataclass(frozen=True)
class Columns:
    """Which columns are features, which one is the target, which are left out."""

    features: tuple[str, ...]
    target: str
    left_out: tuple[str, ...]


def read(path: Path, separator: str) -> pd.DataFrame:
    """Read a CSV file; every cell is text, a cell without a value is NA.

    Raises UserError for a missing, empty, unreadable or ragged file and for column names
    that are empty or not unique.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            header = next(csv.reader(stream, delimiter=separator), [])
        _check_header(path, header, separator)
        frame = pd.read_csv(
            path,
            sep=separator,
            dtype=str,
            keep_default_na=False,
            index_col=False,
            encoding="utf-8-sig",
            skipinitialspace=True,
        )
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; put the table there or mend the setting") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text; save the table as UTF-8") from error
    except (pd.errors.ParserError, csv.Error) as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise UserError(
            f"{path}: not a table: {reason}; mend that line or the separator"
        ) from error
    if frame.empty:
        raise UserError(f"{path}: a header but no rows; put rows below it")
    frame.columns = pd.Index([name.strip() for name in header])
    stripped = pd.DataFrame({name: frame[name].str.strip() for name in frame})
    return stripped.mask(stripped.isin(MISSING) | stripped.isna())


def _check_header(path: Path, header: list[str], separator: str) -> None:
    names = [name.strip() for name in header]
    if not any(names):
        raise UserError(f"{path}: empty; the first line must name the columns")
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
