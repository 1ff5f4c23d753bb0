"""The audit: planted leaks are found by their own check, clean tables are left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator, default_rng

from stages.common import audit, duplicates
from stages.common.audit import Finding
from stages.common.cells import Cells

COLUMN = tuple[str, Any]


@dataclass
class Table:
    """A table under construction: named columns, numbers as float64, texts as lists of str."""

    rng: Generator
    y: Any
    columns: dict[str, Any]
    parts: Any
    aside: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(self.parts)

    def examine(self) -> list[Finding]:
        features = [cells(*column) for column in self.columns.items()]
        aside = [cells(*column) for column in self.aside.items()]
        return audit.examine(features, aside, cells("y", self.y), self.parts)

    def repeats(self) -> list[Finding]:
        """Return the findings over whole rows, of features encoded as preprocess would."""
        encoded = []
        for name, values in self.columns.items():
            column = cells(name, values)
            if column.texts is not None:
                levels = np.arange(-1, len(column.texts))
                encoded += [column.values == level for level in levels]
            elif not column.missing.all():
                encoded += [column.missing, np.nan_to_num(column.values, nan=0.0)]
        x = np.stack([scaled(np.asarray(each, dtype=float)) for each in encoded], axis=1)
        y = cells("y", self.y)
        target = y.values.astype(np.float32 if y.texts is None else np.int64)
        near = duplicates.near_hashes(x)
        return duplicates.findings(duplicates.row_hashes(x), near, target, self.parts)

    def take(self, rows) -> None:
        """Keep some rows, perhaps several times."""
        self.y, self.parts = self.y[rows], self.parts[rows]
        self.columns = {name: values[rows] for name, values in self.columns.items()}


def cells(name: str, values: Any) -> Cells:
    """Return a column; "" is a missing text, texts are in the order in which they come."""
    if values.dtype.kind == "f":
        return Cells(name, values)
    texts = tuple(dict.fromkeys(text for text in values.tolist() if text))
    place = {text: index for index, text in enumerate(texts)} | {"": -1}
    return Cells(name, np.array([place[text] for text in values.tolist()], np.int32), texts)


def scaled(values: Any) -> Any:
    spread = values.std()
    return ((values - values.mean()) / (spread if spread > 0 else 1)).astype(np.float32)


def texts(prefix: str, numbers: Any) -> Any:
    return np.array([f"{prefix}{number}" for number in numbers.tolist()])


def clean(
    seed: int, rows: int = 1000, classes: int = 2, weights: list[float] | None = None
) -> Table:
    """Return a table without a fault: the target depends on the features, with noise.

    classes: of the target; 0 for a regression. Floats, whole numbers, gaps, categories of 2 to
    40 levels, and `strong`, which alone gives 90 % of a two-class target.
    """
    rng = default_rng(seed)
    if classes:
        label = rng.choice(classes, rows, p=weights)
        y, signal = texts("class ", label), label - label.mean()
    else:
        signal = rng.normal(size=rows)
        y = 50 + 12 * signal
    gaps = rng.normal(size=rows)
    gaps[rng.random(rows) < 0.15] = np.nan
    strong = np.where(rng.random(rows) < 0.9, signal, rng.permutation(signal))
    columns = {
        "strong": strong + rng.normal(size=rows) * (0.2 if classes else 0.3),
        "skewed": np.exp(rng.normal(size=rows) + 0.4 * signal),
        "age": np.round(45 + 15 * rng.normal(size=rows) + 5 * signal),
        "income": np.round(40000 + 9000 * rng.normal(size=rows)),
        "count": rng.poisson(2, rows).astype(float),
        "gaps": gaps,
        "binary": texts("", rng.integers(0, 2, rows)),
        "few": texts("f", (rng.integers(0, 3, rows) + (signal > 0)) % 5),
        "many": texts("m", rng.integers(0, 40, rows)),
    }
    parts = rng.choice(3, rows, p=[0.8, 0.1, 0.1]).astype(np.int8)
    return Table(rng, y, columns, parts)


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
    found = {}
    for seed in range(20):
        table = CLEAN[kind](seed)
        found[seed] = table.examine() + table.repeats()
    assert max(map(len, found.values())) <= 1, found
    false = [each for seed in found for each in found[seed] if each.check != "duplicates"]
    assert len(false) <= 2, false


def copy(table: Table) -> COLUMN:
    return "planted", table.y


def recoded(table: Table) -> COLUMN:
    return "planted", np.char.replace(table.y, "class ", "level-")


def coded(table: Table) -> COLUMN:
    """Numbers for classes, without an order, one of the classes as a missing value."""
    codes = {"class 0": 17.0, "class 1": np.nan, "class 2": -3.0}
    return "planted", np.array([codes[name] for name in table.y.tolist()])


def affine(table: Table) -> COLUMN:
    return "planted", table.y * 3 + 1


def negative(table: Table) -> COLUMN:
    """Falling, written with seven digits."""
    return "planted", np.array([float(f"{-value / 7:.7g}") for value in table.y.tolist()])


def cube(table: Table) -> COLUMN:
    return "planted", -(table.y**3)


def intervals(table: Table) -> COLUMN:
    number = np.array([float(name[6:]) for name in table.y.tolist()])
    return "planted", (number * 7) % 3 + table.rng.random(table.rows) * 0.9


def leaky(table: Table) -> COLUMN:
    planted = table.y.copy()
    wrong = table.rng.permutation(table.rows)[: table.rows // 100]
    planted[wrong] = table.y[table.rng.permutation(table.rows)[: len(wrong)]]
    return "planted", planted


def leaky_number(table: Table) -> COLUMN:
    number = np.array([float(name[6:]) for name in table.y.tolist()])
    return "planted", number + table.rng.normal(size=table.rows) * 0.19


def noisy(table: Table) -> COLUMN:
    return "planted", np.exp(table.y / 20) * (1 + table.rng.normal(size=table.rows) * 0.02)


def missingness(table: Table) -> COLUMN:
    return "planted", np.where(table.y == "class 1", np.nan, table.rng.normal(size=table.rows))


def presence(table: Table) -> COLUMN:
    """A text that only one class has."""
    return "planted", np.where(table.y == "class 2", table.columns["few"], "")


def sorted_id(table: Table) -> COLUMN:
    return "planted", 1000 + np.cumsum(table.rng.integers(1, 900, table.rows)).astype(float)


def dense_id(table: Table) -> COLUMN:
    return "planted", table.rng.permutation(3 * table.rows)[: table.rows].astype(float)


def text_id(table: Table) -> COLUMN:
    """One row in a hundred repeats another's name."""
    return "planted", texts("name ", table.rng.permutation(table.rows) % (table.rows * 99 // 100))


def constant(table: Table) -> COLUMN:
    return "planted", np.full(table.rows, 7.0)


def empty(table: Table) -> COLUMN:
    return "planted", np.full(table.rows, "")


def shift_drift(table: Table) -> COLUMN:
    return "planted", table.rng.normal(size=table.rows) + (table.parts == 2)


def gap_drift(table: Table) -> COLUMN:
    gone = (table.parts == 1) & (table.rng.random(table.rows) < 0.6)
    return "planted", np.where(gone, np.nan, table.rng.normal(size=table.rows))


def text_drift(table: Table) -> COLUMN:
    level = table.rng.integers(0, 12, table.rows)
    return "planted", texts("t", np.where(table.parts == 1, level // 3, level))


PLANTED: list[tuple[str, int, Callable[[Table], COLUMN]]] = [
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


@pytest.mark.parametrize(("check", "classes", "plant"), PLANTED)
def test_a_planted_column_is_found_by_its_own_check_and_no_other(check, classes, plant):
    for seed in range(5):
        table = clean(seed, rows=2000, classes=classes)
        name, values = plant(table)
        table.columns[name] = values
        assert [(each.check, each.column) for each in table.examine()] == [(check, name)]


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
        assert [(each.check, each.column) for each in table.examine()] == [
            ("group overlap", "patient")
        ]
        table.columns["patient"] = table.aside.pop("patient")
        assert [each.check for each in table.examine()] == ["group overlap"]


def test_a_group_whose_rows_are_in_one_part_is_none():
    for seed in range(5):
        table = grouped(seed, 2, texts_=False)
        table.parts = np.array([0, 0, 0, 1, 2], np.int8)[table.aside["patient"].astype(int) % 5]
        assert table.examine() == []


def test_ids_aside_are_not_reported():
    table = clean(0)
    table.aside = {"number": sorted_id(table)[1], "name": text_id(table)[1]}
    assert table.examine() == []


def test_a_measurement_with_a_few_rows_per_value_is_no_group():
    """Whole numbers that predict the target: neighbouring values are alike too."""
    for seed in range(20):
        table = clean(seed, rows=1500, classes=0)
        table.columns["whole"] = np.round(200 * table.y / 12 + 60 * table.rng.normal(size=1500))
        assert "group overlap" not in [each.check for each in table.examine()]


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
    table.columns = {"c": constant(table)[1], "id": sorted_id(table)[1], "one": copy(table)[1]}
    table.columns |= {**last, "d": shift_drift(table)[1], "e": constant(table)[1], "two": table.y}
    found = [(each.check, each.column) for each in table.examine()]
    copies = [("target copy", "one"), ("target copy", "two")]
    assert found == [
        *copies,
        *[("id", "id"), ("constant", "c"), ("constant", "e"), ("drift", "d")],
    ]


def test_figures_of_a_leak_and_of_drift_are_those_counted_by_hand():
    y = np.array(["a", "b"] * 100)
    parts = np.array([0] * 100 + [1] * 50 + [2] * 50, np.int8)
    leak = y.copy()
    leak[[3, 150]] = ["a", "b"]  # 99 of 100 training rows, 99 of 100 others
    shifted = np.repeat([0.0, 1.0, 0.0, 1.0], [75, 25, 10, 90])
    values = {"leak": leak, "shifted": shifted}
    leaking, drift = Table(default_rng(0), y, values, parts).examine()
    assert leaking.strength == 0.99
    assert leaking.message.startswith("alone gives the class of 99.0% of the val and test rows")
    assert "largest class: 50.0%" in leaking.message
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
    table = grouped(0, 2, texts_=True)
    table.y[:] = "same"
    assert table.examine() == []


def test_every_finding_is_one_line_with_a_remedy_that_names_a_setting():
    seen = set()
    for _, classes, plant in PLANTED:
        table = clean(0, classes=classes)
        name, values = plant(table)
        table.columns[name] = values
        for each in [*table.examine(), *grouped(0, 2, texts_=True).examine()]:
            seen.add(each.check)
            assert "\n" not in each.message + each.remedy
            assert "preprocess." in each.remedy
            assert 0 <= each.strength <= 1
    assert seen == set(audit.CHECKS) - {"class missing", "tiny classes"}
