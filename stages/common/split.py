"""Rows dealt to train, val and test.

The rule for exact sizes: each of val and test gets its share of the rows, rounded half
up and at least one row; train gets the rest. Stratified rows are sorted by class,
shuffled within it, and dealt one by one to the part that is furthest behind its size, so
that the parts of each class also keep their shares. A class that would have no training
row swaps one with the largest class.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction

import torch

from stages.common.errors import UserError
from stages.common.streams import stream

PARTS = ("train", "val", "test")


def sizes(rows: int, val: float, test: float) -> dict[str, int]:
    """Return the number of rows of each part; UserError when train would get none."""
    half = Fraction(1, 2)  # shares as they are written: 50 * 0.29 is below 14.5 in binary
    count = {
        part: max(1, math.floor(rows * Fraction(str(share)) + half))
        for part, share in (("val", val), ("test", test))
    }
    count["train"] = rows - count["val"] - count["test"]
    if count["train"] < 1:
        raise UserError(f"preprocess.csv: {rows} rows are too few to split; at least 3 are needed")
    return {part: count[part] for part in PARTS}


def deal(
    rows: int, val: float, test: float, seed: int, classes: Sequence[str] | None = None
) -> list[str]:
    """Return the part of each row.

    `classes` (one name per row) stratifies the split; without it the rows are only
    shuffled. The same arguments give the same parts on any machine.
    """
    size = sizes(rows, val, test)
    shuffled = torch.randperm(rows, generator=stream("split", seed)).tolist()
    if classes is not None:
        shuffled.sort(key=lambda row: classes[row])  # stable: shuffled within a class
    parts = [""] * rows
    dealt = dict.fromkeys(PARTS, 0)
    for place, row in enumerate(shuffled, start=1):
        parts[row] = max(PARTS, key=lambda part: size[part] * place - dealt[part] * rows)
        dealt[parts[row]] += 1
    if classes is not None:
        _give_every_class_a_training_row(parts, classes, shuffled)
    return parts


def _give_every_class_a_training_row(
    parts: list[str], classes: Sequence[str], shuffled: Sequence[int]
) -> None:
    trained = Counter(name for name, part in zip(classes, parts, strict=True) if part == "train")
    for name in sorted(set(classes) - set(trained)):
        largest = max(sorted(trained), key=trained.__getitem__)
        giver = next(row for row in shuffled if classes[row] == name)
        taker = next(row for row in shuffled if classes[row] == largest and parts[row] == "train")
        parts[giver], parts[taker] = parts[taker], parts[giver]
        trained[largest] -= 1
        trained[name] = 1


def from_column(values: Mapping[int, str | None], column: str) -> list[str]:
    """Return the part that a column of the table names for each row.

    values: row number -> cell, None without a value. Raises UserError for a value other
    than train, val and test, and for an empty part.
    """
    for row, value in values.items():
        if value not in PARTS:
            found = "no value" if value is None else f"'{value}'"
            raise UserError(
                f"preprocess.split.column '{column}', row {row}: {found} is not one of "
                f"{', '.join(PARTS)}"
            )
    for part in PARTS:
        if part not in values.values():
            raise UserError(f"preprocess.split.column '{column}': no row is in {part}")
    return [str(value) for value in values.values()]
