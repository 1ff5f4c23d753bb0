"""Where two versions of a file first differ, in one line: recorded -> found."""

from __future__ import annotations

import csv
import itertools
import json
import operator
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stages.common import files
from stages.verification import sums

ABSENT = "(absent)"
SHOWN = 40  # characters of a value


def explain(recorded: Path, found: Path) -> str:
    """Return where a file or folder `found` first differs from the recorded version of it.

    The kind of the file is that of the name `found`; what cannot be read as that kind is
    compared as bytes. For a folder it is the first file that differs.
    """
    if recorded.is_dir() and found.is_dir():
        return _folders(recorded, found)
    try:
        where = READERS[found.suffix](recorded, found) if found.suffix in READERS else ""
    except Exception:  # a damaged file can fail anywhere in its reader
        where = ""
    return where or _bytes(recorded.read_bytes(), found.read_bytes())


def first(recorded: Any, found: Any, key: str = "") -> tuple[str, str, str] | None:
    """Return the first key at which two nested values differ, and both values as text."""
    pairs: Iterable[tuple[Any, Any, Any]]
    if isinstance(recorded, Mapping) and isinstance(found, Mapping):
        names = [*recorded, *(name for name in found if name not in recorded)]
        pairs = [(name, recorded.get(name, ABSENT), found.get(name, ABSENT)) for name in names]
    elif isinstance(recorded, list) and isinstance(found, list):
        both = itertools.zip_longest(recorded, found, fillvalue=ABSENT)
        pairs = [(index, *values) for index, values in enumerate(both)]
    else:  # repr tells 1 from 1.0 and from true, and NaN is equal to itself
        return None if repr(recorded) == repr(found) else (key, show(recorded), show(found))
    inner = (first(one, other, f"{key}.{name}" if key else str(name)) for name, one, other in pairs)
    return next((place for place in inner if place), None)


def line(key: str, recorded: str, found: str) -> str:
    """Return the line of a key and its two values."""
    return f"{key}: {recorded} -> {found}"


def show(value: Any) -> str:
    """Return a value as JSON, cut to SHOWN characters."""
    text = value if value is ABSENT else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _folders(recorded: Path, found: Path) -> str:
    before, after = sums.listing(recorded), sums.listing(found)
    names = sorted(before.keys() | after.keys())
    changed = [name for name in names if before.get(name) != after.get(name)]
    name = changed[0]
    if name in before and name in after:
        where = explain(recorded / name, found / name)
    else:
        where = "new" if name in after else "not there"
    others = len(changed) - 1
    return f"{name}: {where}" + (f" (and {others} other files)" if others else "")


def _tensors(recorded: Path, found: Path) -> str:
    import torch

    before, after = (files.read_tensors(path, (), mapped=True) for path in (recorded, found))
    unit = "row" if "row" in before else "member"
    for name in [*before, *(name for name in after if name not in before)]:
        one, other = before.get(name, ABSENT), after.get(name, ABSENT)
        if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
            if where := _numbers(one, other, unit):
                return f"{name}, {where}"
        elif place := first(_plain(one), _plain(other), name):
            return line(*place)
    return ""


def _plain(value: Any) -> Any:
    import torch

    return f"tensor {tuple(value.shape)}" if isinstance(value, torch.Tensor) else value


def _numbers(recorded: Any, found: Any, unit: str) -> str:
    """Return the first index of dim 0 at which two tensors differ, how many numbers, how far."""
    import torch

    if (recorded.shape, recorded.dtype) != (found.shape, found.dtype):
        shapes = [f"{tuple(tensor.shape)} {tensor.dtype}" for tensor in (recorded, found)]
        return f"{shapes[0]} -> {shapes[1]}"
    bits = [
        tensor.reshape(-1).view(torch.uint8).reshape(-1, tensor.element_size())
        for tensor in (recorded, found)
    ]
    differs = (bits[0] != bits[1]).any(1)
    count = int(differs.sum())
    if not count:
        return ""
    index = int(differs.nonzero()[0]) // (
        recorded.numel() // (len(recorded) if recorded.dim() else 1)
    )
    far = (recorded.double() - found.double()).abs().reshape(-1)[differs].max()
    return f"{unit} {index}: {count} of {recorded.numel()} numbers differ, by at most {far:.3g}"


def _json(recorded: Path, found: Path) -> str:
    place = first(files.read_json(recorded), files.read_json(found))
    return line(*place) if place else ""


def _csv(recorded: Path, found: Path) -> str:
    with (
        open(recorded, encoding="utf-8", newline="") as one,
        open(found, encoding="utf-8", newline="") as other,
    ):
        header: list[str] = []
        for number, rows in enumerate(
            itertools.zip_longest(csv.reader(one), csv.reader(other)), -1
        ):
            before, after = rows
            header = header or before or []
            row = f"row {number}" if number >= 0 else "header"
            if before is None or after is None:
                return f"{row}: {'new' if before is None else 'not there'}"
            cells = itertools.zip_longest(before, after, fillvalue=ABSENT)
            for column, (cell, now) in enumerate(cells):
                if cell != now:
                    name = header[column] if column < len(header) else str(column)
                    return line(f"{row}, column {name}", cell, now)
    return ""


def _bytes(recorded: bytes, found: bytes) -> str:
    count = sum(map(operator.ne, recorded, found))
    unequal = map(operator.ne, recorded, found)
    start = next(itertools.compress(itertools.count(), unequal), min(len(recorded), len(found)))
    if len(recorded) != len(found):
        return f"{len(recorded)} -> {len(found)} bytes, the first other one at offset {start}"
    return f"{count} of {len(found)} bytes differ, the first at offset {start}"


READERS = {".pt": _tensors, ".json": _json, ".csv": _csv}
