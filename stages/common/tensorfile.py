"""A file of tensors that is filled a few rows at a time, and never whole in memory.

The file is a zip archive with a record per tensor, as `torch.save` writes it. Its records
are reserved first and filled later; their check sums, which follow a record and stand in
the directory at the archive's end, are written last.
"""

from __future__ import annotations

import contextlib
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch
from numpy.typing import NDArray

from stages.common import files

HEAD = struct.Struct("<26x2H")  # of a record: lengths of its name and extra field
SUM_BEHIND = 4  # where the check sum stands behind a record's data
ENTRY = struct.Struct("<4s12x4x8x3H12x")  # of the directory: mark, lengths of name, extra, comment
SUM_IN_ENTRY = 16

Shapes = Mapping[str, tuple[torch.dtype, Sequence[int]]]


class TensorFile:
    """Tensors whose rows are appended; afterwards `torch.load` reads them."""

    def __init__(self, stream: BinaryIO, shapes: Shapes) -> None:
        """Reserve the room of all tensors; `shapes`: name -> type and shape, rows first."""
        self._stream = stream
        self._names = sorted(shapes)
        empty = {name: torch.empty(*shapes[name][1], dtype=shapes[name][0]) for name in self._names}
        self._left = {name: tensor.nbytes for name, tensor in empty.items()}
        self._sums = dict.fromkeys(self._names, 0)
        with torch.serialization.skip_data():
            torch.save(empty, stream)
        with zipfile.ZipFile(stream) as archive:
            self._directory = archive.start_dir
            starts = {record.filename: record.header_offset for record in archive.infolist()}
        self._places = {
            name: self._data(next(starts[key] for key in starts if key.endswith(f"/data/{at}")))
            for at, name in enumerate(self._names)
        }

    def _data(self, start: int) -> int:
        """Return where the data of the record at `start` begin."""
        self._stream.seek(start)
        name, extra = HEAD.unpack(self._stream.read(HEAD.size))
        return start + HEAD.size + int(name) + int(extra)

    def append(self, rows: Mapping[str, NDArray[Any]]) -> None:
        """Append rows to each tensor; arrays of its type and row shape."""
        for name, array in rows.items():
            data = array.tobytes()
            self._stream.seek(self._places[name])
            self._stream.write(data)
            self._places[name] += len(data)
            self._left[name] -= len(data)
            self._sums[name] = zlib.crc32(data, self._sums[name])

    def close(self) -> None:
        """Write the check sums; every row must have been appended."""
        assert not any(self._left.values()), self._left
        sums = {}
        for at, name in enumerate(self._names):
            sums[f"/data/{at}".encode()] = struct.pack("<I", self._sums[name])
            self._stream.seek(self._places[name] + SUM_BEHIND)
            self._stream.write(sums[f"/data/{at}".encode()])
        place, entry = self._directory, b""
        while True:
            self._stream.seek(place)
            entry = self._stream.read(ENTRY.size)
            if not entry.startswith(b"PK\1\2"):
                return
            _, *lengths = ENTRY.unpack(entry)
            record = self._stream.read(lengths[0])
            for ending, value in sums.items():
                if record.endswith(ending):
                    self._stream.seek(place + SUM_IN_ENTRY)
                    self._stream.write(value)
            place += ENTRY.size + sum(lengths)


@contextlib.contextmanager
def writing(path: Path, shapes: Shapes) -> Iterator[TensorFile]:
    """Open a file of tensors to be filled; it is put in place atomically when all rows are."""
    with files.writing(path) as stream:
        file = TensorFile(stream, shapes)
        yield file
        file.close()
