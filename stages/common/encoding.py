"""Rows of cells encoded as numbers with a schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.common import cells
from stages.common.cells import Cells
from stages.common.errors import UserError
from stages.common.names import listed
from stages.common.schema import NO_VALUE, Category, Dropped, Numeric, Schema


def require(names: Sequence[str], schema: Schema) -> None:
    """Raise UserError unless all feature columns of the schema are among the names."""
    absent = [column.name for column in schema.features if column.name not in names]
    if absent:
        raise UserError(f"feature columns missing: {listed(absent)}; add them")


def gaps(columns: Mapping[str, Cells], schema: Schema) -> int:
    """Return how many feature cells have no value; UserError if training allowed none."""
    found = {column.name: int(columns[column.name].missing.sum()) for column in schema.features}
    total = sum(found.values())
    if total and schema.missing == "error":
        worst = max(found, key=found.__getitem__)
        raise UserError(
            f"column '{worst}' has {found[worst]} cells without a value; the model was "
            "trained with preprocess.missing error, so fill them first"
        )
    return total


def features(columns: Mapping[str, Cells], schema: Schema) -> NDArray[np.float32]:
    """Return float32 (rows, n_features) of the cells of columns, by name.

    Raises UserError for a value that has no code.
    """
    rows = len(columns[schema.features[0].name])
    encoded = np.zeros((rows, schema.n_features), dtype=np.float32)
    place = 0
    for column in schema.features:
        part = encoded[:, place : place + column.width]
        if isinstance(column, Category):
            _levels(columns[column.name], column, part)
        else:
            _numbers(columns[column.name], column, part)
        place += column.width
    return encoded


def as_encoded(block: Cells, column: Numeric | Category | Dropped) -> Cells:
    """Return the cells as numbers where the column is encoded as one: dates as days."""
    if not isinstance(column, Numeric):
        return block
    return replace(block, values=cells.read(block, column.kind, column.date_format), texts=None)


def strange(encoded: NDArray[np.float32], schema: Schema) -> dict[str, int]:
    """Return by column, where there are any, how many cells say little to a model.

    encoded: of `features`. They are levels without a column of their own, and numbers that
    are held as they are too far out.
    """
    found, place = {}, 0
    for column in schema.features:
        if isinstance(column, Category):
            count = int(encoded[:, place + column.width - 1].sum())
        else:
            held = encoded[:, place]
            count = int(((held == column.low) | (held == column.high)).sum())
        if count:
            found[column.name] = count
        place += column.width
    return found


def _levels(block: Cells, column: Category, part: NDArray[np.float32]) -> None:
    """Set a one in the column of each row's level."""
    block = block.as_texts()
    code = {level: at for at, level in enumerate(column.levels)}
    other = len(column.levels)
    of_text = [code.get(text, other) for text in block.texts or ()]
    codes = np.array([*of_text, code.get(NO_VALUE, other)])[block.values]
    part[np.arange(len(part)), codes] = 1


def _numbers(block: Cells, column: Numeric, part: NDArray[np.float32]) -> None:
    """Set each row's scaled number, and a one where it is missing."""
    values = cells.read(block, column.kind, column.date_format)
    missing = np.isnan(values)
    if missing.any():
        values = np.where(missing, column.fill, values)
    if column.knots:
        values = np.interp(values, column.knots, column.scores)
    with np.errstate(over="ignore"):  # an infinite value is held
        values = values - column.shift
        values /= column.scale
    if column.low is not None or column.high is not None:
        np.clip(values, column.low, column.high, out=values)
    part[:, 0] = values
    if column.indicator:
        part[:, 1] = missing


def target(block: Cells, schema: Schema, kept: NDArray[np.bool_]) -> NDArray[Any]:
    """Return int64 class indices, or float32 standardised values, of the kept rows.

    Raises UserError for a class that the training rows do not have, and for a value that
    float32 cannot hold once it is standardised.
    """
    if schema.task == "regression":
        with np.errstate(over="ignore"):
            values = (cells.numbers(block) - schema.target.shift) / schema.target.scale
        far = np.flatnonzero(kept & ~(np.abs(values) <= cells.LARGEST))
        if len(far):
            raise UserError(
                f"row {block.start + far[0]}, target '{block.name}': too far from the training "
                "rows to be standardised; mend the cell or leave the row out"
            )
        return np.asarray(values[kept], dtype=np.float32)
    block = block.as_texts()
    code = {name: at for at, name in enumerate(schema.target.classes)}
    codes = np.array([*(code.get(text, -1) for text in block.texts or ()), -1])[block.values]
    unknown = np.flatnonzero(kept & (codes < 0))
    if len(unknown):
        at = int(unknown[0])
        label = (block.texts or ())[block.values[at]]
        raise UserError(
            f"row {block.start + at}, target '{block.name}': no training row has the class "
            f"'{label}' ({len(unknown)} such rows); leave them out or give it more rows"
        )
    return np.asarray(codes[kept], dtype=np.int64)
