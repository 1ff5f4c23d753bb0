"""Statistics, kinds and classes found in training rows, against hand-computed values."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from stages.common import schema
from stages.common.errors import UserError
from stages.common.schema import Schema, Target
from stages.common.table import Columns


def frame_of(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(cells, dtype="str") for name, cells in columns.items()})


def fit(
    task: Any = "auto", missing: Any = "fill", scale: Any = "standard", **columns: Any
) -> Schema:
    """Fit columns of cells; the last one is the target."""
    *features, target = columns
    positions = {name: at for at, name in enumerate(columns)}
    chosen = Columns(tuple(features), target, ())
    return schema.fit(frame_of(**columns), chosen, positions, task, missing, scale)


def fit_one(cells: Sequence[str | None], scale: str = "standard") -> Any:
    """Fit one feature beside a feature and a target that are in order; return what it became."""
    spare = [str(n) for n in range(len(cells))]
    found = fit(x=cells, spare=spare, y=["a", "b"] * (len(cells) // 2), scale=scale)
    columns = {column.name: column for column in [*found.features, *found.dropped]}
    return columns["x"]


@pytest.mark.parametrize(
    ("scale", "shift", "unit"),
    [("standard", 2.5, math.sqrt(1.25)), ("minmax", 1.0, 3.0), ("none", 0.0, 1.0)],
)
def test_statistics_of_a_numeric_column(scale, shift, unit):
    column = fit_one(["4", "1", "2", "3"], scale)
    assert column.kind == "numeric"
    assert column.shift == shift
    assert column.scale == pytest.approx(unit, abs=0, rel=1e-15)
    assert column.fill == 2.5
    assert not column.indicator
    assert column.width == 1


def test_missing_values_take_no_part_in_the_statistics_and_are_marked():
    column = fit_one(["1", None, "9", "2", None, "4"])
    assert column.shift == 4
    assert column.scale == math.sqrt((9 + 25 + 4 + 0) / 4)
    assert column.fill == 3  # the median of 1, 2, 4, 9
    assert column.indicator
    assert column.width == 2


@pytest.mark.parametrize(
    "cells",
    [
        ["true", "false", "true", "true"],
        ["True", "FALSE", "true", "False"],
        ["yes", "no", "Yes", "NO"],
        ["yes", "0", "1", "false"],
        ["true", None, "false", "true"],
    ],
)
@pytest.mark.parametrize("scale", ["standard", "minmax", "none"])
def test_booleans_in_several_spellings_are_not_scaled(cells, scale):
    column = fit_one(cells, scale)
    assert column.kind == "boolean"
    assert (column.shift, column.scale) == (0, 1)
    assert column.indicator == (None in cells)


def test_zeros_and_ones_are_numbers():
    column = fit_one(["0", "1", "1", "1"])
    assert column.kind == "numeric"
    assert column.shift == 0.75


def test_text_becomes_sorted_levels():
    column = fit_one(["red", "blue", "red", "green"])
    assert column.kind == "category"
    assert column.levels == ["blue", "green", "red"]
    assert column.width == 4


def test_a_missing_category_is_a_level_of_its_own():
    column = fit_one(["red", None, "blue", "red"])
    assert sorted(column.levels) == sorted(["red", "blue", schema.NO_VALUE])
    assert column.width == 4


def test_the_rarest_of_many_levels_share_the_unknown_column():
    common = [f"level{n:02}" for n in range(64)]
    column = fit_one([*common, *common, "rare1", "rare2"])
    assert column.levels == common
    assert column.width == 65


def test_four_fifths_of_numbers_make_a_numeric_column_whose_rest_is_junk():
    numbers = [str(n) for n in range(8)]
    with pytest.raises(
        UserError, match=r"row 8, column 'x': 'low' is not a number.* \(and 1 more\)"
    ):
        fit_one([*numbers, "low", "high"])
    assert fit_one([*numbers[:7], "low", "mid", "high"]).kind == "category"


def test_a_missing_value_is_no_junk():
    assert fit_one(["1", "2", None, None, None, None]).kind == "numeric"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["7", "7", "7", "7"], "the same in every training row"),
        (["a", "a", "a", "a"], "the same in every training row"),
        (["yes", "yes", "yes", "yes"], "the same in every training row"),
        ([None, None, None, None], "no value in the training rows"),
    ],
)
def test_a_column_with_nothing_in_it_is_dropped_with_the_reason(cells, reason):
    column = fit_one(cells)
    assert (column.name, column.position, column.reason) == ("x", 0, reason)


def test_one_number_in_two_spellings_is_constant():
    column = fit_one(["0.1", "0.10"] * 50)
    assert isinstance(column, schema.Dropped)


@pytest.mark.parametrize("cells", [["7", None, "7", "7"], ["a", None, "a", "a"]])
def test_a_constant_with_gaps_is_kept_for_its_gaps(cells):
    column = fit_one(cells)
    assert column.width >= 2
    if column.kind == "numeric":
        assert (column.shift, column.scale, column.indicator) == (7, 1, True)


def test_a_table_in_which_nothing_varies_is_refused():
    with pytest.raises(UserError, match=r"preprocess\.features: no chosen column varies"):
        fit(x=["1", "1"], z=[None, None], y=["a", "b"])


def test_columns_keep_their_order_names_and_positions():
    found = fit(b=["1", "2", "3", "4"], a=["x", "y", "x", "y"], y=["0", "1", "0", "1"])
    assert [(column.name, column.position) for column in found.features] == [("b", 0), ("a", 1)]
    assert (found.target.name, found.target.position) == ("y", 2)


def test_one_name_per_encoded_column():
    found = fit(
        n=["1", None, "3", "4"],
        flag=["yes", "no", "yes", "no"],
        colour=["red", "blue", "red", "blue"],
        same=["1", "1", "1", "1"],
        y=["u", "v", "u", "v"],
    )
    assert found.feature_names == [
        "n",
        "n missing",
        "flag",
        "colour=blue",
        "colour=red",
        "colour=(unknown)",
    ]
    assert found.n_features == 6
    assert found.n_outputs == 2


def test_the_schema_survives_json():
    found = fit(
        n=["1", None, "3", "4"],
        colour=["red", "blue", "red", "blue"],
        flag=["yes", "no", "yes", "no"],
        same=["1", "1", "1", "1"],
        y=["0.5", "1", "2", "3"],
    )
    text = json.dumps(found.model_dump(), sort_keys=True, allow_nan=False)
    again = Schema.model_validate(json.loads(text))
    assert again == found
    assert json.dumps(again.model_dump(), sort_keys=True) == text


def test_the_settings_are_recorded():
    found = fit(x=["1", "2"] * 2, y=["a", "b"] * 2, missing="drop", scale="minmax")
    assert (found.missing, found.scale, found.task) == ("drop", "minmax", "classification")


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        (["0", "1", "2"], "classification"),
        (["1.0", "2.0", "3e0"], "classification"),
        (["1", "2.5", "3"], "regression"),
        (["-0.1", "1e-3"], "regression"),
        (["a", "2.5"], "classification"),
        (["yes", "no"], "classification"),
    ],
)
def test_a_fraction_among_numbers_makes_it_a_regression(cells, task):
    column = pd.Series(cells, name="y", dtype="str")
    assert schema.detect_task(column, "auto") == task
    assert schema.detect_task(column, "regression") == "regression"
    assert schema.detect_task(column, "classification") == "classification"


def target_of(cells: Sequence[str], task: str = "auto") -> tuple[Target, str]:
    return schema.fit_target(pd.Series(cells, name="y", dtype="str"), 3, task)


@pytest.mark.parametrize(
    ("cells", "classes", "counts"),
    [
        (["10", "9", "10", "2", "9", "10"], ["2", "9", "10"], [1, 2, 3]),
        (["b", "a", "b", "b"], ["a", "b"], [1, 3]),
        (["x", "10", "9", "x", "9", "10", "-1", "-1"], ["-1", "9", "10", "x"], [2, 2, 2, 2]),
    ],
)
def test_classes_are_sorted_numbers_by_size_before_text_and_counted(cells, classes, counts):
    target, task = target_of(cells)
    assert task == "classification"
    assert (target.name, target.position) == ("y", 3)
    assert (target.classes, target.counts) == (classes, counts)


def test_a_number_as_target_has_its_mean_and_population_deviation():
    target, task = target_of(["1.5", "2.5", "4", "8"])
    assert task == "regression"
    assert target.shift == 4
    assert target.scale == math.sqrt((2.5**2 + 1.5**2 + 0 + 16) / 4)
    assert (target.classes, target.counts) == ([], [])


def test_the_output_is_one_wide_for_a_number():
    found = fit(x=["1", "2", "3", "4"], y=["0.5", "1", "2", "3"])
    assert found.n_outputs == 1


@pytest.mark.parametrize("task", ["auto", "classification", "regression"])
def test_a_constant_target_is_named_with_its_value(task):
    with pytest.raises(UserError, match="target 'y': every training row has the value '4'"):
        target_of(["4"] * 6, task)


def test_a_target_with_nearly_as_many_classes_as_rows_is_refused_with_both_numbers():
    with pytest.raises(UserError, match="4 classes in 7 training rows") as caught:
        target_of(["1", "2", "3", "4", "4", "4", "4"])
    assert "preprocess.task to regression" in str(caught.value)
    assert target_of(["1", "2", "3", "3", "3", "3"])[0].counts == [1, 1, 4]


def test_many_whole_numbers_can_be_a_regression_on_request():
    target, task = target_of(["1", "2", "3", "4"], "regression")
    assert (task, target.shift) == ("regression", 2.5)


def test_junk_in_a_regression_target_is_named():
    with pytest.raises(UserError, match="row 1, column 'y': 'x' is not a number"):
        target_of(["1.5", "x", "2"], "regression")


def test_a_decimal_comma_is_not_taken_for_text():
    with pytest.raises(UserError, match="decimal comma, such as '7,4'"):
        fit_one(["7,4", "0,7", "8", "1,25"] * 25)
