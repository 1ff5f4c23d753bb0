"""One process per processor: this machine's own, or one that QEMU emulates."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.emulation.comparison import Result
from tests.imports import ROOT

NATIVE = "native"
EMULATED = ("Haswell", "EPYC-Rome")  # of Intel and of AMD, both with AVX2; QEMU has no AVX-512
EMULATOR = "qemu-x86_64"
# QEMU reads what a masked instruction leaves out, too: NumPy's sort of an array at the end of the
# process's memory then ends in a segmentation fault. With these it never lies there.
MARGIN = {
    "MALLOC_TOP_PAD_": str(64 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_ARENA_MAX": "1",
}


def lacking() -> str:
    """Return what has to be installed before a processor can be emulated, or nothing."""
    found = shutil.which(EMULATOR)
    return "" if found else f"{EMULATOR} is not installed; it is in the Debian package qemu-user"


def run(
    processor: str,
    arguments: Sequence[str] = (),
    variables: dict[str, str] | None = None,
    **process: Any,
) -> Result:
    """Run the scenarios on a processor, in the runtime environment, and return what came out.

    The interpreter behind the environment's link is started: QEMU does not follow links.
    variables: of the environment; process: arguments of `subprocess.run`. Raises SystemExit
    when the process fails.
    """
    python = (ROOT / ".venv" / "bin" / "python").resolve()
    (packages,) = (ROOT / ".venv" / "lib").glob("python*/site-packages")
    emulator = [] if processor == NATIVE else [EMULATOR, "-cpu", processor]
    margin = {} if processor == NATIVE else MARGIN
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        # -S: what else is installed for that interpreter is not seen
        program = [str(python), "-S", "-m", "tests.emulation.runner", str(result), *arguments]
        ended = subprocess.run(
            [*emulator, *program],
            cwd=ROOT,
            env=os.environ | margin | {"PYTHONPATH": str(packages)} | (variables or {}),
            capture_output=True,
            text=True,
            check=False,
            **process,
        )
        if ended.returncode != 0:
            raise SystemExit(f"error: {processor} failed\n{ended.stdout}{ended.stderr}")
        return Result(**json.loads(result.read_text()))
