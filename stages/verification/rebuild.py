"""The pipeline run once more from nothing, by DVC, in another folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from stages.verification import repository

BEGIN = re.compile(r"Running stage '(.+)':")
# The cache of the folder alone: DVC puts the cached file in the place of the one that was made.
CONFIG = "[cache]\n    dir = cache\n    type = copy\n"


def rebuild(folder: Path) -> str:
    """Run all stages in a folder without cache; return what was printed when that fails.

    One line per stage is printed meanwhile. When this process is interrupted, no process of
    the run is left.
    """
    (folder / ".dvc" / "config.local").write_text(CONFIG)
    command = [sys.executable, "-m", "dvc", "repro", "--force", "--no-run-cache"]
    printed = []
    with subprocess.Popen(
        command,
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            for line in process.stdout or ():
                printed.append(line)
                if begin := BEGIN.match(line):
                    print(f"rebuilding {begin[1]} ...", flush=True)
            return "".join(printed) if process.wait() else ""
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()  # ends when the last process of the run has


def _environment(folder: Path) -> dict[str, str]:
    """Return the variables of the run: this Python for the stages, DVC's own files in `folder`."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    site = str(folder / ".dvc" / "tmp" / "site")
    return repository.environment() | {"PATH": programs, "DVC_SITE_CACHE_DIR": site}
