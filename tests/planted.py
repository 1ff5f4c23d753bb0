"""Tables for tests of the audit: clean ones, and columns planted in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import Generator, default_rng

from stages.common import audit, duplicates
from stages.common.cells import Cells
from stages.common.evidence import Finding

Values = Callable[["Table"], Any]  # of a column, made for a table


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
        """Return what the audit finds in the columns."""
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
    """Return texts that end with the numbers."""
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


def planted(classes: int, values: Values, seed: int = 0, rows: int = 1000) -> Table:
    """Return a clean table with one more column, `planted`."""
    table = clean(seed, rows, classes)
    table.columns["planted"] = values(table)
    return table


def found(table: Table) -> list[tuple[str, str]]:
    """Return check and column of each finding, which is one line with a remedy."""
    findings = table.examine()
    for each in findings:
        assert "\n" not in each.message + each.remedy
        assert "preprocess." in each.remedy
        assert 0 <= each.strength <= 1
    return [(each.check, each.column) for each in findings]
