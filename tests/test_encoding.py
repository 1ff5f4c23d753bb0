"""Rows encoded with a schema, against values computed by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from stages.common import encoding
from stages.common.cells import Cells
from stages.common.errors import UserError
from stages.common.schema import NO_VALUE, Schema
from tests.columns import chunks_of, encode, fit, spool_of


def column_of(name: str, values: Sequence[str | None], start: int = 0) -> Cells:
    """Cells of a column whose first row has a number of its own."""
    column = spool_of({name: values, "spare": ["1"] * len(values)}).column(name)
    return Cells(name, column.values, column.texts, start)


def encode_one(values: Sequence[str | None], schema: Schema, start: int = 0) -> list[Any]:
    """Encode cells of the one feature of a schema."""
    name = schema.features[0].name
    rows: list[Any] = encoding.features({name: column_of(name, values, start)}, schema).tolist()
    return rows


def encode_target(values: Sequence[str | None], schema: Schema, start: int = 0) -> Any:
    column = column_of("y", values, start)
    return encoding.target(column, schema, ~column.missing)


def targets(rows: int) -> list[str]:
    return ["a", "b"] * (rows // 2)


# Numbers


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("standard", [-1.5 / math.sqrt(1.25), 0, 2.5 / math.sqrt(1.25)]),
        ("robust", [-1.5, 0, 2.5]),
        ("minmax", [0, 0.5, 4 / 3]),
        ("none", [1, 2.5, 5]),
    ],
)
def test_numbers_are_scaled_with_the_training_statistics(scale, expected):
    fitted = fit({"x": ["1", "2", "3", "4"], "y": targets(4)}, scale)
    found = encode({"x": ["1", "2.5", "5"], "spare": ["1"] * 3}, fitted)
    assert found.dtype == np.float32
    assert found.shape == (3, 1)
    assert found[:, 0].tolist() == np.array(expected, dtype=np.float32).tolist()


@pytest.mark.parametrize(
    ("scale", "low", "high"),
    [("standard", -5.0, 5.0), ("robust", -5.0, 5.0), ("minmax", -1.0, 2.0)],
)
@pytest.mark.parametrize("unit", ["", "e-300"])
def test_a_number_far_outside_the_training_rows_is_held(scale, low, high, unit):
    values = [f"{n}{unit}" for n in (1, 2, 3, 4)]
    fitted = fit({"x": values, "y": targets(4)}, scale)
    assert encode_one(["-1e9", "1e30", "-3e38"], fitted) == [[low], [high], [low]]


def test_an_unscaled_number_is_not_held():
    fitted = fit({"x": ["1", "2", "3", "4"], "y": targets(4)}, "none")
    assert encode_one(["1e9"], fitted) == [[1e9]]


@pytest.mark.parametrize("scale", ["standard", "quantile", "none"])
@pytest.mark.parametrize("cell", ["1e+39", "-inf"])
def test_a_number_beyond_float32_is_refused_by_name(scale, cell):
    fitted = fit({"x": ["1", "2", "3", "4"], "y": targets(4)}, scale)
    with pytest.raises(UserError, match=r"^row 8, column 'x': '.*' is not a number that float32"):
        encode_one(["1", cell], fitted, start=7)


@pytest.mark.parametrize("scale", ["standard", "robust", "quantile", "minmax"])
def test_a_training_number_beyond_float32_is_refused_by_name(scale):
    with pytest.raises(UserError, match=r"row 0, column 'x': '-1\.5e308'"):
        fit({"x": ["-1.5e308", "1.5e308", "3", "4"], "y": targets(4)}, scale)


def test_a_missing_number_becomes_the_median_and_is_marked():
    fitted = fit({"x": ["1", None, "9", "2", None, "4"], "y": targets(6)}, "none")
    assert encode_one([None, "7"], fitted) == [[3, 1], [7, 0]]


def test_without_gaps_in_training_rows_a_missing_number_becomes_the_median_only():
    fitted = fit({"x": ["0", "10", "2", "4"], "y": targets(4)}, "minmax")
    expected = np.array([[0.3], [0.5]], dtype=np.float32)
    assert encode_one([None, "5"], fitted) == expected.tolist()


def test_numbers_are_encoded_alike_whether_they_were_read_as_texts_or_not():
    fitted = fit({"x": ["1", None, "9", "2.5", None, "4"], "y": targets(6)})
    numbers = encode_one(["0.1", None, "2"], fitted)
    assert encode_one(["0.1", None, "2", "b'3'"], fitted)[:3] == numbers


# Quantiles


def test_quantile_scores_are_interpolated_between_knots_and_held_at_the_outermost():
    fitted = fit({"x": [str(n) for n in range(200)], "y": targets(200)}, "quantile")
    (column,) = fitted.features
    assert column.kind == "numeric"
    low, high = column.scores[0], column.scores[-1]
    assert low == -high == pytest.approx(-2.5758, abs=1e-4)
    found = np.array(encode_one(["-1e30", "1", "2", "3", "199", "3e38", None], fitted))[:, 0]
    assert found[[0, 1, 4, 5]] == pytest.approx([low, low, high, high], abs=1e-6)
    assert found[2] == pytest.approx((column.scores[0] + column.scores[1]) / 2, abs=1e-6)
    assert found[3] == pytest.approx(column.scores[1], abs=1e-6)
    assert found[6] == pytest.approx(0, abs=0.02)  # the median


@pytest.mark.parametrize("kind", ["lognormal", "uniform"])
def test_quantile_scaling_is_nearly_that_of_scikit_learn(kind):
    from sklearn.preprocessing import QuantileTransformer

    values = getattr(np.random.default_rng(0), kind)(size=2000)
    theirs = QuantileTransformer(n_quantiles=1000, output_distribution="normal")
    expected = theirs.fit_transform(values[:, None])[:, 0]
    texts = [repr(value) for value in values.tolist()]
    fitted = fit({"x": texts, "y": targets(2000)}, "quantile")
    found = np.array(encode_one(texts, fitted))[:, 0]
    inner = np.abs(expected) < 2
    assert inner.mean() > 0.9
    assert found[inner] == pytest.approx(expected[inner], abs=0.06)
    assert found.mean() == pytest.approx(0, abs=0.01)
    assert found.std() == pytest.approx(1, abs=0.03)


# Truth values, levels, dates


def test_booleans_become_zero_and_one_in_any_spelling():
    fitted = fit({"flag": ["yes", "no", None, "no"], "y": targets(4)})
    found = encode_one(["TRUE", "0", "No", None, "b'yes'"], fitted)
    assert found == [[1, 0], [0, 0], [0, 0], [0, 1], [1, 0]]
    assert encode_one(["1", "0"], fitted) == [[1, 0], [0, 0]]
    assert encode_one(["True", "False"], fitted) == [[1, 0], [0, 0]]


def test_levels_are_one_hot_and_an_unseen_one_has_the_last_column():
    fitted = fit({"colour": ["red", "blue", "red", "green"] * 3, "y": targets(12)})
    found = encode_one(["red", "blue", "pink", None], fitted)
    assert found == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]]
    assert fitted.feature_names[-1] == "colour=(other)"


def test_a_missing_level_has_its_own_column_when_training_rows_have_it():
    fitted = fit({"colour": ["red", None, "red", "blue"] * 3, "y": targets(12)})
    found = np.array(encode_one([None, "pink"], fitted))
    hot = [fitted.feature_names[index] for index in found.argmax(axis=1)]
    assert hot == [f"colour={NO_VALUE}", "colour=(other)"]
    assert found.sum(axis=1).tolist() == [1, 1]


def test_a_rare_level_beyond_the_limit_has_the_column_of_other_ones():
    common = [f"level{n:02}" for n in range(64)]
    values = [*common * 4, *["rare1"] * 3, *["rare2"] * 3]
    fitted = fit({"x": values, "y": targets(len(values))})
    found = np.array(encode_one(["rare1", "level63", "new"], fitted))
    assert found.argmax(axis=1).tolist() == [64, 63, 64]


def test_levels_of_fewer_than_three_training_rows_share_the_column_of_other_ones():
    fitted = fit({"x": ["a"] * 3 + ["b"] * 3 + ["rare", "few"] * 2, "y": targets(10)})
    assert fitted.feature_names == ["x=a", "x=b", "x=(other)"]
    assert encode_one(["rare", "few", "new", "b"], fitted) == [[0, 0, 1]] * 3 + [[0, 1, 0]]


@pytest.mark.parametrize("file", [["1", "2"], ["1.0", "2.0"], ["01", "02"], ["1", "2", "x"]])
@pytest.mark.parametrize("trained", [["1", "2"], ["1.0", "2.0"], ["01", "02"], ["b'1'", "2.0"]])
def test_numbers_as_levels_are_the_same_in_every_spelling(file, trained):
    fitted = fit({"code": trained * 3, "y": targets(6)}, categorical=["code"])
    assert fitted.feature_names == ["code=1", "code=2", "code=(other)"]
    assert encode_one(file, fitted)[:2] == [[1, 0, 0], [0, 1, 0]]


def test_long_ids_as_levels_are_told_apart():
    ids = [str(2**53 + n) for n in range(3)]
    fitted = fit({"id": ids * 4, "y": targets(12)}, categorical=["id"])
    for more in ([], [None, "1.5"]):
        assert np.array(encode_one([*ids, *more], fitted))[:3].tolist() == np.eye(3, 4).tolist()


def test_dates_are_encoded_as_days():
    fitted = fit({"born": ["31.12.1970", "1.1.1970", None, "2.1.1970"], "y": targets(4)}, "none")
    found = encode_one(["02.01.1970", "1.1.1970 12:00", "31.12.1969", None], fitted)
    assert found == [[1, 0], [0.5, 0], [-1, 0], [1, 1]]
    with pytest.raises(UserError, match="row 3, column 'born': '1970-01-02' is not a date as"):
        encode_one(["1.1.1970", "1970-01-02"], fitted, start=2)


# Several columns


MIXED: dict[str, Sequence[str | None]] = {
    "n": ["1", None, "3", "5"] * 3,
    "flag": ["yes", "no", "yes", "no"] * 3,
    "colour": ["red", "blue", None, "red"] * 3,
    "born": ["2024-01-01", "2024-02-01", None, "2024-01-02 10:00"] * 3,
    "y": ["a", "b", "a", "b"] * 3,
}


@pytest.mark.parametrize("scale", ["standard", "robust", "quantile", "minmax", "none"])
def test_columns_may_come_in_any_order_with_others_between(scale):
    fitted = fit(MIXED, scale)
    usual = encode(MIXED, fitted)
    names = ["colour", "born", "n", "flag"]
    moved = {"new": ["?"] * 12} | {name: MIXED[name] for name in names}
    assert np.array_equal(encode(moved, fitted), usual)
    assert usual.shape == (12, fitted.n_features)
    assert np.isfinite(usual).all()


@pytest.mark.parametrize("scale", ["standard", "quantile"])
def test_a_row_is_encoded_alone_as_among_others_and_chunks_do_not_matter(scale):
    fitted = fit(MIXED, scale)
    together = encode(MIXED, fitted)
    for row in range(4):
        alone = {name: [values[row]] for name, values in MIXED.items()}
        assert np.array_equal(encode(alone, fitted)[0], together[row])
    with chunks_of(5):
        assert np.array_equal(encode(MIXED, fitted), together)


def test_encoding_does_not_change_the_cells():
    spool = spool_of(MIXED)
    fitted = fit(MIXED, "quantile")
    columns = {name: spool.column(name) for name in MIXED}
    before = {name: column.values.tobytes() for name, column in columns.items()}
    encoding.features(columns, fitted)
    assert {name: column.values.tobytes() for name, column in columns.items()} == before


def test_no_rows_give_an_empty_array_of_the_right_width():
    fitted = fit(MIXED)
    spool = spool_of(MIXED)
    none = np.zeros(12, dtype=np.bool_)
    columns = {name: spool.column(name, none) for name in MIXED}
    assert encoding.features(columns, fitted).shape == (0, fitted.n_features)
    assert encoding.target(columns["y"], fitted, none[:0]).shape == (0,)


def test_missing_columns_are_counted_and_named():
    fitted = fit(MIXED)
    with pytest.raises(UserError) as caught:
        encoding.require(["flag", "y", "born"], fitted)
    assert str(caught.value) == "feature columns missing: 'n', 'colour'; add them"
    encoding.require(["born", "colour", "flag", "n"], fitted)


def test_of_many_missing_columns_the_first_eight_are_named():
    columns: dict[str, Sequence[str]] = {f"c{n}": ["1", "2", "3", "4"] for n in range(10)}
    fitted = fit({**columns, "y": targets(4)})
    with pytest.raises(UserError) as caught:
        encoding.require([], fitted)
    assert str(caught.value) == (
        "feature columns missing: 'c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', ... (10); "
        "add them"
    )
    encoding.require([*columns, "more"], fitted)


@pytest.mark.parametrize(
    ("column", "cell", "kind"),
    [
        ("n", "low", "a number"),
        ("flag", "maybe", "true or false"),
        ("born", "soon", "a date as the training rows have them"),
    ],
)
def test_junk_is_named_with_the_row_of_the_file_and_the_column(column, cell, kind):
    fitted = fit(MIXED)
    rows = {**MIXED, column: [*MIXED[column][:8], cell, *MIXED[column][9:]]}
    for size in (5, 100):
        with chunks_of(size), pytest.raises(UserError) as caught:
            encode(rows, fitted)
        assert str(caught.value).startswith(f"row 8, column '{column}': '{cell}' is not {kind};")


def columns_of(columns: Mapping[str, Sequence[str | None]]) -> dict[str, Cells]:
    spool = spool_of(columns)
    return {name: spool.column(name) for name in columns}


def test_cells_without_a_value_are_counted_in_the_columns_of_the_model():
    fitted = fit({**MIXED, "y": MIXED["y"]})
    assert encoding.gaps(columns_of({**MIXED, "other": [None] * 12}), fitted) == 9
    full = {name: [value or "1" for value in values] for name, values in MIXED.items()}
    assert encoding.gaps(columns_of(full), fitted) == 0


def test_a_model_trained_without_gaps_refuses_them_and_names_the_worst_column():
    columns = {"n": ["1", "2"] * 3, "m": ["1", "2"] * 3, "y": targets(6)}
    fitted = fit(columns, missing="error")
    assert encoding.gaps(columns_of(columns), fitted) == 0
    gappy: dict[str, list[str | None]] = {
        "n": ["1", None, "2"],
        "m": [None, "2", None],
        "y": [None] * 3,
    }
    with pytest.raises(UserError) as caught:
        encoding.gaps(columns_of(gappy), fitted)
    assert str(caught.value) == (
        "column 'm' has 2 cells without a value; the model was trained with preprocess.missing "
        "error, so fill them first"
    )


# The target


def test_classes_become_int64_places_in_the_list_of_classes():
    fitted = fit({"x": list("123456"), "y": ["10", "9", "two"] * 2})
    assert fitted.target.classes == ["9", "10", "two"]
    found = encode_target(["two", "9.0", "10", "b'two'"], fitted)
    assert found.dtype == np.int64
    assert found.tolist() == [2, 0, 1, 2]


@pytest.mark.parametrize("values", [["2", "1", "2"], ["2.0", "1.0", "02"]])
def test_numbers_as_classes_are_the_same_in_every_spelling(values):
    fitted = fit({"x": list("123456"), "y": ["1", "2.0", "01"] * 2}, task="classification")
    assert fitted.target.classes == ["1", "2"]
    assert encode_target(values, fitted).tolist() == [1, 0, 1]


def test_rows_that_are_not_kept_need_no_class():
    fitted = fit({"x": list("1234"), "y": targets(4)})
    column = column_of("y", ["b", "zebra", None, "a"])
    kept = np.array([True, False, False, True])
    assert encoding.target(column, fitted, kept).tolist() == [1, 0]


def test_a_class_that_no_training_row_has_is_named():
    fitted = fit({"x": list("1234"), "y": targets(4)})
    with pytest.raises(UserError) as caught:
        encode_target(["a", None, "c", "d"], fitted, start=7)
    assert str(caught.value) == (
        "row 9, target 'y': no training row has the class 'c' (2 such rows); leave them out or "
        "give it more rows"
    )


def test_a_regression_target_is_standardised_with_the_training_rows():
    fitted = fit({"x": list("1234"), "y": ["1.5", "2.5", "4", "8"]})
    found = encode_target(["4", None, "1.5", "100"], fitted)
    deviation = math.sqrt((2.5**2 + 1.5**2 + 4**2) / 4)
    expected = np.array([0, -2.5 / deviation, 96 / deviation], dtype=np.float32)
    assert found.dtype == np.float32
    assert found.tolist() == expected.tolist()


def test_a_standardised_target_of_the_training_rows_has_mean_zero_and_deviation_one():
    values = [str(n * n + 0.5) for n in range(30)]
    fitted = fit({"x": [str(n) for n in range(30)], "y": values})
    found = encode_target(values, fitted).astype(np.float64)
    assert found.mean() == pytest.approx(0, abs=1e-6)
    assert found.std() == pytest.approx(1, abs=1e-6)


def test_junk_in_a_regression_target_is_named():
    fitted = fit({"x": list("1234"), "y": ["1.5", "2.5", "4", "8"]})
    with pytest.raises(UserError, match=r"^row 7, column 'y': 'x' is not a number"):
        encode_target(["4", None, None, None, "x"], fitted, start=3)


@pytest.mark.parametrize("unit", ["e-3", "e-150"])
def test_a_value_too_far_out_to_be_standardised_is_named(unit):
    values = [f"{n}.5{unit}" for n in range(4)]
    fitted = fit({"x": list("1234"), "y": values})
    with pytest.raises(UserError) as caught:
        encode_target(["0", None, "1e38"], fitted, start=3)
    assert str(caught.value) == (
        "row 5, target 'y': too far from the training rows to be standardised; mend the cell or "
        "leave the row out"
    )
