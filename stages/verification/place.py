"""What dvc.lock records, entry by entry, and how it lies in one folder at one moment."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.verification import difference, sums
from stages.verification.lock import File, Lock, Stage

MISSING = "(missing)"
UNREADABLE = "(unreadable)"

Kind = Literal["in Git", "rebuilt", "here"]


@dataclass(frozen=True)
class Entry:
    """One thing that dvc.lock records of a stage.

    recorded: the md5 of the file or folder at `path`, empty when it has none, or the value of
    the setting `key` in the file at `path`.
    """

    stage: str
    kind: Literal["input", "setting", "output"]
    path: str
    recorded: Any
    key: str = ""


def entries(lock: Lock) -> list[Entry]:
    """Return what a dvc.lock records, stage after stage in the order of the graph."""
    found = []
    for name, stage in _ordered(lock.stages):
        found += [Entry(name, "input", file.path, _md5(file)) for file in stage.deps]
        for path, values in stage.params.items():
            found += [Entry(name, "setting", path, values[key], key) for key in values]
        found += [Entry(name, "output", file.path, _md5(file)) for file in stage.outs]
    return found


@dataclass(frozen=True)
class Place:
    """The md5 or value of each entry in `folder`; MISSING or UNREADABLE instead of it.

    kind: `in Git` is the committed state, `rebuilt` a clone of it whose stages have run, `here`
    the folder of the command. Only the rebuilt one must have every output: Git has none of
    those that DVC keeps, and there are none here before the first run.
    """

    kind: Kind
    folder: Path
    found: list[tuple[Entry, Any]]

    @classmethod
    def look(cls, kind: Kind, folder: Path, entries: list[Entry]) -> Place:
        """Hash and read everything that the entries name."""
        paths = {entry.path for entry in entries if entry.kind != "setting"}
        hashed = {path: sums.md5(folder / path) or MISSING for path in paths}
        read = {entry.path for entry in entries if entry.kind == "setting"}
        settings = {path: content(folder / path) for path in read}
        found = [
            (e, _value(settings[e.path], e.key) if e.kind == "setting" else hashed[e.path])
            for e in entries
        ]
        return cls(kind, folder, found)

    @property
    def made(self) -> set[str]:
        """The paths of all outputs."""
        return {entry.path for entry, _ in self.found if entry.kind == "output"}

    def differing(self) -> list[tuple[Entry, Any]]:
        """Return what is not as recorded, with what was found instead."""
        optional = set() if self.kind == "rebuilt" else self.made
        return [
            (entry, found)
            for entry, found in self.found
            if not (found == MISSING and entry.path in optional)
            and difference.first(entry.recorded, found)
        ]

    def origin(self) -> str:
        """Return the first stage with other outputs from the same inputs; else an input.

        It is empty when no output differs.
        """
        differing, causes = [entry for entry, _ in self.differing()], []
        for stage in dict.fromkeys(entry.stage for entry in differing):
            mine = [entry for entry in differing if entry.stage == stage]
            inputs = [entry for entry in mine if entry.kind != "output"]
            if not inputs:
                return f"{stage}: its inputs are the same, its outputs are not"
            if len(inputs) < len(mine):
                causes.append(f"{inputs[0].path}, an input of {stage}")
        return causes[0] if causes else ""


def content(path: Path) -> Any:
    """Return what a YAML file says: nothing when it is not there, or UNREADABLE."""
    return _content(path.read_bytes()) if path.is_file() else {}


@functools.cache
def _content(data: bytes) -> Any:
    try:
        return YAML(typ="safe").load(data.decode())
    except (YAMLError, UnicodeDecodeError):
        return UNREADABLE


def _value(found: Any, key: str) -> Any:
    """Return the value of a dotted key in nested mappings."""
    for name in key.split("."):
        if found == UNREADABLE:
            return found
        found = found.get(name, MISSING) if isinstance(found, dict) else MISSING
    return found


def _md5(file: File) -> str:
    return "" if file.md5 is None else str(file.md5)


def _ordered(stages: dict[str, Stage]) -> list[tuple[str, Stage]]:
    """Return the stages, each behind those that make its inputs, else in their own order."""
    makers = {file.path: name for name, stage in stages.items() for file in stage.outs}
    left, found = dict(stages), []
    while left:
        waiting = left.keys()
        free = (
            name
            for name, stage in left.items()
            if not waiting & {makers.get(file.path) for file in stage.deps}
        )
        name = next(free, next(iter(left)))  # DVC refuses a circle; a damaged record may have one
        found.append((name, left.pop(name)))
    return found
