"""Statistics, kinds and classes found in training rows, against hand-computed values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from stages.common import fitting
from stages.common.errors import UserError
from stages.common.schema import NO_VALUE, Category, Dropped
from tests.columns import chunks_of, fit, spool_of


def fit_one(
    values: Sequence[str | None],
    scale: Any = "standard",
    categorical: bool = False,
    train: Sequence[bool] | None = None,
    **settings: Any,
) -> Any:
    """Fit one column of cells; return what it became."""
    spool = spool_of({"x": values, "spare": list(map(str, range(len(values))))}, **settings)
    rows = np.ones(len(spool), dtype=np.bool_) if train is None else np.array(train)
    return fitting.fit_column(spool, "x", rows, scale, categorical)


def refusal(values: Sequence[str | None], **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        fit_one(values, **options)
    return str(caught.value)


# Numbers


@pytest.mark.parametrize(
    ("scale", "shift", "unit", "held"),
    [
        ("standard", 2.5, math.sqrt(1.25), 5),
        ("robust", 2.5, 1.0, 5),
        ("minmax", 1.0, 3.0, None),
        ("none", 0.0, 1.0, None),
        ("quantile", 0.0, 1.0, None),
    ],
)
def test_statistics_of_a_numeric_column(scale, shift, unit, held):
    column = fit_one(["4", "1", "2", "3"], scale)
    assert column.kind == "numeric"
    assert column.shift == shift
    assert column.scale == pytest.approx(unit, abs=0, rel=1e-15)
    assert column.fill == 2.5
    assert not column.indicator
    assert column.width == 1
    assert column.date_format == ""
    assert (column.knots == []) == (scale != "quantile")
    if held:
        assert (column.low, column.high) == (-held, held)
    else:
        assert (column.low, column.high) == ((-1, 2) if scale == "minmax" else (None, None))


def test_missing_values_take_no_part_in_the_statistics_and_are_marked():
    column = fit_one(["1", None, "9", "2", None, "4"])
    assert column.shift == 4
    assert column.scale == math.sqrt((9 + 25 + 4 + 0) / 4)
    assert column.fill == 3  # the median of 1, 2, 4, 9
    assert column.indicator
    assert column.width == 2


@pytest.mark.parametrize("rows", [5, 41, 1001])
def test_robust_scaling_agrees_with_scikit_learn(rows):
    from sklearn.preprocessing import RobustScaler

    values = np.random.default_rng(rows).standard_cauchy(rows)
    theirs = RobustScaler().fit(values[:, None])
    column = fit_one([repr(value) for value in values.tolist()], "robust")
    assert column.shift == theirs.center_[0]
    assert column.scale == pytest.approx(theirs.scale_[0], rel=1e-12)


def test_robust_scaling_does_not_feel_a_few_extreme_values():
    usual = list(map(str, range(100)))
    extreme = fit_one([*usual[:-3], "1e30", "1e35", "-3e38"], "robust")
    usual_column = fit_one(usual, "robust")
    assert extreme.shift == pytest.approx(usual_column.shift, abs=2)
    assert extreme.scale == pytest.approx(usual_column.scale, abs=2)


def test_a_column_whose_middle_half_does_not_vary_is_not_scaled_by_it():
    column = fit_one([*["0"] * 9, "5"], "robust")
    assert (column.shift, column.scale) == (0, 1)


# Quantiles


@pytest.mark.parametrize("rows", [101, 997, 5003])
def test_knots_are_quantiles_and_their_normal_scores(rows):
    from scipy.stats import norm

    values = np.random.default_rng(rows).lognormal(size=rows)
    column = fit_one([repr(value) for value in values.tolist()], "quantile")
    levels = (np.arange(100) + 0.5) / 100
    assert column.knots == np.quantile(values, levels, method="inverted_cdf").tolist()
    assert column.scores == pytest.approx(norm.ppf(levels), abs=1e-6)


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=1000),
        np.random.default_rng(1).integers(0, 5, 500),
        np.random.default_rng(2).poisson(0.3, 400),
        np.arange(7),
        np.array([0, 1]),
        np.round(np.random.default_rng(3).standard_cauchy(300), 1),
    ],
)
def test_knots_and_scores_rise_whatever_the_ties(values):
    column = fit_one([repr(value) for value in values.tolist()], "quantile")
    assert len(column.knots) == len(column.scores) <= fitting.KNOTS
    assert all(low < high for low, high in itertools.pairwise(column.knots))
    assert all(low < high for low, high in itertools.pairwise(column.scores))
    assert set(column.knots) <= set(values.tolist())


def test_values_that_are_tied_share_their_mean_score():
    column = fit_one([*["1"] * 5, *["2"] * 5], "quantile")
    assert column.knots == [1, 2]
    half = math.sqrt(2 / math.pi)  # the mean of the upper half of a normal distribution
    assert column.scores == pytest.approx([-half, half], abs=0.01)
    assert column.scores[0] == -column.scores[1]


def test_quantile_scores_do_not_change_with_a_monotone_change_of_the_values():
    values = np.random.default_rng(4).normal(size=300)
    plain = fit_one([repr(value) for value in values.tolist()], "quantile")
    raised = fit_one([repr(value) for value in np.exp(values).tolist()], "quantile")
    assert raised.scores == plain.scores
    assert raised.knots == pytest.approx(np.exp(plain.knots))


# Truth values


@pytest.mark.parametrize(
    "values",
    [
        ["true", "false", "true", "true"],
        ["True", "FALSE", "true", "False"],
        ["True", "False", "True", "True"],
        ["yes", "no", "Yes", "NO"],
        ["yes", "0", "1", "false"],
        ["b'True'", "b'False'", "b'True'", "b'True'"],
        ["true", None, "false", "true"],
        ["True", None, "False", "True"],
    ],
)
@pytest.mark.parametrize("scale", ["standard", "robust", "quantile", "minmax", "none"])
def test_booleans_in_several_spellings_are_not_scaled(values, scale):
    column = fit_one(values, scale)
    assert column.kind == "boolean"
    assert (column.shift, column.scale, column.knots) == (0, 1, [])
    assert (column.low, column.high) == (None, None)
    assert column.indicator == (None in values)


@pytest.mark.parametrize("values", [["0", "1", "1", "1"], ["b'0'", "b'1'", "b'1'", "1.0"]])
def test_zeros_and_ones_are_numbers(values):
    column = fit_one(values)
    assert column.kind == "numeric"
    assert column.shift == 0.75


# Levels


def test_text_becomes_sorted_levels():
    column = fit_one(["red", "blue", "red", "green"] * 3)
    assert column.kind == "category"
    assert column.levels == ["blue", "green", "red"]
    assert column.width == 4


def test_bytes_that_python_has_printed_are_levels_without_their_marks():
    assert fit_one(["b'red'", 'b"blue"', "red"] * 3).levels == ["blue", "red"]


def test_a_missing_category_is_a_level_of_its_own():
    column = fit_one(["red", None, "blue", "red"] * 3)
    assert column.levels == sorted(["red", "blue", NO_VALUE])
    assert column.width == 4


def test_the_rarest_of_many_levels_share_the_other_column():
    common = [f"level{n:02}" for n in range(64)]
    column = fit_one([*common * 4, *["less"] * 3, *["also"] * 3])
    assert column.levels == common
    assert column.width == 65


def test_of_levels_as_common_as_each_other_the_first_in_the_alphabet_are_kept():
    levels = [f"level{n:02}" for n in range(70)]
    assert fit_one([*levels[::-1]] * 3).levels == levels[:64]


@pytest.mark.parametrize(("rows", "kept"), [(2, False), (3, True)])
def test_a_level_needs_three_training_rows(rows, kept):
    values = [*["red"] * 5, *["blue"] * 5, *["rare"] * rows, *["rare"] * 4]
    column = fit_one(values, train=[True] * (10 + rows) + [False] * 4)
    assert ("rare" in column.levels) == kept
    gap = fit_one([*["red"] * 5, *["blue"] * 5, *[None] * rows])
    assert (NO_VALUE in gap.levels) == kept


def test_a_column_in_which_no_level_has_three_rows_is_dropped():
    column = fit_one([f"name {n}" for n in range(9)] * 2)
    assert isinstance(column, Dropped)
    assert column.reason == "no text is in 3 training rows"


@pytest.mark.parametrize("chunk", [3, 100])
def test_more_different_texts_than_can_be_counted_are_dropped(monkeypatch, chunk):
    assert fitting.MOST_TEXTS == 2**17
    monkeypatch.setattr(fitting, "MOST_TEXTS", 10)
    with chunks_of(chunk):
        full = fit_one([f"name {n}" for n in range(10)] * 3)
        more = fit_one([f"name {n}" for n in range(11)] * 3)
        ids = fit_one(["b'0'", *map(str, range(30))])
        few_in_train = fit_one(
            [f"name {n % 4 if n < 20 else n}" for n in range(40)], train=[True] * 20 + [False] * 20
        )
    assert len(full.levels) == 10
    assert (more.name, more.position, more.reason) == ("x", 0, "more than 10 different texts")
    assert ids.kind == "numeric"  # texts, but numbers
    assert len(few_in_train.levels) == 4


@pytest.mark.parametrize(
    "values",
    [
        ["1", "2"] * 3,
        ["1.0", "2.0"] * 3,
        ["01", "02"] * 3,
        ["1", "2.0", "01", "b'2'", "1e0", "2"],
    ],
)
def test_numbers_can_be_levels_and_their_spelling_does_not_matter(values):
    column = fit_one(values, categorical=True)
    assert column == Category(kind="category", name="x", position=0, levels=["1", "2"])


def test_numbers_as_levels_keep_their_fraction_and_gaps():
    column = fit_one(["1.5", None, "-2"] * 3, categorical=True)
    assert column.levels == ["(missing)", "-2", "1.5"]


def test_long_whole_numbers_stay_apart_as_levels():
    ids = [str(2**53), str(2**53 + 1), "12345678901234567890", "12345678901234567891"]
    for more in ([], [None], ["1.5"]):
        assert fit_one([*ids * 3, *more], categorical=True).levels == sorted(ids)


@pytest.mark.parametrize(
    "values",
    [["$5", "$6"] * 3, ["01/02/2024", "03/04/2024"] * 3, ["yes", "no"] * 3, ["7", "x"] * 3],
)
def test_any_column_can_be_levels_on_request(values):
    assert fit_one(values, categorical=True).levels == sorted(values[:2])


# Dates


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["2024-12-31", "2023-01-02"], "iso"),
        (["2024-12-31 10:00", "2023-01-02T11:30:15.5"], "iso"),
        (["2024-12-31T10:00:00Z", "2023-01-02T11:30:15+02:00"], "iso"),
        (["31.12.2024", "1.2.2023"], "%d.%m.%Y"),
        (["01.02.2024", "03.04.2023 12:30"], "%d.%m.%Y"),
        (["2024/12/31", "2023/01/02"], "%Y/%m/%d"),
        (["12/31/2024", "01/02/2023"], "%m/%d/%Y"),
        (["31/12/2024", "01/02/2023"], "%d/%m/%Y"),
        (["31/12/2024 23:59:59", None], "%d/%m/%Y"),
    ],
)
@pytest.mark.parametrize("scale", ["standard", "quantile"])
def test_dates_are_found_in_the_texts_that_training_rows_have(values, form, scale):
    column = fit_one(values * 2, scale)
    assert (column.kind, column.date_format) == ("date", form)
    assert column.indicator == (None in values)
    assert (column.knots != []) == (scale == "quantile")


def test_days_are_scaled_as_numbers_are():
    column = fit_one(["1970-01-02", "1970-01-03", "1970-01-07", "1970-01-05 12:00", None])
    assert (column.shift, column.fill) == (3.375, 3.25)
    assert column.scale == pytest.approx(np.std([1, 2, 6, 4.5]), rel=1e-15)
    assert (column.low, column.high) == (-5, 5)


@pytest.mark.parametrize("chunk", [2, 100])
def test_day_and_month_that_could_be_either_are_refused(chunk):
    with chunks_of(chunk):
        text = refusal(["03/04/2024", "01/12/2024", "12/12/2024"])
        unclear = [*["03/04/2024", "01/12/2024"] * 3, "25/01/2024"]
        assert fit_one(unclear).date_format == "%d/%m/%Y"
        assert refusal(unclear, train=[True] * 6 + [False]).startswith("column 'x': '03/04/2024'")
    assert text == (
        "column 'x': '03/04/2024' may be day/month or month/day; write dates as 2024-12-31, or "
        "leave the column out"
    )


def test_a_date_of_another_format_in_any_row_is_named():
    values = ["12/31/2024", "01/02/2023", "01/03/2023", "31/12/2024"]
    text = refusal(values, train=[True, True, True, False])
    assert text.startswith("row 3, column 'x': '31/12/2024' is not a date as the training rows")


@pytest.mark.parametrize("chunk", [2, 100])
@pytest.mark.parametrize("cell", ["2024-02-30", "soon", "31.12.2024"])
def test_a_cell_that_is_no_date_among_dates_is_named(cell, chunk):
    values = ["2024-12-31", "2023-01-02", cell, "2024-11-05", "2024-11-06", None]
    with chunks_of(chunk):
        assert refusal(values).startswith(f"row 2, column 'x': '{cell}' is not a date as the")
        assert fit_one([*values[:4], "x", "y"] * 3).kind == "category"


def test_dates_of_two_formats_are_levels():
    column = fit_one(["31.12.2024", "2024-12-31"] * 3)
    assert column.levels == ["2024-12-31", "31.12.2024"]


# Numbers that are not written as such


@pytest.mark.parametrize(
    "text",
    ["$1,200", "$5", "-$5", "€ 1.200,50", "5 €", "£3.50", "45%", "45 %", "1'000", "1 000 000"],
)
def test_decorated_numbers_are_refused(text):
    values = [text, "x", *[text] * 4]
    assert refusal(values, decimal=".") == (
        f"column 'x': numbers with signs or units, such as '{text}'; write them as 1234.5, leave "
        "the column out, or name it in preprocess.categorical"
    )
    assert fit_one([text, text, text, "x", "y"], decimal=".").kind == "category"  # too few


@pytest.mark.parametrize("form", ["{} kg", "{}kg", "<{}", "1,{} EUR", "$ {} m²", "{} µg/l", "{}°C"])
def test_many_numbers_with_units_are_refused_and_few_are_levels(form):
    texts = [form.format(100 + at) for at in range(30)]
    said = refusal(texts * 3, decimal=".")
    assert said.startswith("column 'x': numbers with signs or units, such as '")
    few = [form.format(100 + at % 9) for at in range(90)]
    if "$" not in form:
        assert fit_one(few, decimal=".").kind == "category"


@pytest.mark.parametrize("form", ["A{}", "{}-{}", "{} Main Street", "x{}y"])
def test_texts_with_numbers_in_them_are_no_measurements(form):
    texts = [form.format(100 + at, at) for at in range(30)]
    assert fit_one(texts * 3, decimal=".").kind == "category"


def test_bounds_among_numbers_are_refused():
    texts = [f"{at}.5" if at % 5 < 3 else f"<{at}" for at in range(40)]
    assert "numbers with signs or units" in refusal(texts, decimal=".")


def test_a_decimal_comma_is_not_taken_for_text():
    assert "column 'x': numbers with signs or units, such as '7,4'" in refusal(
        ["7,4", "0,7", "8", "1,25"] * 25, decimal="."
    )
    assert fit_one(["7,4", "0,7", "8", "1,25"] * 25).kind == "numeric"


@pytest.mark.parametrize("texts", [["1.2.3", "10.0.0.1"], ["12:30", "13:30"], ["5 kg", "$"]])
def test_other_texts_with_digits_are_levels(texts):
    assert fit_one(texts * 3).levels == sorted(texts)


def test_four_fifths_of_numbers_make_a_numeric_column_whose_rest_is_junk():
    numbers = [str(n) for n in range(8)]
    text = refusal([*numbers, "low", "high"])
    assert text.startswith("row 8, column 'x': 'low' is not a number (and 1 more); mend")
    few = fit_one([*numbers[:7], "low", "low", "low"])
    assert few.levels == ["low"]


def test_a_missing_value_is_no_junk():
    assert fit_one(["1", "2", None, None, None, None]).kind == "numeric"
    assert fit_one(["1", "b'2'", None, None, None, None]).kind == "numeric"


@pytest.mark.parametrize("cell", ["inf", "-inf", "3.5e+38", "1e+300"])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("scale", ["standard", "quantile", "none"])
def test_a_value_beyond_float32_is_named_with_its_row_in_any_part_and_chunk(cell, train, scale):
    values = [*map(str, range(30)), cell, "1"]
    with chunks_of(7):
        text = refusal(values, scale=scale, train=[True] * 30 + [train, True])
    assert text == (
        f"row 30, column 'x': '{cell}' is not a number that float32 holds; mend the cell, add it "
        "to preprocess.missing_values, or leave the column out"
    )


def test_junk_in_a_row_that_is_no_training_row_is_named():
    text = refusal([*map(str, range(20)), "x"], train=[True] * 20 + [False])
    assert text.startswith("row 20, column 'x': 'x' is not a number; mend")


def test_the_largest_numbers_have_finite_statistics():
    column = fit_one(["3.4e38", "-3.4e38", "0", "1e-300"])
    assert math.isfinite(column.shift)
    assert math.isfinite(column.scale)


def test_a_column_is_fitted_alike_whether_its_numbers_were_read_as_texts_or_not():
    numbers = [repr(value) for value in np.random.default_rng(5).normal(size=60).tolist()]
    values = [*numbers[:7], None, *numbers[8:]]
    train = [True] * 60 + [False]
    plain = fit_one([*values, "1"], train=train)
    for other in (f"{2**53 + 1}", "b'1'", f"{10**30}", None):
        assert fit_one([*values, other], train=train) == plain


# Columns that carry nothing


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["7", "7", "7", "7"], "the same in every training row"),
        (["a", "a", "a", "a"], "the same in every training row"),
        (["yes", "yes", "yes", "yes"], "the same in every training row"),
        (["2024-01-01", "2024-01-01"] * 2, "the same in every training row"),
        (["0.1", "0.10", "b'.1'", "1e-1"], "the same in every training row"),
        ([None, None, None, None], "no value in the training rows"),
        (["?", "NA", None, " "], "no value in the training rows"),
    ],
)
@pytest.mark.parametrize("scale", ["standard", "robust", "quantile", "minmax", "none"])
def test_a_column_with_nothing_in_it_is_dropped_with_the_reason(values, reason, scale):
    dropped = Dropped(name="x", position=0, reason=reason)
    assert fit_one(values, scale) == dropped
    assert fit_one([*values, None], scale, train=[True] * 4 + [False]) == dropped


@pytest.mark.parametrize(
    ("value", "other"),
    [("7", "3"), ("a", "b"), ("yes", "no"), ("2024-01-01", "2000-01-01"), (None, "1"), (None, "a")],
)
def test_a_column_that_varies_in_other_rows_only_is_dropped(value, other):
    assert isinstance(fit_one([*[value] * 4, other], train=[True] * 4 + [False]), Dropped)
    assert not isinstance(fit_one([*[value] * 4, *[other] * 4]), Dropped)


@pytest.mark.parametrize("values", [["7"] * 4, ["a"] * 4, [None] * 4])
def test_the_same_goes_for_levels_on_request(values):
    assert isinstance(fit_one(values, categorical=True), Dropped)


@pytest.mark.parametrize("value", ["7", "0.1", "0.7", "123.456", "a"])
@pytest.mark.parametrize("rows", [3, 6, 10])
@pytest.mark.parametrize("scale", ["standard", "robust", "minmax"])
def test_a_constant_with_gaps_is_kept_for_its_gaps(value, rows, scale):
    column = fit_one([*[value] * rows, None], scale)
    assert column.width == 2
    if column.kind == "numeric":
        assert (column.shift, column.scale, column.indicator) == (float(value), 1, True)


def test_a_table_in_which_nothing_varies_is_refused():
    with pytest.raises(UserError) as caught:
        fit({"x": ["1", "1"] * 2, "z": [None, None] * 2, "y": ["a", "b"] * 2})
    message = "preprocess.features: no chosen column varies over the training rows; choose others"
    assert str(caught.value) == message


# The whole schema


def test_columns_keep_their_order_names_and_positions():
    found = fit(
        {"b": ["1", "2", "3"] * 2, "a": ["x", "y"] * 3, "z": ["1"] * 6, "y": ["0", "1"] * 3}
    )
    assert [(column.name, column.position) for column in found.features] == [("b", 0), ("a", 1)]
    assert [(column.name, column.position) for column in found.dropped] == [("z", 2)]
    assert (found.target.name, found.target.position) == ("y", 3)


def test_the_settings_are_recorded():
    columns = {"x": ["1", "2"] * 2, "y": ["a", "b"] * 2}
    found = fit(columns, missing="drop", scale="minmax")
    assert (found.missing, found.scale, found.task) == ("drop", "minmax", "classification")


def test_the_columns_named_are_levels_and_no_others():
    columns = {"x": ["1", "2"] * 3, "z": ["1", "2"] * 3, "y": ["a", "b"] * 3}
    found = fit(columns, categorical=["z", "y"])
    assert [column.kind for column in found.features] == ["numeric", "category"]
