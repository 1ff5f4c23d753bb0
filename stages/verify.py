"""verify: rebuild the committed state from nothing and compare it with the committed dvc.lock.

A command, no DVC stage: python -m stages.verify [--mend]
Exit status: 0 all is the same; 1 something is not, and it is named; 2 a user's error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from stages.common import arithmetic, params
from stages.common.launch import guard
from stages.verification import lock, repository
from stages.verification.comparison import Comparison
from stages.verification.place import Place, entries
from stages.verification.rebuild import rebuild

SHOWN = 20  # last lines of a rebuild that has failed


def verify(run: Callable[[Path], str] = rebuild) -> None:
    """Print what is as recorded and what is not; end with status 1 unless all is.

    run: runs the pipeline in a folder; returns what it printed if that fails, else nothing.
    """
    record = entries(lock.committed())
    with repository.clone() as original, repository.clone() as clone:
        git, here = Place.look("in Git", original, record), Place.look("here", Path(), record)
        failed = run(clone)
        rebuilt = None if failed else Place.look("rebuilt", clone, record)
        doubt = _doubt(clone) if rebuilt and rebuilt.origin() else ""
        found = Comparison(git, here, rebuilt, doubt).findings()
    print(found.text())
    if failed:
        print("", *failed.splitlines()[-SHOWN:], sep="\n", flush=True)
        print("error: the committed state cannot be rebuilt, see above", file=sys.stderr)
    sys.exit(0 if found.good else 1)


def _doubt(folder: Path) -> str:
    settings = params.load(folder / params.PARAMS)
    return arithmetic.doubt(settings.arithmetic, settings.device)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.verify",
        description="Rebuild the committed state from nothing and compare it with dvc.lock.",
    )
    parser.add_argument("--mend", action="store_true", help="only restore a dvc.lock cut off")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(guard(lock.mend if arguments().mend else verify))
