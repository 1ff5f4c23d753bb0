"""Successive halving: which trials go on, and how far (Jamieson and Talwalkar 2016).

All trials train to the first rung; the best of them go on to the next one, and so on. The
rungs lie so that each costs about as much as the one before.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rung:
    """So many trials train to this epoch."""

    epoch: int
    trials: int


def rungs(trials: int, epochs: int, share: int) -> list[Rung]:
    """Return the rungs of a search, the last at `epochs`; one of `share` trials goes on at each.

    With a share of 1 there is one rung: all trials train to the end.
    """
    steps = 0
    while share > 1 and min(trials, epochs) // share ** (steps + 1) >= 1:
        steps += 1
    return [Rung(epochs // share ** (steps - at), trials // share**at) for at in range(steps + 1)]
