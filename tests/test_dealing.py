"""Which rule deals the rows: each setting of the split, over a whole table."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.common import dataset, dealing, params, split, table
from stages.common.dataset import Dataset
from stages.common.errors import UserError
from stages.common.settings import PARTS, Preprocess
from tests.imports import ROOT

HEADER = "patient,day,part,x,y"


def settings_of(task: str = "classification", **changes: Any) -> Preprocess:
    """Settings of a table `t.csv` with some keys of the split replaced."""
    content = params.load(ROOT / "params.yaml").preprocess.model_dump()
    content |= {"csv": "data/raw/t.csv", "features": ":-1", "target": -1, "task": task}
    content["split"] |= {"train": 0.8, "val": 0.1, "test": 0.1, **changes}
    return Preprocess.model_validate(content)


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data/raw").mkdir(parents=True)

    def lines(rows: list[list[object]], header: str = HEADER) -> None:
        text = [header, *(",".join(map(str, row)) for row in rows)]
        Path("data/raw/t.csv").write_text("\n".join(text) + "\n")

    return lines


def rows_of(count: int = 100) -> list[list[object]]:
    """Rows of patient, day (no order in it), part, a number and a class."""
    days = random.Random(0).sample(range(count), count)
    parts = [("train", "train", "val", "train", "test")[n % 5] for n in range(count)]
    return [[f"p{n % 23}", days[n], parts[n], n % 7, "aaab"[n % 4]] for n in range(count)]


def deal(**changes: Any) -> Dataset:
    return dataset.read(settings_of(**changes), Path("spool"))


def named(found: Dataset) -> list[str]:
    """The part of each row, `-` for one that is left out."""
    return [(*PARTS, "-")[part] for part in found.parts.tolist()]


def error(**changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        deal(**changes)
    return str(caught.value)


@pytest.mark.parametrize("stratify", [True, False])
def test_classes_are_dealt_evenly_only_when_asked(write, stratify):
    write(rows_of())
    found = deal(stratify=stratify)
    assert found.sizes() == {"train": 80, "val": 10, "test": 10}
    classes = np.array([0, 0, 0, 1] * 25 if stratify else [0] * 100, dtype=np.int32)
    assert found.parts.tolist() == split.deal(classes, 0.1, 0.1, 0).tolist()


def test_numbers_to_predict_are_not_stratified(write):
    write([[*row[:4], at // 4] for at, row in enumerate(rows_of())])
    found = deal(task="regression", stratify=True)
    same = np.zeros(100, dtype=np.int32)
    assert found.parts.tolist() == split.deal(same, 0.1, 0.1, 0).tolist()


def test_the_names_of_classes_decide_and_not_their_order_in_the_file(write):
    rows = [[0, 0, 0, n % 7, "dcabe"[n % 5]] for n in range(90)]  # 1.8 rows of each in val

    def counts(rows: list[list[object]]) -> list[dict[str, int]]:
        write(rows)
        parts = zip(rows, named(deal(stratify=True)), strict=True)
        found = Counter((str(row[4]), part) for row, part in parts)
        return [{name: found[name, part] for name in "abcde"} for part in PARTS]

    expected = counts(rows)
    assert expected[1] == {"a": 2, "b": 2, "c": 2, "d": 2, "e": 1}
    assert counts(rows[::-1]) == expected


@pytest.mark.parametrize("numbers", [False, True])
def test_the_rows_of_a_group_stay_together(write, capsys, numbers):
    rows = [[row[0][1:] if numbers else row[0], *row[1:]] for row in rows_of()]  # type: ignore[index]
    write(rows)
    found = deal(group="patient")
    parts: dict[object, set[str]] = {}
    for row, part in zip(rows, named(found), strict=True):
        parts.setdefault(row[0], set()).add(part)
    assert all(len(where) == 1 for where in parts.values())
    assert set(named(found)) == set(PARTS)
    assert abs(found.sizes()["train"] - 80) <= 5
    groups = [sum(where == {part} for where in parts.values()) for part in PARTS]
    sizes = ", ".join(f"{count} {part}" for count, part in zip(groups, PARTS, strict=True))
    assert f"preprocess.split.group 'patient': {sizes} groups; " in capsys.readouterr().out


@pytest.mark.parametrize(
    "form", ["{}", "{}.5", "2024-{:02}-{:02}", "{1:02}.{0:02}.2024", "2024-{:02}-{:02}T10:30:00"]
)
def test_train_is_before_val_and_val_before_test(write, form):
    rows = rows_of()
    days = [int(str(row[1])) for row in rows]
    for row, day in zip(rows, days, strict=True):
        row[1] = form.format(*((day // 20 + 1, day % 20 + 1) if form.count("{") > 1 else (day,)))
    write(rows)
    order = ["train"] * 80 + ["val"] * 10 + ["test"] * 10
    assert named(deal(time="day")) == [order[day] for day in days]


def test_times_with_a_clock_are_in_order_within_a_day(write):
    rows = rows_of()
    for row in rows:
        row[1] = f"31.12.2024 {int(str(row[1])) // 10:02}:{int(str(row[1])) % 10:02}"
    days = [row[1] for row in rows]
    write(rows)
    found = named(deal(time="day"))
    last = max(day for day, part in zip(days, found, strict=True) if part == "train")  # type: ignore[type-var]
    assert all((day <= last) == (part == "train") for day, part in zip(days, found, strict=True))  # type: ignore[operator]


def test_a_column_names_the_part_of_each_row(write):
    rows = rows_of()
    write(rows)
    assert named(deal(column="part")) == [row[2] for row in rows]


def test_a_column_deals_the_rows_when_a_group_is_named_too(write):
    rows = rows_of()
    write(rows)
    found = deal(column="part", group="patient")
    assert named(found) == [row[2] for row in rows]
    assert found.roles.features == ("day", "x")


@pytest.mark.parametrize(
    ("key", "name"), [("group", "patient"), ("time", "day"), ("column", "part")]
)
def test_the_columns_of_the_split_are_no_features_of_a_slice(write, key, name):
    write(rows_of())
    found = deal(**{key: name})
    assert name in found.roles.left_out
    assert found.roles.features == tuple(c for c in ("patient", "day", "part", "x") if c != name)
    assert name not in [column.name for column in found.schema.features]


@pytest.mark.parametrize("key", ["group", "time", "column"])
def test_a_column_that_is_not_there_is_named(write, key):
    write(rows_of())
    expected = f"data/raw/t.csv: preprocess.split.{key}: there is no column 'size'; the table has "
    assert error(**{key: "size"}).startswith(expected)


@pytest.mark.parametrize("spelling", ["", "NA", "?"])
@pytest.mark.parametrize("kind", ["number", "text"])
@pytest.mark.parametrize(("key", "at"), [("group", 0), ("time", 1)])
def test_a_cell_without_a_value_is_named_with_its_row(write, monkeypatch, key, at, kind, spelling):
    monkeypatch.setattr(table, "CHUNK", 7)
    rows = rows_of()
    for n, row in enumerate(rows):
        row[at] = row[1] if kind == "number" else f"2024-01-{n % 28 + 1:02}"
    rows[41][at] = rows[60][at] = spelling
    rows[3][4] = ""  # left out, and yet the rows keep their numbers
    write(rows)
    name = HEADER.split(",")[at]
    expected = f"data/raw/t.csv: preprocess.split.{key} '{name}', row 41: no value; fill it"
    assert error(**{key: name}) == expected


@pytest.mark.parametrize(("key", "name"), [("group", "patient"), ("time", "day")])
def test_a_row_that_is_left_out_anyway_needs_no_group_or_time(write, key, name):
    rows = rows_of()
    rows[9][0] = rows[9][1] = rows[9][4] = ""
    write(rows)
    found = named(deal(**{key: name}))
    assert [at for at, part in enumerate(found) if part == "-"] == [9]


def test_a_row_without_a_part_is_named(write):
    rows = rows_of()
    rows[3][4] = rows[50][2] = ""
    write(rows)
    assert error(column="part") == (
        "data/raw/t.csv: preprocess.split.column 'part', row 50: no value is not one of train, "
        "val, test; mend the cell"
    )


@pytest.mark.parametrize("day", ["01/02/2024", "soon", "2024-13-01", "12"])
def test_times_of_no_clear_form_are_refused(write, day):
    rows = rows_of()
    for n, row in enumerate(rows):
        row[1] = day if "/" in day or n == 77 else f"2024-01-{n % 28 + 1:02}"
    write(rows)
    expected = "preprocess.split.time 'day': not numbers and not dates of one clear form; write "
    assert expected + "dates as 2024-12-31" in error(time="day")


@pytest.mark.parametrize(
    ("key", "at", "text"),
    [
        ("group", 0, "preprocess.split.group: no group is left for "),
        ("time", 1, "preprocess.split.time: too few different times"),
    ],
)
def test_a_column_with_two_values_cannot_deal_three_parts(write, key, at, text):
    rows = rows_of()
    for n, row in enumerate(rows):
        row[at] = n % 2
    write(rows)
    assert text in error(**{key: HEADER.split(",")[at]})


def test_the_columns_that_a_split_needs():
    opened = table.Table(Path("t.csv"), None, tuple(HEADER.split(",")), ())  # type: ignore[arg-type]
    assert dealing.aside(opened, settings_of()) == []
    assert dealing.aside(opened, settings_of(column="part", group="x")) == ["part", "x"]


def test_another_seed_deals_other_rows_and_other_groups(write):
    write(rows_of())
    for changes in ({"stratify": True}, {"stratify": False}, {"group": "patient"}):
        settings = settings_of(**changes)
        other = settings.model_copy(update={"seed": 1})
        one, again, two = (
            dataset.read(each, Path("spool")).parts.tolist() for each in (settings, settings, other)
        )
        assert one == again
        assert one != two
