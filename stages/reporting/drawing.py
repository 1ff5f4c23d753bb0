"""A plot drawn as SVG for a page that opens without internet, with the templates that DVC fills."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from html import escape
from typing import Any

from stages.reporting.plots import Plot

VEGA_LITE = "5.8"  # of the versions that can draw, the nearest to that of DVC's page


def draw(plot: Plot, tables: Mapping[str, Mapping[str, str]], width: int) -> str | None:
    """Return an SVG image about `width` pixels wide; None when there are no rows to draw.

    tables: for each revision, such as `workspace`, the text of each CSV file.
    """
    import vl_convert

    filled = fill(plot, tables)
    if not filled:
        return None
    svg: str = vl_convert.vegalite_to_svg(filled, vl_version=VEGA_LITE, allowed_base_urls=[])
    return named(svg, plot.alt)


def fill(plot: Plot, tables: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return the template of a plot filled by DVC with the rows of all revisions."""
    from dvc.render.converter.vega import VegaConverter
    from dvc_render import VegaRenderer

    points: list[dict[str, Any]] = []
    properties: dict[str, Any] = {}
    for revision, texts in tables.items():
        rows = {name: list(csv.DictReader(io.StringIO(texts[name]))) for name in plot.files}
        given = {name: found for name, found in rows.items() if found}
        converter = VegaConverter(plot.name, given, dict(plot.properties))
        found, resolved = converter.flat_datapoints(revision)
        points += found
        properties = properties or resolved
    renderer = VegaRenderer(points, plot.name, template_dir=str(plot.templates), **properties)
    filled: dict[str, Any] = renderer.get_filled_template()
    return filled


def named(svg: str, alt: str) -> str:
    """Return an image that tells a screen reader what is drawn."""
    return re.sub("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', svg, count=1)
