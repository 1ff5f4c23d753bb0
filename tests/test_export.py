"""A trained model used elsewhere: the exported files answer as `predict` does, without tabline."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from stages.common import dates, evaluation, initialize
from stages.common.activations import MODULES
from stages.common.cells import TRUTH
from stages.common.checkpoint import Checkpoint
from stages.common.errors import UserError
from stages.common.graph import Declared
from stages.common.schema import Schema
from stages.export import export
from stages.exporting import folder, load, programs
from tests.columns import Columns, encode, fit
from tests.imports import ROOT

ALWAYS = {"README.md", "schema.json", "state_dicts.pt", "load.py", "model.pt2"}
SCALES = ("standard", "robust", "quantile", "minmax", "none")
TABLE: Columns = {  # every kind of column, with gaps and without
    "n": ["1", None, "3.25", "5", "-7", "0.1"] * 4,
    "colour": ["red", "blue", None, "red", "blue", "red"] * 4,
    "m": [str(n * n) for n in range(24)],
    "flag": ["yes", "no", None, "no", "yes", "no"] * 4,
    "born": ["2024-01-01", "2024-02-01", None, "2024-01-02 10:00", "1969-12-31", "2001-01-01"] * 4,
    "code": ["1", "2", "2", "1", "1", "2"] * 4,
}
CLASSES = {"kind": ["a", "b", "c"] * 8}
VALUES = {"price": [f"{1000.5 + n}" for n in range(24)]}
NEW: Columns = {  # far out, between knots, unseen, missing
    "n": ["1e30", "-1e9", None, "2", "0.1"],
    "colour": ["purple", None, "red", "blue", "red"],
    "m": ["2.5", "9", "-3", None, "1e6"],
    "flag": [None, "yes", "no", "TRUE", "0"],
    "born": ["2024-01-03 12:30", "1900-01-01", None, "2100-01-01", "2024-01-01"],
    "code": ["1", "3", None, "2", "1"],
}
TARGETS = {"classification": CLASSES, "regression": VALUES}


def schema_of(task: str, scale: str = "standard") -> Schema:
    return fit({**TABLE, **TARGETS[task]}, scale, task, categorical=["code"])


def trained_of(
    schema: Schema, members: int = 3, hidden: tuple[int, ...] = (8, 5), activation: str = "relu"
) -> Checkpoint:
    """Return a model of random weights."""
    stack = initialize.stack(
        [schema.n_features, *hidden, schema.n_outputs],
        activation,
        [(0, member) for member in range(members)],
        ["default"] * members,
        [(0.0, 0.0)] * members,
        [0.3] * members,
    )
    return Checkpoint(stack, schema, {})


def model_of(trained: Checkpoint) -> load.Model:
    members = [folder._plain(trained, index) for index in range(len(trained.stack))]
    described = folder._described(trained.schema, members[0])
    return load.assemble(described, [member.state_dict() for member in members])


def rows_of(columns: Columns, schema: Schema) -> list[dict[str, load.Cell]]:
    """Return cells of a CSV file as `load.cells` wants them."""

    def cell(column, text):
        if text is None or column.kind == "category":
            return text
        if column.kind == "date":
            return dates.day(text, column.date_format)
        return TRUTH[text.lower()] if column.kind == "boolean" else float(text)

    named = {column.name: column for column in schema.features}
    return [
        {name: cell(named[name], columns[name][row]) for name in named}
        for row in range(len(columns["n"]))
    ]


def table_of(columns: Columns, schema: Schema) -> torch.Tensor:
    return load.cells(schema.model_dump(), rows_of(columns, schema))


def expected_of(columns: Columns, trained: Checkpoint) -> torch.Tensor:
    """Return what `predict` answers."""
    features = torch.from_numpy(encode(columns, trained.schema))
    return evaluation.predict(trained.stack, trained.schema, features)


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the largest difference, relative where an answer is above 1."""
    assert found.shape == expected.shape
    assert found.dtype == torch.float32
    return float(((found - expected).abs() / expected.abs().clamp_min(1)).max())


def close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return distance(found, expected) < 1e-6


