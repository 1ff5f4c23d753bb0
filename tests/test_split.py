"""Rows dealt to train, val and test: exact sizes, shares per class, groups, times, named parts."""

from __future__ import annotations

import time
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.common import split
from stages.common.cells import Cells
from stages.common.errors import UserError
from stages.common.settings import PARTS

SHARES = [(0.1, 0.1), (0.2, 0.05), (0.15, 0.05), (0.3, 0.3), (0.01, 0.3)]
QUICK = 10.0  # seconds: far more than needed, far less than a quadratic rule takes


def half_up(rows: int, share: str) -> int:
    return max(1, int((rows * Decimal(share)).to_integral_value(ROUND_HALF_UP)))


def classes_of(counts, seed=0):
    """Rows of classes with these counts, in random order."""
    rows = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    return np.random.default_rng(seed).permutation(rows)


def sizes_of(parts):
    return dict(zip(PARTS, np.bincount(parts, minlength=3).tolist(), strict=True))


def counted(classes, parts):
    """Rows of each class and part, (classes, 3)."""
    return np.stack([np.bincount(classes[parts == at], minlength=classes.max() + 1)
                     for at in range(3)], axis=1)  # fmt: skip


@pytest.mark.parametrize(
    ("val", "test"), [("0.1", "0.1"), ("0.2", "0.05"), ("0.15", "0.15"), ("0.01", "0.3")]
)
def test_val_and_test_are_rounded_half_up_and_train_gets_the_rest(val, test):
    for rows in range(3, 1200):
        found = split.sizes(rows, float(val), float(test))
        expected = {"val": half_up(rows, val), "test": half_up(rows, test)}
        assert found == {"train": rows - sum(expected.values()), **expected}, rows
        assert list(found) == ["train", "val", "test"]


def test_half_a_row_is_rounded_up_for_any_decimal_share():
    assert split.sizes(50, 0.29, 0.1)["val"] == half_up(50, "0.29") == 15


def test_the_default_shares_of_known_tables():
    assert split.sizes(1197, 0.1, 0.1) == {"train": 957, "val": 120, "test": 120}
    assert split.sizes(105, 0.1, 0.1) == {"train": 83, "val": 11, "test": 11}
    assert split.sizes(104, 0.1, 0.1) == {"train": 84, "val": 10, "test": 10}


def test_every_part_of_a_tiny_table_has_a_row():
    assert split.sizes(3, 0.1, 0.1) == {"train": 1, "val": 1, "test": 1}
    assert split.sizes(5, 0.01, 0.01) == {"train": 3, "val": 1, "test": 1}


@pytest.mark.parametrize(("rows", "val", "test"), [(1, 0.1, 0.1), (2, 0.1, 0.1), (4, 0.5, 0.4)])
def test_too_few_rows_are_refused_with_their_number(rows, val, test):
    with pytest.raises(UserError, match=rf"^{rows} rows?: too few to split"):
        split.deal(np.zeros(rows, dtype=np.int32), val, test, 0)


# By class.


@settings(deadline=None, max_examples=300, derandomize=True)
@given(
    st.lists(st.integers(1, 40) | st.integers(1, 3), min_size=1, max_size=30),
    st.sampled_from(SHARES),
    st.integers(0, 5),
)
def test_sizes_are_exact_whatever_the_classes_are(counts, shares, seed):
    classes = classes_of(counts)
    if len(classes) >= 3:
        parts = split.deal(classes, shares[0], shares[1], seed)
        assert parts.dtype == np.int8
        assert sizes_of(parts) == split.sizes(len(classes), *shares)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(
    st.lists(st.integers(10, 60), min_size=2, max_size=12),
    st.sampled_from([(0.1, 0.1), (0.2, 0.1), (0.15, 0.05), (0.3, 0.3)]),
    st.integers(0, 5),
)
def test_each_class_is_within_one_row_of_its_share_of_val_and_test(counts, shares, seed):
    classes = classes_of(counts)
    parts = split.deal(classes, shares[0], shares[1], seed)
    found, size = counted(classes, parts), list(split.sizes(len(classes), *shares).values())
    for count, of_class in zip(counts, found, strict=True):
        for at in (1, 2):
            share = count * size[at] / len(classes)
            # a class of three rows or more has a row in each part even if its share is less
            assert abs(of_class[at] - share) < 1 or (share < 1 and of_class[at] == 1)
        assert abs(of_class[0] - count * size[0] / len(classes)) < 2


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=8), st.integers(0, 5))
def test_small_classes_train_first_and_those_of_three_rows_reach_every_part(counts, seed):
    counts = [*counts, 200]  # there is room for all
    classes = classes_of(counts)
    for count, found in zip(
        counts, counted(classes, split.deal(classes, 0.1, 0.1, seed)), strict=True
    ):
        assert found[0] > 0
        if count >= 3:
            assert found.min() > 0
        if count == 1:
            assert found.tolist() == [1, 0, 0]


