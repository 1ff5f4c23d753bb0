"""Dates in the formats that are recognised, against days counted by hand and by the clock."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.common import dates


@pytest.mark.parametrize(
    ("form", "text", "days"),
    [
        ("iso", "1970-01-01", 0),
        ("iso", "1970-01-02", 1),
        ("iso", "1969-12-31", -1),
        ("iso", "2000-03-01", 11017),
        ("iso", "1970-01-02 12:00", 1.5),
        ("iso", "1970-01-02T06:00:00", 1.25),
        ("iso", "1970-01-02T06:00:00Z", 1.25),
        ("iso", "1970-01-02T06:00:00+06:00", 1),
        ("iso", "1970-01-01T18:00:00.5-06:00", 1 + 0.5 / 86400),
        ("%d.%m.%Y", "31.12.1970", 364),
        ("%d.%m.%Y", "1.2.1970", 31),
        ("%d.%m.%Y", "01.02.1970 06:00", 31.25),
        ("%d.%m.%Y", "01.02.1970 06:00:36", 31.25 + 36 / 86400),
        ("%Y/%m/%d", "1970/02/01", 31),
        ("%m/%d/%Y", "02/01/1970", 31),
        ("%d/%m/%Y", "02/01/1970", 1),
        ("%d/%m/%Y", "02/01/1970 12:00", 1.5),
    ],
)
def test_a_date_is_days_since_1970_in_utc(form, text, days):
    assert dates.day(text, form) == days
    assert dates.all_fit([text], form)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("iso", "2024-13-01"),
        ("iso", "2023-02-29"),
        ("iso", "20240101"),
        ("iso", "2024-W01-1"),
        ("iso", "2024-01"),
        ("iso", "2024/01/01"),
        ("iso", "2024-01-01 25:00"),
        ("iso", "x"),
        ("%d.%m.%Y", "12.31.2024"),
        ("%d.%m.%Y", "1.2.24"),
        ("%d.%m.%Y", "01.02.2024 noon"),
        ("%m/%d/%Y", "31/12/2024"),
        ("%d/%m/%Y", "12/31/2024"),
        ("%Y/%m/%d", "2024/31/12"),
        ("%Y/%m/%d", ""),
    ],
)
def test_what_is_no_date_of_a_format_is_refused(form, text):
    assert math.isnan(dates.day(text, form))
    assert not dates.all_fit([text], form)


@given(st.datetimes(datetime(1600, 1, 1), datetime(2400, 1, 1)))
def test_dates_and_times_agree_with_the_clock(moment):
    expected = (moment - datetime(1970, 1, 1)) / timedelta(days=1)
    assert dates.day(moment.isoformat(), "iso") == pytest.approx(expected, abs=1e-9)
    assert dates.day(str(moment.replace(tzinfo=UTC)), "iso") == dates.day(str(moment), "iso")
    whole = moment.replace(second=0, microsecond=0)
    for form in dates.FORMATS[1:]:
        text = whole.strftime(f"{form} %H:%M")
        assert dates.day(text, form) == dates.day(whole.isoformat(), "iso")


def test_all_texts_must_be_dates():
    assert dates.all_fit([], "iso")
    assert dates.all_fit(["2024-01-01", "2024-01-01 10:00"], "iso")
    assert not dates.all_fit(["2024-01-01", "soon"], "iso")
