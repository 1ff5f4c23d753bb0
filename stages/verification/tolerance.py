"""How far the figures of a metrics file may move where the bytes are not promised."""

from __future__ import annotations

from pathlib import Path

from stages.common import files
from stages.verification.difference import ABSENT, line, show

# Absolute, and 2 % of figures above 1. Measured on the default tables against the portable
# figures: with `arithmetic: fast` they moved by at most 0.0007 (a loss of 0.278; two seeds), with
# portable arithmetic on another code path of each library by at most 0.000001. No accuracy moved;
# one of the 60 test rows of the second table would be 0.017.
TOLERANCE = 0.02


def beyond(recorded: Path, found: Path) -> str:
    """Return the first figure that moved by more than the tolerance, as a line, or nothing.

    Compared are the numbers with a fraction. Whole numbers and words are counts and choices
    (epochs, trials, members), of which a network that learns a little otherwise may make
    quite other ones; so is a mean of epochs. The keys must be the same.
    """
    before, after = files.read_json(recorded), files.read_json(found)
    for key in [*before, *(key for key in after if key not in before)]:
        value, now = before.get(key, ABSENT), after.get(key, ABSENT)
        if ABSENT in (value, now) or (_measured(key, value) and not _near(value, now)):
            return f"{line(key, show(value), show(now))}, tolerance {TOLERANCE}"
    return ""


def _measured(key: str, value: object) -> bool:
    return isinstance(value, float) and "epoch" not in key


def _near(value: float, now: object) -> bool:
    if not isinstance(now, int | float):
        return False
    return abs(now - value) <= TOLERANCE * max(1.0, abs(value))
