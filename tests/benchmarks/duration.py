"""How long the whole pipeline takes on the default table, and when nothing has changed.

Run it by `make bench`, which puts dvc and python of the environment first on PATH.
"""

from __future__ import annotations

import subprocess
import time

COMMANDS = {"from nothing": ["--force", "--no-run-cache"], "no-op": []}


def main() -> None:
    """Print the wall-clock time of both."""
    for name, arguments in COMMANDS.items():
        start = time.perf_counter()
        subprocess.run(["python", "-m", "dvc", "repro", "--quiet", *arguments], check=True)
        print(f"dvc repro, {name}: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
