"""A file of tensors that is filled a few rows at a time, and never whole in memory."""

from __future__ import annotations

import contextlib
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from numpy.typing import NDArray

from stages.common import files

CENTRAL = struct.Struct("<4s6H3I5H2I")  # an entry of a zip file's directory; its CRC is field 7
DESCRIPTOR_CRC = 4  # place of the CRC behind the numbers of a record


class TensorFile:
    """Tensors whose rows are appended. The file is what `torch.load` reads."""

    def __init__(self, stream: BinaryIO, shapes: Mapping[str, tuple[torch.dtype, list[int]]]):
        """Reserve the room of all tensors; `shapes`: name -> type and shape, rows first."""
        self._stream = stream
        self._names = sorted(shapes)
        empty = {name: torch.empty(shapes[name][1], dtype=shapes[name][0]) for name in self._names}
        self._left = {name: tensor.nbytes for name, tensor in empty.items()}
        self._sums = dict.fromkeys(self._names, 0)
        with torch.serialization.skip_data():
            torch.save(empty, stream)
        stream.flush()
        with zipfile.ZipFile(stream) as archive:
            records = {record.filename: record for record in archive.infolist()}
            self._directory = archive.start_dir  # type: ignore[attr-defined]
        place, self._place, self._record = 0, {}, {}
        for at, name in enumerate(self._names):
            self._record[name] = next(key for key in records if key.endswith(f"/data/{at}"))
            record = records[self._record[name]]
            stream.seek(record.header_offset)
            name_size, extra_size = struct.unpack("<26x2H", stream.read(30))
            self._place[name] = record.header_offset + 30 + name_size + extra_size
            place = max(place, self._place[name])

    def append(self, rows: Mapping[str, NDArray]) -> None:
        """Append rows to each tensor; arrays of its type and row shape."""
        for name, array in rows.items():
            data = array.tobytes()
            self._left[name] -= len(data)
            self._stream.seek(self._place[name])
            self._stream.write(data)
            self._place[name] += len(data)
            self._sums[name] = zlib.crc32(data, self._sums[name])

    def close(self) -> None:
        """Write the check sums; every row must have been appended."""
        assert not any(self._left.values()), self._left
        for name in self._names:
            self._stream.seek(self._place[name] + DESCRIPTOR_CRC)
            self._stream.write(struct.pack("<I", self._sums[name]))
        sums = {self._record[name].encode(): self._sums[name] for name in self._names}
        place = self._directory
        while True:
            self._stream.seek(place)
            head = self._stream.read(CENTRAL.size)
            if not head.startswith(b"PK\1\2"):
                return
            _, *fields = CENTRAL.unpack(head)
            name = self._stream.read(fields[9])
            if name in sums:
                self._stream.seek(place + 16)
                self._stream.write(struct.pack("<I", sums[name]))
            place += CENTRAL.size + sum(fields[9:12])


@contextlib.contextmanager
def writing(
    path: Path, shapes: Mapping[str, tuple[torch.dtype, list[int]]]
) -> Iterator[TensorFile]:
    """Open a file of tensors to be filled; it is put in place atomically when all rows are."""
    with files.writing(path) as stream:
        file = TensorFile(stream, shapes)
        yield file
        file.close()
