"""What a plot leaves out: of many classes it shows the most frequent or the weakest."""

from __future__ import annotations

import re
from dataclasses import replace

from stages.reporting.figures import Figure
from stages.reporting.plots import Plot
from stages.reporting.tracked import Tracked

CURVES = {"roc": "plots/roc.csv", "precision recall": "plots/precision_recall.csv"}
WEAKEST = re.compile(r"datum\.place <= (\d+)")  # in the template


def remarked(state: Tracked, figure: Figure) -> Figure:
    """Return a figure whose note says how many of the classes are drawn, where not all are."""
    left_out = remark(state, figure.plot) if figure.images else ""
    return replace(figure, note=" ".join(filter(None, (figure.note, left_out))))


def remark(state: Tracked, plot: Plot) -> str:
    """Return how many of the classes are drawn; empty when all are."""
    classes = _classes(state, "plots/classes.csv")
    if plot.name in CURVES:
        shown, which = _classes(state, CURVES[plot.name]), "most frequent"
    elif plot.name == "classes":
        shown, which = min(classes, _weakest(plot)), "weakest"
    else:
        return ""
    return f"Of {classes} classes the {shown} {which} are drawn." if shown < classes else ""


def _classes(state: Tracked, name: str) -> int:
    """Return how many classes a file has, of the model that has most; the mean has no name."""
    named = {(row["model"], row["class"]) for row in state.rows(name) if row["class"]}
    models = [model for model, _ in named]
    return max(map(models.count, models), default=0)


def _weakest(plot: Plot) -> int:
    """Return how many classes the template of a plot draws."""
    text = (plot.templates / f"{plot.properties['template']}.json").read_text(encoding="utf-8")
    found = WEAKEST.search(text)
    assert found is not None
    return int(found[1])