# The model in plain PyTorch


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("columns", [TABLE, NEW], ids=["training", "new"])
def test_cells_are_encoded_to_the_bytes_of_the_stages(scale, columns):
    schema = schema_of("classification", scale)
    kinds = {column.kind for column in schema.features}
    assert kinds == {"numeric", "boolean", "date", "category"}
    found = load.Encoder(schema.model_dump()["features"])(table_of(columns, schema))
    assert found.numpy().tobytes() == encode(columns, schema).tobytes()


@pytest.mark.parametrize("kept", [["n", "m"], ["colour", "code"], ["code"], ["flag"]])
def test_a_table_may_have_columns_of_one_kind(kept):
    columns = {name: TABLE[name] for name in kept}
    schema = fit({**columns, **CLASSES}, categorical=["code"] if "code" in kept else [])
    rows = [{name: None if name == "m" else 1.0 for name in kept}]
    cells = {name: [None if name == "m" else "1"] for name in kept}
    found = load.Encoder(schema.model_dump()["features"])(load.cells(schema.model_dump(), rows))
    assert found.numpy().tobytes() == encode(cells, schema).tobytes()


def test_a_level_may_be_a_number_and_a_gap_may_be_nan():
    schema = schema_of("classification")
    (row, *_) = rows_of(NEW, schema)
    same = [{**row, "code": code, "n": n} for code in ("2", 2, 2.0) for n in (None, float("nan"))]
    table = load.cells(schema.model_dump(), same)
    assert (table.nan_to_num(-1) == table[0].nan_to_num(-1)).all()
    assert table[0, -1] == 1


@pytest.mark.parametrize("place", [-1, 2, 3, 99])
def test_a_place_outside_the_levels_is_another_level(place):
    schema = fit({"code": TABLE["code"], **CLASSES}, categorical=["code"])
    encoder = load.Encoder(schema.model_dump()["features"])
    assert encoder(torch.tensor([[place]], dtype=torch.float64)).tolist() == [[0, 0, 1]]
    assert schema.feature_names == ["code=1", "code=2", "code=(other)"]


def test_a_row_without_a_column_and_a_gap_that_training_had_not_are_refused():
    schema = schema_of("classification")
    (row, *_) = rows_of(NEW, schema)
    with pytest.raises(KeyError, match="'m'"):
        load.cells(schema.model_dump(), [{name: row[name] for name in row if name != "m"}])
    with pytest.raises(ValueError, match="has no value"):
        load.cells({**schema.model_dump(), "missing": "error"}, [row])
    with pytest.raises(ValueError, match="could not convert"):
        load.cells(schema.model_dump(), [{**row, "n": "many"}])


@pytest.mark.parametrize("activation", MODULES)
@pytest.mark.parametrize("task", TARGETS)
def test_the_mean_of_the_members_answers_as_predict_does(task, activation):
    trained = trained_of(schema_of(task), activation=activation)
    found = model_of(trained)(table_of(NEW, trained.schema))
    assert close(found, expected_of(NEW, trained))
    assert not close(model_of(trained_of(trained.schema, 2))(table_of(NEW, trained.schema)), found)


# The programs


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """By task, a model of every kind of column, and the folder of its files."""
    found = {}
    for task, scale in (("classification", "quantile"), ("regression", "standard")):
        trained = trained_of(schema_of(task, scale))
        place = tmp_path_factory.mktemp("elsewhere") / task
        folder.write(trained, place, onnx=True)
        found[task] = trained, place
    return found


@pytest.fixture(params=TARGETS)
def exported(both, request):
    """The model of either task, and its folder."""
    return both[request.param]


def first(columns: Columns, count: int) -> Columns:
    """Return that many rows, from the beginning again when they are used up."""
    return {
        name: [cells[row % len(cells)] for row in range(count)] for name, cells in columns.items()
    }


@pytest.mark.parametrize("count", [1, 2, 700])
def test_the_program_of_torch_answers_any_number_of_rows_as_predict_does(exported, count):
    trained, place = exported
    rows = first(NEW, count)
    found = torch.export.load(place / "model.pt2").module()(table_of(rows, trained.schema))
    assert not found.requires_grad
    assert close(found, expected_of(rows, trained))


