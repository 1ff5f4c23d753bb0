"""A plot drawn as SVG for a page that opens without internet, with the templates that DVC fills.

The same rows give the same bytes.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from html import escape
from typing import Any

from stages.reporting.layout import LEAST, Spec, adapt, beside, sized
from stages.reporting.plots import Plot

VEGA_LITE = "5.8"  # of the versions that can draw, the nearest to that of DVC's page
SLACK = 24  # pixels that an image may be too narrow
AROUND = 90  # pixels of axis and legend, about
ATTEMPTS = 6  # to find the width of a panel
MOST = 3.0  # panels beside each other
TAG = re.compile(r'<[^<>"]*(?:"[^"]*"[^<>"]*)*>')
USED = re.compile(r'((?: id="|="url\(#))([^")]+)(\)?")')  # an id in a tag: its own, another's

Tables = Mapping[str, Mapping[str, str]]


def draw(plot: Plot, tables: Tables, width: int) -> str | None:
    """Return an SVG image at most `width` pixels wide; None when there are no rows to draw.

    tables: for each revision, such as `workspace`, the text of each CSV file. A revision
    that lacks the file is left out, such as one from before the plot. Fails as `fill` does.
    """
    filled = fill(plot, tables)
    if not filled:
        return None
    revisions = {row["rev"] for row in filled["data"]["values"]}
    page = adapt(filled, plot.title, width, alone=len(revisions) == 1)
    return finish(fit(page, width), f"{plot.name} {width}", plot.alt)


def fill(plot: Plot, tables: Tables) -> Spec:
    """Return the template of a plot filled by DVC with the rows of all revisions, or nothing.

    Raises KeyError when no revision has a file, DvcException when a column is not there.
    """
    lacking = [name for name in plot.files if not any(name in texts for texts in tables.values())]
    if lacking:
        raise KeyError(f"plot {plot.name}: no revision has {', '.join(lacking)}")
    from dvc.render.converter.vega import VegaConverter
    from dvc_render import VegaRenderer

    points: list[dict[str, Any]] = []
    properties: dict[str, Any] = {}
    for revision, texts in tables.items():
        rows = {name: read(texts[name]) for name in plot.files if name in texts}
        given = {name: found for name, found in rows.items() if found}
        converter = VegaConverter(plot.name, given, dict(plot.properties))
        found, resolved = converter.flat_datapoints(revision)
        points += found
        properties = properties or resolved
    renderer = VegaRenderer(points, plot.name, template_dir=str(plot.templates), **properties)
    filled: Spec = renderer.get_filled_template()
    return filled


def read(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file as DVC reads them."""
    return list(csv.DictReader(io.StringIO(text)))


def fit(page: Spec, width: int) -> str:
    """Return the image with panels as wide as `width` allows, found by the secant method."""
    columns = float(beside(page))
    panel, fitting = max(LEAST, (width - AROUND) / columns), ""
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


def render(page: Spec) -> str:
    """Return the image of a page; nothing is read from anywhere."""
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(page, vl_version=VEGA_LITE, allowed_base_urls=[])
    return svg


def finish(svg: str, name: str, alt: str) -> str:
    """Return an image that a screen reader can tell, with ids that no other image has."""
    ids = (found for tag in TAG.findall(svg) for found in re.findall(r' id="([^"]+)"', tag))
    new = {
        old: f"{name} {number}".replace(" ", "-") for number, old in enumerate(dict.fromkeys(ids))
    }

    def renamed(tag: re.Match[str]) -> str:
        return USED.sub(lambda use: f"{use[1]}{new.get(use[2], use[2])}{use[3]}", tag[0])

    named = TAG.sub(renamed, svg)
    return named.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1)


def _width(svg: str) -> float:
    found = re.search(r'<svg [^>]*?\bwidth="([0-9.]+)"', svg)
    assert found is not None
    return float(found[1])
