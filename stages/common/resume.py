"""Resume states: what a killed run of a stage leaves for the next one.

A training saves its state now and then, between two epochs. The same command then goes on
from there and ends with the same bytes. A state belongs to exactly one set of inputs,
settings and code, named by their fingerprint; any other is ignored.

File: a line `tabline resume FINGERPRINT SHA256`, then the bytes of `torch.save`, whose
SHA-256 the line holds.
"""

from __future__ import annotations

import hashlib
import io
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.common import files, outputs
from stages.common.errors import UserError
from stages.common.graph import Declared
from stages.common.inputs import Inputs
from stages.common.settings import Settings

MAGIC = "tabline resume"
SHARE = 0.02  # of the run's time, at most, that goes into saving
GUESS = 0.005  # seconds that the first save is expected to take

State = dict[str, Any]  # tensors, numbers, text, and lists and mappings of them


class Saves:
    """The resume states of one run, a file for each of its trainings."""

    def __init__(self, paths: Declared, settings: Settings) -> None:
        """Look at what an earlier run has left; say in a line what is of no use."""
        self.paths = paths
        self.folder = _folder(paths.stage)
        self.fingerprint = Inputs.now(paths, settings).fingerprint()
        self.begun = time.perf_counter()
        self.spent, self.cost = 0.0, GUESS
        for unfinished in self.folder.glob(".*.part"):
            unfinished.unlink(missing_ok=True)
        left = {path: _fingerprint(path) for path in sorted(self.folder.glob("*.pt"))}
        for path, found in left.items():
            if found != self.fingerprint:
                reason = "of other inputs, settings or code" if found else "damaged"
                print(f"{path}: {reason}: ignored")
                path.unlink(missing_ok=True)

    def slot(self, name: str) -> Slot:
        """Return the place of the state of one training."""
        return Slot(self, self.folder / f"{name}.pt")

    def due(self) -> bool:
        """Return whether a save keeps the time spent on saves below SHARE."""
        running = time.perf_counter() - self.begun
        return self.spent + self.cost <= SHARE * running

    def write(self, path: Path, state: State) -> None:
        """Save a state; UserError when a newer run has begun, which makes this one needless.

        A run does not end because a state cannot be written: it says so and goes on.
        """
        start = time.perf_counter()
        outputs.check_newest(self.paths)
        content = files.tensor_bytes(state)
        line = f"{MAGIC} {self.fingerprint} {hashlib.sha256(content).hexdigest()}\n"
        try:
            files.write_bytes(path, line.encode() + content)
        except UserError as error:
            reason = str(error).partition(";")[0]
            print(f"{reason}: the run goes on, but a kill would make it start again")
            self.cost = math.inf
            return
        self.cost = time.perf_counter() - start
        self.spent += self.cost


@dataclass(frozen=True)
class Slot:
    """The state of one training, in one file."""

    saves: Saves
    path: Path

    def load(self) -> State | None:
        """Return the state that an earlier run left; None when there is none of use."""
        import torch

        if not self.path.is_file():
            return None
        line, _, content = self.path.read_bytes().partition(b"\n")
        if not line.decode("ascii", "replace").endswith(f" {hashlib.sha256(content).hexdigest()}"):
            print(f"{self.path}: damaged: ignored")
            return None
        state: State = torch.load(io.BytesIO(content), weights_only=True)
        return state

    def offer(self, state: Callable[[], State]) -> None:
        """Save what `state` returns, if a save is due."""
        if self.saves.due():
            self.saves.write(self.path, state())


def clear(stage: str) -> None:
    """Remove the states of a stage whose outputs are in place."""
    for path in _folder(stage).glob("*.pt"):
        path.unlink(missing_ok=True)


def _folder(stage: str) -> Path:
    return outputs.STATE / stage


def _fingerprint(path: Path) -> str:
    """Return the fingerprint in a state's first line; empty when it has no such line."""
    with open(path, "rb") as stream:
        line = stream.readline(512).decode("ascii", "replace")
    words = line.removeprefix(MAGIC).split()
    known = line.startswith(MAGIC) and line.endswith("\n") and len(words) == 2
    return words[0] if known else ""