def test_without_room_for_all_classes_in_val_the_sizes_still_hold():
    classes = classes_of([3] * 30)  # 9 rows in val and in test
    found = counted(classes, split.deal(classes, 0.1, 0.1, 0))
    assert found.sum(axis=0).tolist() == [72, 9, 9]
    assert found.max(axis=0).tolist() == [3, 1, 1]


@pytest.mark.parametrize("rows", [3, 4, 5, 12])
def test_a_class_per_row_leaves_no_part_empty(rows):
    for seed in range(5):
        parts = split.deal(classes_of([1] * rows), 0.1, 0.2, seed)
        assert sizes_of(parts) == split.sizes(rows, 0.1, 0.2)


def test_equal_classes_that_fill_the_shares_exactly_get_exactly_them():
    classes = classes_of([50, 50, 100])
    found = counted(classes, split.deal(classes, 0.1, 0.1, 3))
    assert found.tolist() == [[40, 5, 5], [40, 5, 5], [80, 10, 10]]


def test_the_class_furthest_below_its_share_is_given_the_next_row():
    counts = np.array([16, 14, 10], dtype=np.int64)  # shares of 4: 1.6, 1.4, 1.0
    none = np.zeros(3, dtype=np.int64)
    assert split.apportion(4, counts, counts, none, counts).tolist() == [2, 1, 1]
    assert split.apportion(4, counts, counts, none + 2, counts).tolist() == [2, 1, 1]
    most = np.array([1, 9, 9])
    assert split.apportion(4, counts, counts, none, most).tolist() == [1, 2, 1]
    assert split.apportion(4, counts, np.array([0, 2, 9]), none, none).tolist() == [0, 2, 2]


@pytest.mark.parametrize("seed", range(12))
def test_a_class_of_one_row_trains(seed):
    classes = np.array([0] * 30 + [1] + [2] * 9, dtype=np.int32)
    parts = split.deal(classes, 0.3, 0.3, seed)
    assert parts[30] == 0
    assert sizes_of(parts) == split.sizes(40, 0.3, 0.3)


@pytest.mark.parametrize("classes", [np.zeros(100, np.int32), classes_of([25, 50, 25])])
def test_the_seed_alone_decides(classes):
    first = split.deal(classes, 0.1, 0.1, 7)
    assert split.deal(classes, 0.1, 0.1, 7).tolist() == first.tolist()
    assert split.deal(classes, 0.1, 0.1, 8).tolist() != first.tolist()


def test_rows_are_shuffled_over_the_whole_table():
    parts = split.deal(np.zeros(1000, dtype=np.int32), 0.1, 0.1, 0)
    for start in range(0, 1000, 250):
        assert 5 < (parts[start : start + 250] == 2).sum() < 60


@pytest.mark.parametrize(
    "counts",
    [[3] * 2000, [1] * 300_000, [3] * 300_000 + [900_000], [500_000, 400_000, 100_000]],
    ids=["2,000 of 3 rows", "a class per row", "a large one among tiny ones", "a million rows"],
)
def test_any_number_of_classes_and_rows_ends_soon(counts):
    classes, begin = classes_of(counts), time.perf_counter()
    parts = split.deal(classes, 0.1, 0.1, 0)
    assert time.perf_counter() - begin < QUICK
    assert sizes_of(parts) == split.sizes(len(classes), 0.1, 0.1)


# By group.


@settings(deadline=None, max_examples=200, derandomize=True)
@given(
    st.lists(st.integers(1, 12), min_size=3, max_size=60),
    st.sampled_from(SHARES),
    st.integers(0, 5),
)
def test_no_group_is_in_two_parts_and_none_is_empty(counts, shares, seed):
    groups = classes_of(counts)
    parts = split.by_group(groups, shares[0], shares[1], seed)
    assert parts.dtype == np.int8
    assert ((counted(groups, parts) > 0).sum(axis=1) == 1).all()
    sizes = split.sizes(len(groups), *shares)
    for part, rows in sizes_of(parts).items():
        assert 0 < rows <= sizes[part] + max(counts)
        assert rows >= sizes[part] - 2 * max(counts)


def test_sizes_are_near_when_groups_are_many():
    groups = classes_of(np.random.default_rng(0).integers(1, 6, 1000))
    found, sizes = sizes_of(split.by_group(groups, 0.1, 0.2, 0)), split.sizes(len(groups), 0.1, 0.2)
    assert all(abs(found[part] - sizes[part]) <= 10 for part in PARTS)


