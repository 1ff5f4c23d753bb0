"""describe: what would be done with each column of a CSV file, and the settings for it.

usage: python -m stages.describe FILE.csv [--target NAME]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stages.common.launch import guard


def describe(file: Path, target: str | None) -> None:
    """Print how the file is written, a line per column, and the lines for params.yaml.

    Nothing is written and no settings are changed. Of a long file the first rows are read.
    """
    from stages.common import description, params

    settings = params.load().preprocess.model_copy(update={"csv": str(file)})
    print("\n".join(description.describe(settings, target)))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.describe",
        description="Say what would be done with each column of a CSV file.",
    )
    parser.add_argument("file", type=Path, help="the CSV file")
    parser.add_argument("--target", help="the column to predict, if it is not the last one")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    sys.exit(guard(lambda: describe(given.file, given.target)))
