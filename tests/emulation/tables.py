"""Tables made from plain arithmetic, so that they are the same text everywhere."""

from __future__ import annotations

import random
from collections.abc import Sequence

COLOURS = ("red", "green", "crème")
GAP = 0.1  # share of the cells without a value


def creatures(rows: int, seed: int, kinds: Sequence[str]) -> str:
    """Return a table of classes with numbers, dates, levels, truth, gaps and a constant."""
    draw = random.Random(seed).random
    lines = ["id,size,weight,born,colour,wild,alive,kind"]
    for row in range(rows):
        kind = int(draw() * len(kinds))
        cells = (
            f"{2 * kind + draw():.3f}",
            f"{draw() - kind:.2f}",
            f"2024-0{1 + int(9 * draw())}-1{int(9 * draw())}",
            COLOURS[(kind + (draw() < GAP)) % len(COLOURS)],
            "yes" if draw() < 0.5 else "no",
        )
        shown = [cell if draw() > GAP else "" for cell in cells]
        lines.append(",".join([str(row), *shown, "yes", kinds[kind]]))
    return "\n".join(lines) + "\n"


def line(rows: int, seed: int, slope: float) -> str:
    """Return a table of one feature and a value that depends on it."""
    draw = random.Random(seed).random
    places = [draw() for _ in range(rows)]
    return "x,y\n" + "".join(f"{x:.4f},{slope * x:.4f}\n" for x in places)


def halves(rows: int, seed: int) -> str:
    """Return a table of two classes with gaps and a column that names the part."""
    draw = random.Random(seed).random
    lines = ["part,a,b,side"]
    for row in range(rows):
        left = draw() < 0.5
        distance, b = 6 + 4 * draw(), f"{3 * draw():.1f}" if draw() > GAP else ""
        part = {8: "val", 9: "test"}.get(row % 10, "train")
        lines.append(
            f"{part},{-distance if left else distance:.1f},{b},{'left' if left else 'right'}"
        )
    return "\n".join(lines) + "\n"