def test_the_seed_deals_the_groups():
    groups = classes_of([4] * 30)
    first = split.by_group(groups, 0.1, 0.1, 0).tolist()
    assert split.by_group(groups, 0.1, 0.1, 0).tolist() == first
    assert split.by_group(groups, 0.1, 0.1, 1).tolist() != first


@pytest.mark.parametrize("groups", range(3, 12))
def test_three_groups_are_enough(groups):
    for seed in range(5):
        found = sizes_of(split.by_group(classes_of([20] * groups), 0.1, 0.1, seed))
        assert min(found.values()) > 0
        assert found["train"] == max(found.values())


@pytest.mark.parametrize(("groups", "part"), [(1, "val"), (2, "test")])
def test_too_few_groups_are_counted(groups, part):
    expected = rf"split\.group: no group is left for .*; there are {groups} groups, use a column"
    with pytest.raises(UserError, match=expected):
        split.by_group(classes_of([20] * groups), 0.1, 0.1, 0)


# By time.


@settings(deadline=None, max_examples=300, derandomize=True)
@given(
    st.lists(st.integers(1, 12), min_size=3, max_size=60), st.sampled_from(SHARES), st.integers(0)
)
def test_train_is_before_val_and_val_before_test_and_ties_stay_together(counts, shares, seed):
    moments = classes_of(counts, seed).astype(np.float64) * 1.5 - 7
    parts = split.by_time(moments, *shares)
    assert parts.dtype == np.int8
    for at in (1, 2):
        assert moments[parts == at].min() > moments[parts == at - 1].max()
    found, sizes = sizes_of(parts), split.sizes(len(moments), *shares)
    assert found["train"] < sizes["train"] + max(counts)
    assert found["train"] + found["val"] < sizes["train"] + sizes["val"] + 2 * max(counts)


def test_different_times_give_exact_sizes():
    moments = np.random.default_rng(0).permutation(205).astype(np.float64)
    parts = split.by_time(moments, 0.1, 0.2)
    assert sizes_of(parts) == split.sizes(205, 0.1, 0.2)
    assert moments[parts == 2].tolist() == [moment for moment in moments if moment >= 164]


@pytest.mark.parametrize("years", [3, 4, 5, 6, 7, 20])
def test_a_few_years_with_many_rows_each_are_dealt(years):
    moments = np.repeat(np.arange(2000.0, 2000 + years), 50)
    found = sizes_of(split.by_time(moments, 0.1, 0.1))
    assert found["test"] >= 50
    assert found["val"] >= 50
    assert found["train"] == max(50 * (years - 2) if years < 10 else 800, 50)


@pytest.mark.parametrize("moments", [[5.0] * 20, [1.0, 2.0] * 10])
def test_too_few_times_are_refused(moments):
    with pytest.raises(UserError, match=r"preprocess\.split\.time: too few different times"):
        split.by_time(np.array(moments), 0.1, 0.1)


# By a column that names the parts.


def column(*cells: str | None) -> Cells:
    texts = tuple(dict.fromkeys(cell for cell in cells if cell is not None))
    places = [-1 if cell is None else texts.index(cell) for cell in cells]
    return Cells("part", np.array(places, dtype=np.int32), texts)


def test_a_column_names_the_parts():
    found = split.from_column(column("train", "test", "val", "train"), np.arange(4))
    assert found.tolist() == [0, 2, 1, 0]
    assert found.dtype == np.int8


@pytest.mark.parametrize("wrong", ["Train", "training", "0", "dev"])
def test_another_word_in_the_split_column_is_named_with_its_row(wrong):
    with pytest.raises(UserError) as caught:
        split.from_column(column("train", "val", wrong, "test"), np.array([0, 3, 42, 43]))
    assert str(caught.value) == (
        f"preprocess.split.column 'part', row 42: '{wrong}' is not one of train, val, test; "
        "mend the cell"
    )


def test_a_column_of_numbers_names_no_part():
    with pytest.raises(UserError, match=r"'part', row 7: '1' is not one of train, val, test"):
        split.from_column(Cells("part", np.array([1.0, 2.0])), np.array([7, 8]))


def test_a_missing_value_in_the_split_column_is_called_missing():
    with pytest.raises(UserError, match="row 1: no value"):
        split.from_column(column("train", None, "val", "test"), np.arange(4))


@pytest.mark.parametrize("absent", PARTS)
def test_a_part_that_the_split_column_never_names_is_named(absent):
    names = [part for part in PARTS if part != absent] * 3
    with pytest.raises(UserError, match=f"'part': no row is in {absent}"):
        split.from_column(column(*names), np.arange(6))
