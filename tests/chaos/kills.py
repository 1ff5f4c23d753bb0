"""One kill: what it hits, how, and at which instant."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.project import environment

HOOK = Path(__file__).parent / "hook"
LARGEST = 400_000  # bytes; the largest file that a stage of the small project writes
PATIENCE = 300  # seconds after which a command counts as hanging


@dataclass(frozen=True)
class Measured:
    """An uninterrupted run: its seconds, and the file operations of the stage and of dvc."""

    seconds: float
    operations: dict[str, int]


@dataclass(frozen=True)
class Kill:
    """`how` hits `target` (a module after `python -m`, or all) at `instant`."""

    target: str
    how: str  # a signal's name, or operation, or size
    instant: float  # seconds, or a number of operations or bytes

    def __str__(self) -> str:
        if self.how == "operation":
            return f"{self.target} before file operation {self.instant:.0f}"
        if self.how == "size":
            return f"{self.target} inside a write, at byte {self.instant:.0f}"
        return f"{self.target} {self.how} after {self.instant:.2f} s"


def draw(generator: random.Random, stage: str, measured: Measured) -> Kill:
    """Return a random kill of a run of one stage."""
    module = f"stages.{stage}"
    how = generator.choice(["operation", "size", "time", "time"])
    target = generator.choice([module, module, "dvc"])
    if how == "operation":
        return Kill(target, how, generator.randint(1, max(1, measured.operations[target])))
    if how == "size":
        return Kill(target, how, int(LARGEST ** generator.random()))
    target = generator.choice([target, "all"])
    name = generator.choice(["SIGKILL", "SIGKILL", "SIGTERM", "SIGINT"])
    late = generator.random() ** 0.5  # training comes after the imports
    return Kill(target, name, late * measured.seconds)


def start(folder: Path, command: list[str], plan: dict[str, object]) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own, with the hook in every Python of it."""
    hooked = {"PYTHONPATH": str(HOOK), "CHAOS": json.dumps(plan)} if plan else {}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment() | hooked | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def run_killed(folder: Path, command: list[str], kill: Kill) -> subprocess.Popen[bytes]:
    """Run a command that is killed and return it, ended. What it leaves behind runs on.

    An orphan prints into the pipe of the process that is returned: as long as it is kept,
    printing does not end the orphan.
    """
    hooked = kill.how in ("operation", "size")
    plan = {"target": kill.target, kill.how: kill.instant} if hooked else {}
    process = start(folder, command, plan)
    if not hooked:
        time.sleep(kill.instant)
        send(process, kill.target, getattr(signal, kill.how))
    deadline = time.monotonic() + PATIENCE
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    while process.poll() is None:
        assert time.monotonic() < deadline, "hangs"
        process.stdout.read()
        time.sleep(0.01)
    return process


def send(process: subprocess.Popen[bytes], target: str, signum: int) -> None:
    """Send a signal to dvc, to the stage below it, or to all of them as a terminal would."""
    if target == "all":
        group = [process.pid]
        group += [child.pid for child in _children(process.pid)]
    elif target == "dvc":
        group = [process.pid]
    else:
        group = [c.pid for c in _children(process.pid) if target in _words(c)]
    for pid in group:
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            continue


def wait_for_orphans(folder: Path) -> None:
    """Wait until no process of a killed command works in `folder` any more."""
    deadline = time.monotonic() + PATIENCE
    while any(_works_in(process, folder) for process in psutil.process_iter()):
        assert time.monotonic() < deadline, "an orphan hangs"
        time.sleep(0.05)


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == folder
    except psutil.Error:
        return False


def _children(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
