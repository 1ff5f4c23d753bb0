"""Every plot drawn for a wide and a narrow page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from dvc.exceptions import DvcException
from dvc_render.exceptions import DvcRenderError

from stages.reporting.drawing import Tables, draw
from stages.reporting.plots import Plot

WIDTHS = {"wide": 490, "narrow": 340}  # pixels of a plot in one of two columns, on a phone

LARGE = 100_000  # characters: such an image is there once, a phone shows it smaller
MOST = 2_500_000  # characters of all images

Draw = Callable[[Plot, Tables, int], str | None]


@dataclass(frozen=True)
class Figure:
    """A plot with an image for each of WIDTHS; note: why there is none, or what it lacks."""

    plot: Plot
    images: Mapping[str, str]
    note: str = ""


def drawn(plots: Sequence[Plot], tables: Sequence[Tables], by: Draw = draw) -> list[Figure]:
    """Return the plots that have rows to draw, or a note that says why they cannot be drawn.

    tables: for each plot what `draw` takes.
    """
    found, spent = [], 0
    for plot, texts in zip(plots, tables, strict=True):
        made = figure(plot, texts, by)
        size = sum(map(len, made.images.values()))
        if spent + size > MOST:
            made = Figure(plot, {}, "Too much for this page: `dvc plots show` draws it.")
        else:
            spent += size
        if made.images or made.note:
            found.append(made)
    return found


def figure(plot: Plot, tables: Tables, by: Draw) -> Figure:
    """Return one plot; only the last of the revisions where others have files of another form."""
    try:
        images = {name: by(plot, tables, width) for name, width in WIDTHS.items()}
    except (DvcException, DvcRenderError) as error:
        *others, own = tables
        if not others:
            return Figure(plot, {}, f"Not drawn: {error}; run `dvc repro`.")
        alone = figure(plot, {own: tables[own]}, by)
        return alone if alone.note else replace(alone, note=f"Without {others[0]}: {error}")
    kept = {name: svg for name, svg in images.items() if svg}
    if sum(map(len, kept.values())) > len(WIDTHS) * LARGE:
        del kept["narrow"]
    return Figure(plot, kept)
