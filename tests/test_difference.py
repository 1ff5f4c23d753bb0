"""difference: the first place at which two versions of a file differ, as a person names it."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.common import files
from stages.verification import difference
from tests.recorded import finish, flip, table, write

WEIGHTS = {
    "layer0.weight": torch.arange(24.0).reshape(2, 3, 4),
    "negative_slope": torch.tensor([0.01, 0.01]),
    "settings": {"train": {"lr": 0.02}},
    "widths": [3, 4],
}
ROWS = {"features": torch.zeros(5, 3), "row": torch.arange(5), "target": torch.ones(5).long()}


@pytest.fixture
def explain(tmp_path) -> Callable[..., str]:
    """Explain two contents of one file: tensors, text or bytes."""

    def call(name: str, *contents: Any) -> str:
        paths = [tmp_path / "recorded" / name, tmp_path / "found" / name]
        for path, content in zip(paths, contents, strict=True):
            path.parent.mkdir(exist_ok=True)
            if isinstance(content, dict):
                files.write_tensors(path, content)
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return difference.explain(*paths)

    return call


def changed(content: dict[str, Any], key: str, *place: Any) -> dict[str, Any]:
    """Return the content with numbers of a tensor replaced: index, value, index, value ..."""
    tensor = content[key].clone()
    for index, value in zip(place[::2], place[1::2], strict=True):
        tensor[index] = value
    return {**content, key: tensor}


# tensors


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (
            changed(WEIGHTS, "layer0.weight", (1, 2, 3), 23.5, (1, 0, 0), 12.25),
            "layer0.weight, member 1: 2 of 24 numbers differ, by at most 0.5",
        ),
        (
            changed(WEIGHTS, "layer0.weight", (0, 0, 1), -1.0, (1, 0, 0), 12.25),
            "layer0.weight, member 0: 2 of 24 numbers differ, by at most 2",
        ),
        (
            changed(WEIGHTS, "layer0.weight", (0, 0, 0), -0.0),
            "layer0.weight, member 0: 1 of 24 numbers differ, by at most 0",
        ),
        (
            changed(WEIGHTS, "layer0.weight", (1, 0, 0), math.nan),
            "layer0.weight, member 1: 1 of 24 numbers differ, by at most nan",
        ),
        (
            changed(changed(WEIGHTS, "negative_slope", 1, 0.5), "layer0.weight", (1, 0, 0), 13),
            "layer0.weight, member 1: 1 of 24 numbers differ, by at most 1",
        ),
        (
            WEIGHTS | {"layer0.weight": torch.arange(24.0).reshape(2, 4, 3)},
            "layer0.weight, (2, 3, 4) torch.float32 -> (2, 4, 3) torch.float32",
        ),
        (
            WEIGHTS | {"negative_slope": WEIGHTS["negative_slope"].double()},  # type: ignore[attr-defined]
            "negative_slope, (2,) torch.float32 -> (2,) torch.float64",
        ),
        (WEIGHTS | {"settings": {"train": {"lr": 0.03}}}, "settings.train.lr: 0.02 -> 0.03"),
        (WEIGHTS | {"widths": [3, 5]}, "widths.1: 4 -> 5"),
        (WEIGHTS | {"widths": [3]}, "widths.1: 4 -> (absent)"),
        (WEIGHTS | {"new": 1}, "new: (absent) -> 1"),
        (WEIGHTS | {"widths": torch.ones(2)}, 'widths: [3, 4] -> "tensor (2,)"'),
        ({"widths": [3, 4]}, 'layer0.weight: "tensor (2, 3, 4)" -> (absent)'),
    ],
)
def test_the_first_tensor_member_and_how_far(explain, found, line):
    assert explain("base.pt", WEIGHTS, found) == line


@pytest.mark.parametrize(
    ("key", "index", "value", "line"),
    [
        ("features", (3, 2), 0.125, "features, row 3: 1 of 15 numbers differ, by at most 0.125"),
        ("row", 4, 7, "row, row 4: 1 of 5 numbers differ, by at most 3"),
        ("target", 0, 0, "target, row 0: 1 of 5 numbers differ, by at most 1"),
    ],
)
def test_of_data_it_is_the_row(explain, key, index, value, line):
    assert explain("part.pt", ROWS, changed(ROWS, key, index, value)) == line


def test_a_number_without_dimensions_and_an_empty_tensor(explain):
    one = {"a": torch.tensor(1.0), "b": torch.zeros(0, 3)}
    line = "a, member 0: 1 of 1 numbers differ, by at most 1"
    assert explain("a.pt", one, one | {"a": torch.tensor(2.0)}) == line


# text


@pytest.mark.parametrize(
    ("recorded", "found", "line"),
    [
        ('{"a": 1, "b": 0.5}', '{"a": 1, "b": 0.25}', "b: 0.5 -> 0.25"),
        ('{"a": 1}', '{"a": 1.0}', "a: 1 -> 1.0"),
        ('{"a": 1}', '{"a": true}', "a: 1 -> true"),
        ('{"a": 1}', '{"b": 1}', "a: 1 -> (absent)"),
        ('{"a": {"b": [1, {"c": "x"}]}}', '{"a": {"b": [1, {"c": "y"}]}}', 'a.b.1.c: "x" -> "y"'),
        ('{"a": null}', '{"a": "é"}', 'a: null -> "é"'),
        ("[1, 2]", "[1, 2, 3]", "2: (absent) -> 3"),
        ('{"a": "%s"}' % ("x" * 99), '{"a": 1}', f'a: "{"x" * 36}... -> 1'),
        ('{"a": 1}', '{"a":  1}', "8 -> 9 bytes, the first other one at offset 6"),
        ('{"a": 1}', '{"a": 1]', "1 of 8 bytes differ, the first at offset 7"),
    ],
)
def test_the_first_key_and_both_values(explain, recorded, found, line):
    assert explain("a.json", recorded, found) == line


@pytest.mark.parametrize(
    ("recorded", "found", "line"),
    [
        ("a,b\n1,2\n3,4\n", "a,b\n1,2\n3,5\n", "row 1, column b: 4 -> 5"),
        ("a,b\n1,2\n", "a,c\n1,2\n", "header, column b: b -> c"),
        ("a,b\n1,2\n", "a,b\n1,2\n3,4\n", "row 1: new"),
        ("a,b\n1,2\n3,4\n", "a,b\n1,2\n", "row 1: not there"),
        ("a,b\n1,2\n", "a,b\n1\n", "row 0, column b: 2 -> (absent)"),
        ("a,b\n1,2\n", "a,b\n1,2,3\n", "row 0, column 2: (absent) -> 3"),
        ('a,b\n"1,5",2\n', 'a,b\n"1,6",2\n', "row 0, column a: 1,5 -> 1,6"),
        ("a,b\n1,2\n", 'a,b\n"1",2\n', "8 -> 10 bytes, the first other one at offset 4"),
        ("a\n1\n", "a\n\N{LATIN SMALL LETTER E WITH ACUTE}\n", "row 0, column a: 1 -> é"),
        (b"a\n1\n", b"a\n\xff\n", "1 of 4 bytes differ, the first at offset 2"),
    ],
)
def test_the_first_row_and_column_and_both_cells(explain, recorded, found, line):
    assert explain("a.csv", recorded, found) == line


def test_any_other_file_is_compared_as_bytes(explain):
    assert explain("a.py", "x = 1\n", "y = 2\n") == "2 of 6 bytes differ, the first at offset 0"
    assert explain("a.pt", b"no", b"nO") == "1 of 2 bytes differ, the first at offset 1"
    assert explain("a.py", "", "x") == "0 -> 1 bytes, the first other one at offset 0"


def test_a_value_that_says_the_same_is_no_difference():
    assert difference.first({"a": math.nan, "b": [1]}, {"b": [1], "a": math.nan}) is None
    assert difference.first(1, 2, "lr") == ("lr", "1", "2")


# folders


def test_of_a_folder_it_is_the_first_file(tmp_path):
    write(tmp_path / "recorded", {"a.csv": "x\n1\n", "b/c.csv": table(5), "d": ""})
    found = tmp_path / "found"
    shutil.copytree(tmp_path / "recorded", found)
    (found / "b/c.csv").write_text(table(5).replace("\n3,", "\n4,"))
    line = difference.explain(tmp_path / "recorded", found)
    assert line == "b/c.csv: row 3, column id: 3 -> 4"
    (found / "d").unlink()
    line = difference.explain(tmp_path / "recorded", found)
    assert line == "b/c.csv: row 3, column id: 3 -> 4 (and 1 other files)"
    (found / "a.csv").unlink()
    assert difference.explain(tmp_path / "recorded", found).startswith("a.csv: not there (and 2")
    write(found, {"a.csv": "x\n1\n", "A.csv": ""})
    assert difference.explain(tmp_path / "recorded", found).startswith("A.csv: new (and 2")


# bits


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("finished")
    finish(folder)
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "data/models/base.pt",
        "data/tensors/part.pt",
        "metrics/train.json",
        "metrics/plots/curve.csv",
    ],
)
def test_any_bit_is_explained_whatever_it_breaks(finished, tmp_path, name):
    path = tmp_path / Path(name).name
    size = (finished / name).stat().st_size
    draw = random.Random(name)
    lines = []
    for _ in range(150):
        offset = draw.randrange(size)
        shutil.copy(finished / name, path)
        flip(path, offset, draw.randrange(8))
        lines.append(difference.explain(finished / name, path))
        if "bytes differ" in lines[-1]:
            assert lines[-1] == f"1 of {size} bytes differ, the first at offset {offset}"
    assert all(re.search(r" -> |differ|: new|: not there", line) for line in lines)
    named = [line for line in lines if "bytes differ" not in line]
    assert len(named) > 10
    if name.endswith(".pt"):
        assert any(re.search(r": 1 of \d+ numbers differ, by at most ", line) for line in named)


def test_json_that_is_written_by_the_project_is_read_back(finished):
    path = finished / "metrics/train.json"
    assert difference.first(json.loads(path.read_text()), files.read_json(path)) is None
