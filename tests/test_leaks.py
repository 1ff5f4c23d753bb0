"""Leaks of the target: planted ones are found by their own check, honest columns are left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.random import default_rng

from tests.planted import Table, Values, clean, found, planted, texts


def copy(table: Table) -> Any:
    return table.y


def recoded(table: Table) -> Any:
    return np.char.replace(table.y, "class ", "level-")


def coded(table: Table) -> Any:
    """Numbers for classes, without an order, one of the classes as a missing value."""
    codes = {"class 0": 17.0, "class 1": np.nan, "class 2": -3.0}
    return np.array([codes[name] for name in table.y.tolist()])


def affine(table: Table) -> Any:
    return table.y * 3 + 1


def negative(table: Table) -> Any:
    """Falling, written with seven digits."""
    return np.array([float(f"{-value / 7:.7g}") for value in table.y.tolist()])


def cube(table: Table) -> Any:
    return -(table.y**3)


def intervals(table: Table) -> Any:
    number = np.array([float(name[6:]) for name in table.y.tolist()])
    return (number * 7) % 3 + table.rng.random(table.rows) * 0.9


def leaky(table: Table) -> Any:
    almost = table.y.copy()
    wrong = table.rng.permutation(table.rows)[: table.rows // 100]
    almost[wrong] = table.y[table.rng.permutation(table.rows)[: len(wrong)]]
    return almost


def leaky_number(table: Table) -> Any:
    number = np.array([float(name[6:]) for name in table.y.tolist()])
    return number + table.rng.normal(size=table.rows) * 0.19


def noisy(table: Table) -> Any:
    return np.exp(table.y / 20) * (1 + table.rng.normal(size=table.rows) * 0.02)


def missingness(table: Table) -> Any:
    return np.where(table.y == "class 1", np.nan, table.rng.normal(size=table.rows))


def presence(table: Table) -> Any:
    """A text that only one class has."""
    return np.where(table.y == "class 2", table.columns["few"], "")


PLANTED: list[tuple[str, int, Values]] = [
    ("target copy", 3, copy),
    ("target copy", 3, recoded),
    ("target copy", 3, coded),
    ("target copy", 0, affine),
    ("target copy", 0, negative),
    ("monotone copy", 0, cube),
    ("monotone copy", 3, intervals),
    ("leaking column", 3, leaky),
    ("leaking column", 2, leaky_number),
    ("leaking column", 0, noisy),
    ("leaking column", 3, missingness),
    ("leaking column", 2, missingness),
    ("leaking column", 3, presence),
]


@pytest.mark.parametrize(("check", "classes", "values"), PLANTED)
def test_a_planted_column_is_found_by_its_own_check_and_no_other(check, classes, values):
    for seed in range(5):
        assert found(planted(classes, values, seed, rows=2000)) == [(check, "planted")]


def grouped(seed: int, classes: int, texts_: bool) -> Table:
    """Return a table of 150 patients with about 6 rows each, who have one target each."""
    table = clean(seed, rows=900, classes=classes)
    patient = table.rng.integers(0, 150, table.rows)
    if classes:
        table.y = texts("class ", table.rng.integers(0, classes, 150)[patient])
    else:
        noise = 0.3 * table.rng.normal(size=table.rows)
        table.y = table.rng.normal(size=150)[patient] + noise
    table.aside["patient"] = texts("p", patient) if texts_ else patient + 1000.0
    return table


@pytest.mark.parametrize("texts_", [True, False])
@pytest.mark.parametrize("classes", [0, 2, 5])
def test_a_group_that_overlaps_parts_is_found_aside_or_as_a_feature(classes, texts_):
    for seed in range(5):
        table = grouped(seed, classes, texts_)
        assert found(table) == [("group overlap", "patient")]
        table.columns["patient"] = table.aside.pop("patient")
        assert found(table) == [("group overlap", "patient")]


def test_a_group_whose_rows_are_in_one_part_is_none():
    for seed in range(5):
        table = grouped(seed, 2, texts_=False)
        table.parts = np.array([0, 0, 0, 1, 2], np.int8)[table.aside["patient"].astype(int) % 5]
        assert table.examine() == []


def test_a_measurement_with_a_few_rows_per_value_is_no_group():
    """Whole numbers that predict the target: neighbouring values are alike too."""
    for seed in range(20):
        table = clean(seed, rows=1500, classes=0)
        table.columns["whole"] = np.round(200 * table.y / 12 + 60 * table.rng.normal(size=1500))
        assert "group overlap" not in [each.check for each in table.examine()]


def test_figures_of_a_leak_are_those_counted_by_hand():
    y = np.array(["a", "b"] * 100)
    leak = y.copy()
    leak[[3, 150]] = ["a", "b"]  # 99 of 100 training rows, 99 of 100 others
    parts = np.array([0] * 100 + [1] * 50 + [2] * 50, np.int8)
    (leaking,) = Table(default_rng(0), y, {"leak": leak}, parts).examine()
    assert leaking.strength == 0.99
    assert leaking.message.startswith("alone gives the class of 99.0% of the val and test rows")
    assert "largest class: 50.0%" in leaking.message


def test_a_target_of_one_value_cannot_leak():
    table = grouped(0, 2, texts_=True)
    table.y[:] = "same"
    assert table.examine() == []
