"""The rows of a CSV file in metrics/, and what shows that it is damaged."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from stages.common.names import counted

NEEDED = {  # file in metrics/: the columns that a report reads
    "audit.csv": ("table", "check", "column", "finding", "remedy"),
    "errors.csv": ("model",),
    "finalists.csv": ("starts",),
    "trials.csv": ("trial", "best_epoch", "val_loss", "val_score", "status"),
    "plots/classes.csv": ("model", "class", "rows", "precision", "recall"),
    "plots/effects.csv": ("setting", "value", "mean_val_score"),
    "plots/finetuned_predicted.csv": ("actual", "predicted"),
    "plots/freezing.csv": ("arm", "frozen_layers", "val_score", "lowest", "highest", "val_loss"),
    "plots/health.csv": ("epoch", "layer", "dead"),
    "plots/importance.csv": ("setting", "importance"),
    "plots/precision_recall.csv": ("model", "class"),
    "plots/predicted.csv": ("actual", "predicted"),
    "plots/roc.csv": ("model", "class"),
    "plots/training.csv": ("epoch", "members", "running_loss", "train_loss", "best_members"),
}
WHOLE = {"epoch", "members", "best_epoch", "best_members", "rows"}  # columns of whole numbers
MEASURED = {"confidence", "dead", "highest", "importance", "lowest", "precision",
            "recall", "residual"}  # fmt: skip


def read(text: str, needed: Sequence[str] = ()) -> list[dict[str, str]]:
    """Return the rows of a CSV file.

    Raises ValueError for a column that is not there, a row that has not as many cells as the
    header and a number that is none, csv.Error for what is no CSV.
    """
    reader = csv.reader(io.StringIO(text), strict=True)
    header, rows = next(reader, []), []
    if missing := [column for column in needed if column not in header]:
        raise ValueError(f"no column {missing[0]}")
    for cells in filter(None, reader):
        if len(cells) != len(header):
            has = counted(len(cells), "cell")
            raise ValueError(f"line {reader.line_num} has {has}, not {len(header)}")
        row = dict(zip(header, cells, strict=True))
        if wrong := [column for column, cell in row.items() if not _number(column, cell)]:
            raise ValueError(f"line {reader.line_num}: {wrong[0]} is no number")
        rows.append(row)
    return rows


def measured(column: str) -> bool:
    """Return whether a column has fractions that were measured; an empty cell has none."""
    return column in MEASURED or "score" in column or "loss" in column


def _number(column: str, cell: str) -> bool:
    """Return whether a cell is a number where its column has numbers."""
    try:
        if column in WHOLE:
            int(cell)
        elif measured(column) and cell:
            float(cell)
    except ValueError:
        return False
    return True
