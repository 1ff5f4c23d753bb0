"""Rows encoded with a schema, against values computed by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from stages.common import encoding, schema
from stages.common.errors import UserError
from stages.common.schema import Schema
from stages.common.table import Columns


def frame_of(start: int = 0, **columns: Any) -> pd.DataFrame:
    rows = range(start, start + len(next(iter(columns.values()))))
    return pd.DataFrame(
        {name: pd.Series(cells, index=rows, dtype="str") for name, cells in columns.items()}
    )


def fit(scale: Any = "standard", **columns: Any) -> Schema:
    *features, target = columns
    positions = {name: at for at, name in enumerate(columns)}
    chosen = Columns(tuple(features), target, ())
    return schema.fit(frame_of(**columns), chosen, positions, "auto", "fill", scale)


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("standard", [-1.5 / math.sqrt(1.25), 0, 2.5 / math.sqrt(1.25)]),
        ("minmax", [0, 0.5, 4 / 3]),
        ("none", [1, 2.5, 5]),
    ],
)
def test_numbers_are_scaled_with_the_training_statistics(scale, expected):
    fitted = fit(scale, x=["1", "2", "3", "4"], y=["a", "b"] * 2)
    found = encoding.encode_features(frame_of(x=["1", "2.5", "5"]), fitted)
    assert found.dtype == torch.float32
    assert found.shape == (3, 1)
    assert torch.equal(found[:, 0], torch.tensor(expected))


@pytest.mark.parametrize(("scale", "low", "high"), [("standard", -5.0, 5.0), ("minmax", -1.0, 2.0)])
def test_a_number_far_outside_the_training_rows_is_held(scale, low, high):
    fitted = fit(scale, x=["1", "2", "3", "4"], y=["a", "b"] * 2)
    found = encoding.encode_features(frame_of(x=["-1e9", "1e30"]), fitted)
    assert found[:, 0].tolist() == [low, high]


def test_an_unscaled_number_is_not_held():
    fitted = fit("none", x=["1", "2", "3", "4"], y=["a", "b"] * 2)
    assert encoding.encode_features(frame_of(x=["1e9"]), fitted).item() == 1e9


def test_an_unscaled_number_beyond_float32_is_refused_by_name():
    fitted = fit("none", x=["1", "2", "3", "4"], y=["a", "b"] * 2)
    with pytest.raises(UserError, match=r"row 0, column 'x': '1e39'"):
        encoding.encode_features(frame_of(x=["1e39"]), fitted)


@pytest.mark.parametrize("scale", ["standard", "minmax"])
def test_a_training_number_beyond_float32_is_refused_by_name(scale):
    with pytest.raises(UserError, match=r"row 0, column 'x': '-1\.5e308'"):
        fit(scale, x=["-1.5e308", "1.5e308", "3", "4"], y=["a", "b"] * 2)


def test_a_missing_number_becomes_the_median_and_is_marked():
    fitted = fit("none", x=["1", None, "9", "2", None, "4"], y=["a", "b"] * 3)
    found = encoding.encode_features(frame_of(x=[None, "7"]), fitted)
    assert found.tolist() == [[3, 1], [7, 0]]


def test_without_gaps_in_training_rows_a_missing_number_becomes_the_median_only():
    fitted = fit("minmax", x=["0", "10", "2", "4"], y=["a", "b"] * 2)
    found = encoding.encode_features(frame_of(x=[None, "5"]), fitted)
    assert torch.equal(found, torch.tensor([[0.3], [0.5]]))


def test_booleans_become_zero_and_one_in_any_spelling():
    fitted = fit(flag=["yes", "no", None, "no"], y=["a", "b"] * 2)
    found = encoding.encode_features(frame_of(flag=["TRUE", "0", "No", None]), fitted)
    assert found.tolist() == [[1, 0], [0, 0], [0, 0], [0, 1]]


def test_levels_are_one_hot_and_an_unseen_one_has_the_last_column():
    fitted = fit(colour=["red", "blue", "red", "green"], y=["a", "b"] * 2)
    found = encoding.encode_features(frame_of(colour=["red", "blue", "pink", None]), fitted)
    assert found.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]]
    assert fitted.feature_names[-1] == "colour=(unknown)"


def test_a_missing_level_has_its_own_column_when_training_rows_have_it():
    fitted = fit(colour=["red", None, "red", "blue"], y=["a", "b"] * 2)
    found = encoding.encode_features(frame_of(colour=[None, "pink"]), fitted)
    hot = [fitted.feature_names[index] for index in found.argmax(dim=1)]
    assert hot == [f"colour={schema.NO_VALUE}", "colour=(unknown)"]
    assert found.sum(dim=1).tolist() == [1, 1]


def test_a_rare_level_beyond_the_limit_has_the_column_of_unknown_ones():
    common = [f"level{n:02}" for n in range(64)]
    cells = [*common, *common, "rare1", "rare2"]
    fitted = fit(x=cells, y=["a", "b"] * 65)
    found = encoding.encode_features(frame_of(x=["rare1", "level63", "new"]), fitted)
    assert found.argmax(dim=1).tolist() == [64, 63, 64]


MIXED: dict[str, Any] = {
    "n": ["1", None, "3", "5"],
    "flag": ["yes", "no", "yes", "no"],
    "colour": ["red", "blue", "red", "blue"],
    "y": ["a", "b", "a", "b"],
}


def test_columns_may_come_in_any_order_with_others_between():
    fitted = fit(**MIXED)
    usual = encoding.encode_features(frame_of(**MIXED), fitted)
    moved = {"colour": MIXED["colour"], "new": ["?"] * 4, "n": MIXED["n"], "flag": MIXED["flag"]}
    assert torch.equal(encoding.encode_features(frame_of(**moved), fitted), usual)
    assert usual.shape == (4, fitted.n_features)
    assert usual.isfinite().all()


def test_a_row_is_encoded_alone_as_among_others():
    fitted = fit(**MIXED)
    together = encoding.encode_features(frame_of(**MIXED), fitted)
    for row in range(4):
        alone: dict[str, Any] = {name: [cells[row]] for name, cells in MIXED.items()}
        assert torch.equal(encoding.encode_features(frame_of(**alone), fitted)[0], together[row])


def test_no_rows_give_an_empty_tensor_of_the_right_width():
    fitted = fit(**MIXED)
    none = frame_of(**MIXED).iloc[:0]
    assert encoding.encode_features(none, fitted).shape == (0, fitted.n_features)
    assert encoding.encode_target(none["y"], fitted).shape == (0,)


def test_missing_columns_are_counted_and_named():
    fitted = fit(**MIXED)
    with pytest.raises(UserError, match=r"^2 feature column\(s\) missing: n, colour; add them$"):
        encoding.encode_features(frame_of(flag=["yes"], y=["a"]), fitted)


def test_of_many_missing_columns_the_first_eight_are_named():
    columns = {f"c{n}": ["1", "2", "3", "4"] for n in range(10)}
    fitted = fit(**columns, y=["a", "b"] * 2)
    with pytest.raises(UserError, match=r"10 feature .*: c0, .*, c7, \.\.\.; add them"):
        encoding.require([], fitted)
    encoding.require([*columns, "more"], fitted)


@pytest.mark.parametrize(
    ("column", "cell", "kind"), [("n", "low", "a number"), ("flag", "maybe", "true or false")]
)
def test_junk_is_named_with_the_row_of_the_file_and_the_column(column, cell, kind):
    fitted = fit(**MIXED)
    rows = frame_of(17, **{**MIXED, column: [*MIXED[column][:3], cell]})
    with pytest.raises(UserError, match=f"^row 20, column '{column}': '{cell}' is not {kind}"):
        encoding.encode_features(rows, fitted)


def test_classes_become_int64_places_in_the_list_of_classes():
    fitted = fit(x=["1", "2", "3", "4", "5", "6"], y=["10", "9", "two"] * 2)
    assert fitted.target.classes == ["9", "10", "two"]
    cells = pd.Series(["two", "9", "10"], name="y", dtype="str")
    found = encoding.encode_target(cells, fitted)
    assert found.dtype == torch.int64
    assert found.shape == (3,)
    assert found.tolist() == [2, 0, 1]


def test_a_class_that_no_training_row_has_is_named():
    fitted = fit(x=["1", "2", "3", "4"], y=["a", "b"] * 2)
    cells = pd.Series(["a", "c", "d"], index=[4, 9, 11], name="y", dtype="str")
    with pytest.raises(UserError) as caught:
        encoding.encode_target(cells, fitted)
    text = str(caught.value)
    assert text.startswith("row 9, target 'y': no training row has the class 'c' (2 such rows)")


def test_a_regression_target_is_standardised_with_the_training_rows():
    fitted = fit(x=["1", "2", "3", "4"], y=["1.5", "2.5", "4", "8"])
    cells = pd.Series(["4", "1.5", "100"], name="y", dtype="str")
    found = encoding.encode_target(cells, fitted)
    deviation = math.sqrt((2.5**2 + 1.5**2 + 4**2) / 4)
    expected = np.array([0, -2.5 / deviation, 96 / deviation], dtype=np.float32)
    assert found.dtype == torch.float32
    assert found.shape == (3,)
    assert found.tolist() == expected.tolist()


def test_a_standardised_target_of_the_training_rows_has_mean_zero_and_deviation_one():
    cells = [str(n * n + 0.5) for n in range(30)]
    fitted = fit(x=[str(n) for n in range(30)], y=cells)
    found = encoding.encode_target(pd.Series(cells, name="y", dtype="str"), fitted).double()
    assert found.mean().item() == pytest.approx(0, abs=1e-6)
    assert found.std(correction=0).item() == pytest.approx(1, abs=1e-6)


def test_junk_in_a_regression_target_is_named():
    fitted = fit(x=["1", "2", "3", "4"], y=["1.5", "2.5", "4", "8"])
    cells = pd.Series(["4", "x"], index=[3, 7], name="y", dtype="str")
    with pytest.raises(UserError, match=r"^row 7, column 'y': 'x' is not a number"):
        encoding.encode_target(cells, fitted)
