"""Tables of cells for tests: written as CSV, read into a spool, fitted and encoded."""

from __future__ import annotations

import csv
import functools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from stages.common import encoding, fitting, params, table, targets
from stages.common.dataset import Dataset
from stages.common.partition import Partition
from stages.common.schema import Numeric, Schema, Target
from stages.common.settings import Preprocess
from stages.common.spool import Spool
from stages.common.table import Roles, Table
from tests.imports import ROOT

Columns = Mapping[str, Sequence[str | None]]


def partition(dataset: Dataset, name: str) -> Partition:
    """Return the rows of a part as a stage would load them."""
    with tempfile.TemporaryDirectory() as folder:
        places = {part: Path(folder, f"{part}.pt") for part in dataset.sizes()}
        dataset.save(places, lambda rows: None)
        return Partition.load(places[name], dataset.schema)


def numbers_schema(classes: int = 3, features: int = 6) -> Schema:
    """Return the schema of features taken as they are; no classes is a regression."""
    plain: Any = {"kind": "numeric", "shift": 0, "scale": 1, "low": None, "high": None, "fill": 0}
    columns: list[Any] = [
        Numeric(name=f"x{at}", position=at, indicator=False, **plain) for at in range(features)
    ]
    names = [f"c{at}" for at in range(classes)]
    return Schema(
        task="classification" if classes else "regression",
        missing="fill",
        scale="none",
        features=columns,
        dropped=[],
        target=Target(name="y", position=features, classes=names, counts=[1] * classes),
    )


@contextmanager
def chunks_of(rows: int) -> Iterator[None]:
    """Let tables be read that many rows at a time."""
    with (
        mock.patch.object(table, "CHUNK", rows),
        mock.patch.object(table, "FIRST", rows),
    ):
        yield


@functools.cache
def _preprocess() -> Preprocess:
    return params.load(ROOT / "params.yaml").preprocess


def spool_of(columns: Columns, **settings: Any) -> Spool:
    """Write cells as a CSV file and read it; None is an empty cell.

    settings: of the section preprocess that differ from params.yaml.
    """
    chosen = _preprocess().model_copy(update=settings)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        with open(path, "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        return Table.open(path, chosen).spool(Path(folder))


def fit(
    columns: Columns,
    scale: Any = "standard",
    task: Any = "auto",
    train: Sequence[bool] | NDArray[np.bool_] | None = None,
    categorical: Sequence[str] = (),
    missing: Any = "fill",
    **settings: Any,
) -> Schema:
    """Fit columns of cells; the last one is the target. All rows are training rows, or `train`."""
    spool = spool_of(columns, **settings)
    rows = np.ones(len(spool), dtype=np.bool_) if train is None else np.array(train, dtype=np.bool_)
    *features, target = columns
    blocks = (block.take(Spool.part(rows, block)) for block in spool.blocks(target))
    roles = Roles(tuple(features), target, ())
    found = targets.detect_task(blocks, task)
    return fitting.fit(spool, rows, roles, found, missing, scale, categorical)


def encode(columns: Columns, schema: Schema, **settings: Any) -> NDArray[np.float32]:
    """Encode the features of cells, chunk by chunk."""
    spool = spool_of(columns, **settings)
    names = [column.name for column in schema.features]
    encoding.require(spool.names, schema)
    return np.concatenate(
        [
            encoding.features(dict(zip(names, chunk, strict=True)), schema)
            for chunk in spool.chunks(names)
        ]
    )
