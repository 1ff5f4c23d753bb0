"""Rows of text cells encoded as tensors with a schema."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stages.common.cells import numbers, truth
from stages.common.errors import UserError
from stages.common.schema import NO_VALUE, Category, Schema


def require(names: list[str], schema: Schema) -> None:
    """Raise UserError unless all feature columns of the schema are among the names."""
    absent = [column.name for column in schema.features if column.name not in names]
    if absent:
        shown = ", ".join(absent[:8]) + (", ..." if len(absent) > 8 else "")
        raise UserError(f"{len(absent)} feature column(s) missing: {shown}; add them")


def check_gaps(rows: pd.DataFrame, schema: Schema) -> None:
    """Say how many cells of new rows have no value; UserError if training allowed none."""
    names = [column.name for column in schema.features if column.name in rows]
    gaps = rows[names].isna().sum()
    if gaps.sum() and schema.missing == "error":
        raise UserError(
            f"column '{gaps.idxmax()}' has {gaps.max()} cells without a value; the model was "
            "trained with preprocess.missing error, so fill them first"
        )
    if gaps.sum():
        print(f"{gaps.sum()} cells without a value are filled as in training")


def encode_features(rows: pd.DataFrame, schema: Schema) -> Tensor:
    """Return float32 (rows, n_features); columns may be in any order, others are ignored.

    Raises UserError for missing columns and for a value that has no code.
    """
    require(list(rows.columns), schema)
    encoded: list[np.ndarray] = []
    for column in schema.features:
        cells = rows[column.name]
        if isinstance(column, Category):
            place = {level: index for index, level in enumerate(column.levels)}
            codes = cells.fillna(NO_VALUE).map(
                lambda level, place=place: place.get(level, len(place))
            )
            encoded.append(np.eye(column.width)[codes.to_numpy(dtype=np.int64)])
            continue
        values = truth(cells) if column.kind == "boolean" else numbers(cells)
        filled = (values.fillna(column.fill).to_numpy() - column.shift) / column.scale
        if column.low is not None or column.high is not None:
            filled = np.clip(filled, column.low, column.high)
        encoded.append(filled[:, None])
        if column.indicator:
            encoded.append(values.isna().to_numpy(dtype=np.float64)[:, None])
    return torch.from_numpy(np.concatenate(encoded, axis=1).astype(np.float32))


def encode_target(cells: pd.Series, schema: Schema) -> Tensor:
    """Return int64 (rows,) class indices, or float32 (rows,) standardised values.

    Raises UserError for a class that the training rows do not have.
    """
    if schema.task == "regression":
        values = (numbers(cells).to_numpy() - schema.target.shift) / schema.target.scale
        return torch.from_numpy(values.astype(np.float32))
    index = {name: place for place, name in enumerate(schema.target.classes)}
    unknown = cells[~cells.isin(index)]
    if not unknown.empty:
        raise UserError(
            f"row {unknown.index[0]}, target '{cells.name}': no training row has the class "
            f"'{unknown.iloc[0]}' ({len(unknown)} such rows); leave them out or give it more rows"
        )
    return torch.tensor([index[name] for name in cells], dtype=torch.int64)
