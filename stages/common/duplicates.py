"""Rows that repeat others, found by hashes of their features; memory: a few numbers a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.common.cells import Cells
from stages.common.evidence import Finding
from stages.common.spool import Spool

WIDTH, LEAST, MOST = 0.03, 0.06, 0.28  # of a cell: so many deviations per feature, within limits
FINER = 4  # so many times is the second grid finer
CROWD = 10  # near rows per row from which on they are a crowd, no copies
BLOCK = 8192  # rows hashed at once: they stay in the processor's cache
SHARE = 0.4  # of near pairs that are in the finer grid: 0.25 by chance, 0.65 of noisy copies
PAIRS = 2  # near pairs that chance may give


def row_hashes(features: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return a hash per row of features (rows, n), uint64 (rows,).

    Equal rows have equal hashes, -0.0 as 0.0; two different rows of ten million have the
    same one with a chance of 3e-6. Needs the memory of the features once or twice more.
    """
    rows, n = features.shape
    hashes = np.full(rows, n, dtype=np.uint64)
    for start in range(0, rows, BLOCK):
        block = features[start : start + BLOCK]
        pairs = np.zeros((len(block), n + n % 2), dtype=np.float32)  # two features to a word
        np.add(block, 0.0, out=pairs[:, :n])  # -0.0 becomes 0.0
        mixed = hashes[start : start + BLOCK]
        for word in pairs.view(np.uint64).T:
            _mix(mixed, word)
    return hashes


def _mix(hashes: NDArray[np.uint64], word: NDArray[np.uint64]) -> None:
    """Take one more word into each hash, by splitmix64 (Steele et al. 2014)."""
    hashes ^= word
    hashes += np.uint64(0x9E3779B97F4A7C15)
    hashes ^= hashes >> np.uint64(30)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(27)
    hashes *= np.uint64(0x94D049BB133111EB)
    hashes ^= hashes >> np.uint64(31)