@pytest.mark.parametrize("count", [1, 2, 700])
def test_the_onnx_program_answers_any_number_of_rows_as_predict_does(exported, count):
    trained, place = exported
    rows = first(NEW, count)
    session = onnxruntime.InferenceSession(place / "model.onnx")
    (found,) = session.run(["answers"], {"cells": table_of(rows, trained.schema).numpy()})
    assert close(torch.from_numpy(found), expected_of(rows, trained))


def test_the_onnx_program_names_its_dimension_of_rows(exported):
    trained, place = exported
    session = onnxruntime.InferenceSession(place / "model.onnx")
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.type) == ("cells", "tensor(double)")
    assert taken.shape == ["rows", len(trained.schema.features)]
    assert given.shape[0] == "rows"


@pytest.mark.parametrize("activation", MODULES)
def test_every_activation_can_be_exported(activation):
    trained = trained_of(schema_of("classification"), 1, (4,), activation)
    program = programs.traced(model_of(trained))
    table = table_of(NEW, trained.schema)
    session = onnxruntime.InferenceSession(programs.onnx_bytes(program))
    (found,) = session.run(None, {"cells": table.numpy()})
    assert close(torch.from_numpy(found), expected_of(NEW, trained))
    assert close(program.module()(table), expected_of(NEW, trained))


@pytest.mark.parametrize("name", ["m", "code"])
def test_a_linear_model_of_one_column_can_be_exported(name):
    schema = fit({name: TABLE[name], **VALUES}, categorical=["code"] if name == "code" else [])
    trained = trained_of(schema, 1, ())
    program = programs.traced(model_of(trained))
    table, expected = (
        load.cells(schema.model_dump(), [{name: 1}]),
        expected_of({name: ["1"]}, trained),
    )
    session = onnxruntime.InferenceSession(programs.onnx_bytes(program))
    (found,) = session.run(None, {"cells": table.numpy()})
    assert close(torch.from_numpy(found), expected)
    again = torch.export.load(io.BytesIO(programs.torch_bytes(program))).module()
    assert close(again(table), expected)


# The folder


def test_the_state_dicts_are_those_of_plain_networks(exported):
    trained, place = exported
    states = torch.load(place / "state_dicts.pt", weights_only=True)
    features = torch.from_numpy(encode(NEW, trained.schema))
    assert len(states) == 3
    network = nn.Sequential(
        nn.Linear(trained.schema.n_features, 8),
        nn.ReLU(),
        nn.Linear(8, 5),
        nn.ReLU(),
        nn.Linear(5, trained.schema.n_outputs),
    )
    for index, state in enumerate(states):
        network.load_state_dict(state)
        expected = trained.stack.member(index).eval()(features)
        assert torch.allclose(network(features), expected, atol=1e-6)


def test_schema_json_has_columns_classes_and_encoded_names(exported):
    trained, place = exported
    found = json.loads((place / "schema.json").read_text())
    assert [column["name"] for column in found["features"]] == list(TABLE)
    assert found["target"]["classes"] == trained.schema.target.classes
    assert found["encoded"] == trained.schema.feature_names


