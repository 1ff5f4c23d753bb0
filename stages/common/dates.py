"""Dates with or without a time, in the formats that are recognised, as days since 1970."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

ISO = "iso"
SLASHES = r"\d\d?/\d\d?/\d{4}"
BEGINS = {  # format -> what its texts begin with: strptime is slow to say no
    ISO: re.compile(r"\d{4}-\d\d-\d\d"),
    "%d.%m.%Y": re.compile(r"\d\d?\.\d\d?\.\d{4}"),
    "%Y/%m/%d": re.compile(r"\d{4}/\d\d?/\d"),
    "%m/%d/%Y": re.compile(SLASHES),
    "%d/%m/%Y": re.compile(SLASHES),
}
FORMATS = tuple(BEGINS)
DAY = 86400  # seconds


def day(text: str, form: str) -> float:
    """Return days since 1970 of a date with or without a time; NaN when it has another form."""
    if not BEGINS[form].match(text):
        return float("nan")
    try:
        if form == ISO:
            moment = datetime.fromisoformat(text)
        else:
            date, _, clock = text.partition(" ")
            moment = datetime.strptime(date, form)
            if clock:
                moment = datetime.combine(moment, datetime.strptime(clock, _clock(clock)).time())
    except ValueError:
        return float("nan")
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() / DAY


def _clock(text: str) -> str:
    return "%H:%M:%S" if text.count(":") == 2 else "%H:%M"


def all_fit(texts: Sequence[str], form: str) -> bool:
    """Return whether every text is a date of this format."""
    return all(fits(text, form) for text in texts)


def fits(text: str, form: str) -> bool:
    """Return whether a text is a date of this format."""
    found = day(text, form)
    return found == found  # NaN is not
