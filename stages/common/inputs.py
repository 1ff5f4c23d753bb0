"""What a stage is made from: its declared files and settings.

DVC hashes the inputs of a stage when the stage has ended. Inputs that changed meanwhile
would be recorded beside outputs that were made from the old ones; `check` notices that.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.common import params
from stages.common.errors import UserError
from stages.common.graph import Declared
from stages.common.names import listed
from stages.common.settings import Settings

CHUNK = 1 << 20  # bytes read at once
WHERE = {"search": ("engine", "workers", "address")}  # settings of where work is done


@dataclass(frozen=True)
class Inputs:
    """The declared inputs of a stage as they were at one moment."""

    declared: Declared
    settings: dict[str, Any]  # declared key of params.yaml -> value
    states: dict[Path, tuple[int, ...]]  # file -> what changes when it is written to

    @classmethod
    def now(cls, declared: Declared, settings: Settings) -> Inputs:
        """Return the inputs as they are now; nothing is read from the files."""
        states = {path: _state(path) for path in _files(declared)}
        return cls(declared, _values(declared, settings), states)

    def check(self) -> None:
        """Raise UserError that names the settings, or the first file, that changed since."""
        stage = self.declared.stage
        if keys := list(_different(self.settings, _values(self.declared, params.load()))):
            raise _changed(f"{params.PARAMS}: {listed(keys)}", stage)
        now = {path: _state(path) for path in _files(self.declared)}
        for path in sorted(now.keys() | self.states.keys()):
            if now.get(path) != self.states.get(path):
                raise _changed(str(path), stage)

    def fingerprint(self) -> str:
        """Return the SHA-256 of all settings, names and contents: code, requirements, data.

        Settings that say where the work is done, not what it is, take no part.
        """
        settings = {key: content(key, value) for key, value in self.settings.items()}
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for path in sorted(self.states):
            digest.update(f"\n{path.as_posix()}\n{self.states[path][0]}\n".encode())
            with open(path, "rb") as stream:
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
        return digest.hexdigest()


def _changed(what: str, stage: str) -> UserError:
    return UserError(f"{what} changed while {stage} ran: nothing was recorded, run `dvc repro`")


def _values(declared: Declared, settings: Settings) -> dict[str, Any]:
    everything = settings.model_dump()
    values = {}
    for key in declared.params:
        value = everything
        for name in key.split("."):
            value = value[name]
        values[key] = value
    return values


def content(key: str, value: Any) -> Any:
    """Return a declared setting or section without what changes no result."""
    void = WHERE.get(key, ())
    return {name: value[name] for name in value if name not in void} if void else value


def _different(before: dict[str, Any], now: dict[str, Any], above: str = "") -> Iterator[str]:
    """Yield the keys, from the top and with dots, whose values are not the same."""
    for key in dict.fromkeys([*before, *now]):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _different(old, new, f"{above}{key}.")
        elif old != new:
            yield above + key


def _files(declared: Declared) -> Iterator[Path]:
    """Yield the declared files, and those in declared folders."""
    for path in declared.inputs:
        if path.is_dir():
            yield from (file for file in path.rglob("*") if file.is_file())
        elif path.is_file():
            yield path


def _state(path: Path) -> tuple[int, ...]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns, found.st_ino
