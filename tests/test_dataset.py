"""A whole table from CSV file to encoded parts, and a second table beside it."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch.utils.data import TensorDataset

from stages.common import dataset, split, table
from stages.common.dataset import Dataset
from stages.common.errors import UserError
from stages.common.partition import Partition
from stages.common.settings import PARTS, Preprocess
from tests.columns import partition

SETTINGS: dict[str, Any] = {
    "csv": "data/raw/first.csv",
    "encoding": "auto",
    "separator": ",",
    "decimal": "auto",
    "header": "auto",
    "missing_values": [],
    "categorical": [],
    "features": "1:-1",
    "target": -1,
    "task": "auto",
    "split": {
        "train": 0.8,
        "val": 0.1,
        "test": 0.1,
        "stratify": True,
        "group": "",
        "time": "",
        "column": "",
    },
    "missing": "fill",
    "duplicates": "keep",
    "scale": "none",
    "audit": "off",
    "seed": 0,
}

SPOOL = Path("spool")  # in the working folder of a test

Row = Sequence[object]
Write = Callable[..., str]


def preprocess(**changes: Any) -> Preprocess:
    shares = {**SETTINGS["split"], **changes.pop("split", {})}
    return Preprocess.model_validate({**SETTINGS, **changes, "split": shares})


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a table into data/raw of a temporary working folder; return its path as set."""
    monkeypatch.chdir(tmp_path)
    Path("data/raw").mkdir(parents=True)

    def table(header: str, rows: Sequence[Row], name: str = "first", separator: str = ",") -> str:
        lines = [header, *(separator.join(map(str, row)) for row in rows)]
        path = Path(f"data/raw/{name}.csv")
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    return table


def numbers(rows: int, seed: int = 0, classes: str = "ab") -> list[list[object]]:
    """Rows of id, two numbers, a colour and a class."""
    draw = random.Random(seed)
    return [
        [
            f"id{n}",
            draw.gauss(0, 1),
            draw.randint(0, 9),
            draw.choice(["red", "blue"]),
            classes[n % len(classes)],
        ]
        for n in range(rows)
    ]


HEADER = "id,x,k,colour,y"


def schema_text(found: Dataset) -> str:
    return json.dumps(found.schema.model_dump(), sort_keys=True, allow_nan=False)


def parts_of(found: Dataset) -> dict[str, Partition]:
    return {name: partition(found, name) for name in PARTS}


def stored(found: Dataset, part: str) -> bytes:
    rows = partition(found, part)
    stream = io.BytesIO()
    torch.save([rows.features, rows.target, rows.row], stream)
    return stream.getvalue()


