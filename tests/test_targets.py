"""The target of training rows: task, classes, mean and spread, against hand-computed values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from stages.common import targets
from stages.common.cells import Cells
from stages.common.errors import UserError
from stages.common.schema import Target
from tests.columns import chunks_of, spool_of


def column_of(values: Sequence[str]) -> list[Cells]:
    return list(spool_of({"y": values, "spare": ["1"] * len(values)}).blocks("y"))


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["0", "1", "2"], "classification"),
        (["1.0", "2.0", "3e0"], "classification"),
        (["1", "2.5", "3"], "regression"),
        (["-0.1", "1e-3"], "regression"),
        (["b'1'", "2.5"], "regression"),
        (["a", "2.5"], "classification"),
        (["yes", "no"], "classification"),
        (["1", "inf"], "classification"),
        (["1", str(2**60 + 1)], "classification"),
    ],
)
@pytest.mark.parametrize("chunk", [1, 100])
def test_a_fraction_among_numbers_makes_it_a_regression(values, task, chunk):
    with chunks_of(chunk):
        column = column_of(values)
    assert targets.detect_task(column, "auto") == task
    assert targets.detect_task(column, "regression") == "regression"
    assert targets.detect_task(column, "classification") == "classification"


@pytest.mark.parametrize("missing", [["2.5", "", "1"], ["b'2.5'", "", "1"]])
def test_rows_without_a_target_do_not_change_the_task(missing):
    assert targets.detect_task(column_of(missing), "auto") == "regression"


def test_the_task_is_that_of_the_rows_taken():
    (block,) = column_of(["1.5", "b'2'", "x", "1"])
    assert targets.detect_task([block], "auto") == "classification"
    for rows, task in (([0, 1, 3], "regression"), ([1, 3], "classification")):
        assert targets.detect_task([block.take(np.array(rows))], "auto") == task


def target_of(
    values: Sequence[str], task: Any = "classification", train: Sequence[bool] | None = None
) -> Target:
    spool = spool_of({"x": ["1"] * len(values), "y": values})
    rows = np.ones(len(spool), dtype=np.bool_) if train is None else np.array(train)
    return targets.fit(spool, "y", rows, task)


@pytest.mark.parametrize(
    ("values", "classes", "counts"),
    [
        (["10", "9", "10", "2", "9", "10"], ["2", "9", "10"], [1, 2, 3]),
        (["b", "a", "b", "b"], ["a", "b"], [1, 3]),
        (["b'b'", "a", "b", "b'b'"], ["a", "b"], [1, 3]),
        (["x", "10", "9", "x", "9", "10", "-1", "-1"], ["-1", "9", "10", "x"], [2, 2, 2, 2]),
        (["True", "False"] * 2, ["False", "True"], [2, 2]),
        (["0.0", "1.0", "1", "0"], ["0", "1"], [2, 2]),
        (["b", "NAN", "a", "1", "inf"] * 2, ["1", "NAN", "a", "b", "inf"], [2] * 5),
        (["1", "a", "inf", "NAN", "b"] * 2, ["1", "NAN", "a", "b", "inf"], [2] * 5),
    ],
)
@pytest.mark.parametrize("chunk", [2, 100])
def test_classes_are_sorted_numbers_by_size_before_text_and_counted(values, classes, counts, chunk):
    with chunks_of(chunk):
        target = target_of(values)
    assert target == Target(name="y", position=1, classes=classes, counts=counts)


def test_classes_that_no_training_row_has_are_not_known():
    target = target_of(["a", "b", "a", "b", "c", "c"], train=[True] * 4 + [False] * 2)
    assert (target.classes, target.counts) == (["a", "b"], [2, 2])


def test_a_number_as_target_has_its_mean_and_population_deviation():
    values = ["1.5", "2.5", "4", "8"]
    for target in (
        target_of(values, "regression"),
        target_of([*values, "99"], "regression", train=[True] * 4 + [False]),
    ):
        assert target.shift == 4
        assert target.scale == math.sqrt((2.5**2 + 1.5**2 + 0 + 16) / 4)
        assert (target.classes, target.counts) == ([], [])


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_constant_target_is_named_with_its_value(task):
    with pytest.raises(UserError) as caught:
        target_of([*["4"] * 6, "5"], task, train=[True] * 6 + [False])
    assert str(caught.value) == (
        "target 'y': every training row has the value '4'; there is nothing to learn, choose "
        "another target"
    )


def test_a_target_with_nearly_as_many_classes_as_rows_is_refused_with_both_numbers():
    with pytest.raises(UserError) as caught:
        target_of(["1", "2", "3", "4", "4", "4", "4"])
    assert str(caught.value) == (
        "target 'y': 4 classes in 7 training rows; choose another target, or set "
        "preprocess.task to regression"
    )
    assert target_of(["1", "2", "3", "3", "3", "3"]).counts == [1, 1, 4]


def test_many_whole_numbers_can_be_a_regression_on_request():
    assert target_of(["1", "2", "3", "4"], "regression").shift == 2.5


def test_junk_in_a_regression_target_is_named():
    with pytest.raises(UserError, match="row 1, column 'y': 'x' is not a number"):
        target_of(["1.5", "x", "2"], "regression")


def test_numbers_too_close_for_a_deviation_are_not_scaled():
    assert target_of(["0", "1e-200"], "regression").scale == 1
