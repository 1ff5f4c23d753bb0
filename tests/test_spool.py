"""Columns kept on disk: what is read is what was written, whole, in chunks or in some rows."""

from __future__ import annotations

import gc
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.common import spool
from stages.common.cells import Cells
from stages.common.spool import Spool
from tests.columns import chunks_of, spool_of


def texts(name: str, *values: str | None, start: int = 0) -> Cells:
    distinct = tuple(dict.fromkeys(value for value in values if value is not None))
    codes = [-1 if value is None else distinct.index(value) for value in values]
    return Cells(name, np.array(codes, dtype=np.int32), distinct, start)


def numbers(name: str, *values: float, start: int = 0) -> Cells:
    return Cells(name, np.array(values, dtype=np.float64), None, start)


def values_of(cells: Cells) -> list[object]:
    if cells.texts is None:
        return [None if math.isnan(value) else value for value in cells.values.tolist()]
    return [cells.texts[at] if at >= 0 else None for at in cells.values]


@pytest.fixture
def table(tmp_path) -> Spool:
    """Five rows in chunks of 2, 1 and 2: n are numbers, t texts."""
    made = Spool(["n", "t"], tmp_path)
    made.append([numbers("n", 1, math.nan), texts("t", "red", "blue")])
    made.append([numbers("n", 3), texts("t", None)])
    made.append([numbers("n", 0.1, -5), texts("t", "blue", 'ünüsual "text"\n')])
    return made


COLUMNS: dict[str, list[Any]] = {
    "n": [1, None, 3, 0.1, -5],
    "t": ["red", "blue", None, "blue", 'ünüsual "text"\n'],
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_whole_column_is_read_as_it_was_written(table, name):
    found = table.column(name)
    assert values_of(found) == COLUMNS[name]
    assert (found.name, found.start, len(found)) == (name, 0, 5)
    assert found.values.dtype == (np.float64 if name == "n" else np.int32)


def test_rows_are_counted_and_columns_named(table):
    assert len(table) == 5
    assert table.names == ("n", "t")
    assert table.starts == [0, 2, 3, 5]
    assert table.is_text("t")
    assert not table.is_text("n")


def test_chunks_carry_the_numbers_of_their_rows(table):
    found = list(table.chunks(["t", "n"]))
    assert [[cells.name for cells in chunk] for chunk in found] == [["t", "n"]] * 3
    assert [chunk[0].start for chunk in found] == [0, 2, 3]
    assert [value for text, _ in found for value in values_of(text)] == COLUMNS["t"]
    assert [value for _, number in found for value in values_of(number)] == COLUMNS["n"]
    assert [values_of(block) for block in table.blocks("n")] == [[1, None], [3], [0.1, -5]]


@pytest.mark.parametrize("rows", [[0, 0, 1, 1, 0], [1, 0, 0, 0, 1], [0] * 5, [1] * 5])
@pytest.mark.parametrize("name", COLUMNS)
def test_some_rows_of_a_column(table, name, rows):
    mask = np.array(rows, dtype=np.bool_)
    found = table.column(name, mask)
    wanted = [value for value, kept in zip(COLUMNS[name], rows, strict=True) if kept]
    assert values_of(found) == wanted
    if found.texts is not None:  # none but those that occur, in order
        assert list(found.texts) == list(dict.fromkeys(filter(None, wanted)))


def test_reading_and_appending_may_alternate(table):
    first = next(iter(table.blocks("t")))
    table.append([numbers("n", 7), texts("t", "green")])
    assert values_of(first) == ["red", "blue"]
    assert values_of(table.column("t")) == [*COLUMNS["t"], "green"]
    assert values_of(table.column("n")) == [*COLUMNS["n"], 7]


def test_the_part_of_an_array_that_belongs_to_a_chunk(table):
    parts = [Spool.part(np.arange(5), block).tolist() for block in table.blocks("n")]
    assert parts == [[0, 1], [2], [3, 4]]


def test_numbers_in_one_chunk_are_texts_where_another_has_texts(tmp_path):
    made = Spool(["x"], tmp_path)
    made.append([numbers("x", 2, math.nan, 0.5)])
    made.append([texts("x", "low", "2")])
    assert made.is_text("x")
    found = made.column("x")
    assert values_of(found) == ["2", None, "0.5", "low", "2"]
    assert found.values.dtype == np.int32


def test_an_empty_spool(tmp_path):
    made = Spool(["x"], tmp_path)
    assert len(made) == 0
    assert list(made.blocks("x")) == []
    assert len(made.column("x")) == 0


@pytest.mark.parametrize("most", [0, 2**26])
def test_on_disk_as_in_memory_and_nothing_is_left_behind(tmp_path, monkeypatch, most):
    monkeypatch.setattr(spool, "IN_MEMORY", most or 1)
    folder = tmp_path / "new" / "folder"
    made = Spool(["n", "t"], folder)
    for at in range(30):
        made.append([numbers("n", *range(at, at + 9)), texts("t", *map(str, range(9)))])
    on_disk = len(list(Path("/proc/self/fd").iterdir())) if most == 0 else 0
    assert values_of(made.column("n")) == [n for at in range(30) for n in range(at, at + 9)]
    assert values_of(made.column("t")) == [str(n) for n in range(9)] * 30
    assert list(folder.iterdir()) == []
    del made
    gc.collect()
    if most == 0:
        assert len(list(Path("/proc/self/fd").iterdir())) < on_disk


MIXED: dict[str, list[str | None]] = {
    "n": [None if n % 9 == 4 else repr(n / 7) for n in range(40)],
    "whole": [str(n * n) for n in range(40)],
    "late": [*(str(n) for n in range(33)), "x", "1.0", "01", None, "b'7'", "2.50", "3"],
    "early": ["x", *(str(n / 2) for n in range(39))],
    "long": [str(2**53 + n) if n > 20 else str(n) for n in range(40)],
    "gap": [None] * 30 + [str(10**19 + n) for n in range(10)],
    "flag": ["True", "False", None, "true"] * 10,
    "colour": ["red", "b'blue'", " green ", "?"] * 10,
    "none": [None] * 40,
    "date": [f"2024-01-{n % 28 + 1:02}" for n in range(40)],
}


@pytest.mark.parametrize("rows", [1, 7, 39, 40])
def test_the_size_of_the_chunks_changes_no_cell(rows):
    whole = spool_of(MIXED)
    with chunks_of(rows):
        small = spool_of(MIXED)
    assert len(small.starts) == -(-40 // rows) + 1
    for name in MIXED:
        assert values_of(small.column(name)) == values_of(whole.column(name)), name
        assert small.is_text(name) == whole.is_text(name)


def test_a_column_with_one_cell_that_is_no_number_is_texts_throughout():
    with chunks_of(7):
        found = spool_of(MIXED)
    assert all(block.texts is not None for block in found.blocks("late"))
    assert values_of(found.column("late"))[31:] == [
        "31",
        "32",
        "x",
        "1",
        "1",
        None,
        "7",
        "2.5",
        "3",
    ]
    assert values_of(found.column("long"))[-2:] == [str(2**53 + 38), str(2**53 + 39)]
    assert values_of(found.column("gap"))[-2:] == [str(10**19 + 8), str(10**19 + 9)]
    assert {name for name in MIXED if not found.is_text(name)} == {"n", "whole", "none"}
