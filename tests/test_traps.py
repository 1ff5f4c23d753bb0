"""Tables with one trap each: from file to figures with four settings at most, or to one line."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stages.common import launch, resume
from tests.emulation.project import Project
from tests.emulation.runner import STAGES

MOST_SETTINGS = 4
SMALL: dict[str, dict[str, Any]] = {  # these only make it quick
    "model": {"hidden": [4]},
    "train": {"members": 1, "epochs": 2},
    "finetune": {"members": 1, "epochs": 1},
}
NAMES = ["id", "x", "n", "colour", "kind"]

Rows = list[list[str]]


def table(rows: int = 60, target: Sequence[str] = ("low", "high"), fill: str = "") -> Rows:
    """Return a header and rows: id, a number that tells the target, one with gaps, a level."""
    drawn = random.Random(0)
    found = [list(NAMES)]
    for number in range(rows):
        at = number * len(target) // rows
        found.append(
            [
                f"r{number}",
                f"{drawn.gauss(at, 0.7):.2f}",
                fill if number % 7 == 3 else str(drawn.randrange(50)),
                ["red", "blue", "Köln"][drawn.randrange(3)],
                target[at],
            ]
        )
    return found


def text(rows: Rows, separator: str = ",", end: str = "\n") -> str:
    return "".join(separator.join(row) + end for row in rows)


def with_column(name: str, cells: Sequence[str], rows: Rows | None = None) -> str:
    """Return a table with one more column, before the target; the cells are repeated."""
    header, *body = rows or table()
    filled = [cells[at % len(cells)] for at in range(len(body))]
    pairs = zip([name, *filled], [header, *body], strict=True)
    return text([[*row[:-1], cell, row[-1]] for cell, row in pairs])


def comma(rows: Rows) -> Rows:
    return [[cell.replace(".", ",") for cell in row] for row in rows]


def moved(at: int) -> str:
    """Return a table with its target in another place."""
    return text([[*row[:at], row[-1], *row[at:-1]] for row in table()])


def indexed() -> str:
    """Return a table as pandas writes it: a column without a name that counts the rows."""
    return text([[str(at - 1) if at else "", *row] for at, row in enumerate(table())])


SPACED = [[" " + cell for cell in row] for row in table()]
PARTS = ["train"] * 4 + ["val", "test"]
DATES = [f"2024-{month:02}-{day:02}" for month in (1, 2, 3) for day in range(1, 21)]
COUNTED = [str(number) for number in range(60)]
MANY = [f"street {number * 37 % 55}" for number in range(60)]
HUGE = [f"{number % 9 - 4}e{number % 37}" for number in range(60)]
IMBALANCED = ["usual"] * 18 + ["rare"] * 2
REGRESSION = [f"{number}.5" for number in range(30)]

# name: the text or bytes of a table, and the settings of preprocess it needs beside csv
GOOD: dict[str, tuple[str | bytes, dict[str, Any]]] = {
    "semicolon": (text(table(), ";"), {}),
    "tab": (text(table(), "\t"), {}),
    "bar": (text(table(), "|"), {}),
    "mark": (text(table()).encode("utf-8-sig"), {}),
    "cp1252": (text(table()).encode("cp1252"), {"encoding": "cp1252"}),
    "utf-16": (text(table()).encode("utf-16"), {}),
    "crlf": (text(table(), end="\r\n"), {}),
    "cr": (text(table(), end="\r"), {}),
    "no header": (text(table()[1:]), {"header": "none"}),
    "spaces": (text(SPACED), {"target": "kind"}),
    "title": ("Results of 2024\n" + text(table()), {}),
    "question mark": (text(table(fill="?")), {}),
    "N/A": (text(table(fill="N/A")), {}),
    "unknown": (text(table(fill="unknown")), {"missing_values": ["unknown"]}),
    "one space": (text(table(fill=" ")), {}),
    "decimal comma": (text(comma(table()), ";"), {}),
    "target first": (moved(0), {"target": 0, "features": "2:"}),
    "target in the middle": (moved(2), {"target": "kind", "features": ["x", "n", "colour"]}),
    "range of names": (text(table()), {"target": "kind", "features": "x:colour"}),
    "index of pandas": (indexed(), {"features": "2:-1"}),
    "booleans": (with_column("b", ["True", "False", "yes", ""]), {}),
    "many levels": (with_column("street", MANY), {}),
    "rare and unseen levels": (with_column("level", ["a"] * 29 + ["b"]), {}),
    "coded numbers": (with_column("code", ["10", "20", "99"]), {"categorical": ["code"]}),
    "dates": (with_column("day", DATES), {}),
    "german dates": (with_column("day", ["31.12.2023", "01.02.2024", "05.03.2024"]), {}),
    "id": (with_column("number", COUNTED), {}),
    "constant": (with_column("same", ["7"]), {}),
    "all missing": (with_column("gap", [""]), {}),
    "huge, standard": (with_column("huge", HUGE), {}),
    "huge, robust": (with_column("huge", HUGE), {"scale": "robust"}),
    "huge, quantile": (with_column("huge", HUGE), {"scale": "quantile"}),
    "truth": (text(table(target=["True", "False"])), {}),
    "bytes": (text(table(target=["b'yes'", "b'no'"])), {}),
    "from 1": (text(table(target=["1", "2", "3"])), {}),
    "floats": (text(table(target=["0.0", "1.0"])), {}),
    "imbalanced": (text(table(target=IMBALANCED)), {}),
    "tiny classes": (text(table(target=["a"] * 29 + ["b"])), {}),
    "regression": (text(table(target=REGRESSION)), {}),
    "whole numbers": (text(table(target=COUNTED)), {"task": "regression"}),
    "groups": (with_column("person", MANY), {"split.group": "person"}),
    "time": (with_column("day", random.Random(0).sample(DATES, 60)), {"split.time": "day"}),
    "parts": (with_column("part", PARTS), {"split.column": "part"}),
}
TRAINED = (
    *("utf-16", "no header", "decimal comma", "huge, quantile", "bytes", "tiny classes"),
    *("regression", "groups", "parts"),
)
BAD: dict[str, tuple[str | bytes, dict[str, Any], str]] = {
    "cp1252": (
        text(table()).encode("cp1252"),
        {},
        "set preprocess.encoding, for example to cp1252",
    ),
    "infinite": (with_column("i", ["1", "inf"]), {}, "'i': 'inf' is not a number that float32"),
    "days or months": (with_column("d", ["01/02/2024", "03/04/2024"]), {}, "write dates as"),
    "no target": (text(table()), {"target": "sort"}, "no column 'sort'; the table has 'id'"),
    "one class": (text(table(target=["one"])), {}, "target 'kind'"),
    "no group": (text(table()), {"split.group": "person"}, "preprocess.split.group"),
    "wrong part": (with_column("part", ["train", "dev"]), {"split.column": "part"}, "'dev' is not"),
}


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run stages over a table in a project of its own; return the status and both streams."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resume, "SHARE", 0.0)
    term = signal.getsignal(signal.SIGTERM)

    def stages(content: str | bytes, chosen: dict[str, Any], *names: str) -> tuple[int, str, str]:
        path = Path("data/raw/own.csv")
        assert len(chosen) + len(["preprocess.csv", "finetune.csv"]) <= MOST_SETTINGS
        changed: dict[str, Any] = {"csv": str(path)}
        for key, value in chosen.items():
            section, _, inner = key.rpartition(".")
            changed |= {section: {inner: value}} if section else {key: value}
        finetune = {**SMALL["finetune"], "csv": ""}
        changes = {**SMALL, "preprocess": changed, "finetune": finetune}
        Project("trap", changes, "", {path.name: ""}).write()
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        status = 0
        for name in names:
            work = STAGES[name]
            status = status or launch.guard(lambda: launch.execute(name, work))  # noqa: B023
        said = capsys.readouterr()
        return status, said.out, said.err

    yield stages
    signal.signal(signal.SIGTERM, term)


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("data/tensors/schema.json").read_text())["source"]
    return found


@pytest.mark.parametrize("name", [name for name in GOOD if name not in TRAINED])
def test_a_trap_is_stepped_over(run, name):
    status, _, said = run(*GOOD[name], "preprocess")
    assert (status, said) == (0, "")
    figures = json.loads(Path("metrics/preprocess.json").read_text())
    assert [figures[f"rows_{part}"] for part in ("train", "val", "test")] == (
        [48, 6, 6] if name != "parts" else [40, 10, 10]
    )
    found = schema()
    kinds = {column["name"]: column["kind"] for column in found["features"]}
    if name not in ("target first", "range of names", "target in the middle"):
        assert kinds["x"] == "numeric"
    assert kinds["n"] == "numeric", kinds
    assert kinds["colour"] == "category"


@pytest.mark.parametrize("name", TRAINED)
def test_a_trap_is_stepped_over_to_the_figures(run, name):
    status, _, said = run(*GOOD[name], "preprocess", "train", "finetune", "evaluate")
    assert (status, said) == (0, "")
    figures = json.loads(Path("metrics/evaluate.json").read_text())
    assert ("test_rmse" if name == "regression" else "test_accuracy") in figures


@pytest.mark.parametrize("name", BAD)
def test_a_trap_is_named_in_a_line(run, name):
    content, chosen, expected = BAD[name]
    status, _, said = run(content, chosen, "preprocess")
    assert status == 2
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert expected in said
    assert not Path("data/tensors/schema.json").exists()


@pytest.mark.parametrize(
    ("name", "column", "kind"),
    [
        ("booleans", "b", "boolean"),
        ("dates", "day", "date"),
        ("german dates", "day", "date"),
        ("coded numbers", "code", "category"),
        ("constant", "same", ""),
        ("all missing", "gap", ""),
    ],
)
def test_a_column_is_read_as_what_it_is(run, name, column, kind):
    assert run(*GOOD[name], "preprocess")[0] == 0
    found = schema()
    kinds = {each["name"]: each["kind"] for each in found["features"]}
    assert kinds.get(column, "") == kind
    assert (column in {each["name"] for each in found["dropped"]}) == (not kind)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("truth", ["False", "True"]),
        ("bytes", ["no", "yes"]),
        ("from 1", ["1", "2", "3"]),
        ("floats", ["0", "1"]),
        ("whole numbers", []),
    ],
)
def test_a_target_is_read_as_what_it_is(run, name, classes):
    assert run(*GOOD[name], "preprocess")[0] == 0
    assert schema()["target"]["classes"] == classes
