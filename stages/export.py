"""export: a trained model with its preprocessing as files that need nothing of this project.

usage: python -m stages.export [--model base|finetuned] [--output FOLDER] [--onnx]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from stages.common.launch import command

if TYPE_CHECKING:
    from stages.common.graph import Declared

EXPORTS = Path("exports")  # ignored by Git


def export(paths: Declared, model: str, output: Path | None, onnx: bool) -> None:
    """Write the files of a model into a folder, `exports/MODEL` if no other is named."""
    from stages.common import checkpoint
    from stages.exporting import folder

    place = output or EXPORTS / model
    written = folder.write(checkpoint.named(paths(f"{model}.pt"), model), place, onnx)
    print(f"{place}: {model} exported as {', '.join(written)}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.export",
        description="Write a trained model with its preprocessing for use elsewhere.",
    )
    parser.add_argument("--model", choices=("base", "finetuned"), default="base")
    parser.add_argument("--output", type=Path, help="the folder; exports/MODEL if left out")
    parser.add_argument("--onnx", action="store_true", help="also write model.onnx")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    command("evaluate", lambda settings, paths: export(paths, **vars(given)))
