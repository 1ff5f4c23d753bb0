"""A table from CSV file to encoded parts: read, resolve, split, fit, encode.

What grows with the rows of the table is on disk, but for a few numbers per row: its part,
its class, the order of the split, and one column at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stages.common import dealing, duplicates, encoding, fitting, targets, tensorfile
from stages.common.ahead import ahead
from stages.common.cells import Cells
from stages.common.errors import UserError, located
from stages.common.names import counted, listed
from stages.common.progress import Progress
from stages.common.schema import Schema
from stages.common.settings import PARTS, Preprocess
from stages.common.spool import Spool
from stages.common.table import Roles, Table, pick, resolve


@dataclass(frozen=True)
class Rows:
    """Some rows of a table, encoded: what a Partition holds, and each row's part."""

    features: NDArray[np.float32]
    target: NDArray[Any]
    row: NDArray[np.int64]
    part: NDArray[np.int8]


@dataclass(frozen=True)
class Dataset:
    """The cells of one table, the part of each row, and the schema that encodes it.

    parts: int8 (rows,), place in PARTS, -1 for a row that is left out.
    """

    csv: str
    roles: Roles
    schema: Schema
    spool: Spool
    parts: NDArray[np.int8]

    def sizes(self) -> dict[str, int]:
        """Return the number of rows of each part."""
        return {name: int((self.parts == at).sum()) for at, name in enumerate(PARTS)}

    def rows(self) -> Iterator[Rows]:
        """Yield the encoded rows that are kept, in the order of the file, chunk by chunk."""
        names = [column.name for column in self.schema.features]
        for *columns, answer in self.spool.chunks([*names, self.roles.target]):
            part = Spool.part(self.parts, answer)
            kept = part >= 0
            if not kept.any():
                continue
            with located(self.csv):
                features = encoding.features(dict(zip(names, columns, strict=True)), self.schema)
                target = encoding.target(answer, self.schema, kept)
            yield Rows(features[kept], target, answer.start + np.flatnonzero(kept), part[kept])

    def save(self, places: Mapping[str, Path], watch: Callable[[Rows], None]) -> None:
        """Write each part to its place; `watch` sees the rows as they are written."""
        with ExitStack() as stack:
            files = [
                stack.enter_context(tensorfile.writing(places[name], self._shapes(count)))
                for name, count in self.sizes().items()
            ]
            for rows in ahead(self._watched(watch)):
                for at, file in enumerate(files):
                    of_part = rows.part == at
                    file.append(
                        {
                            "features": rows.features[of_part],
                            "target": rows.target[of_part],
                            "row": rows.row[of_part],
                        }
                    )

    def _watched(self, watch: Callable[[Rows], None]) -> Iterator[Rows]:
        with Progress() as progress:
            for rows in self.rows():
                watch(rows)
                progress.show(f"{self.csv}: encoded", int(rows.row[-1]) + 1, len(self.spool))
                yield rows

    def empty(self) -> Dataset:
        """Return the same table without rows: the place of a second table that is not there."""
        return replace(self, parts=np.full_like(self.parts, -1))

    def _shapes(self, rows: int) -> dict[str, tuple[torch.dtype, list[int]]]:
        kind = torch.int64 if self.schema.task == "classification" else torch.float32
        return {
            "features": (torch.float32, [rows, self.schema.n_features]),
            "target": (kind, [rows]),
            "row": (torch.int64, [rows]),
        }

    def summary(self) -> str:
        """Return a line that says what was read as what."""
        features, columns = self.roles.features, counted(self.schema.n_features, "column")
        span = " to ".join(f"'{name}'" for name in dict.fromkeys((features[0], features[-1])))
        rows = ", ".join(f"{count} {name}" for name, count in self.sizes().items())
        dropped = [f"{column.name}: {column.reason}" for column in self.schema.dropped]
        named = {column.name for column in self.schema.dropped}
        left_out = [name for name in self.roles.left_out if name not in named]
        return (
            f"{self.csv}: {rows} rows; {counted(len(features), 'feature')} {span} as {columns}; "
            f"target '{self.roles.target}' ({self._answers()}); left out: {listed(left_out)}; "
            f"dropped: {listed(dropped)}"
        )

    def _answers(self) -> str:
        if self.schema.task == "regression":
            return "regression"
        return f"{sum(count > 0 for count in self.schema.target.counts)} classes"


