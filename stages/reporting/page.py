"""The report as one HTML file: the template filled with sections and drawn plots."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stages.reporting import (
    comparison,
    failures,
    gain,
    headline,
    layers,
    origin,
    provenance,
    remedies,
    tuning,
)
from stages.reporting.drawing import draw
from stages.reporting.figures import Draw, drawn
from stages.reporting.plots import listed
from stages.reporting.remarks import remarked
from stages.reporting.section import Section, shown
from stages.reporting.tracked import Tracked

BROAD = 8  # columns of a table from which on paper has smaller letters for it


def sections(now: Tracked, then: Tracked | None) -> list[Section]:
    """Return what the page tells, in the order in which a reader asks."""
    first = [comparison.section(then, now)] if then else []
    asked = (headline, remedies, failures, gain, tuning, origin, layers)
    return [*first, *(module.section(now) for module in asked),
            provenance.settings(now), provenance.section(now)]  # fmt: skip


def write(now: Tracked, then: Tracked | None = None, by: Draw = draw) -> str:
    """Return the page of this folder, against a revision where one is given.

    by: what draws a plot.
    """
    told = sections(now, then)
    states = [then, now] if then else [now]
    plots = listed(Path())
    tables = [{state.label: state.tables(plot.files) for state in states} for plot in plots]
    figures = [remarked(now, figure) for figure in drawn(plots, tables, by)]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["shown"] = shown
    table = now.settings.get("preprocess.csv", "")
    title = Path(str(table)).name + (f" against {then.label}" if then else "")
    return environment.get_template("page.html").render(
        title=title, sections=told, figures=figures, broad=BROAD
    )
