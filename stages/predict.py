"""predict: a trained model answers for the rows of a new CSV file.

usage: python -m stages.predict NEW.csv --output OUT.csv [--model base|finetuned]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from stages.common.launch import command

if TYPE_CHECKING:
    from stages.common.graph import Declared
    from stages.common.settings import Settings


def predict(settings: Settings, paths: Declared, new: Path, output: Path, model: str) -> None:
    """Write one row per row of `new`: its number, the answer, a probability per class.

    The file needs the feature columns in any order; with the target among them the figures
    are printed, too. A file of any size is answered a chunk of rows at a time.
    """
    from stages.common import answering, arithmetic, checkpoint, files
    from stages.common.errors import UserError
    from stages.common.names import counted
    from stages.common.table import Table

    if output.resolve() == new.resolve():
        raise UserError(f"{output}: the table to answer for; name another file with --output")
    device = arithmetic.device(settings.device, settings.arithmetic)
    trained = checkpoint.named(paths(f"{model}.pt"), model).to(device)
    read = settings.preprocess.model_copy(
        update={"missing_values": trained.schema.missing_values}  # as in training
    )
    answers = answering.Answers(trained, Table.open(new, read), device)
    files.write_csv(output, answers.header(), answers.rows())
    print(f"{output}: {counted(answers.count, 'row')} answered by {model}")
    for remark in answers.remarks():
        print(remark)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.predict", description="Answer for the rows of a new CSV file."
    )
    parser.add_argument("new", type=Path, help="the CSV file to answer for")
    parser.add_argument("--output", type=Path, required=True, help="the CSV file to write")
    parser.add_argument("--model", choices=("base", "finetuned"), default="base")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    command("evaluate", lambda settings, paths: predict(settings, paths, **vars(given)))
