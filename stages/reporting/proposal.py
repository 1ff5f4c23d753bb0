"""What a search proposes: does it differ from params.yaml, is it better, is it on an edge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML

from stages.common import params, space
from stages.reporting import spread
from stages.reporting.tracked import Tracked

ADOPT = "python -m stages.search --adopt"


def sentences(state: Tracked) -> Iterator[str]:
    """Yield what to do with the settings proposed; nothing when no trial is."""
    chosen = str(state.figures.get("search_best_trial"))
    point = _point(next((row for row in state.rows("trials.csv") if row["trial"] == chosen), {}))
    if not point:
        return
    other = [name for name in point if point[name] != state.settings.get(name)]
    if not other:
        yield f"Proposed is trial {chosen}: the settings of {params.PARAMS} as they are."
    else:
        said = [f"{name} {point[name]} (now {state.settings.get(name)})" for name in other]
        yield (
            f"Proposed is trial {chosen}, which differs from {params.PARAMS}: {', '.join(said)}. "
            f"This writes it there: {ADOPT}; then dvc repro trains it."
        )
        yield from _better(state)
    if edges := _edges(state, point):
        yield f"At the edge of the space: {'; '.join(edges)}. Widen search.space and search again."


def _point(row: dict[str, str]) -> dict[str, Any]:
    """Return the settings of a trial by their dotted names."""
    read = YAML(typ="safe").load
    return {name: read(cell) for name, cell in row.items() if "." in name and cell}


def _better(state: Tracked) -> Iterator[str]:
    """Yield how one network of the proposed settings compares with one of the base model."""
    figures = state.figures
    score = "accuracy" if "val_accuracy" in figures else "r2"
    new, now = f"search_best_val_{score}", f"val_{score}"
    keys = (new, f"{new}_sd", now, f"{now}_deviation")
    if any(figures.get(key) is None for key in keys):
        return
    mean, deviation, current, spread_now = (figures[key] for key in keys)
    found = spread.of_deviations(mean - current, deviation, spread_now)
    yield (
        f"One network of the proposed settings scores {mean:.3f} on validation rows, one of the "
        f"base model {current:.3f}, both means: {found.value:+.3f}, {found.word()}."
    )


def _edges(state: Tracked, point: dict[str, Any]) -> list[str]:
    """Return the settings of a point that are at an end of their axis."""
    settings = params.parse(state.text(str(params.PARAMS)))
    named = {(section, key): value for (section, _, key), value in
             ((name.partition("."), value) for name, value in point.items())}  # fmt: skip
    return space.edges(named, settings.search, settings.model, settings.train)