def repeats(spool: Spool, names: Sequence[str], order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows of `order` have the cells of one before them there, bool (all rows,).

    names: the columns that are compared; order: row numbers. No value is like no value.
    """
    hashes = np.concatenate([_cell_hashes(chunk) for chunk in spool.chunks(names)])
    repeated = np.zeros(len(spool), dtype=np.bool_)
    repeated[order] = True
    repeated[order[_alike(hashes[order]).first]] = False
    return repeated


def _cell_hashes(columns: Sequence[Cells]) -> NDArray[np.uint64]:
    """Return a hash per row of cells, uint64 (rows,); the same in any chunk."""
    hashes = np.full(len(columns[0]), len(columns), dtype=np.uint64)
    for column in columns:
        if column.texts is None:
            word = np.where(column.missing, np.nan, column.values + 0.0).view(np.uint64)
        else:
            of_text = [blake2b(text.encode(), digest_size=8).digest() for text in column.texts]
            word = np.frombuffer(b"".join([*of_text, bytes(8)]), dtype=np.uint64)[column.values]
        _mix(hashes, word)
    return hashes


def near_hashes(features: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return a hash per row and grid of features (rows, n) of deviation about 1, uint64 (rows, 2).

    Two rows have the same hash when all their features lie in the same cell of a grid. Cells
    are the wider the more features there are, for the edges to meet as few near rows. The
    second grid is four times finer, and shifted, so that `findings` can tell copies from a
    crowd. Rows that differ by 0.3 in one feature never meet. Rows whose features all differ
    by noise of deviation 0.001 meet in at least one grid in 99.7 of 100 cases with 5
    features, 99 with 20 and 94 with 50; noise of 0.01: 82, 60 and 24.
    """
    rows, n = features.shape
    edges = (np.arange(1, n + 1) * 0.6180339887 % 1).astype(np.float32)  # 0 is on no edge
    per_unit = 1 / min(MOST, max(LEAST, WIDTH * n))  # cells of the first grid
    hashes = np.empty((rows, 2), dtype=np.uint64)
    for start in range(0, rows, BLOCK):
        block = features[start : start + BLOCK]
        for grid, scale in enumerate((per_unit, FINER * per_unit)):
            with np.errstate(over="ignore"):  # what is beyond all numbers is one cell
                cells = block * np.float32(scale)
            cells += edges + np.float32(grid / 2)
            hashes[start : start + BLOCK, grid] = row_hashes(np.floor(cells, out=cells))
    return hashes


@dataclass(frozen=True)
class _Alike:
    """Rows sorted into sets of equal hashes.

    place: the set of each row, int32 (rows,); first: the first row of each set, int32 (sets,).
    """

    place: NDArray[np.int32]
    first: NDArray[np.int32]

    def any(self, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return for each set whether one of its rows is among those, bool (sets,)."""
        found = np.zeros(len(self.first), dtype=bool)
        found[self.place[rows]] = True
        return found


def _alike(hashes: NDArray[np.uint64]) -> _Alike:
    """Return the sets of equal hashes (rows,), below 2^31 rows.

    Sorting numbers is many times faster than sorting places, so upper bits of the hash and
    the row in the lower bits are sorted as one; only hashes that share those are looked at.
    """
    rows = len(hashes)
    low = np.uint64((1 << rows.bit_length()) - 1)
    keys = hashes & ~low
    keys |= np.arange(rows, dtype=np.uint64)
    keys.sort()
    order = (keys & low).astype(np.int32)
    keys &= ~low
    shared = np.zeros(rows, dtype=bool)
    np.equal(keys[1:], keys[:-1], out=shared[1:])
    shared[:-1] |= shared[1:]
    del keys
    among = order[shared]
    among = among[np.argsort(hashes[among], kind="stable")]
    order[shared] = among
    new = np.ones(rows, dtype=bool)
    new[np.flatnonzero(shared)[1:]] = hashes[among[1:]] != hashes[among[:-1]]
    place = np.empty(rows, dtype=np.int32)
    place[order] = np.cumsum(new, dtype=np.int32) - np.int32(1)
    return _Alike(place, order[new])


def findings(
    hashes: NDArray[np.uint64],
    near: NDArray[np.uint64],
    target: NDArray[Any],
    parts: NDArray[np.int8],
) -> list[Finding]:
    """Return what repeated rows do to the figures, over all rows of the table, at most three.

    hashes: (rows,) of `row_hashes`; near: (rows, 2) of `near_hashes`; target: int64 or float32
    (rows,); parts: 0 train, 1 val, 2 test, int8 (rows,). Strength is the share of val and test
    rows (label noise: of training rows) that are concerned. Features that take fewer different
    values than half the rows repeat by themselves: their duplicates are told, but equal rows
    with different targets are no label noise then.
    """
    same = _alike(hashes)
    found = [_duplicates(same, parts), _near(same, near, parts)]
    if 2 * len(same.first) >= len(hashes):
        found.append(_label_noise(same, target, parts))
    return [each for each in found if each is not None]


def _duplicates(same: _Alike, parts: NDArray[np.int8]) -> Finding | None:
    repeats = len(parts) - len(same.first)
    shared = same.any(parts == 0)[same.place]
    remedy = "preprocess.duplicates: drop leaves out those with the same target; "
    remedy += "preprocess.split.group keeps rows in one part"
    if 2 * len(same.first) < len(parts):
        remedy = "expected of so few different rows; if they are copies, drop them"
    message = f"{repeats} rows repeat the features of an earlier row exactly"
    return _told("duplicates", message, "equal", shared, parts, remedy) if repeats else None


def _near(same: _Alike, near: NDArray[np.uint64], parts: NDArray[np.int8]) -> Finding | None:
    """Find different rows in one cell, unless chance put them there.

    Pairs that are near by chance are at least four times rarer in the finer grid, as long as
    one feature is spread over many cells; copies with a little noise are in both. So the
    finer grid must have SHARE of the pairs of the coarser, and no more than a few per row.
    Copies fewer than those that chance gives are missed.
    """
    rows = np.sort(same.first)  # one of each set, as the file has them
    trained = same.any(parts == 0)[same.place[rows]]
    later, beside = np.zeros((2, len(rows)), dtype=bool)
    pairs = []
    for grid in near.T:
        cells = _alike(grid[rows])
        size = np.bincount(cells.place)
        size = size[size > 1]
        pairs.append(int((size * (size - 1)).sum()) // 2)
        later |= cells.first[cells.place] != np.arange(len(rows), dtype=np.int32)
        beside |= cells.any(trained)[cells.place]
    if pairs[1] < SHARE * pairs[0] + PAIRS or pairs[1] > CROWD * len(rows):
        return None
    shared = np.zeros(len(rows), dtype=bool)
    shared[same.place[rows]] = beside & ~trained
    message = f"{int(later.sum())} different rows are nearly an earlier row, in every feature"
    remedy = "find out why rows come twice; keep such rows in one part (preprocess.split.group)"
    return _told("near-duplicates", message, "near", shared[same.place], parts, remedy)


def _told(
    check: str,
    message: str,
    how: str,
    shared: NDArray[np.bool_],
    parts: NDArray[np.int8],
    remedy: str,
) -> Finding:
    """Return the finding; shared: which rows have features like a training row's."""
    counts = [(int(shared[parts == part].sum()), int((parts == part).sum())) for part in (1, 2)]
    (val, of_val), (test, of_test) = counts
    message += f"; {val} of {of_val} val rows and {test} of {of_test} test rows are {how} to a"
    strength = round((val + test) / max(1, of_val + of_test), 4)
    return Finding(check, "", strength, f"{message} training row", remedy)


def _label_noise(same: _Alike, target: NDArray[Any], parts: NDArray[np.int8]) -> Finding | None:
    train = parts == 0
    one = np.zeros(len(same.first), dtype=target.dtype)  # of each set, one row's target
    one[same.place[train]] = target[train]
    torn = same.any(train & (target != one[same.place]))
    count, rows = int((train & torn[same.place]).sum()), int(train.sum())
    message = f"{count} of {rows} training rows have the features of another and another target"
    remedy = "mend or drop them in the table; or add the column that tells them apart"
    return Finding("label noise", "", round(count / rows, 4), message, remedy) if count else None
