"""The columns of a table on disk: read one column, or one chunk of rows, at a time.

A table may be larger than memory. Its cells are parsed once and kept in an unnamed file,
which the system removes however the process ends; a small table stays in memory.
"""

from __future__ import annotations

import json
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from stages.common.cells import Cells

T = TypeVar("T", bound=np.generic)
IN_MEMORY = 2**26  # bytes that are kept in memory


@dataclass(frozen=True)
class _Block:
    """The cells of one column and chunk: places in the file, in bytes."""

    values: int
    texts: int | None  # None: numbers
    end: int


class Spool:
    """Columns that are written in chunks of rows and read again."""

    def __init__(self, names: Sequence[str], folder: Path) -> None:
        self.names = tuple(names)
        self.starts = [0]  # row numbers at which chunks begin, and the end
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(folder))  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._blocks: dict[str, list[_Block]] = {name: [] for name in self.names}

    def __len__(self) -> int:
        return self.starts[-1]

    def is_text(self, name: str) -> bool:
        """Whether a column holds texts; else it holds numbers."""
        return any(block.texts is not None for block in self._blocks[name])

    def append(self, columns: Iterable[Cells]) -> None:
        """Append a chunk of rows: the cells of every column."""
        rows = 0
        for cells in columns:
            start = self._file.seek(0, 2)
            self._file.write(cells.values.tobytes())
            texts = None
            if cells.texts is not None:
                texts = self._file.tell()
                self._file.write(json.dumps(cells.texts).encode())
            self._blocks[cells.name].append(_Block(start, texts, self._file.tell()))
            rows = len(cells)
        self.starts.append(len(self) + rows)

    def chunks(self, names: Sequence[str]) -> Iterator[list[Cells]]:
        """Yield the cells of some columns, one chunk of rows after another."""
        for at in range(len(self.starts) - 1):
            yield [self._read(name, at) for name in names]

    def blocks(self, name: str) -> Iterator[Cells]:
        """Yield the cells of one column, one chunk of rows after another."""
        for (cells,) in self.chunks([name]):
            yield cells

    def missing(self, name: str) -> NDArray[np.bool_]:
        """Return which cells of a column have no value, bool (rows,)."""
        return np.concatenate([cells.missing for cells in self.blocks(name)])

    def column(self, name: str, rows: NDArray[np.bool_] | None = None) -> Cells:
        """Return the cells of a whole column, or of the rows of a mask."""
        values: list[NDArray[Any]] = []
        places: dict[str, int] = {}
        texts = self.is_text(name)
        for cells in self.blocks(name):
            kept = cells if rows is None else cells.take(self.part(rows, cells))
            kept = kept.as_texts() if texts else kept
            found = kept.values
            if kept.texts is not None:
                used = np.bincount(found[found >= 0], minlength=len(kept.texts)) > 0
                moved = np.full(len(kept.texts) + 1, -1, dtype=np.int32)
                for at in np.flatnonzero(used):
                    moved[at] = places.setdefault(kept.texts[at], len(places))
                found = moved[found]
            values.append(found)
        joined = np.concatenate(values) if values else np.empty(0)
        return Cells(name, joined, tuple(places) if texts else None)

    @staticmethod
    def part(rows: NDArray[T], cells: Cells) -> NDArray[T]:
        """Return the part of an array over all rows that belongs to a chunk's cells."""
        return rows[cells.start : cells.start + len(cells)]

    def _read(self, name: str, at: int) -> Cells:
        block, start = self._blocks[name][at], self.starts[at]
        self._file.seek(block.values)
        data = self._file.read(block.end - block.values)
        if block.texts is None:
            return Cells(name, np.frombuffer(data, dtype=np.float64), None, start)
        cut = block.texts - block.values
        values = np.frombuffer(data[:cut], dtype=np.int32)
        return Cells(name, values, tuple(json.loads(data[cut:])), start)
