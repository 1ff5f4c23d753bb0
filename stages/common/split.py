"""Rows dealt to train, val and test.

The rule for exact sizes: each of val and test gets its share of the rows, rounded half up
and at least one row; train gets the rest. How the rows of a part are chosen:

stratified  each class gives a part the same share of its rows, as nearly as whole rows
            allow; a class of three rows or more is in every part as long as there is room,
            a smaller one first of all in train
by group    groups are dealt whole, in random order, each to the part that is furthest
            behind, the last ones to parts that are still empty; a part has at most the
            largest group more than its size
by time     train is before val, val before test; rows of one moment stay together, so a
            part may end with a few rows more; the last two moments are never in train
"""

from __future__ import annotations

import heapq
import math
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from stages.common.cells import Cells
from stages.common.errors import UserError
from stages.common.names import counted
from stages.common.settings import PARTS
from stages.common.streams import stream

IN_ALL = 3  # rows from which on a class is in every part

Parts = NDArray[np.int8]  # of each row: 0 train, 1 val, 2 test


def sizes(rows: int, val: float, test: float) -> dict[str, int]:
    """Return the number of rows of each part; UserError when train would get none."""
    half = Fraction(1, 2)  # shares as they are written: 50 * 0.29 is below 14.5 in binary
    count = {
        part: max(1, math.floor(rows * Fraction(str(share)) + half))
        for part, share in (("val", val), ("test", test))
    }
    count["train"] = rows - count["val"] - count["test"]
    if count["train"] < 1:
        raise UserError(f"{counted(rows, 'row')}: too few to split; at least 3 are needed")
    return {part: count[part] for part in PARTS}


def deal(classes: NDArray[np.int32], val: float, test: float, seed: int) -> Parts:
    """Return the part of each row, stratified by class, the same on any machine.

    classes: each row's class, int32 (rows,), from 0 on; all 0 for a split that is only random.
    """
    size = sizes(len(classes), val, test)
    counts = np.bincount(classes).astype(np.int64)
    least = (counts >= IN_ALL).astype(np.int64)
    in_val = apportion(size["val"], counts, counts, least, counts - 1 - least)
    in_test = apportion(size["test"], counts, counts - in_val, least, counts - 1 - in_val)
    order = _shuffled(len(classes), seed)
    order = order[np.argsort(classes[order], kind="stable")]  # shuffled within a class
    begin = np.cumsum(counts) - counts
    of_class = classes[order]
    place = np.arange(len(classes), dtype=np.int32) - begin[of_class].astype(np.int32)
    end_val, end_test = in_val[of_class], (in_val + in_test)[of_class]
    parts = np.empty(len(classes), dtype=np.int8)
    parts[order] = np.where(place < end_val, 1, np.where(place < end_test, 2, 0))
    return parts


def apportion(
    size: int,
    counts: NDArray[np.int64],
    left: NDArray[np.int64],
    least: NDArray[np.int64],
    most: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return how many rows of each class a part of `size` rows gets.

    counts: rows of each class, (classes,); left: those that no other part has. Each class
    gets its share, rounded down; then one row at a time is given to the class furthest below
    its share, or taken from the one furthest above, until the size is met. A class gets from
    `least` to `most` rows where that can be.
    """
    total = int(counts.sum())
    most = np.maximum(most, 0)
    given = np.clip(size * counts // total, np.minimum(least, most), most)
    for floor, ceiling in ((least, most), (np.zeros_like(least), left)):
        lacking = size - int(given.sum())
        step = 1 if lacking > 0 else -1
        room = ceiling - given if step > 0 else given - floor
        ahead = step * (given * total - size * counts)  # of the share; the least is next
        queue = (
            [(int(ahead[at]), at) for at in np.flatnonzero(room > 0).tolist()] if lacking else []
        )
        heapq.heapify(queue)
        for _ in range(min(abs(lacking), int(room[room > 0].sum()))):
            behind, at = queue[0]
            given[at] += step
            room[at] -= 1
            if room[at]:
                heapq.heapreplace(queue, (behind + total, at))
            else:
                heapq.heappop(queue)
    return given


def by_group(groups: NDArray[np.int32], val: float, test: float, seed: int) -> Parts:
    """Return the part of each row so that all rows of a group are in one part.

    groups: each row's group, int32 (rows,), from 0 on. UserError when a part stays empty.
    """
    size = list(sizes(len(groups), val, test).values())
    counts = np.bincount(groups)
    part_of = np.empty(len(counts), dtype=np.int8)
    dealt, place = [0, 0, 0], 0
    for at, group in enumerate(_shuffled(len(counts), seed).tolist()):
        rows = int(counts[group])
        place += rows
        behind = [size[part] * place - dealt[part] * len(groups) for part in range(len(PARTS))]
        last = len(counts) - at <= dealt.count(0)  # each group that is left fills an empty part
        open_to = [part for part in range(len(PARTS)) if not (last and dealt[part])]
        part_of[group] = max(open_to, key=behind.__getitem__)
        dealt[part_of[group]] += rows
    if 0 in dealt:
        raise UserError(
            f"preprocess.split.group: no group is left for {PARTS[dealt.index(0)]}; there are "
            f"{len(counts)} groups, use a column with more"
        )
    return part_of[groups]


def by_time(moments: NDArray[np.float64], val: float, test: float) -> Parts:
    """Return the part of each row so that train is before val and val before test.

    moments: each row's time, float64 (rows,). UserError when a part stays empty.
    """
    size = sizes(len(moments), val, test)
    different, counts = np.unique(moments, return_counts=True)
    of_row = np.searchsorted(different, moments)
    if len(different) < len(PARTS):
        raise UserError(
            "preprocess.split.time: too few different times to put train before val before test; "
            "use another column"
        )
    ends, last = np.cumsum(counts), len(different) - 1  # moments, counted from the first
    last_train = min(int(np.searchsorted(ends, size["train"])), last - 2)
    last_val = int(np.searchsorted(ends, size["train"] + size["val"]))
    last_val = min(max(last_val, last_train + 1), last - 1)
    parts: Parts = ((of_row > last_train).astype(np.int8) + (of_row > last_val)).astype(np.int8)
    return parts


def from_column(column: Cells, rows: NDArray[np.int64]) -> Parts:
    """Return the part that a column of the table names for each row; `rows`: their numbers.

    Raises UserError for a value other than train, val and test, and for an empty part.
    """
    column = column.as_texts()
    texts = column.texts or ()
    of_text = [PARTS.index(text) if text in PARTS else -1 for text in texts]
    parts: Parts = np.array([*of_text, -1], dtype=np.int8)[column.values]
    if (parts < 0).any():
        at = int(np.argmax(parts < 0))
        found = "no value" if column.values[at] < 0 else f"'{texts[column.values[at]]}'"
        raise UserError(
            f"preprocess.split.column '{column.name}', row {rows[at]}: {found} is not one of "
            f"{', '.join(PARTS)}; mend the cell"
        )
    for at, part in enumerate(PARTS):
        if not (parts == at).any():
            raise UserError(
                f"preprocess.split.column '{column.name}': no row is in {part}; name that part "
                "in some rows"
            )
    return parts


def _shuffled(count: int, seed: int) -> NDArray[np.int32]:
    drawn = torch.randperm(count, generator=stream("split", seed), dtype=torch.int32)
    order: NDArray[np.int32] = drawn.numpy()
    return order
