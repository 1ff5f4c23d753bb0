"""Rows dealt to train, val and test: exact sizes, shares per class, named parts."""

from __future__ import annotations

from collections import Counter
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.common import split
from stages.common.errors import UserError

LETTERS = st.lists(st.sampled_from("aaaabbcd"), min_size=12, max_size=150)


def half_up(rows: int, share: str) -> int:
    return max(1, int((rows * Decimal(share)).to_integral_value(ROUND_HALF_UP)))


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
    with pytest.raises(UserError, match=f"{rows} rows are too few to split"):
        split.deal(rows, val, test, 0)


@pytest.mark.parametrize("rows", [3, 10, 99, 100, 257])
@pytest.mark.parametrize("stratified", [False, True])
def test_the_parts_have_exactly_their_sizes(rows, stratified):
    classes = ["ab"[n % 2] for n in range(rows)] if stratified else None
    parts = split.deal(rows, 0.2, 0.1, 5, classes)
    assert Counter(parts) == split.sizes(rows, 0.2, 0.1)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(LETTERS, st.integers(0, 5))
def test_stratified_sizes_are_exact_and_every_class_has_a_training_row(classes, seed):
    parts = split.deal(len(classes), 0.1, 0.2, seed, classes)
    assert Counter(parts) == split.sizes(len(classes), 0.1, 0.2)
    trained = {name for name, part in zip(classes, parts, strict=True) if part == "train"}
    assert trained == set(classes)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    st.lists(st.integers(10, 60), min_size=2, max_size=6),
    st.sampled_from([(0.1, 0.1), (0.2, 0.1), (0.15, 0.05), (0.3, 0.3)]),
    st.integers(0, 5),
)
def test_each_class_keeps_its_share_in_every_part(counts, shares, seed):
    val, test = shares
    classes = [str(name) for name, count in enumerate(counts) for _ in range(count)]
    rows = len(classes)
    size = split.sizes(rows, val, test)
    found = Counter(zip(classes, split.deal(rows, val, test, seed, classes), strict=True))
    for name, count in enumerate(counts):
        for part in split.PARTS:
            assert abs(found[str(name), part] - count * size[part] / rows) < 1.5


def test_equal_classes_that_fill_the_shares_exactly_get_exactly_them():
    classes = ["a"] * 50 + ["b"] * 50 + ["c"] * 100
    found = Counter(zip(classes, split.deal(200, 0.1, 0.1, 3, classes), strict=True))
    assert [found["a", part] for part in split.PARTS] == [40, 5, 5]
    assert [found["b", part] for part in split.PARTS] == [40, 5, 5]
    assert [found["c", part] for part in split.PARTS] == [80, 10, 10]


@pytest.mark.parametrize("seed", range(12))
def test_a_class_of_one_row_trains(seed):
    classes = ["a"] * 30 + ["lonely"] + ["b"] * 9
    parts = split.deal(40, 0.3, 0.3, seed, classes)
    assert parts[30] == "train"
    assert Counter(parts) == split.sizes(40, 0.3, 0.3)


@pytest.mark.parametrize("classes", [None, ["a", "b", "c", "b"] * 25])
def test_the_seed_alone_decides(classes):
    first = split.deal(100, 0.1, 0.1, 7, classes)
    assert split.deal(100, 0.1, 0.1, 7, classes) == first
    assert split.deal(100, 0.1, 0.1, 8, classes) != first


def test_rows_are_shuffled_over_the_whole_table():
    parts = split.deal(1000, 0.1, 0.1, 0)
    for start in range(0, 1000, 250):
        assert 5 < parts[start : start + 250].count("test") < 60


def test_without_classes_the_deal_does_not_look_at_them():
    assert split.deal(30, 0.1, 0.1, 0) == split.deal(30, 0.1, 0.1, 0, None)
    one_class = Counter(split.deal(30, 0.1, 0.1, 0, ["a"] * 30))
    assert one_class == split.sizes(30, 0.1, 0.1)


def test_a_column_names_the_parts():
    named = ["train", "test", "val", "train"]
    assert split.from_column(dict(enumerate(named)), "part") == named


@pytest.mark.parametrize("wrong", ["Train", "training", "0", "dev"])
def test_another_word_in_the_split_column_is_named_with_its_row(wrong):
    with pytest.raises(UserError) as caught:
        split.from_column({0: "train", 3: "val", 42: wrong, 43: "test"}, "part")
    text = str(caught.value)
    assert "preprocess.split.column 'part', row 42" in text
    assert f"'{wrong}' is not one of train, val, test" in text


def test_a_missing_value_in_the_split_column_is_called_missing():
    with pytest.raises(UserError, match="row 1: no value"):
        split.from_column({0: "train", 1: None, 2: "val", 3: "test"}, "part")


@pytest.mark.parametrize("absent", split.PARTS)
def test_a_part_that_the_split_column_never_names_is_named(absent):
    values = dict(enumerate([part for part in split.PARTS if part != absent] * 3))
    with pytest.raises(UserError, match=f"'part': no row is in {absent}"):
        split.from_column(values, "part")
