"""Sentences, tables and plots under one heading: what `page` and `card` write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """Rows under a header; left_out: how many more there are."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    left_out: int = 0

    @classmethod
    def first(
        cls, most: int, caption: str, header: Sequence[str], rows: Sequence[Sequence[Cell]]
    ) -> Table:
        """Return the table of the first rows, `most` of them."""
        return cls(caption, header, rows[:most], max(0, len(rows) - most))


@dataclass(frozen=True)
class Section:
    """name: its anchor; plots: the group of plots that belong to it; block: text as it is."""

    name: str
    title: str
    sentences: Sequence[str]
    tables: Sequence[Table] = ()
    plots: str = ""
    block: str = ""


def shown(cell: Cell) -> str:
    """Return a cell as text: a fraction with three places, a tiny one with two digits."""
    if not isinstance(cell, float):
        return "" if cell is None else str(cell)
    return f"{cell:.3f}" if cell == 0 or abs(cell) >= 0.001 else f"{cell:.1e}"