def read(settings: Preprocess, folder: Path) -> Dataset:
    """Read, split and fit the first table; its cells are kept in `folder`."""
    table = Table.open(Path(settings.csv), settings)
    with located(settings.csv):
        roles = resolve(
            table.names, settings.features, settings.target, dealing.aside(table, settings)
        )
        categorical = {
            pick(table.names, item, "preprocess.categorical") for item in settings.categorical
        }
    spool = table.spool(folder)
    with located(settings.csv):
        kept = _complete(spool, roles, settings)
        parts = dealing.deal(spool, kept, roles, settings)
        train = parts == 0
        task = targets.detect_task(_of(spool, roles.target, train), settings.task)
        fitted = fitting.fit(
            spool, train, roles, task, settings.missing, settings.scale, categorical
        )
    read = {"csv": settings.csv, "missing_values": settings.missing_values}
    return Dataset(settings.csv, roles, fitted.model_copy(update=read), spool, parts)


def read_second(settings: Preprocess, csv: str, first: Schema, folder: Path) -> Dataset | None:
    """Read the second table, encoded with the first table's statistics; None if there is none.

    Its target is the column of the same name, else the one that `preprocess.target` picks.
    When its classes all occur in the first table their codes are kept, else they get
    codes of their own. Values are standardised with this table's own training rows.
    """
    if not csv:
        return None
    table = Table.open(Path(csv), settings)
    with located(csv):
        features = [column.name for column in first.features]
        try:
            encoding.require(table.names, first)
        except UserError as error:
            raise UserError(
                f"as the second table: {error}, or set finetune.csv to '' if there is none"
            ) from error
        wanted = first.target.name if first.target.name in table.names else settings.target
        roles = resolve(table.names, features, wanted, dealing.aside(table, settings))
    spool = table.spool(folder)
    with located(csv):
        kept = _complete(spool, roles, settings)
        parts = dealing.deal(spool, kept, roles, settings.model_copy(update={"task": first.task}))
        target = targets.fit(spool, roles.target, parts == 0, first.task)
        if set(target.classes) <= set(first.target.classes):
            count = dict(zip(target.classes, target.counts, strict=True))
            counts = [count.get(name, 0) for name in first.target.classes]
            known = {"classes": first.target.classes, "counts": counts}
            target = target.model_copy(update=known)
    return Dataset(
        csv, roles, first.model_copy(update={"csv": csv, "target": target}), spool, parts
    )


def _of(spool: Spool, name: str, rows: NDArray[np.bool_]) -> Iterator[Cells]:
    """Yield the cells of a column in the rows of a mask, chunk by chunk."""
    for block in spool.blocks(name):
        yield block.take(Spool.part(rows, block))


def _complete(spool: Spool, roles: Roles, settings: Preprocess) -> NDArray[np.bool_]:
    """Return which rows are kept: those with a target, and as `missing` and `duplicates` say."""
    if settings.missing == "error":
        for name in roles.features:
            gaps = spool.missing(name)
            if gaps.any():
                raise UserError(
                    f"row {np.argmax(gaps)}, column '{name}': no value ({gaps.sum()} rows); set "
                    "preprocess.missing to fill or drop"
                )
    wanted = [roles.target, *(roles.features if settings.missing == "drop" else ())]
    kept, lost = np.ones(len(spool), dtype=np.bool_), {}
    for name in wanted:
        gaps = spool.missing(name)
        lost[name] = int(gaps.sum())
        kept &= ~gaps
    worst = sorted(lost, key=lambda name: -lost[name])
    if not kept.all():
        shown = ", ".join(f"'{name}' ({lost[name]})" for name in worst if lost[name])
        print(f"{counted(int((~kept).sum()), 'row')} left out: no value in {shown}")
    if lost[roles.target] == len(spool):
        raise UserError(f"no row has a value in '{roles.target}'; choose another preprocess.target")
    if not kept.any():
        raise UserError(
            f"no row has a value in every feature, least of all in '{worst[0]}'; set "
            "preprocess.missing to fill, or leave that column out"
        )
    if settings.duplicates == "drop":
        order, earlier = np.flatnonzero(kept), "an earlier row"
        if settings.split.column:  # or a row of val would decide which rows train has
            parts = dealing.deal(spool, kept, roles, settings)[order]
            order, earlier = (
                order[np.argsort(parts, kind="stable")],
                "one of train or an earlier one",
            )
        repeated = duplicates.repeats(spool, [*roles.features, roles.target], order)
        kept &= ~repeated
        print(f"{counted(int(repeated.sum()), 'row')} left out: the same as {earlier}")
    return kept
