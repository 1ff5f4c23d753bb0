"""Dates with or without a time, in the formats that are recognised, as days since 1970."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

ISO = "iso"
FORMATS = (ISO, "%d.%m.%Y", "%Y/%m/%d", "%m/%d/%Y", "%d/%m/%Y")
DAY = 86400  # seconds


def day(text: str, form: str) -> float:
    """Return days since 1970 of a date with or without a time; NaN when it has another form."""
    try:
        if form == ISO:
            if not re.match(r"\d{4}-\d\d-\d\d", text):
                return float("nan")
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
    return all(day(text, form) == day(text, form) for text in texts)
