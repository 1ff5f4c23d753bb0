"""The audit: what is planted in a table is found by its own check, clean tables are left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.random import default_rng

from stages.common import audit
from tests.planted import Table, Values, clean, found, planted, texts


def discrete(seed: int) -> Table:
    """Return a table of few different rows: three categories and a rating."""
    table = clean(seed)
    names = ("binary", "few", "count")
    table.columns = {name: table.columns[name] for name in names}
    table.columns["rating"] = table.rng.integers(1, 11, table.rows).astype(float)
    return table


def low(seed: int) -> Table:
    """Return a table of two measurements and a category: many rows are near by chance."""
    table = clean(seed, rows=3000)
    table.columns = {name: table.columns[name] for name in ("strong", "skewed", "few")}
    return table


def wide(seed: int) -> Table:
    """Return a table of 60 measurements for 200 rows."""
    table = clean(seed, rows=200)
    for column in range(60):
        table.columns[f"x{column}"] = table.rng.normal(size=table.rows)
    return table


def by_class(seed: int) -> Table:
    """Return a table whose file is sorted by class, with a text of 120 honest levels."""
    table = clean(seed, rows=1500, classes=3)
    table.columns["city"] = texts("city ", table.rng.integers(0, 120, table.rows))
    order = np.argsort(table.y, kind="stable")
    parts = table.parts
    table.take(order)
    table.parts = parts
    return table


CLEAN: dict[str, Callable[[int], Table]] = {
    "few rows": lambda seed: clean(seed, rows=100),
    "two classes": clean,
    "many rows": lambda seed: clean(seed, rows=8000),
    "seven classes": lambda seed: clean(seed, rows=2000, classes=7),
    "imbalanced": lambda seed: clean(seed, rows=3000, weights=[0.97, 0.03]),
    "regression": lambda seed: clean(seed, classes=0),
    "few rows, regression": lambda seed: clean(seed, rows=100, classes=0),
    "discrete": discrete,
    "low": low,
    "wide": wide,
    "sorted by class": by_class,
}


@pytest.mark.parametrize("kind", CLEAN)
def test_a_clean_table_has_at_most_one_false_alarm_and_most_have_none(kind):
    alarms = {}
    for seed in range(20):
        table = CLEAN[kind](seed)
        alarms[seed] = table.examine() + table.repeats()
    assert max(map(len, alarms.values())) <= 1, alarms
    false = [each for seed in alarms for each in alarms[seed] if each.check != "duplicates"]
    assert len(false) <= 2, false


def sorted_id(table: Table) -> Any:
    return 1000 + np.cumsum(table.rng.integers(1, 900, table.rows)).astype(float)


def dense_id(table: Table) -> Any:
    return table.rng.permutation(3 * table.rows)[: table.rows].astype(float)


def text_id(table: Table) -> Any:
    """One row in a hundred repeats another's name."""
    return texts("name ", table.rng.permutation(table.rows) % (table.rows * 99 // 100))


def constant(table: Table) -> Any:
    return np.full(table.rows, 7.0)


def empty(table: Table) -> Any:
    return np.full(table.rows, "")


def shift_drift(table: Table) -> Any:
    return table.rng.normal(size=table.rows) + (table.parts == 2)


def gap_drift(table: Table) -> Any:
    gone = (table.parts == 1) & (table.rng.random(table.rows) < 0.6)
    return np.where(gone, np.nan, table.rng.normal(size=table.rows))


def text_drift(table: Table) -> Any:
    level = table.rng.integers(0, 12, table.rows)
    return texts("t", np.where(table.parts == 1, level // 3, level))


PLANTED: list[tuple[str, int, Values]] = [
    ("id", 3, sorted_id),
    ("id", 0, sorted_id),
    ("id", 2, dense_id),
    ("id", 3, text_id),
    ("constant", 2, constant),
    ("constant", 0, empty),
    ("drift", 2, shift_drift),
    ("drift", 0, gap_drift),
    ("drift", 2, text_drift),
]


@pytest.mark.parametrize(("check", "classes", "values"), PLANTED)
def test_a_planted_column_is_found_by_its_own_check_and_no_other(check, classes, values):
    for seed in range(5):
        assert found(planted(classes, values, seed, rows=2000)) == [(check, "planted")]


def test_ids_aside_are_not_reported():
    table = clean(0)
    table.aside = {"number": sorted_id(table), "name": text_id(table)}
    assert table.examine() == []


def test_a_class_missing_from_val_and_tiny_classes_are_named():
    table = clean(0, classes=12)
    table.parts[(table.y == "class 3") & (table.parts == 1)] = 0
    for number in range(4, 7):
        inside = np.flatnonzero(table.y == f"class {number}")
        table.y[inside[5:]] = "class 0"
        table.parts[inside[:5]] = [0, 0, 0, 1, 2]
    missing, tiny = table.examine()
    assert (missing.check, missing.column, missing.strength) == ("class missing", "y", 1)
    rows = int((table.y == "class 3").sum())
    assert missing.message == f"1 without a row in val: 'class 3' ({rows} rows)"
    assert (tiny.check, tiny.column, tiny.strength) == ("tiny classes", "y", 3)
    assert all(f"'class {number}' (5 rows)" in tiny.message for number in (4, 5, 6))


def test_at_most_eight_classes_are_named_and_a_long_name_is_cut():
    table = clean(0, rows=100, classes=20)
    table.y = np.char.add("long\n" * 20, table.y)
    for each in table.examine():
        assert each.message.count(" rows)") <= 8
        assert "\n" not in each.message
        assert len(each.message) < 600


def test_findings_come_by_check_and_then_by_column():
    table = clean(0, classes=3)
    last = dict(table.columns)
    table.columns = {"c": constant(table), "id": sorted_id(table), "one": table.y}
    table.columns |= {**last, "d": shift_drift(table), "e": constant(table), "two": table.y}
    copies = [("target copy", "one"), ("target copy", "two")]
    constants = [("constant", "c"), ("constant", "e")]
    assert found(table) == [*copies, ("id", "id"), *constants, ("drift", "d")]


def test_figures_of_drift_are_those_counted_by_hand():
    parts = np.array([0] * 100 + [1] * 50 + [2] * 50, np.int8)
    shifted = np.repeat([0.0, 1.0, 0.0, 1.0], [75, 25, 10, 90])
    y = np.array(["a", "b"] * 100)
    (drift,) = Table(default_rng(0), y, {"shifted": shifted}, parts).examine()
    assert drift.strength == 0.75
    assert "0.550 between train and val, 0.750 between train and test" in drift.message


@pytest.mark.parametrize("classes", [0, 2])
def test_tables_of_any_oddity_end_without_a_warning(classes):
    """Few rows, one part, infinite and huge values, a target of one value."""
    for rows in (0, 1, 2, 3, 9):
        table = clean(0, rows=50, classes=classes)
        table.take(np.arange(rows))
        table.columns["infinite"] = np.where(np.arange(rows) % 2, np.inf, -np.inf)
        table.columns["huge"] = np.where(np.arange(rows) % 2, 1.7e308, -1.7e308)
        for part in (0, 1, 2):
            table.parts[:] = part
            table.examine()
        table.y[:] = table.y[:1]
        table.examine()


@pytest.mark.parametrize("rows", [1, 99, 1000, 1001, 1999, 2000, 12345])
def test_a_sample_is_evenly_spaced_runs_of_rows_and_never_too_large(rows):
    chosen = np.flatnonzero(audit.sample(rows, 1000))
    assert len(chosen) == rows if rows <= 1000 else 400 <= len(chosen) <= 1000
    starts = chosen[chosen % audit.RUN == 0]
    assert chosen.tolist() == [
        row for start in starts for row in range(start, min(start + audit.RUN, rows))
    ]
    assert len(set(np.diff(starts).tolist())) <= 1
