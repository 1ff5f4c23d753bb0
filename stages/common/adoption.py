"""The best trial's settings written into params.yaml, a line per setting."""

from __future__ import annotations

import csv
import difflib
import json
from pathlib import Path
from typing import Any

from stages.common import params
from stages.common.errors import UserError


def adopt(table: Path, metrics: Path, path: Path = params.PARAMS) -> str:
    """Write the winner of a trials table into a params file; return the change as a diff.

    Comments and all other lines stay as they are. Raises UserError when the table is
    missing or has no such trial.
    """
    from stages.common import files

    try:
        winner = files.read_json(metrics)["search_best_trial"]
    except (KeyError, TypeError) as error:
        raise UserError(f"{metrics}: names no best trial; run `dvc repro search`") from error
    try:
        with open(table, encoding="utf-8", newline="") as stream:
            row = {int(row["trial"]): row for row in csv.DictReader(stream)}[winner]
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{table}: no trial {winner} in it; run `dvc repro search`") from error
    before = after = params.read(path)
    for section in ("model", "train"):
        chosen = {
            name.split(".", 1)[1]: _value(cell)
            for name, cell in row.items()
            if name.startswith(f"{section}.") and cell
        }
        after = params.edit(after, section, chosen)
    params.save(after, path)
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), str(path), str(path), n=0, lineterm=""
    )
    return "\n".join(lines) or f"{path}: already has the settings of trial {winner}"


def _value(cell: str) -> Any:
    try:
        return json.loads(cell)
    except json.JSONDecodeError:
        return cell