def elsewhere(place: Path, code: str) -> str:
    """Run Python code in a folder where there is no tabline; return what it printed."""
    guard = "import importlib.util\nassert importlib.util.find_spec('stages') is None\n"
    done = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", guard + code],
        cwd=place,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_of_the_readme_runs_without_tabline_and_agrees_with_predict(exported):
    trained, place = exported
    blocks = re.findall(r"```python\n(.*?)```", (place / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    end = "\nimport json\nprint(json.dumps([rows, model(table).tolist(), program(table).tolist()]))"
    code = "\n".join(blocks) + end
    rows, *answers = json.loads(elsewhere(place, code).splitlines()[-1])
    columns = {
        column.name: [
            "1" if column.kind == "boolean" and rows[0][column.name] else str(rows[0][column.name])
        ]
        for column in trained.schema.features
    }
    day = rows[0]["born"]
    columns["born"] = [str(np.datetime64(0, "D") + int(day))]
    assert day == int(day)
    expected = expected_of(columns, trained)
    for answer in answers:
        assert close(torch.tensor(answer), expected)


def test_encoded_rows_are_answered_without_tabline_as_predict_does(exported, tmp_path):
    trained, place = exported
    features = torch.from_numpy(encode(NEW, trained.schema))
    torch.save(features, tmp_path / "features.pt")
    code = (
        "import json, torch\nfrom load import load\n"
        f"features = torch.load({str(tmp_path / 'features.pt')!r})\n"
        "print(json.dumps(load().answer(features).tolist()))\n"
    )
    found = torch.tensor(json.loads(elsewhere(place, code)))
    assert close(found, expected_of(NEW, trained))


def test_the_same_model_gives_the_same_bytes_in_another_process_without_a_path(both, tmp_path):
    trained, place = both["classification"]
    trained.save(tmp_path / "base.pt")
    code = (
        "import stages, sys\nfrom pathlib import Path\n"
        "from stages.common.checkpoint import Checkpoint\nfrom stages.exporting import folder\n"
        "folder.write(Checkpoint.load(Path(sys.argv[1])), Path(sys.argv[2]), True)\n"
    )
    again = tmp_path / "again"
    subprocess.run(
        [sys.executable, "-c", code, tmp_path / "base.pt", again],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    names = {path.name for path in place.iterdir()} - {"__pycache__"}
    assert names == {*ALWAYS, "model.onnx"} == {path.name for path in again.iterdir()}
    for name in names:
        content = (again / name).read_bytes()
        assert content == (place / name).read_bytes(), name
        assert str(ROOT).encode() not in content, name


def test_a_model_onnx_that_is_not_asked_for_is_taken_away(both, tmp_path):
    trained, place = both["classification"]
    copy = shutil.copytree(place, tmp_path / "copy")
    (copy / "mine.py").write_text("")
    assert set(folder.write(trained, copy, onnx=False)) == ALWAYS
    assert {path.name for path in copy.iterdir()} - {"__pycache__"} == {*ALWAYS, "mine.py"}


def test_a_folder_of_something_else_is_left_alone(both, tmp_path):
    trained, _ = both["classification"]
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UserError, match=r"has 'README\.md' and no exported model; name a new"):
        folder.write(trained, tmp_path, onnx=False)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_a_full_disk_leaves_the_earlier_export_whole(both, tmp_path):
    trained, place = both["classification"]
    copy = shutil.copytree(place, tmp_path / "copy")
    before = {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()}
    assert set(before) == {*ALWAYS, "model.onnx"}
    full = [None] * 3 + [OSError(errno.ENOSPC, "No space left on device")] * 9
    with (
        mock.patch.object(os, "fsync", side_effect=full),
        pytest.raises(UserError, match="make room"),
    ):
        folder.write(trained_of(trained.schema, 2), copy, onnx=False)
    assert {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("absent", ["onnx", "onnxscript"])
def test_without_the_extra_a_line_says_how_to_get_it_and_nothing_is_written(
    both, tmp_path, absent, monkeypatch
):
    trained, _ = both["classification"]
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(UserError, match=r"pip install '\.\[onnx\]', or leave --onnx out"):
        folder.write(trained, tmp_path / "new", onnx=True)
    assert not (tmp_path / "new").exists()


def test_the_command_writes_the_model_that_is_named(both, tmp_path, monkeypatch, capsys):
    trained, _ = both["classification"]
    monkeypatch.chdir(tmp_path)
    replace(trained, settings={"finetune": {}}).save(tmp_path / "finetuned.pt")
    paths = Declared("evaluate", (tmp_path / "finetuned.pt",), (), ())
    export(paths, "finetuned", None, False)
    assert {path.name for path in (tmp_path / "exports" / "finetuned").iterdir()} == ALWAYS
    assert capsys.readouterr().out == (
        "exports/finetuned: finetuned exported as README.md, schema.json, state_dicts.pt, load.py, "
        "model.pt2\n"
    )
