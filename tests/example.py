"""An example of a user's error: what is wrong with a small project, and the line that says so."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from stages.common import files, params
from tests import keys
from tests.project import run

TABLE, SECOND, NEW = (f"data/raw/{name}.csv" for name in ("table", "second", "new"))
ROWS = 40
OWN = {  # columns of the small table
    "weight": [f"{2 + row * 7 % 40 / 10 + 4 * (row % 2):.1f}" for row in range(ROWS)],
    "colour": ["red", "grey", "white", "white", "red"],
    "kind": ["cat", "dog"],
}
SMALL = {  # the settings of the small project that differ from params.yaml
    "preprocess.csv": TABLE,
    "preprocess.features": "0:-1",
    "finetune.csv": SECOND,
    "model.hidden": "[4]",
    "train.members": "2",
    "train.epochs": "2",
    "finetune.epochs": "1",
    "finetune.members": "2",
    "search.trials": "2",
    "search.epochs": "1",
}
ESCAPE = "backslashreplace"
SHOWN = 6  # lines of a file on the page
WIDTH = 90  # characters of a line of it

Columns = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Example:
    """A mistake in the small project, the command that meets it, and the line it prints.

    line: without `error: `; `<KEY>` stands for the number of the line of a key in params.yaml.
    settings: dotted key -> YAML text of its value, perhaps with a line below it; None takes
    the key away. files: path -> content, or columns that the table there gets, their cells
    repeated down the rows. tensors: path of a file of tensors -> dotted key -> value there.
    shell: what is done to the files. during: what happens while the command runs.
    """

    name: str
    line: str
    command: str = "preprocess"
    settings: Mapping[str, str | None] = field(default_factory=dict)
    files: Mapping[str, str | bytes | Columns] = field(default_factory=dict)
    tensors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    shell: str = ""
    during: Callable[[], AbstractContextManager[Any]] | None = None

    def params(self) -> str:
        """Return the text of params.yaml."""
        text = keys.TEXT
        for key, value in {**SMALL, **self.settings}.items():
            text = keys.change(text, key, value)
        return text

    def printed(self) -> str:
        """Return the line that is printed."""
        text = self.params()
        return "error: " + re.sub(
            r"<([a-z_.]+)>", lambda key: str(keys.place(text, key[1]) + 1), self.line
        )

    def prepare(self) -> None:
        """Make the mistake in the finished small project that is the current folder."""
        params.PARAMS.write_text(self.params())
        for name, content in self.files.items():
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Mapping):
                content = table(content)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        for name, values in self.tensors.items():
            whole: dict[str, Any] = torch.load(name)
            for key, value in values.items():
                _put(whole, key.split("."), value)
            files.write_tensors(Path(name), whole)
        if self.shell:
            run(Path(), "bash", "-c", self.shell)

    def session(self) -> list[str]:
        """Return the lines of the page: what is wrong, the command, what it prints."""
        shown = ["params.yaml:"] if self.settings else []
        for key, value in self.settings.items():
            shown += _cut([f"no {key}"] if value is None else f"{key}: {value}".splitlines())
        for name, content in self.files.items():
            if isinstance(content, Mapping):
                rows = _changes(content)
            else:
                text = content if isinstance(content, str) else content.decode("ascii", ESCAPE)
                rows = text.splitlines() or ["(empty)"]
            shown += [f"{name}:", *_cut(rows)]
        for name, values in self.tensors.items():
            rows = [f"no {key}" if new is None else f"{key}: {new}" for key, new in values.items()]
            shown += [f"{name}:", *_cut(rows)]
        shown += [f"$ {self.shell}"] if self.shell else []
        shown += [f"({self.during.__doc__})"] if self.during else []
        return [*shown, f"$ python -m stages.{self.command}", self.printed()]


def table(columns: Columns) -> str:
    """Return the small table as CSV text, with some columns in place of its own or before `kind`.

    A column without cells is taken away.
    """
    chosen = {**OWN, **columns}
    chosen["kind"] = chosen.pop("kind")  # the last one
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    chosen = {name: cells for name, cells in chosen.items() if cells}
    writer.writerow(chosen)
    writer.writerows([c[row % len(c)] for c in chosen.values()] for row in range(ROWS))
    return stream.getvalue()


def _put(whole: Any, path: Sequence[str], value: Any) -> None:
    """Replace a value deep in a mapping, a tensor by a tensor; None takes it away."""
    *steps, last = path
    for step in steps:
        whole = whole[step]
    if value is None:
        del whole[last]
    else:
        whole[last] = torch.tensor(value) if isinstance(whole.get(last), torch.Tensor) else value


def _cut(rows: Sequence[str]) -> list[str]:
    """Return lines for the page, indented, without the end of many or of long ones."""
    plain = [row.rstrip() if row.isprintable() else ascii(row)[1:-1] for row in rows]
    short = [row if len(row) <= WIDTH else row[: WIDTH - 4] + " ..." for row in plain]
    return [f"  {row}" for row in [*short[:SHOWN], *["..."][: len(short) - SHOWN]]]


def _changes(columns: Columns) -> list[str]:
    """Return a line for each column that a table gets."""
    return [
        f"column {name}: {', '.join(cell or '(empty)' for cell in cells)}"
        if cells
        else f"no {name}"
        for name, cells in columns.items()
    ]
