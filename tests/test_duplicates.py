"""Rows that repeat others: exact and near ones, across parts, with another target."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import default_rng

from stages.common import duplicates
from stages.common.evidence import Finding
from tests.columns import chunks_of, spool_of

HASHES = [13246515128340563437, 18208655546321290187]
NEAR = [[13604808198346814157, 496632223939344365], [16137929800586639826, 4453740252698439712]]


def normal(seed: int, rows: int = 2000, n: int = 12):
    return default_rng(seed).normal(size=(rows, n)).astype(np.float32)


def shares(rows: int, seed: int = 0):
    return default_rng(seed).choice(3, rows, p=[0.8, 0.1, 0.1]).astype(np.int8)


def found(x, y=None, parts=None) -> dict[str, Finding]:
    y = np.zeros(len(x), np.int64) if y is None else y
    parts = shares(len(x)) if parts is None else parts
    all_ = duplicates.findings(duplicates.row_hashes(x), duplicates.near_hashes(x), y, parts)
    assert all(each.column == "" and "\n" not in each.message for each in all_)
    return {each.check: each for each in all_}


def met(x, other) -> float:
    """Return the share of rows that have a hash in common with their like."""
    near = duplicates.near_hashes(x) == duplicates.near_hashes(other)
    return float(near.any(axis=1).mean())


@pytest.mark.parametrize("n", [1, 2, 3, 8, 51])
def test_rows_have_equal_hashes_exactly_when_they_are_equal(n):
    x = default_rng(n).integers(-2, 3, (30000, n)).astype(np.float32)
    _, places = np.unique(x, axis=0, return_inverse=True)
    _, hashed = np.unique(duplicates.row_hashes(x), return_inverse=True)
    pairs = np.unique(np.stack([places.ravel(), hashed]), axis=1)
    assert pairs.shape[1] == places.max() + 1 == hashed.max() + 1


def test_the_hash_of_a_row_depends_on_the_order_of_features_and_not_on_the_sign_of_0():
    x = np.array([[0, 1, 2], [-0.0, 1, 2], [0, 2, 1], [1, 0, 2]], np.float32)
    first, negative, *others = duplicates.row_hashes(x).tolist()
    assert first == negative
    assert len({first, *others}) == 3


def test_rows_repeat_an_earlier_one_exactly_when_all_their_cells_are_the_same():
    draw = default_rng(0)
    numbers = draw.choice(["", "0", "-0.0", "1", "2.5"], 3000)
    texts = draw.choice(["", "a", "ab", "b"], 3000)
    more = draw.choice(["1", "x", "2"], 3000)
    with chunks_of(700):
        spool = spool_of({"n": [*numbers], "t": [*texts], "m": [*more], "other": [*range(3000)]})
    rows = draw.random(3000) < 0.9
    seen, expected = set(), []
    for at, row in enumerate(zip(numbers, texts, more, strict=True)):
        row = (row[0].replace("-0.0", "0"), *row[1:])
        expected.append(bool(rows[at]) and row in seen)
        seen |= {row} if rows[at] else set()
    assert duplicates.repeats(spool, ["n", "t", "m"], np.flatnonzero(rows)).tolist() == expected
    backwards = duplicates.repeats(spool, ["n", "t", "m"], np.flatnonzero(rows)[::-1])
    assert backwards.sum() == sum(expected)
    assert backwards[np.flatnonzero(rows)[0]]


def test_hashes_of_chunks_are_those_of_the_whole_and_of_any_layout():
    x = normal(0, rows=20000, n=7)
    whole, near = duplicates.row_hashes(x), duplicates.near_hashes(x)
    assert (np.append(*map(duplicates.row_hashes, (x[:123], x[123:]))) == whole).all()
    assert (np.concatenate([*map(duplicates.near_hashes, (x[:123], x[123:]))]) == near).all()
    assert (duplicates.row_hashes(np.asfortranarray(x)) == whole).all()
    assert (duplicates.near_hashes(np.asfortranarray(x)) == near).all()


def test_hashes_are_the_same_on_every_machine():
    x = np.array([[0.0, 1.5, -2.25], [3e38, -1e-3, 7.0]], np.float32)
    assert duplicates.row_hashes(x).tolist() == HASHES
    assert duplicates.near_hashes(x).tolist() == NEAR


@pytest.mark.parametrize(
    ("n", "noise", "least", "most"),
    [
        (5, 1e-3, 0.995, 1.0),
        (20, 1e-3, 0.98, 0.995),
        (50, 1e-3, 0.92, 0.96),
        (5, 1e-2, 0.80, 0.88),
        (20, 1e-2, 0.56, 0.64),
        (50, 1e-2, 0.20, 0.28),
    ],
)
def test_near_rows_meet_as_often_as_the_docstring_says(n, noise, least, most):
    x = normal(1, rows=20000, n=n)
    assert least < met(x, x + noise * normal(2, rows=20000, n=n)) < most


def test_rows_that_differ_by_0_3_in_one_feature_never_meet():
    x = normal(1, rows=20000, n=4)
    for feature in range(4):
        other = x.copy()
        other[:, feature] += 0.3
        assert met(x, other) == 0


def test_rows_of_zeros_with_noise_meet():
    """Filled gaps and rare categories are 0 in many features: no edge of a cell runs there."""
    x = np.zeros((5000, 30), np.float32)
    assert met(x, x + 1e-3 * normal(0, rows=5000, n=30)) > 0.95


def test_sets_of_equal_hashes_are_those_of_unique():
    """Also of hashes that share their upper or their lower bits."""
    rng = default_rng(0)
    for rows, values in [(1, 1), (5, 2), (1000, 300), (1000, 10**9), (50000, 40000)]:
        for factor in (1, 2**4, 0x9E3779B97F4A7C15):
            hashes = rng.integers(0, values, rows).astype(np.uint64) * np.uint64(factor)
            _, first, place = np.unique(hashes, return_index=True, return_inverse=True)
            alike = duplicates._alike(hashes)
            assert (alike.place == place).all()
            assert (alike.first == first).all()


def test_exact_duplicates_are_counted_in_the_table_and_across_parts():
    x = np.arange(8, dtype=np.float32)[:, None][[0, 1, 2, 3, 4, 0, 1, 1, 5, 5, 6, 7]]
    parts = np.array([0, 0, 0, 0, 1, 1, 2, 0, 2, 2, 0, 0], np.int8)
    [only] = found(x, parts=parts).values()
    assert only.check == "duplicates"
    assert only.message == (
        "4 rows repeat the features of an earlier row exactly; 1 of 2 val rows and 1 of 3 test"
        " rows are equal to a training row"
    )
    assert only.strength == 0.4


def test_planted_duplicates_are_found_and_nothing_else():
    for seed in range(5):
        x, parts = normal(seed), shares(2000, seed)
        test = np.flatnonzero(parts == 2)[:40]
        x[test] = x[np.flatnonzero(parts == 0)[:40]]
        [only] = found(x, parts=parts).values()
        assert only.check == "duplicates"
        assert only.message.startswith("40 rows repeat")
        assert f"0 of {(parts == 1).sum()} val rows and 40 of {(parts == 2).sum()}" in only.message


@pytest.mark.parametrize("n", [4, 12, 50])
def test_planted_near_duplicates_are_found_and_nothing_else(n):
    for seed in range(5):
        x, parts = normal(seed, n=n), shares(2000, seed)
        test = np.flatnonzero(parts == 2)[:40]
        x[test] = x[np.flatnonzero(parts == 0)[:40]] + 1e-3 * normal(9, rows=40, n=n)
        [only] = found(x, parts=parts).values()
        assert only.check == "near-duplicates"
        assert 32 <= int(only.message.split()[0]) <= 42  # a few of 4 features are near by chance
        assert 32 <= round(only.strength * int((parts > 0).sum())) <= 42


def test_near_rows_within_a_part_and_exact_ones_are_not_near_across_parts():
    x, parts = normal(0), shares(2000)
    train = np.flatnonzero(parts == 0)
    x[train[:30]] = x[train[30:60]] + 1e-3 * normal(9, rows=30)
    x[np.flatnonzero(parts == 1)[:20]] = x[train[60:80]]
    both = found(x, parts=parts)
    assert list(both) == ["duplicates", "near-duplicates"]
    assert both["near-duplicates"].strength == 0
    assert 27 <= int(both["near-duplicates"].message.split()[0]) <= 30


def test_a_crowd_is_not_taken_for_near_duplicates():
    """Few features, heavy tails, whole numbers: different rows are near by chance."""
    for seed in range(10):
        rng = default_rng(seed)
        tables = [
            *[rng.normal(size=(rows, n)) for rows in (100, 5000) for n in (1, 2, 3, 4)],
            *[rng.random(size=(5000, n)) for n in (1, 2, 5)],
            *[np.exp(1.5 * rng.normal(size=(5000, n))) for n in (1, 2, 6)],
            np.exp(rng.normal(size=(5000, 1))) * [[1, 2]] + rng.normal(size=(5000, 2)),
            rng.standard_cauchy(size=(5000, 3)),
            np.round(15 * rng.normal(size=(5000, 3))),
            np.append(rng.integers(0, 2, (5000, 9)), rng.normal(size=(5000, 1)), axis=1),
        ]
        for x in tables:
            scaled = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
            assert "near-duplicates" not in found(scaled), x.shape


def test_label_noise_counts_training_rows_with_the_features_of_another_and_another_target():
    x = np.arange(9, dtype=np.float32)[:, None][[0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8]]
    y = np.array([1, 0, 1, 2, 2, 0, 1, 0, 0, 0, 0, 0, 0])
    parts = np.array([0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], np.int8)
    for target in (y, y.astype(np.float32) / 3):
        both = found(x, target, parts)
        assert list(both) == ["duplicates", "label noise"]
        assert both["label noise"].message.startswith("3 of 12 training rows have the features")
        assert both["label noise"].strength == 0.25


def test_planted_label_noise_is_found():
    for seed in range(5):
        x, parts = normal(seed), np.zeros(2000, np.int8)
        y = default_rng(seed).integers(0, 3, 2000)
        x[:50], y[:50] = x[50:100], (y[50:100] + 1) % 3
        both = found(x, y, parts)
        assert list(both) == ["duplicates", "label noise"]
        assert both["label noise"].message.startswith("100 of 2000")


def test_few_different_rows_repeat_by_themselves():
    rng = default_rng(0)
    x, y = rng.integers(0, 4, (1000, 3)).astype(np.float32), rng.integers(0, 2, 1000)
    [only] = found(x, y).values()
    assert only.check == "duplicates"
    assert only.remedy.startswith("expected of so few")


def test_clean_rows_and_tables_of_no_or_one_row_have_no_findings():
    for seed in range(20):
        assert found(normal(seed)) == {}
    for rows in (0, 1):
        assert found(normal(0, rows=rows)) == {}
