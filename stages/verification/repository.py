"""The project's Git repository: the committed files, a clone of them, earlier versions."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stages.common.errors import UserError

# What Git sets for its hooks; it would point a command in the clone back to this repository.
HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
COMMITS = 20  # earlier versions of a file that are looked at


def environment() -> dict[str, str]:
    """Return the variables of this process for a command in any repository."""
    return {name: value for name, value in os.environ.items() if name not in HOOK}


def git(*arguments: str | Path, folder: Path = Path()) -> bytes:
    """Return what a git command prints; UserError with git's own last line when it fails."""
    command = ["git", *map(str, arguments)]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment(), capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise UserError("git: no such program on PATH; install Git") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["failed"]
        reason = next((line for line in said if line.startswith("fatal: ")), said[-1])
        raise UserError(f"git {command[1]}: {reason}")
    return done.stdout


def check() -> None:
    """Raise UserError when this folder is in no repository that has a commit."""
    try:
        git("rev-parse", "--verify", "HEAD")
    except UserError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise
        raise UserError(
            f"no Git repository with a commit in this folder ({error}); run `git init && git add "
            "--all && git commit`"
        ) from error


def committed(path: Path) -> bytes | None:
    """Return a file of this folder as it is in the last commit; None when it is not in it."""
    name = f"HEAD:./{path.as_posix()}"
    if not git("ls-tree", "HEAD", "--", path):
        return None
    return git("cat-file", "blob", name)


@contextlib.contextmanager
def clone() -> Iterator[Path]:
    """Give this folder as it is in the last commit, in a temporary clone that goes at the end."""
    top, prefix = git("rev-parse", "--show-toplevel", "--show-prefix").decode().split("\n")[:2]
    with tempfile.TemporaryDirectory(prefix="verify-") as temporary:
        place = Path(temporary) / "clone"
        git("clone", "--quiet", "--template=", top, place)  # no hooks of the user's template
        yield place / prefix


def versions(path: Path, folder: Path) -> Iterator[Path]:
    """Yield a file or folder as it was in each commit that changed it, the last one first.

    folder: the clone of this folder; the versions are put beside it and go with it.
    """
    asked = git("rev-parse", "--absolute-git-dir", "--show-prefix", folder=folder)
    directory, prefix = asked.decode().split("\n")[:2]
    commits = git("log", f"-{COMMITS}", "--format=%H", "HEAD", "--", path, folder=folder)
    for commit in commits.decode().split():
        place = Path(directory).parents[1] / commit
        place.mkdir(exist_ok=True)
        with contextlib.suppress(UserError):  # the commit that removed it
            git(f"--git-dir={directory}", "--work-tree=.", "checkout", "--quiet", commit, "--",
                prefix / path, folder=place)  # fmt: skip
            yield place / prefix / path
