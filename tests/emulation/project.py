"""A small project in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.common import params
from tests.imports import ROOT

RAW = Path("data/raw")


@dataclass(frozen=True)
class Project:
    """A project: what its params.yaml changes in the default one, and its tables.

    tables: name of a file -> text, the default tables when there are none; new: the table
    to predict for; killed: the stage that is killed in training and continued.
    """

    name: str
    changes: Mapping[str, Any]
    new: str
    tables: Mapping[str, str] = field(default_factory=dict)
    killed: str = ""

    def write(self) -> None:
        """Write dvc.yaml, params.yaml and the tables into the current folder."""
        RAW.mkdir(parents=True)
        default = {} if self.tables else {path.name: path for path in (ROOT / RAW).glob("*.csv")}
        for name, path in default.items():
            (RAW / name).write_bytes(path.read_bytes())
        for name, text in self.tables.items():
            (RAW / name).write_bytes(text.encode())
        Path("dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
        settings = params.load(ROOT / params.PARAMS).model_dump()
        params.save(json.dumps(_merged(settings, self.changes), indent=2))  # JSON is YAML too


def _merged(whole: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {**whole} | {
        key: _merged(whole[key], value) if isinstance(value, dict) and key != "space" else value
        for key, value in changes.items()
    }
