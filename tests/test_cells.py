"""Text cells read as numbers and truth values, with the first bad cell named."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import pytest

from stages.common import cells
from stages.common.errors import UserError


def column(texts: Sequence[str | None], start: int = 0) -> pd.Series:
    index = range(start, start + len(texts))
    return pd.Series(texts, index=index, name="depth", dtype="str")


@pytest.mark.parametrize(
    "text", ["0", "-0.5", "+5", ".5", "5.", "1e-5", "1E3", "007", "0.1", "123456789012345678"]
)
def test_a_number_is_read_as_python_reads_it(text):
    assert cells.numbers(column([text])).tolist() == [float(text)]


def test_a_cell_without_a_value_becomes_nan():
    found = cells.numbers(column(["1", None]))
    assert found.dtype == "float64"
    assert found[0] == 1
    assert math.isnan(found[1])


@pytest.mark.parametrize("text", ["x", "1,5", "1_000", "0x10", "inf", "-Infinity", "1e400", "True"])
def test_what_is_no_finite_number_is_refused(text):
    with pytest.raises(
        UserError, match=r"^row 0, column 'depth': '.*' is not a number.*; mend the cell"
    ):
        cells.numbers(column([text]))


def test_the_first_junk_cell_is_named_with_its_row_and_the_number_of_others():
    with pytest.raises(UserError, match=r"^row 42, column 'depth': 'low' .* \(and 1 more\); mend"):
        cells.numbers(column(["1", None, "low", "2", "high"], start=40))


@pytest.mark.parametrize("text", ["3.4e38", "-3.4e38", "1e-300"])
def test_the_largest_and_smallest_numbers_are_read(text):
    assert cells.numbers(column([text])).tolist() == [float(text)]


@pytest.mark.parametrize("text", ["3.5e38", "-1e39", "1e308"])
def test_a_number_beyond_float32_is_refused(text):
    with pytest.raises(UserError, match=f"'{text}' is not a number"):
        cells.numbers(column([text]))


@pytest.mark.parametrize("text", ["true", "TRUE", "True", "yes", "Yes", "1"])
def test_spellings_of_true(text):
    assert cells.truth(column([text])).tolist() == [1.0]


@pytest.mark.parametrize("text", ["false", "FALSE", "False", "no", "NO", "0"])
def test_spellings_of_false(text):
    assert cells.truth(column([text])).tolist() == [0.0]


def test_a_missing_truth_value_becomes_nan():
    found = cells.truth(column([None, "yes"]))
    assert math.isnan(found[0])
    assert found[1] == 1


def test_a_cell_that_is_neither_true_nor_false_is_named():
    with pytest.raises(UserError, match=r"^row 6, column 'depth': 'maybe' is not true or false;"):
        cells.truth(column(["yes", "maybe"], start=5))