def error(**changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        list(dataset.read(preprocess(**changes), SPOOL).rows())
    return str(caught.value)


def test_the_tensors_are_the_cells_that_pandas_reads(write):
    draw = np.random.default_rng(0)
    features, answers = draw.normal(size=(12, 8)), draw.normal(size=(12, 1))
    rows = [[n, *features[n], *answers[n]] for n in range(12)]
    csv = write("id,a,b,c,d,e,f,g,h,y", rows)
    parts = parts_of(dataset.read(preprocess(task="regression"), SPOOL))
    frame = pd.read_csv(csv)
    order = torch.cat([part.row for part in parts.values()])
    assert sorted(order.tolist()) == list(range(12))
    made = torch.cat([part.features for part in parts.values()])[order.argsort()]
    for expected in (frame.iloc[:, 1:-1].values, frame.iloc[:, 1:-1].to_numpy()):
        assert torch.equal(made, torch.tensor(expected).float())
        assert made.dtype == torch.float32


@pytest.mark.parametrize("end", [0, -1])
@pytest.mark.parametrize("part", PARTS)
def test_first_and_last_sample_lead_back_to_their_csv_rows(write, part, end):
    rows = [[n, n * 0.1, n * n, "cab"[n % 3]] for n in range(40)]
    csv = write("id,a,b,y", rows)
    found = dataset.read(preprocess(), SPOOL)
    held = partition(found, part)
    features, label = TensorDataset(held.features, held.target)[end]
    line = Path(csv).read_text().splitlines()[1 + int(held.row[end])].split(",")
    assert torch.equal(features, torch.tensor([float(line[1]), float(line[2])]))
    assert found.schema.target.classes[int(label)] == line[3]


def test_types_and_shapes_for_classes(write):
    write(HEADER, numbers(50))
    found = dataset.read(preprocess(), SPOOL)
    for part in parts_of(found).values():
        assert part.features.dtype == torch.float32
        assert part.features.shape == (len(part), found.schema.n_features)
        assert part.target.dtype == part.row.dtype == torch.int64
        assert part.target.shape == part.row.shape == (len(part),)


def test_a_regression_target_is_float32_of_one_dimension_and_standardised(write):
    write("id,x,y", [[n, n % 7, n + 0.5] for n in range(50)])
    found = dataset.read(preprocess(), SPOOL)
    assert found.schema.task == "regression"
    train = partition(found, "train")
    assert train.target.dtype == torch.float32
    assert train.target.shape == (40,)
    assert train.target.mean().item() == pytest.approx(0, abs=1e-6)
    assert train.target.std(correction=0).item() == pytest.approx(1, abs=1e-6)
    for part in parts_of(found).values():
        again = part.target * found.schema.target.scale + found.schema.target.shift
        assert torch.allclose(again, part.row + 0.5)


def test_the_parts_are_disjoint_exact_and_stratified(write):
    write(HEADER, numbers(200, classes="aaab"))
    found = dataset.read(preprocess(), SPOOL)
    every = [row for part in parts_of(found).values() for row in part.row.tolist()]
    assert sorted(every) == list(range(200))
    assert [len(part) for part in parts_of(found).values()] == [160, 20, 20]
    assert [part.target.sum().item() for part in parts_of(found).values()] == [40, 5, 5]


def test_without_stratifying_the_classes_have_no_say(write):
    write(HEADER, numbers(60, classes="aaaaab"))
    found = dataset.read(preprocess(split={"stratify": False}), SPOOL)
    dealt = split.deal(np.zeros(60, dtype=np.int32), 0.1, 0.1, 0)
    assert found.parts.tolist() == dealt.tolist()
    for name, part in parts_of(found).items():
        assert part.row.tolist() == np.flatnonzero(dealt == PARTS.index(name)).tolist()


def test_rows_stay_in_the_order_of_the_file(write):
    write(HEADER, numbers(50))
    for part in parts_of(dataset.read(preprocess(), SPOOL)).values():
        assert part.row.tolist() == sorted(part.row.tolist())


def test_the_same_settings_give_the_same_bytes_and_another_seed_other_rows(write):
    write(HEADER, numbers(50))
    one, two = dataset.read(preprocess(), SPOOL), dataset.read(preprocess(), SPOOL)
    assert schema_text(one) == schema_text(two)
    assert all(stored(one, part) == stored(two, part) for part in PARTS)
    other = dataset.read(preprocess(seed=1), SPOOL)
    assert partition(other, "test").row.tolist() != partition(one, "test").row.tolist()


def test_a_split_column_decides_and_is_no_feature(write):
    parts = ["train", "val", "test", "train"]
    rows = [[n, n % 7, parts[n % 4], "ab"[n // 4 % 2]] for n in range(40)]
    write("id,x,part,y", rows)
    found = dataset.read(preprocess(split={"column": "part"}), SPOOL)
    assert found.roles.features == ("x",)
    for name in PARTS:
        expected = [n for n in range(40) if parts[n % 4] == name]
        assert partition(found, name).row.tolist() == expected


def named_parts(rows: int) -> list[str]:
    return [("train", "train", "val", "train", "test")[n % 5] for n in range(rows)]


SPOILED: dict[str, Callable[[list[Any]], list[Any]]] = {
    "huge numbers": lambda row: [row[0], 1e30, -(10**9), *row[3:]],
    "missing values": lambda row: [row[0], "", "?", "", row[4]],
    "unseen levels": lambda row: [*row[:3], "purple", row[4]],
    "other classes": lambda row: [*row[:4], "a"],
}


@pytest.mark.parametrize("scale", ["standard", "minmax"])
@pytest.mark.parametrize("spoil", SPOILED)
def test_val_and_test_rows_never_touch_the_schema_or_the_training_tensors(write, spoil, scale):
    rows, parts = numbers(60), named_parts(60)

    def made(change: Callable[[list[Any]], list[Any]]) -> Dataset:
        table = [
            [part, *(row if part == "train" else change(row))]
            for part, row in zip(parts, rows, strict=True)
        ]
        write("part," + HEADER, table)
        return dataset.read(
            preprocess(features="2:-1", scale=scale, split={"column": "part"}), SPOOL
        )

    before, after = made(list), made(SPOILED[spoil])
    assert schema_text(after) == schema_text(before)
    assert stored(after, "train") == stored(before, "train")
    assert stored(after, "val") != stored(before, "val")
    assert stored(after, "test") != stored(before, "test")


@pytest.mark.parametrize("spoil", ["huge numbers", "missing values", "unseen levels"])
def test_nor_do_they_when_rows_are_dealt(write, spoil):
    rows = numbers(60)
    write(HEADER, rows)
    before = dataset.read(preprocess(scale="standard"), SPOOL)
    trained = set(partition(before, "train").row.tolist())
    write(HEADER, [row if n in trained else SPOILED[spoil](row) for n, row in enumerate(rows)])
    after = dataset.read(preprocess(scale="standard"), SPOOL)
    assert schema_text(after) == schema_text(before)
    assert stored(after, "train") == stored(before, "train")
    assert stored(after, "test") != stored(before, "test")


def test_training_rows_do_touch_the_schema(write):
    rows = numbers(60)
    write(HEADER, rows)
    before = dataset.read(preprocess(scale="standard"), SPOOL)
    row = int(partition(before, "train").row[0])
    write(HEADER, [[*r[:1], 99, *r[2:]] if n == row else r for n, r in enumerate(rows)])
    assert schema_text(dataset.read(preprocess(scale="standard"), SPOOL)) != schema_text(before)


def with_gaps(rows: int) -> list[list[object]]:
    return [
        ["" if n % 4 == 1 and at == 1 else c for at, c in enumerate(r)]
        for n, r in enumerate(numbers(rows))
    ]


def test_missing_values_are_filled_and_marked(write):
    write(HEADER, with_gaps(60))
    found = dataset.read(preprocess(), SPOOL)
    names = found.schema.feature_names
    x: Any = found.schema.features[0]
    for part in parts_of(found).values():
        assert part.features.isfinite().all()
        marks = part.features[:, names.index("x missing")]
        assert marks.tolist() == (part.row % 4 == 1).float().tolist()
        filled = part.features[marks == 1, names.index("x")]
        assert filled.tolist() == [np.float32(x.fill)] * len(filled)


def test_rows_with_missing_values_are_dropped_and_the_others_keep_their_numbers(write, capsys):
    write(HEADER, with_gaps(60))
    found = dataset.read(preprocess(missing="drop"), SPOOL)
    kept = sorted(row for part in parts_of(found).values() for row in part.row.tolist())
    assert kept == [n for n in range(60) if n % 4 != 1]
    assert "x missing" not in found.schema.feature_names
    assert "15 rows left out: no value in 'x' (15)\n" in capsys.readouterr().out


def test_rows_that_repeat_the_features_and_the_target_of_an_earlier_row_are_dropped(
    write, capsys, monkeypatch
):
    monkeypatch.setattr(table, "CHUNK", 7)  # repeats are in other chunks, with other texts
    first: list[list[object]] = [
        [n, f"t{n}" if n % 5 else "", n / 3 if n % 7 else "", n % 3] for n in range(30)
    ]
    again = [[100 + n, *row[1:]] for n, row in enumerate(first) if n % 4 == 0]
    other = [[200 + n, *row[1:-1], "3"] for n, row in enumerate(first) if n % 10 == 1]
    write("id,t,x,y", first + again + other)
    kept = dataset.read(preprocess(duplicates="drop"), SPOOL).parts >= 0
    assert np.flatnonzero(~kept).tolist() == list(range(30, 30 + len(again)))
    assert f"{len(again)} rows left out: the same as an earlier row\n" in capsys.readouterr().out
    assert (dataset.read(preprocess(), SPOOL).parts >= 0).all()


def test_a_missing_value_stops_the_run_when_it_is_to_be_an_error(write):
    write(HEADER, with_gaps(60))
    text = error(missing="error")
    assert text.startswith("data/raw/first.csv: row 1, column 'x': no value (15 rows)")
    assert "fill or drop" in text


def test_gaps_outside_the_features_are_no_error_and_drop_no_row(write):
    write(HEADER, [["", *row[1:]] for row in numbers(40)])
    for missing in ("error", "drop"):
        found = dataset.read(preprocess(missing=missing), SPOOL)
        assert sum(map(len, parts_of(found).values())) == 40


@pytest.mark.parametrize("missing", ["fill", "drop", "error"])
def test_rows_without_a_target_are_left_out(write, missing, capsys):
    write(HEADER, [[*r[:4], "" if n in (0, 7) else r[4]] for n, r in enumerate(numbers(40))])
    found = dataset.read(preprocess(missing=missing), SPOOL)
    kept = {row for part in parts_of(found).values() for row in part.row.tolist()}
    assert kept == set(range(40)) - {0, 7}
    assert "2 rows left out: no value in 'y' (2)" in capsys.readouterr().out


def test_dropping_every_row_is_an_error_that_names_the_remedy(write):
    write(HEADER, [[r[0], "", *r[2:]] for r in numbers(40)])
    assert "preprocess.missing to fill" in error(missing="drop")


def test_a_target_column_without_any_value_is_not_mended_by_filling(write):
    write(HEADER, [[*row[:4], ""] for row in numbers(40)])
    text = error()
    assert "no row has a value in 'y'" in text
    assert "preprocess.missing to fill" not in text


def test_dropping_every_row_is_an_error_that_names_the_empty_column(write):
    rows = [[n, n, n + 1, n + 2, n + 3, "", "ab"[n % 2]] for n in range(40)]
    write("id,a,b,c,d,hollow,y", rows)
    assert "'hollow'" in error(missing="drop")


def test_when_every_row_has_a_gap_somewhere_the_target_is_not_blamed(write):
    write("id,a,b,y", [[n, *((n, "") if n % 2 else ("", n)), "ab"[n // 2 % 2]] for n in range(40)])
    text = error(missing="drop")
    assert "preprocess.missing to fill" in text
    assert "preprocess.target" not in text


def test_constant_and_empty_columns_are_dropped_and_listed_with_their_reason(write):
    write("id,same,none,x,y", [[n, 5, "", n % 7, "ab"[n % 2]] for n in range(40)])
    found = dataset.read(preprocess(), SPOOL)
    reasons = {column.name: column.reason for column in found.schema.dropped}
    assert reasons == {
        "same": "the same in every training row",
        "none": "no value in the training rows",
    }
    assert [column.name for column in found.schema.features] == ["x"]
    assert found.summary().endswith(
        "dropped: 'same: the same in every training row', 'none: no value in the training rows'"
    )


def test_the_summary_says_what_was_read_as_what(write):
    write(HEADER, numbers(50, classes="abc"))
    assert dataset.read(preprocess(), SPOOL).summary().split("; dropped")[0] == (
        "data/raw/first.csv: 40 train, 5 val, 5 test rows; 3 features 'x' to 'colour' as 5 "
        "columns; target 'y' (3 classes); left out: 'id'"
    )
    assert "; 1 feature 'k' as 1 column; target 'x' (regression); left out: 'id'" in (
        dataset.read(preprocess(features=["k"], target="x"), SPOOL).summary()
    )


def test_columns_named_in_the_settings_stay_when_the_file_moves_them(write):
    rows = numbers(50)
    write(HEADER, rows)
    names = {"features": ["x", "k", "colour"], "target": "y"}
    before = dataset.read(preprocess(**names), SPOOL)
    order = [4, 2, 0, 3, 1]
    write(",".join(HEADER.split(",")[n] for n in order), [[r[n] for n in order] for r in rows])
    after = dataset.read(preprocess(**names), SPOOL)
    for part in PARTS:
        assert stored(after, part) == stored(before, part)


def test_another_separator(write):
    rows = numbers(50)
    write(HEADER, rows)
    comma = dataset.read(preprocess(), SPOOL)
    write(HEADER.replace(",", ";"), rows, separator=";")
    for separator in (";", "auto"):
        semicolon = dataset.read(preprocess(separator=separator), SPOOL)
        assert stored(semicolon, "train") == stored(comma, "train")


def test_a_class_of_one_row_trains(write):
    rows = numbers(60)
    rows[11][4] = "rare"
    write(HEADER, rows)
    found = dataset.read(preprocess(), SPOOL)
    assert 11 in partition(found, "train").row.tolist()
    assert found.schema.target.counts == [24, 23, 1]


def test_an_empty_dataset_keeps_widths_and_types(write):
    write(HEADER, numbers(50))
    found = dataset.read(preprocess(), SPOOL)
    for name, part in parts_of(found.empty()).items():
        assert part.features.shape == (0, found.schema.n_features)
        assert part.target.shape == part.row.shape == (0,)
        assert part.target.dtype == partition(found, name).target.dtype


# Files.


def saved(found: Dataset, folder: str) -> dict[str, bytes]:
    """Write the parts and return the bytes of each file."""
    places = {name: Path(folder, f"{name}.pt") for name in PARTS}
    found.save(places, lambda _: None)
    return {name: place.read_bytes() for name, place in places.items()}


@pytest.mark.parametrize("target", ["class", "value"])
@pytest.mark.parametrize("missing", ["fill", "drop"])
@pytest.mark.parametrize("scale", ["standard", "robust", "quantile", "minmax"])
def test_the_size_of_a_chunk_changes_no_byte(write, monkeypatch, target, missing, scale):
    rows = [[*row[:4], row[4] if target == "class" else n / 7] for n, row in enumerate(numbers(90))]
    for at in (3, 40, 88):
        rows[at][1] = rows[at][3] = "?"
    rows[5][4] = rows[70][4] = ""
    rows[60][3] = "only here"
    write(HEADER, rows)
    settings = preprocess(missing=missing, scale=scale)
    expected = dataset.read(settings, SPOOL)
    files = saved(expected, "whole")
    for size in (1, 7, 90):
        monkeypatch.setattr(table, "CHUNK", size)
        monkeypatch.setattr(table, "FIRST", 2)
        found = dataset.read(settings, SPOOL)
        assert len(found.spool.starts) == -(-90 // size) + 1
        assert schema_text(found) == schema_text(expected)
        assert saved(found, "cut") == files


def test_the_files_are_the_parts_and_whoever_watches_sees_every_row_once(write, monkeypatch):
    monkeypatch.setattr(table, "CHUNK", 7)
    write(HEADER, [[*r[:4], "" if n in (0, 7) else r[4]] for n, r in enumerate(numbers(50))])
    found, seen = dataset.read(preprocess(), SPOOL), list[dataset.Rows]()
    places = {name: Path("made", f"{name}.pt") for name in PARTS}
    found.save(places, seen.append)
    for name, part in parts_of(found).items():
        loaded = Partition.load(places[name], found.schema)
        assert torch.equal(loaded.features, part.features)
        assert torch.equal(loaded.target, part.target)
        assert loaded.row.tolist() == part.row.tolist() == sorted(part.row.tolist())
    assert [row for rows in seen for row in rows.row] == sorted(set(range(50)) - {0, 7})
    kept = [part for rows in seen for part in rows.part]
    assert kept == [part for part in found.parts.tolist() if part >= 0]
    assert found.sizes() == {name: len(part) for name, part in parts_of(found).items()}


def test_an_empty_dataset_is_saved_as_parts_without_rows(write):
    write(HEADER, numbers(50))
    found = dataset.read(preprocess(), SPOOL)
    saved(found.empty(), "made")
    for name in PARTS:
        assert len(Partition.load(Path("made", f"{name}.pt"), found.schema)) == 0


def test_junk_far_down_leaves_no_file_half_written(write, monkeypatch):
    monkeypatch.setattr(table, "CHUNK", 7)
    write(HEADER, numbers(60))
    old = saved(dataset.read(preprocess(), SPOOL), "made")
    row = named_parts(60).index("test", 50)
    rows = [[part, *row] for part, row in zip(named_parts(60), numbers(60), strict=True)]
    rows[row][-1] = "new"
    write("part," + HEADER, rows)
    found = dataset.read(preprocess(features="2:-1", split={"column": "part"}), SPOOL)
    with pytest.raises(UserError, match=rf"first\.csv: row {row}, target 'y': no training row"):
        saved(found, "made")
    assert {path.stem: path.read_bytes() for path in Path("made").iterdir()} == old


def test_a_folder_without_room_is_not_blamed_on_the_table(write):
    write(HEADER, numbers(60))
    Path("made").write_text("no folder")
    with pytest.raises(UserError, match=r"^cannot write made/"):
        saved(dataset.read(preprocess(), SPOOL), "made")


def test_the_cells_on_disk_leave_no_file_behind(write):
    write(HEADER, numbers(60))
    dataset.read(preprocess(), SPOOL)
    assert list(SPOOL.iterdir()) == []


@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_the_target_may_stand_anywhere(write, where):
    rows = numbers(50)
    write(HEADER, rows)
    usual = dataset.read(preprocess(features=["x", "k", "colour"], target="y"), SPOOL)
    order = {"first": [4, 1, 2, 3], "middle": [1, 2, 4, 3], "last": [1, 2, 3, 4]}[where]
    write(",".join(HEADER.split(",")[n] for n in order), [[r[n] for n in order] for r in rows])
    features, target = {
        "first": ("1:", 0), "middle": (["x", "k", -1], 2), "last": ("x:colour", "y"),
    }[where]  # fmt: skip
    found = dataset.read(preprocess(features=features, target=target), SPOOL)
    assert all(stored(found, part) == stored(usual, part) for part in PARTS)


# Errors: the file and what to mend are named.


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"features": ":"}, "the target 'y' is among the features"),
        ({"features": ["x", "y"]}, "the target 'y' is among the features"),
        ({"features": ["x", "size"]}, "there is no column 'size'; the table has 'id', 'x', 'k'"),
        ({"features": ["x", 9]}, "there is no column 9, the table has 5"),
        ({"features": "3:2"}, "no column is chosen; the table has "),
        ({"target": "answer"}, "preprocess.target: there is no column 'answer'"),
        ({"target": 5}, "preprocess.target: there is no column 5"),
        ({"split": {"column": "part"}}, "preprocess.split.column: there is no column 'part'"),
        ({"separator": ";"}, "one column only, 'id,x,k,colour,y'; is the separator ';'?"),
        ({"csv": "data/raw/other.csv"}, "data/raw/other.csv: no such file"),
        ({"csv": "data/raw/folder"}, "data/raw/folder: a folder"),
    ],
)
def test_settings_that_do_not_fit_the_table(write, changes, text):
    write(HEADER, numbers(40))
    Path("data/raw/folder").mkdir()
    message = error(**changes)
    assert text in message
    assert message.startswith("data/raw/")


@pytest.mark.parametrize(
    "changes",
    [
        {"features": "-:3"},
        {"separator": "\n"},
        {"features": "1:-1:2"},
        {"features": "x"},
        {"features": []},
        {"separator": ""},
        {"csv": "elsewhere/first.csv"},
    ],
)
def test_settings_that_fit_no_table_are_refused(write, changes):
    write(HEADER, numbers(40))
    with pytest.raises((UserError, ValidationError)):
        dataset.read(preprocess(**changes), SPOOL)


@pytest.mark.parametrize("part", PARTS)
def test_junk_among_numbers_is_named_with_row_and_column_in_any_part(write, part):
    rows = numbers(60)
    write(HEADER, rows)
    row = int(partition(dataset.read(preprocess(), SPOOL), part).row[-1])
    rows[row][1] = "low"
    write(HEADER, rows)
    text = error()
    assert text.startswith(f"data/raw/first.csv: row {row}, column 'x': 'low' is not a number")
    assert text.endswith(
        "; mend the cell, add it to preprocess.missing_values, or leave the column out"
    )


def test_junk_keeps_its_row_number_when_earlier_rows_are_left_out(write):
    rows = [["", *row[1:4], "" if n < 5 else row[4]] for n, row in enumerate(numbers(60))]
    rows[50][1] = "low"
    write(HEADER, rows)
    assert "row 50, column 'x': 'low'" in error()


def test_a_wrong_part_keeps_its_row_number_when_earlier_rows_are_left_out(write):
    rows = [[part, *row] for part, row in zip(named_parts(60), numbers(60), strict=True)]
    rows[0][-1] = ""
    rows[50][0] = "dev"
    write("part," + HEADER, rows)
    assert "row 50: 'dev' is not one of" in error(features="2:-1", split={"column": "part"})


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_class_only_outside_the_training_rows_is_named(write, part):
    rows = [[name, *row] for name, row in zip(named_parts(60), numbers(60), strict=True)]
    row = named_parts(60).index(part)
    rows[row][-1] = "new"
    write("part," + HEADER, rows)
    text = error(features="2:-1", split={"column": "part"})
    assert f"row {row}, target 'y': no training row has the class 'new'" in text


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (2, "2 rows: too few to split"),
        (1, "1 row: too few to split"),
        (0, "a header but no rows"),
    ],
)
def test_too_few_rows(write, rows, text):
    write(HEADER, numbers(rows))
    assert text in error()


def test_a_constant_target(write):
    write(HEADER, numbers(40, classes="a"))
    text = error()
    assert text.startswith("data/raw/first.csv: target 'y': every training row has the value 'a'")


def test_a_target_with_as_many_classes_as_rows(write):
    write(HEADER, [[*row[:4], f"name{n}"] for n, row in enumerate(numbers(40))])
    assert "target 'y': 32 classes in 32 training rows" in error()


def test_a_target_that_is_also_the_split_is_refused(write):
    rows = [[*row[:4], part] for part, row in zip(named_parts(60), numbers(60), strict=True)]
    write(HEADER, rows)
    assert "'y'" in error(split={"column": "y"})


def test_features_that_never_vary(write):
    write(HEADER, [[row[0], 1, 2, "red", row[4]] for row in numbers(40)])
    assert "no chosen column varies over the training rows" in error()


# The second table.


def second_of(write: Write, rows: Sequence[Row], header: str = HEADER, **changes: Any) -> Dataset:
    settings = preprocess(**changes)
    first = dataset.read(settings, SPOOL)
    found = dataset.read_second(settings, write(header, rows, name="second"), first.schema, SPOOL)
    assert found is not None
    return found


def test_no_second_table_is_none(write):
    write(HEADER, numbers(40))
    first = dataset.read(preprocess(), SPOOL)
    assert dataset.read_second(preprocess(), "", first.schema, SPOOL) is None


@pytest.mark.parametrize("scale", ["standard", "minmax"])
def test_the_second_table_is_encoded_with_the_statistics_of_the_first(write, scale):
    write(HEADER, numbers(40))
    moved = [[r[0], float(str(r[1])) + 1, *r[2:]] for r in numbers(30, seed=1)]
    found = second_of(write, moved, scale=scale)
    first = dataset.read(preprocess(scale=scale), SPOOL)
    assert found.schema.features == first.schema.features
    x: Any = first.schema.features[0]
    for part in parts_of(found).values():
        for row, value in zip(part.row.tolist(), part.features[:, 0], strict=True):
            expected = (float(str(moved[row][1])) - x.shift) / x.scale
            assert value.item() == pytest.approx(min(max(expected, x.low), x.high), rel=1e-6)


def test_it_may_have_its_columns_in_another_order_and_more_of_them(write):
    write(HEADER, numbers(40))
    rows = numbers(30, seed=1)
    usual = second_of(write, rows)
    moved = second_of(write, [[r[4], r[3], 0, r[2], r[1]] for r in rows], "y,colour,new,k,x")
    for part in PARTS:
        assert stored(moved, part) == stored(usual, part)
    assert moved.roles.target == "y"
    assert moved.roles.left_out == ("new",)


def test_a_column_dropped_from_the_first_table_may_be_there_or_not(write):
    write("id,same,x,y", [[n, 5, n % 7, "ab"[n % 2]] for n in range(40)])
    rows = [[n, n, n % 5, "ab"[n % 2]] for n in range(30)]
    there = second_of(write, rows, "id,same,x,y")
    gone = second_of(write, [[r[0], *r[2:]] for r in rows], "id,x,y")
    assert all(stored(there, part) == stored(gone, part) for part in PARTS)
    assert "left out: 'id'; dropped" in there.summary()


def test_a_subset_of_the_classes_keeps_the_codes_of_the_first_table(write):
    write(HEADER, numbers(60, classes="abc"))
    found = second_of(write, numbers(40, seed=1, classes="ac"))
    assert found.schema.target.classes == ["a", "b", "c"]
    assert found.schema.target.counts == [16, 0, 16]
    for part in parts_of(found).values():
        assert set(part.target.tolist()) == {0, 2}


def test_the_same_classes_keep_their_codes_and_get_their_own_counts(write):
    write(HEADER, numbers(60, classes="ab"))
    found = second_of(write, numbers(40, seed=1, classes="baaa"))
    assert found.schema.target.classes == ["a", "b"]
    assert found.schema.target.counts == [24, 8]


def test_classes_unknown_to_the_first_table_get_codes_of_their_own(write):
    write(HEADER, numbers(60, classes="abc"))
    found = second_of(write, numbers(40, seed=1, classes="cd"))
    assert found.schema.target.classes == ["c", "d"]
    assert found.schema.n_outputs == 2
    counts = Counter(code for part in parts_of(found).values() for code in part.target.tolist())
    assert counts == {0: 20, 1: 20}


def test_a_regression_standardises_each_table_with_its_own_training_rows(write):
    write("id,x,y", [[n, n % 7, n + 0.5] for n in range(50)])
    found = second_of(write, [[n, n % 5, 1000 + n] for n in range(30)], "id,x,y")
    assert found.schema.task == "regression"
    train = partition(found, "train")
    again = train.target * found.schema.target.scale + found.schema.target.shift
    assert torch.allclose(again, train.row + 1000.0)
    assert train.target.mean().abs() < 1e-6
    assert train.target.square().mean() == pytest.approx(1)


def test_whole_numbers_in_the_second_table_of_a_regression_are_no_classes(write, capsys):
    write("id,x,y", [[n, n % 7, n + 0.5] for n in range(50)])
    second_of(write, [[n, n % 5, 1000 + n] for n in range(30)], "id,x,y")
    assert "class" not in capsys.readouterr().out


def test_a_target_of_another_name_is_found_where_the_settings_say(write):
    write(HEADER, numbers(60))
    rows = numbers(40, seed=1)
    found = second_of(write, rows, "id,x,k,colour,kind")
    assert found.roles.target == "kind"
    classes = found.schema.target.classes
    for part in parts_of(found).values():
        assert [classes[c] for c in part.target.tolist()] == [rows[n][4] for n in part.row.tolist()]


def test_the_schema_of_the_second_table_names_its_own_target(write):
    write(HEADER, numbers(60))
    found = second_of(write, [[0, *r] for r in numbers(40, seed=1)], "new,id,x,k,colour,kind")
    assert (found.schema.target.name, found.schema.target.position) == ("kind", 5)


def test_it_can_have_gaps_where_the_first_table_has_none(write):
    write(HEADER, numbers(60))
    found = second_of(write, with_gaps(40))
    assert found.schema.feature_names[0] == "x"
    for part in parts_of(found).values():
        assert part.features.isfinite().all()


def test_a_column_of_the_same_name_is_the_target_wherever_it_stands(write):
    write(HEADER, numbers(60))
    found = second_of(write, [[*r[:3], r[4], r[3]] for r in numbers(30)], "id,x,k,y,colour")
    assert found.roles.target == "y"
    assert found.schema.target.classes == ["a", "b"]


@pytest.mark.parametrize(
    ("header", "rows", "text"),
    [
        ("id,k,y", [row[2:] for row in numbers(30)], "feature columns missing: 'x', 'colour'"),
        (HEADER, numbers(30, classes="a"), "target 'y': every training row has the value 'a'"),
        (HEADER, numbers(2), "2 rows: too few to split"),
        (HEADER, [], "a header but no rows"),
        (HEADER, [[r[0], "low", *r[2:]] for r in numbers(30)], "column 'x': 'low' is not a number"),
    ],
)
def test_a_second_table_that_does_not_fit_is_named(write, header, rows, text):
    write(HEADER, numbers(60))
    with pytest.raises(UserError) as caught:
        list(second_of(write, rows, header).rows())
    assert str(caught.value).startswith("data/raw/second.csv: ")
    assert text in str(caught.value)


def test_a_second_table_that_is_not_there_is_named(write):
    write(HEADER, numbers(60))
    first = dataset.read(preprocess(), SPOOL)
    with pytest.raises(UserError, match=r"^data/raw/second\.csv: no such file"):
        dataset.read_second(preprocess(), "data/raw/second.csv", first.schema, SPOOL)


def test_a_second_table_without_the_split_column_is_named(write):
    rows = [[part, *row] for part, row in zip(named_parts(60), numbers(60), strict=True)]
    write("part," + HEADER, rows)
    changes: dict[str, Any] = {"features": "2:-1", "split": {"column": "part"}}
    with pytest.raises(UserError, match=r"second\.csv: .*there is no column 'part'"):
        second_of(write, numbers(40), **changes)
