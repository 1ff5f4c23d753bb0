"""The outputs of one run of a stage, put in place together at its end.

A run writes each output under a hidden name. When all are there, no input has changed and
no newer run of the stage has begun, they are renamed; until then the old ones stay. So a
run that a killed dvc has left behind cannot mix its results into those of the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from stages.common import files
from stages.common.errors import UserError
from stages.common.graph import Declared
from stages.common.inputs import Inputs
from stages.common.settings import Settings

DVC_COPY = f".{'?' * 22}.tmp"  # what DVC links or copies before it renames it to an output
STATE = Path("data/resume")  # what outlives a killed run; ignored by Git and DVC


@contextlib.contextmanager
def staged(declared: Declared, settings: Settings) -> Iterator[Declared]:
    """Give a run the places to write to; put the outputs in place when it ends well.

    Raises UserError when an input has changed or a newer run has begun; nothing is in
    place then.
    """
    taken = Inputs.now(declared, settings)
    paths = begin(declared)
    written = {files.part(output, paths.run): output for output in paths.outputs}
    try:
        yield paths
        with _claim(paths.stage) as claim:
            _require(claim, paths)
            taken.check()
            assert all(place.is_file() for place in written), "an output was not written"
            for place, output in written.items():
                os.replace(place, output)
    finally:
        for place in written:
            with contextlib.suppress(OSError):
                place.unlink(missing_ok=True)


def begin(declared: Declared) -> Declared:
    """Return the places of a new run, the newest of its stage from now on."""
    paths = replace(declared, run=uuid.uuid4().hex)
    with _claim(paths.stage) as claim:
        claim.truncate(0)
        claim.write(paths.run)
    for output in paths.outputs:  # of runs that were killed
        for name in (files.part(output, "*").name, DVC_COPY):
            for stale in output.parent.glob(name):
                stale.unlink(missing_ok=True)
    return paths


def check_newest(paths: Declared) -> None:
    """Raise UserError when a newer run of the same stage has begun."""
    with _claim(paths.stage) as claim:
        _require(claim, paths)


@contextlib.contextmanager
def _claim(stage: str) -> Iterator[TextIO]:
    """Open the file that names the newest run of a stage; one process at a time."""
    path = STATE / f"{stage}.run"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # released when the file is closed, also by a kill
        yield stream


def _require(claim: TextIO, paths: Declared) -> None:
    claim.seek(0)
    if claim.read() != paths.run:
        raise UserError(
            f"a newer run of {paths.stage} has begun: this one ends and leaves the outputs to it"
        )
