"""A table from CSV file to encoded parts: read, resolve, split, fit, encode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from stages.common import encoding, schema, split, table
from stages.common.errors import UserError, located
from stages.common.partition import Partition
from stages.common.schema import Schema
from stages.common.settings import Preprocess
from stages.common.table import Columns


@dataclass(frozen=True)
class Dataset:
    """The parts of one table and the schema they are encoded with."""

    csv: str
    columns: Columns
    schema: Schema
    parts: dict[str, Partition]

    def empty(self) -> Dataset:
        """Return the same table without rows: the place of a second table that is not there."""
        none = {name: part.take(torch.arange(0)) for name, part in self.parts.items()}
        return Dataset(self.csv, self.columns, self.schema, none)

    def summary(self) -> str:
        """Return a line that says what was read as what."""
        first, last = self.columns.features[0], self.columns.features[-1]
        rows = ", ".join(f"{len(part)} {name}" for name, part in self.parts.items())
        dropped = [column.name for column in self.schema.dropped]
        again = seen_before(self.parts, "test")
        seen = f" ({again} test rows have the features of a training row)" if again else ""
        left_out = [name for name in self.columns.left_out if name not in dropped]
        return (
            f"{self.csv}: {rows} rows{seen}; {len(self.columns.features)} features '{first}' to "
            f"'{last}' as {self.schema.n_features} columns; target '{self.columns.target}' "
            f"({self._answers()}); left out: {_listed(left_out)}; dropped, as they do not vary: "
            f"{_listed(dropped)}"
        )

    def _answers(self) -> str:
        if self.schema.task == "regression":
            return "regression"
        return f"{len(self.schema.target.classes)} classes"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:8]) or "none"
    return f"{shown}, ... ({len(names)})" if len(names) > 8 else shown


def build(settings: Preprocess) -> Dataset:
    """Read, split, fit and encode the first table."""
    frame = table.read(Path(settings.csv), settings.separator)
    names = list(frame.columns)
    with located(settings.csv):
        columns = table.resolve(names, settings.features, settings.target, settings.split.column)
        frame = _complete(frame, columns, settings)
        parts = _deal(frame, columns, settings)
        fitted = schema.fit(
            frame[parts == "train"],
            columns,
            {name: at for at, name in enumerate(names)},
            settings.task,
            settings.missing,
            settings.scale,
        )
        return _encode(settings.csv, frame, parts, columns, fitted)


def build_second(settings: Preprocess, csv: str, first: Schema) -> Dataset | None:
    """Encode the second table with the first table's statistics; None when there is none.

    Its target is the column of the same name, else the one that `preprocess.target` picks.
    When its classes all occur in the first table their codes are kept, else they get
    codes of their own. Values are standardised with this table's own training rows.
    """
    if not csv:
        return None
    frame = table.read(Path(csv), settings.separator)
    names = list(frame.columns)
    with located(csv):
        features = [column.name for column in first.features]
        try:
            encoding.require(names, first)
        except UserError as error:
            raise UserError(
                f"as the second table: {error}, or set finetune.csv to '' if there is none"
            ) from error
        wanted = first.target.name if first.target.name in names else settings.target
        columns = table.resolve(names, features, wanted, settings.split.column)
        frame = _complete(frame, columns, settings)
        parts = _deal(frame, columns, settings.model_copy(update={"task": first.task}))
        train = frame[columns.target][parts == "train"]
        target, _ = schema.fit_target(train, names.index(columns.target), first.task)
        if set(target.classes) <= set(first.target.classes):
            count = dict(zip(target.classes, target.counts, strict=True))
            counts = [count.get(name, 0) for name in first.target.classes]
            known = {"classes": first.target.classes, "counts": counts}
            target = target.model_copy(update=known)
        return _encode(csv, frame, parts, columns, first.model_copy(update={"target": target}))


def figures(source: Dataset, target: Dataset | None) -> dict[str, int]:
    """Return the sizes of what was made, for metrics/preprocess.json."""
    found = {"features": source.schema.n_features, "classes": len(source.schema.target.classes)}
    found |= {f"rows_{name}": len(part) for name, part in source.parts.items()}
    found["columns_dropped"] = len(source.schema.dropped)
    for name in ("val", "test"):
        found[f"rows_{name}_seen_in_train"] = seen_before(source.parts, name)
    if target is not None:
        found |= {f"second_rows_{name}": len(part) for name, part in target.parts.items()}
    return found


def seen_before(parts: dict[str, Partition], part: str) -> int:
    """Return how many rows of a part have exactly the features of a training row."""
    known = {row.tobytes() for row in parts["train"].features.numpy()}
    return sum(row.tobytes() in known for row in parts[part].features.numpy())


def _complete(frame: pd.DataFrame, columns: Columns, settings: Preprocess) -> pd.DataFrame:
    """Leave out rows without a target and treat missing features as `missing` says."""
    for name in columns.features if settings.missing != "fill" else ():
        gaps = frame[name].isna()
        if gaps.any() and settings.missing == "error":
            raise UserError(
                f"row {gaps.idxmax()}, column '{name}': no value ({gaps.sum()} rows); set "
                "preprocess.missing to fill or drop"
            )
    wanted = [columns.target, *(columns.features if settings.missing == "drop" else ())]
    kept = frame.dropna(subset=wanted)
    if len(kept) < len(frame):
        gaps = frame[wanted].isna().sum()
        worst = gaps.sort_values(ascending=False, kind="stable")
        shown = ", ".join(f"'{name}' ({count})" for name, count in worst.items() if count)
        print(f"{len(frame) - len(kept)} rows left out: no value in {shown}")
    if kept.empty:
        if frame[columns.target].isna().all():
            raise UserError(
                f"no row has a value in {columns.target}; choose another preprocess.target"
            )
        raise UserError(
            f"no row has a value in every feature, least of all in '{worst.index[0]}'; set "
            "preprocess.missing to fill, or leave that column out"
        )
    return kept


def _deal(frame: pd.DataFrame, columns: Columns, settings: Preprocess) -> NDArray[np.str_]:
    """Return the part of each row."""
    chosen = settings.split
    if chosen.column:
        if chosen.column not in frame:
            raise UserError(f"preprocess.split.column: there is no column '{chosen.column}'")
        cells = frame[chosen.column]
        named = {
            int(row): None if pd.isna(cell) else str(cell)
            for row, cell in zip(cells.index, cells, strict=True)
        }
        return np.array(split.from_column(named, chosen.column), dtype=np.str_)
    target = frame[columns.target]
    task = schema.detect_task(target, settings.task)
    classes = list(target) if chosen.stratify and task == "classification" else None
    parts = np.array(split.deal(len(frame), chosen.val, chosen.test, settings.seed, classes))
    for part in ("val", "test"):
        absent = set(classes or ()) - set(target[parts == part])
        if absent:
            print(f"too few rows to reach {part}: class {_listed(sorted(absent))}")
    return parts


def _encode(
    csv: str, frame: pd.DataFrame, parts: NDArray[np.str_], columns: Columns, fitted: Schema
) -> Dataset:
    encoded = {}
    for name in split.PARTS:
        rows = frame[parts == name]
        encoded[name] = Partition(
            encoding.encode_features(rows, fitted),
            encoding.encode_target(rows[columns.target], fitted),
            torch.tensor(rows.index.to_list(), dtype=torch.int64),
        )
    return Dataset(csv, columns, fitted, encoded)
