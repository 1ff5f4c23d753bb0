"""A filled template laid out for a page: colours, titles, legends and panels that fit a width.

Text, axes and grid have the colour of the text around the image, so that it suits light and
dark pages.
"""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Iterator
from typing import Any

NARROW = 480  # pixels: below, entries of a legend stand below each other
SHRUNK = 0.77  # of its own width a panel may be made so that more stand beside each other
TICK = 45  # pixels that the label of a tick needs
LEAST = 60  # pixels: no panel is made narrower
SQUARE = 320  # pixels: the most of a side of a square panel
LETTER, SMALL = 7.5, 6.3  # pixels of a letter of the title, of the line below it
TEXT = "currentColor"
NO_HEADER = {
    "labelExpr": "''",
    "labelFontSize": 0,
    "labelPadding": 0,
}  # Vega-Lite 5.8 ignores labels: false
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
            part["legend"], part["header"] = None, NO_HEADER
        if "columns" in part and "facet" in part:
            fitting = int(width / (SHRUNK * part["spec"]["width"]))
            part["columns"] = max(1, min(part["columns"], fitting))
    return page


def sized(page: Spec, panel: float) -> Spec:
    """Return a page whose panels are `panel` pixels wide; square ones stay square."""
    made = copy.deepcopy(page)
    for part in _parts(made):
        if {"mark", "layer"} & part.keys() and "width" in part:
            square = part["width"] == part["height"]
            part["width"] = round(min(panel, SQUARE) if square else panel)
            if square:
                part["height"] = part["width"]
            most = max(2, round(part["width"] / TICK))
            for axis in _ticked(part):
                axis["tickCount"] = min(axis["tickCount"], most)
    return made


def beside(page: Spec) -> int:
    """Return how many panels a page may have beside each other."""
    faceted = (part for part in _parts(page) if {"facet", "columns"} <= part.keys())
    return max((part["columns"] for part in faceted), default=1)


def _ticked(panel: Spec) -> Iterator[Spec]:
    """Yield the horizontal axes of a panel that say how many ticks they should have."""
    for part in _parts(panel):
        axis = part.get("x", {}).get("axis")
        if axis and "tickCount" in axis:
            yield axis


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
