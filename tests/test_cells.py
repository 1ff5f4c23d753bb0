"""Cells of a column read as numbers, truth values and dates, with the first bad cell named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.common import cells
from stages.common.cells import Cells
from stages.common.errors import UserError
from stages.common.table import MISSING


def column(
    texts: Sequence[Any], start: int = 0, missing: Sequence[str] = (), decimal: str = "."
) -> Cells:
    """Cells of a column that pandas has read as text."""
    index = range(start, start + len(texts))
    series = pd.Series(texts, index=index, name="depth", dtype=object)
    return cells.of(series, (*MISSING, *missing), decimal)


def numeric(values: Sequence[float], start: int = 0) -> Cells:
    return Cells("depth", np.array(values, dtype=np.float64), None, start)


def texts_of(found: Cells) -> list[str | None]:
    assert found.texts is not None
    return [found.texts[at] if at >= 0 else None for at in found.values]


# How pandas' columns become cells


@pytest.mark.parametrize("kind", ["int8", "int64", "uint64", "float32", "float64"])
def test_a_column_of_numbers_stays_numbers(kind):
    series = pd.Series([3, 1, 2], index=range(20, 23), name="depth", dtype=kind)
    found = cells.of(series, MISSING, ".")
    assert found.texts is None
    assert found.values.dtype == np.float64
    assert found.values.tolist() == [3, 1, 2]
    assert (found.name, found.start, len(found)) == ("depth", 20, 3)


def test_texts_are_kept_once_each_in_the_order_in_which_they_come():
    found = column(["red", "blue", "red", None, "blue"])
    assert found.texts == ("red", "blue")
    assert found.values.dtype == np.int32
    assert found.values.tolist() == [0, 1, 0, -1, 1]
    assert found.missing.tolist() == [False, False, False, True, False]


def test_numbers_without_a_value_are_missing():
    assert numeric([1, math.nan]).missing.tolist() == [False, True]


@pytest.mark.parametrize("text", ["", "  ", "NA", "N/A", "?", " ? ", "null", "none", "-999", "unk"])
def test_a_missing_marker_has_no_value(text):
    assert texts_of(column(["x", text], missing=["-999", " unk "])) == ["x", None]


@pytest.mark.parametrize("marker", ["-999", "-999.0", "-9.99e2"])
@pytest.mark.parametrize("text", ["-999", "-999.0", "-999.00", "-0999", "b'-999'"])
def test_a_number_as_missing_marker_is_one_in_every_spelling_also_in_a_column_of_texts(
    marker, text
):
    assert texts_of(column(["x", text, "999"], missing=[marker])) == ["x", None, "999"]


@pytest.mark.parametrize(
    ("spellings", "level"),
    [
        (["1", "1.0", "01", "+1", "1e0", " 1 ", "b'1'"], "1"),
        (["-0", "0", "0.000", "-0.0"], "0"),
        (["0.1", ".10", "1e-1", "0.1000"], "0.1"),
        (["9007199254740991", "9007199254740991.0"], "9007199254740991"),
    ],
)
def test_a_number_in_several_spellings_is_one_text(spellings, level):
    assert column(["x", *spellings]).texts == ("x", level)


def test_whole_numbers_beyond_two_to_53_are_texts_and_distinct():
    texts = [str(sign * (2**53 + n)) for n in range(4) for sign in (1, -1)]
    texts += ["12345678901234567890", "12345678901234567891", "9" * 30, "9" * 500]
    assert texts_of(column(texts)) == texts


@pytest.mark.parametrize("kind", ["int64", "float64"])
def test_numbers_of_which_float64_may_have_lost_digits_are_to_be_read_as_texts(kind):
    for large, is_text in ((2**53 - 1, False), (2**53, True), (-(2**53), True)):
        series = pd.Series([1, large], name="depth", dtype=kind)
        assert (cells.of(series, MISSING, ".").texts is not None) == is_text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("b'x'", "x"),
        ('b"x y"', "x y"),
        (" b'x' ", "x"),
        ("b'x", "b'x"),
        ("b'x\"", "b'x\""),
        ("bx'", "bx'"),
        ("b'2.50'", "2.5"),
    ],
)
def test_bytes_that_python_has_printed_are_texts(text, plain):
    assert texts_of(column([text])) == [plain]


def test_printed_bytes_without_content_have_no_value():
    assert texts_of(column(["b''", "b'?'", "x"])) == [None, None, "x"]


@pytest.mark.parametrize(
    ("decimal", "expected"), [(",", ["1.5", "-0.25", "1000", "1,234,5"]), (".", None)]
)
def test_a_decimal_comma_is_a_point_only_where_the_table_has_it(decimal, expected):
    texts = ["1,5", "-,25", "1,0e3", "1,234,5"]
    assert texts_of(column(texts, decimal=decimal)) == (expected or texts)


@pytest.mark.parametrize("texts", [["1,5", "x", "1.234"], ["999", "-1.234", "1.234.567"]])
def test_a_point_between_thousands_among_decimal_commas_is_named(texts):
    with pytest.raises(UserError) as caught:
        column(texts, start=7, decimal=",")
    row, cell = next((7 + at, text) for at, text in enumerate(texts) if "." in text)
    assert str(caught.value) == (
        f"row {row}, column 'depth': '{cell}' is a fraction or a thousand; "
        "write thousands without a mark"
    )
    assert texts_of(column(texts))[0] == texts[0]


@pytest.mark.parametrize(
    "texts", [["1,5", "1.25"], ["1.234", "2.345"], ["1.234", "9", "a", "b", "c"], ["0.123", "1"]]
)
def test_other_points_beside_decimal_commas_are_left_alone(texts):
    assert len(texts_of(column(texts, decimal=","))) == len(texts)


# Texts


def test_numbers_as_texts_are_written_without_a_needless_fraction():
    found = numeric([2, 0.1, math.nan, 2, -0.0, 0, 1e300], start=4).as_texts()
    assert texts_of(found) == ["2", "0.1", None, "2", "0", "0", "1e+300"]
    assert found.start == 4
    assert found.values.dtype == np.int32
    assert found.as_texts() is found


@given(st.lists(st.floats(allow_nan=False, width=64), max_size=20))
def test_numbers_written_as_texts_are_read_again_exactly(values):
    again = cells.parsed([cells.written(value) for value in values])
    assert (again == np.array(values)).all()


@given(st.lists(st.floats(-(2.0**53), 2.0**53, exclude_min=True, exclude_max=True), min_size=1))
def test_a_number_is_the_same_text_whether_its_column_is_numbers_or_texts(values):
    as_text = column([repr(value) for value in values])
    assert texts_of(as_text) == texts_of(numeric(values).as_texts())


def test_rows_are_taken_by_mask_or_place():
    found = column(["a", None, "b", "a"], start=7)
    assert texts_of(found.take(np.array([True, True, False, True]))) == ["a", None, "a"]
    assert texts_of(found.take(np.array([2, 0]))) == ["b", "a"]
    assert numeric([1, 2, 3]).take(np.array([2, 0])).values.tolist() == [3, 1]


def test_no_cells():
    assert len(numeric([]).as_texts()) == 0
    assert cells.numbers(numeric([]).as_texts()).tolist() == []


# Numbers


@pytest.mark.parametrize(
    "text", ["0", "-0.5", "+5", ".5", "5.", "1e-5", "1E3", "007", "0.1", "123456789012345678"]
)
def test_a_number_is_read_as_python_reads_it(text):
    assert cells.numbers(column([text])).tolist() == [float(text)]


def test_a_cell_without_a_value_becomes_nan():
    for found in (cells.numbers(column(["1", None])), cells.numbers(numeric([1, math.nan]))):
        assert found.dtype == np.float64
        assert found[0] == 1
        assert math.isnan(found[1])


@pytest.mark.parametrize(
    "text", ["x", "1,5", "1_000", "0x10", "inf", "-Infinity", "1e400", "True", "NAN", "$5", "5%"]
)
def test_what_is_no_finite_number_is_refused(text):
    with pytest.raises(
        UserError, match=r"^row 0, column 'depth': '.*' is not a number.*; mend the cell"
    ):
        cells.numbers(column([text]))


def test_the_first_junk_cell_is_named_with_its_row_and_the_number_of_others():
    with pytest.raises(UserError) as caught:
        cells.numbers(column(["1", None, "low", "2", "high", "low"], start=40))
    assert str(caught.value) == (
        "row 42, column 'depth': 'low' is not a number (and 2 more); mend the cell, add it to "
        "preprocess.missing_values, or leave the column out"
    )


def test_one_junk_cell_has_no_more():
    with pytest.raises(UserError, match=r"'low' is not a number; mend"):
        cells.numbers(column(["1", "low"]))


@pytest.mark.parametrize("text", ["3.4e38", "-3.4e38", "1e-300"])
def test_the_largest_and_smallest_numbers_are_read(text):
    assert cells.numbers(column([text])).tolist() == [float(text)]
    assert cells.numbers(numeric([float(text)])).tolist() == [float(text)]


@pytest.mark.parametrize("text", ["3.5e+38", "-1e+39", "1e+308", "inf", "-inf"])
def test_a_number_beyond_float32_is_refused(text):
    for found in (column(["1", text], start=3), numeric([1, float(text)], start=3)):
        with pytest.raises(UserError) as caught:
            cells.numbers(found)
        start = f"row 4, column 'depth': '{text}' is not a number that float32 holds; mend"
        assert str(caught.value).startswith(start)


# Truth values


@pytest.mark.parametrize("text", ["true", "TRUE", "True", "yes", "Yes", "1", "1.0", "b'yes'"])
def test_spellings_of_true(text):
    assert cells.truth(column([text])).tolist() == [1.0]


@pytest.mark.parametrize("text", ["false", "FALSE", "False", "no", "NO", "0", "0.0"])
def test_spellings_of_false(text):
    assert cells.truth(column([text])).tolist() == [0.0]


def test_numbers_are_truth_values_too():
    assert cells.truth(numeric([1, 0, 1])).tolist() == [1, 0, 1]
    with pytest.raises(UserError, match="row 1, column 'depth': '2' is not true or false"):
        cells.truth(numeric([1, 2]))


def test_a_missing_truth_value_becomes_nan():
    found = cells.truth(column([None, "yes"]))
    assert math.isnan(found[0])
    assert found[1] == 1


def test_a_cell_that_is_neither_true_nor_false_is_named():
    with pytest.raises(UserError, match=r"^row 6, column 'depth': 'maybe' is not true or false;"):
        cells.truth(column(["yes", "maybe"], start=5))


# Dates


def test_a_missing_date_becomes_nan_and_another_format_is_named():
    found = column(["2024-12-31", None, "31.12.2024"], start=9)
    assert np.isnan(cells.days(found.take(np.array([0, 1])), "iso")).tolist() == [False, True]
    with pytest.raises(UserError) as caught:
        cells.days(found, "iso")
    assert str(caught.value).startswith(
        "row 11, column 'depth': '31.12.2024' is not a date as the training rows have them; mend"
    )


def test_numbers_are_no_dates():
    with pytest.raises(UserError, match="'20240101' is not a date"):
        cells.days(numeric([20240101]), "iso")


def test_a_column_is_read_as_its_kind():
    assert cells.read(column(["2", "0"]), "numeric", "").tolist() == [2, 0]
    assert cells.read(column(["yes", "0"]), "boolean", "").tolist() == [1, 0]
    assert cells.read(column(["1970-01-03"]), "date", "iso").tolist() == [2]
