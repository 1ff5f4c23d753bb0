"""Statistics, levels and knots come from training rows only, whatever other rows hold.

Random tables with columns of every kind. What may not change is compared byte by byte: the
schema as JSON, and the encoded training rows.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator

from stages.common import dataset
from stages.common.dataset import Dataset
from stages.common.settings import Preprocess
from tests.columns import chunks_of, partition

Row = dict[str, str]
SCALES = ("standard", "robust", "quantile", "minmax", "none")
PARTS = ("train", "val", "test")
HUGE = ("3e38", "-3.4e38", "1e-300", str(2**60 + 1), str(10**30), "-0", "b'7.5'", "1e5", "007")


def number(random: Generator) -> str:
    return repr(float(random.normal() * 10.0 ** random.integers(-3, 4)))


def whole(random: Generator) -> str:
    return str(random.integers(-5, 30))


def pick(*values: str) -> Callable[[Generator], str]:
    return lambda random: values[random.integers(len(values))]


def date(form: str) -> Callable[[Generator], str]:
    def written(random: Generator) -> str:
        parts = {"Y": 1990 + random.integers(40), "m": 1 + random.integers(12)}
        return form.format(**parts, d=1 + random.integers(28))

    return written


def either(*makers: Callable[[Generator], str]) -> Callable[[Generator], str]:
    return lambda random: makers[random.integers(len(makers))](random)


GAP = pick("", "NA", "?", "-999.00")
ISO, GERMAN, AMERICAN = "{Y}-{m:02}-{d:02}", "{d}.{m}.{Y}", "{m:02}/{d:02}/{Y}"
# name: what training rows hold, and what other rows may hold instead
KINDS = {
    "number": (number, either(number, pick(*HUGE), GAP)),
    "gaps": (either(number, number, GAP), either(number, pick(*HUGE), GAP)),
    "whole": (whole, either(whole, number, pick(*HUGE), GAP)),
    "bit": (pick("0", "1"), either(whole, pick(*HUGE), GAP)),
    "texts": (either(number, pick("b'2.50'", "b'-1'"), GAP), either(number, pick(*HUGE), GAP)),
    "long": (lambda random: str(2**53 + random.integers(9)), either(number, pick(*HUGE), GAP)),
    "flag": (pick("yes", "no", "True"), pick("YES", "false", "0", "1", "b'no'", "?")),
    "colour": (
        pick("red", "blue", "green"),
        either(pick("red", "pink", "7", "nan b"), number, GAP),
    ),
    "empty": (pick("", "x", "y"), either(pick("x", "z", "(missing)"), GAP)),
    "rare": (
        either(pick("a", "b"), lambda random: f"name {random.integers(60)}"),
        either(pick("a"), lambda random: f"name {random.integers(60)}", GAP),
    ),
    "code": (whole, either(whole, number, pick("1.0", "01", "x"), GAP)),
    "iso": (either(date(ISO), date(ISO + " 10:30"), GAP), either(date(ISO + "T23:59:59Z"), GAP)),
    "german": (date(GERMAN), either(date(GERMAN + " 7:30"), pick("29.2.2400"), GAP)),
    "american": (
        either(date(AMERICAN), pick("12/31/2024")),
        either(date(AMERICAN), pick("01/02/2003", "11/12/1813"), GAP),
    ),
    "same": (pick("5"), either(number, pick(*HUGE), GAP)),
    "word": (pick("same"), either(pick("other", "same"), GAP)),
    "none": (GAP, either(number, date(ISO), pick("$5", "01/02/2003", "x"), GAP)),
}
TARGETS = {"classification": pick("u", "v", "w"), "regression": number}


def make(random: Generator, counts: tuple[int, int, int], target: str) -> list[Row]:
    """Make rows in random order whose part is in the column `part`."""
    parts = random.permutation(np.repeat(PARTS, counts))
    first = parts.tolist().index("train")
    rows = []
    for at, part in enumerate(parts.tolist()):
        row = {name: inside(random) for name, (inside, _) in KINDS.items()}
        if at == first:  # without this cell the format would be unclear
            row["american"] = "12/31/2024"
        rows.append(row | {"part": part, "y": TARGETS[target](random)})
    return rows


def changed(random: Generator, rows: list[Row], share: float) -> list[Row]:
    """Change feature cells of the rows that are no training rows."""
    found = []
    for row in rows:
        row = dict(row)
        for name, (_, outside) in KINDS.items():
            if row["part"] != "train" and random.random() < share:
                row[name] = outside(random)
        found.append(row)
    return found


@pytest.fixture
def read(tmp_path, settings) -> Callable[..., Dataset]:
    """Write rows as a table and read, split and fit it."""

    def run(rows: list[Row], names: list[str] | None = None, **changes: Any) -> Dataset:
        split = {"column": "part", **changes.pop("split", {})}
        chosen: Preprocess = settings.preprocess.model_copy(
            update={
                "csv": str(tmp_path / "table.csv"),
                "features": list(KINDS),
                "target": "y",
                "missing_values": ["-999.0"],
                "categorical": ["code"],
                "split": settings.preprocess.split.model_copy(update=split),
                **changes,
            }
        )
        with open(chosen.csv, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, names or [*KINDS, "part", "y"])
            writer.writeheader()
            writer.writerows(rows)
        return dataset.read(chosen, Path(tmp_path))

    return run


def content(found: Dataset) -> tuple[str, bytes, bytes]:
    """Return the schema and the training rows, byte by byte."""
    train = partition(found, "train")
    features, target = train.features.numpy(), train.target.numpy()
    return found.schema.model_dump_json(), features.tobytes(), target.tobytes()


CASES = list(enumerate(SCALES))
KIND_SCALES = list(zip(KINDS, itertools.cycle(SCALES), strict=False))


@pytest.mark.parametrize(("seed", "scale"), CASES)
@pytest.mark.parametrize("task", TARGETS)
def test_cells_of_other_rows_change_nothing(read, seed, scale, task):
    random = np.random.default_rng(seed)
    rows = make(random, (60, 15, 15), task)
    found = read(rows, scale=scale)
    before = content(found)
    assert found.schema.task == task
    assert {column.name for column in found.schema.dropped} == {"same", "word", "none"}
    for share in (0.02, 0.3, 1.0):
        other = changed(random, rows, share)
        assert other != rows
        again = read(other, scale=scale)
        assert content(again) == before
        if share == 1.0:  # the changes do reach the other parts
            for part in ("val", "test"):
                assert not np.array_equal(
                    partition(again, part).features, partition(found, part).features
                )


@pytest.mark.parametrize(("kind", "scale"), KIND_SCALES)
def test_one_cell_of_one_other_row_changes_nothing(read, kind, scale):
    random = np.random.default_rng(len(kind))
    rows = make(random, (40, 3, 3), "classification")
    before = content(read(rows, scale=scale))
    at = next(at for at, row in enumerate(rows) if row["part"] == "test")
    for cell in {KINDS[kind][1](random) for _ in range(6)}:
        other = [*rows[:at], rows[at] | {kind: cell}, *rows[at + 1 :]]
        assert content(read(other, scale=scale)) == before, cell


@pytest.mark.parametrize(("seed", "scale"), CASES)
@pytest.mark.parametrize("missing", ["fill", "drop"])
def test_more_or_fewer_other_rows_change_nothing(read, seed, scale, missing):
    random = np.random.default_rng(100 + seed)
    options: dict[str, Any] = {"scale": scale, "missing": missing}
    if missing == "drop":  # a gap in every row would take all rows
        few_gaps = set(KINDS) - {"none", "empty", "texts", "iso"}
        options["features"] = sorted(few_gaps)
    rows = make(random, (80, 12, 12), "classification")
    before = content(read(rows, **options))
    more = changed(random, make(random, (1, 40, 20), "classification"), 1.0)
    more = [row for row in more if row["part"] != "train"]
    train = [row for row in rows if row["part"] == "train"]
    few = [row | {"gaps": "1"} for row in rows if row["part"] != "train"]
    firsts = [next(row for row in few if row["part"] == part) for part in ("val", "test")]
    assert content(read(rows + more, **options)) == before
    assert content(read([*more, *firsts, *rows], **options)) == before
    assert content(read([*train, *firsts], **options)) == before


@pytest.mark.parametrize(("seed", "scale"), CASES)
def test_a_training_row_stays_when_another_row_is_its_duplicate(read, seed, scale):
    random = np.random.default_rng(seed)
    rows = make(random, (60, 15, 15), "classification")
    train = [row for row in rows if row["part"] == "train"]
    others = [row for row in rows if row["part"] != "train"]
    before = content(read([*others, *train], scale=scale, duplicates="drop"))
    for row, twin in zip(others[:10], train[::3], strict=False):
        row |= {name: twin[name] for name in [*KINDS, "y"]}
    again = read([*others, *train], scale=scale, duplicates="drop")
    assert content(again) == before
    assert (again.parts[:30] < 0).sum() >= 10


@pytest.mark.parametrize(("seed", "scale"), CASES)
def test_where_rows_are_dealt_at_random_other_rows_change_nothing_either(read, seed, scale):
    random = np.random.default_rng(200 + seed)
    rows = make(random, (120, 0, 0), "classification")
    found = read(rows, scale=scale, split={"column": ""})
    assert found.sizes() == {"train": 96, "val": 12, "test": 12}
    for row, part in zip(rows, found.parts.tolist(), strict=True):
        row["part"] = PARTS[part]
    rows[int(np.argmin(found.parts))]["american"] = "12/31/2024"
    before = content(read(rows, scale=scale, split={"column": ""}))
    again = read(changed(random, rows, 0.7), scale=scale, split={"column": ""})
    assert content(again) == before
    assert again.parts.tolist() == found.parts.tolist()


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"same", "word", "none"}))
def test_a_cell_of_a_training_row_does_change_something(read, kind):
    random = np.random.default_rng(7)
    rows = make(random, (40, 3, 3), "classification")
    before = content(read(rows))
    for row in [row for row in rows if row["part"] == "train" and row[kind]][:3]:
        row[kind] = ""
    assert content(read(rows)) != before


@pytest.mark.parametrize(("seed", "scale"), CASES)
@pytest.mark.parametrize("task", TARGETS)
def test_the_size_of_the_chunks_changes_nothing(read, seed, scale, task):
    random = np.random.default_rng(300 + seed)
    rows = changed(random, make(random, (60, 15, 15), task), 0.5)
    whole = read(rows, scale=scale)
    for size in (7, 89):
        with chunks_of(size):
            small = read(rows, scale=scale)
        assert len(small.spool.starts) > len(whole.spool.starts)
        assert content(small) == content(whole)
        for part in PARTS:
            left, right = partition(small, part), partition(whole, part)
            assert left.features.numpy().tobytes() == right.features.numpy().tobytes()
            assert left.row.tolist() == right.row.tolist()


@pytest.mark.parametrize(("seed", "scale"), CASES)
def test_the_order_of_the_columns_changes_nothing_but_their_positions(read, seed, scale):
    random = np.random.default_rng(400 + seed)
    rows = changed(random, make(random, (60, 15, 15), "regression"), 0.5)
    names = random.permutation([*KINDS, "part", "y"]).tolist()
    usual, moved = read(rows, scale=scale), read(rows, names, scale=scale)
    assert content(moved)[1:] == content(usual)[1:]
    for left, right in zip(moved.schema.features, usual.schema.features, strict=True):
        assert left.position == names.index(left.name)
        assert left.model_copy(update={"position": right.position}) == right
    turned = read(rows, features=list(KINDS)[::-1], scale=scale)
    assert turned.schema.features == usual.schema.features[::-1]
