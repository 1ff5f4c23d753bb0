"""A plot drawn as SVG for a page that opens without internet, with the templates that DVC fills.

Text, axes and grid have the colour of the text around the image, so that it suits light and
dark pages. The same rows give the same bytes.
"""

from __future__ import annotations

import copy
import csv
import io
import re
import textwrap
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from stages.common.errors import UserError
from stages.reporting.plots import Plot

VEGA_LITE = "5.8"  # of the versions that can draw, the nearest to that of DVC's page
NARROW = 480  # pixels: below, entries of a legend stand below each other
PANEL = 230  # pixels that a panel needs, with its axis
LEAST = 60  # pixels: no panel is made narrower
SLACK = 10  # pixels that an image may be too narrow
ATTEMPTS = 6  # to find the width of a panel
MOST = 3.0  # panels beside each other
SQUARE = 420  # pixels: the most of a side of a square panel
LETTER, SMALL = 7.5, 6.3  # pixels of a letter of the title, of the line below it
TEXT = "currentColor"
PAGE = {
    "background": None,
    "font": "sans-serif",
    "aria": False,
    "axis": {
        "domainColor": TEXT,
        "gridColor": TEXT,
        "gridOpacity": 0.15,
        "labelColor": TEXT,
        "tickColor": TEXT,
        "titleColor": TEXT,
        "titleFontWeight": "normal",
    },
    "header": {"labelColor": TEXT, "labelFontSize": 11, "titleColor": TEXT},
    "legend": {"labelColor": TEXT, "titleColor": TEXT},
    "text": {"color": TEXT},
    "title": {"color": TEXT, "fontSize": 13, "subtitleColor": TEXT, "subtitleFontSize": 11},
}

Spec = dict[str, Any]
Tables = Mapping[str, Mapping[str, str]]


def draw(plot: Plot, tables: Tables, width: int) -> str | None:
    """Return an SVG image at most `width` pixels wide; None when there are no rows to draw.

    tables: for each revision, such as `workspace`, the text of each CSV file. A revision
    that lacks the file is left out; UserError when all do, or a column is not there.
    """
    filled = fill(plot, tables)
    if not filled:
        return None
    page = adapt(filled, plot.title, width, alone=len(tables) == 1)
    return finish(fit(page, width), f"{plot.name} {width}", plot.alt)


def fill(plot: Plot, tables: Tables) -> Spec:
    """Return the template of a plot filled by DVC with the rows of all revisions, or nothing."""
    from dvc.exceptions import DvcException
    from dvc.render.converter.vega import VegaConverter
    from dvc_render import VegaRenderer

    having = {revision: texts for revision, texts in tables.items() if {*plot.files} <= {*texts}}
    if not having:
        raise UserError(f"{', '.join(plot.files)}: no such file; run `dvc repro`")
    points: list[dict[str, Any]] = []
    properties: dict[str, Any] = {}
    for revision, texts in having.items():
        rows = {name: list(csv.DictReader(io.StringIO(texts[name]))) for name in plot.files}
        given = {name: found for name, found in rows.items() if found}
        try:
            found, resolved = VegaConverter(
                plot.name, given, dict(plot.properties)
            ).flat_datapoints(revision)
        except DvcException as error:
            raise UserError(f"{', '.join(plot.files)}: {error}; run `dvc repro`") from error
        points += found
        properties = properties or resolved
    renderer = VegaRenderer(points, plot.name, template_dir=str(plot.templates), **properties)
    filled: Spec = renderer.get_filled_template()
    return filled


def adapt(filled: Spec, title: str, width: int, alone: bool) -> Spec:
    """Return a filled template with the page's colours and a title and legend that fit.

    alone: there is one revision, which needs no name.
    """
    page = copy.deepcopy(filled)
    for key, value in PAGE.items():
        own = page["config"].get(key, {})
        page["config"][key] = own | value if isinstance(value, dict) else value
    if width < NARROW:
        page["config"]["legend"]["columns"] = 1
    headline, _, remark = title.partition(": ")
    page["title"] = {
        "text": textwrap.wrap(headline, int(width / LETTER)),
        "subtitle": textwrap.wrap(remark, int(width / SMALL)),
    }
    for part in _parts(page):
        if part.get("field") == "rev" and alone:
            part["legend"] = part["header"] = None
        if "columns" in part and "facet" in part:
            part["columns"] = max(1, min(part["columns"], width // PANEL))
    return page


def fit(page: Spec, width: int) -> str:
    """Return the image with panels as wide as `width` allows, found by the secant method."""
    panel, columns, fitting = width / 3, 1.0, ""
    before: tuple[float, float] | None = None
    for _ in range(ATTEMPTS):
        svg = render(sized(page, panel))
        wide = _width(svg)
        if wide <= width and (not fitting or wide > _width(fitting)):
            fitting = svg
        if width - SLACK <= wide <= width:
            break
        if before and panel != before[0]:
            columns = min(max((wide - before[1]) / (panel - before[0]), 1.0), MOST)
        before = panel, wide
        panel = max(LEAST, panel + (width - SLACK / 2 - wide) / columns)
    return fitting or svg


def sized(page: Spec, panel: float) -> Spec:
    """Return a page whose panels are `panel` pixels wide; square ones stay square."""
    made = copy.deepcopy(page)
    for part in _parts(made):
        if {"mark", "layer"} & part.keys() and "width" in part:
            square = part["width"] == part["height"]
            part["width"] = round(min(panel, SQUARE) if square else panel)
            if square:
                part["height"] = part["width"]
    return made


def render(page: Spec) -> str:
    """Return the image of a page; nothing is read from anywhere."""
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(page, vl_version=VEGA_LITE, allowed_base_urls=[])
    return svg


def finish(svg: str, name: str, alt: str) -> str:
    """Return an image that a screen reader can tell, with ids that no other image has."""
    ids = re.findall(r'\bid="([^"]+)"', svg)
    for number, old in enumerate(dict.fromkeys(ids)):
        new = f"{name} {number}".replace(" ", "-")
        svg = svg.replace(f'id="{old}"', f'id="{new}"').replace(f"url(#{old})", f"url(#{new})")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1)


def _width(svg: str) -> float:
    found = re.search(r'<svg [^>]*?\bwidth="([0-9.]+)"', svg)
    assert found is not None
    return float(found[1])


def _parts(node: Any) -> Iterator[Spec]:
    """Yield every mapping of a specification, but not its rows."""
    if isinstance(node, dict):
        yield node
        for key, value in node.items():
            if key != "data":
                yield from _parts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _parts(value)
