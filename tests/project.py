"""A copy of the project in a folder of its own, and commands run in it as a user would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.imports import ROOT


def environment() -> dict[str, str]:
    """The runtime environment first on PATH: stages must not need the tools of development."""
    programs = [ROOT / ".venv" / "bin", Path(sys.executable).parent]
    path = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
    return {
        **os.environ,
        "PATH": path,
        "GIT_AUTHOR_NAME": "tester",
        "GIT_AUTHOR_EMAIL": "tester@example.com",
        "GIT_COMMITTER_NAME": "tester",
        "GIT_COMMITTER_EMAIL": "tester@example.com",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }


def run(folder: Path, *command: str, status: int = 0) -> str:
    """Run a command in a clone; return what it printed, both streams."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == status, printed
    return printed


def dvc(folder: Path, *arguments: str, status: int = 0) -> str:
    return run(folder, "python", "-m", "dvc", *arguments, status=status)


def override(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("-S", setting)]


def copy_project(folder: Path) -> None:
    """Copy the working tree, without what Git ignores, into a new repository with one commit."""
    listed = run(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard")
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    run(folder, "git", "init", "--quiet")
    commit(folder)


def commit(folder: Path) -> None:
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--allow-empty", "--message", "state")
