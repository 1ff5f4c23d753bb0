"""remarks: a plot of some classes says so; one of all of them says nothing."""

from __future__ import annotations

import pytest

from stages.reporting import page, remarks
from stages.reporting.plots import Plot, listed
from stages.reporting.tracked import Tracked
from tests import reported
from tests.imports import ROOT

PLOTS = {plot.name: plot for plot in listed(ROOT)}


def state(classes: int, curves: int) -> Tracked:
    """Return a state with so many classes of which so many have a curve."""
    figures = "".join(f"base,c{at},5,1.0,1.0,1.0\n" for at in range(classes))
    points = "".join(
        f"base,{name},0.0,1.0,1.0\n" for name in ["", *map("c{}".format, range(curves))]
    )
    header, last = "model,class,x,y,area\n", "finetuned,a,5,,0.0,0.0\n"
    return reported.state({
        "plots/classes.csv": f"model,class,rows,precision,recall,f1\n{figures}{last}",
        "plots/roc.csv": header + points,
        "plots/precision_recall.csv": header + points,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("name", "classes", "said"),
    [
        ("roc", 12, ""),
        ("roc", 13, "Of 13 classes the 12 most frequent are drawn."),
        ("precision recall", 13, "Of 13 classes the 12 most frequent are drawn."),
        ("classes", 24, ""),
        ("classes", 25, "Of 25 classes the 24 weakest are drawn."),
        ("confusion", 30, ""),
    ],
)
def test_how_many_classes_are_drawn_is_told_where_not_all_are(name: str, classes: int, said: str):
    assert remarks.remark(state(classes, 12), PLOTS[name]) == said


def test_the_page_has_it_below_a_plot_that_is_drawn(monkeypatch):
    monkeypatch.chdir(ROOT)

    def some(plot: Plot, *_: object) -> str | None:
        return "<svg></svg>" if plot.name == "roc" else None

    html = page.write(state(30, 12), None, some)
    assert html.count("Of 30 classes the 12 most frequent are drawn.</em>") == 1
    assert "weakest are drawn" not in html
