"""Atomic writing and checked reading of every file the stages exchange.

A file is written beside its place under a hidden name and then renamed, so a reader
sees the old file or the new one, never half of one. The bytes depend on the content
alone: sorted keys, no clock, no file name inside.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from stages.common.errors import UserError

if TYPE_CHECKING:
    import torch

DECIMALS = 6  # of every figure in a tracked text file


def part(path: Path, run: str) -> Path:
    """Return the hidden name beside `path` under which a run writes it before it is whole."""
    return path.with_name(f".{path.name}.{run}.part")


def whole(path: Path) -> Path:
    """Return the place of a `part`; any other path as it is."""
    found = re.fullmatch(r"\.(.+)\.[^.]+\.part", path.name)
    return path.with_name(found[1]) if found else path


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Open a file to be written atomically, also at any place in it.

    On failure the old file stays and no temporary one is left; UserError when there is no
    room. A `part` is written as it is: who has asked for it puts it in place.
    """
    place = whole(path)
    temporary = part(path, str(os.getpid())) if place == path else path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if temporary != path:
            os.replace(temporary, path)
    except OSError as error:
        raise UserError(
            f"cannot write {place}: {error.strerror}; make room or mend the folder, then run again"
        ) from error
    finally:
        if temporary != path:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` atomically, as `writing` does."""
    with writing(path) as stream:
        stream.write(data)


def write_json(path: Path, content: Any) -> None:
    """Write sorted, indented JSON. NaN and infinity raise ValueError."""
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    write_bytes(path, (text + "\n").encode())


def write_metrics(path: Path, figures: Mapping[str, float | int | str | None]) -> None:
    """Write a flat mapping of figures; None and non-finite values are left out."""
    kept = {key: tidy(value) for key, value in figures.items()}
    write_json(path, {key: value for key, value in kept.items() if value is not None})


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table; numbers are rounded, non-finite ones and None become empty cells.

    The rows are written as they come, so there may be more than memory holds.
    """
    with writing(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            cells = [tidy(cell) for cell in row]
            writer.writerow(["" if cell is None else cell for cell in cells])
        text.detach()


def tidy(value: Any) -> Any:
    """Round a float to DECIMALS places; None for NaN and infinity; anything else as it is."""
    if not isinstance(value, float):
        return value
    return round(value, DECIMALS) + 0.0 if math.isfinite(value) else None


def write_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Save tensors and plain values with `torch.save`, the same bytes for the same content.

    Saving through a stream keeps the file's name out of the file; cloning keeps the rest
    of a larger storage out of it; the trip through JSON gives plain values one identity
    (pickle writes a string that is met twice as a reference).
    """
    import torch

    canonical: dict[str, Any] = {}
    for key in sorted(content):
        value = content[key]
        if isinstance(value, torch.Tensor):
            canonical[key] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        else:
            canonical[key] = json.loads(json.dumps(value, sort_keys=True, allow_nan=False))
    write_bytes(path, tensor_bytes(canonical))


def tensor_bytes(content: Any) -> bytes:
    """Return what `torch.save` makes of `content`, with no name of a file inside."""
    import torch

    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def read_tensors(path: Path, keys: Iterable[str], mapped: bool = False) -> dict[str, Any]:
    """Load a file of `write_tensors`, executing no pickle.

    mapped: leave the numbers on disk until they are used; their check sums are not read then.

    Raises UserError when the file is missing, is no torch file, or lacks one of `keys`.
    """
    import pickle

    import torch

    _exists(path)
    try:
        content: dict[str, torch.Tensor] = torch.load(path, weights_only=True, mmap=True)
        if not mapped:
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:
                    raise ValueError("a check sum differs")
    except (
        OSError,
        RuntimeError,
        zipfile.BadZipFile,
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        KeyError,
    ) as error:
        raise UserError(f"{path}: damaged, or another program's; {remedy(path)}") from error
    lacking = sorted(set(keys) - set(content)) if isinstance(content, dict) else sorted(keys)
    if lacking:
        shown = ", ".join(lacking)
        raise UserError(f"{path}: lacks {shown}, it is another program's; {remedy(path)}")
    return content


def read_json(path: Path) -> Any:
    """Load a JSON file; UserError when it is missing or damaged."""
    _exists(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: damaged ({error}); {remedy(path)}") from error


def _exists(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"{path}: no such file; run `dvc repro`")


def remedy(path: Path) -> str:
    """Return what to do about a damaged file that a stage wrote."""
    return f"delete {path} and run `dvc repro`"
