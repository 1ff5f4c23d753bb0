"""What the search found: which setting mattered most, its figures explained, the best trials."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stages.common.intervals import wilson
from stages.common.names import counted
from stages.common.record import Record
from stages.common.trials import Trial, ranked
from stages.reporting import columns, proposal
from stages.reporting.section import Cell, Section, Table
from stages.reporting.tracked import Tracked

TITLE = "Which setting mattered most?"
MOST = 20  # rows of a table
LEAST = 0.005  # share of the ranking below which a setting is not named

Rows = Sequence[Mapping[str, str]]


def section(state: Tracked) -> Section:
    """Return the importance of the settings, what to do, the finalists, the best trials."""
    if "search_trials" not in state.figures:
        return Section("search", TITLE, ["There was no search yet."])
    importance, effects = state.rows("plots/importance.csv"), state.rows("plots/effects.csv")
    finalists, trials = state.rows("finalists.csv"), state.rows("trials.csv")
    sentences = [
        *(state.missing("plots/importance.csv") or _mattered(importance, effects)),
        *proposal.sentences(state),
        *_figures(state.figures, finalists),
        *state.missing("plots/effects.csv", "finalists.csv", "trials.csv"),
    ]
    tables = [
        _table(
            "Importance: the share of the ranking (the places of the trials, the best first) that "
            "a setting explains alone, less what chance does; 0 none, 1 all",
            importance,
        ),
        _table("Each value: mean and best validation score", effects),
        _table("Finalists: the best settings from new starts", finalists),
        _table("Best trials", [trials[at] for at in ranked([*map(_trial, trials)])]),
    ]
    return Section("search", TITLE, sentences, [table for table in tables if table.rows], "search")


def _mattered(importance: Rows, effects: Rows) -> list[str]:
    ranked = [(row["setting"], float(row["importance"] or 0)) for row in importance]
    if not ranked or ranked[0][1] == 0:
        return ["No setting mattered more than chance."]
    (first, share), *others = ranked
    then = [f"{name} {value:.2f}" for name, value in others[:2] if value >= LEAST]
    more = f"; then {', '.join(then)}" if then else "; no other did by more than chance"
    return [
        f"{first} mattered most: alone it explains {share:.2f} of the ranking (the places of "
        f"the trials, the best first; 1 is all){_direction(first, effects)}{more}."
    ]


def _direction(name: str, effects: Rows) -> str:
    """Return which values of a setting did best on average."""
    rows = [row for row in effects if row["setting"] == name and row["mean_val_score"]]
    scores = [float(row["mean_val_score"]) for row in rows]
    if len(set(scores)) < 2:
        return ""
    numbers = all(row["value"][:1].isdecimal() for row in rows)
    if numbers and scores in (sorted(scores), sorted(scores, reverse=True)):
        return f": {'higher' if scores[-1] > scores[0] else 'lower'} is better here"
    return f": {rows[scores.index(max(scores))]['value']} is best here"


def _figures(figures: Mapping[str, Any], finalists: Rows) -> Iterator[str]:
    """Yield a sentence per figure of the search: what it is of."""
    score = "accuracy" if "search_max_val_accuracy" in figures else "r2"
    yield (
        f"Of {counted(figures['search_trials'], 'trial')}, one network each, "
        f"{figures['search_diverged']} diverged; the highest validation score is "
        f"{figures[f'search_max_val_{score}']:.3f}, the middle one "
        f"{figures[f'search_median_val_{score}']:.3f}."
    )
    corrected = figures.get(f"search_corrected_val_{score}")
    if corrected is not None:
        yield (
            "The highest of many is partly luck: chosen by some validation rows and scored on the "
            f"others, it has {corrected:.3f}{_limits(figures, score, corrected)}."
        )
    mean, deviation = (figures.get(f"search_best_val_{score}{end}") for end in ("", "_sd"))
    if mean is not None:
        starts = f"{finalists[0]['starts']} new" if finalists else "new"
        yield (
            "The settings proposed have the best mean of the finalists, trained again from "
            f"{starts} starting weights each and scored on the same validation rows: "
            f"{mean:.3f}, with a standard deviation of {deviation:.3f}."
        )


def _limits(figures: Mapping[str, Any], score: str, value: float) -> str:
    """Return how exactly so many validation rows tell a share."""
    rows = figures.get("rows_val", 0)
    if score != "accuracy" or not rows:
        return ""
    low, high = wilson(round(value * rows), rows)
    return f"; with {counted(rows, 'row')} that means {low:.3f} to {high:.3f} on others (95 %)"


def _trial(row: Mapping[str, str]) -> Trial:
    """Return what the order of trials looks at."""
    score, loss = (float(row[name] or "nan") for name in ("val_score", "val_loss"))
    best = Record(int(row["best_epoch"]), 0, math.nan, math.nan, math.nan, loss, score)
    return Trial({}, 0, best, row["status"])


def _table(caption: str, rows: Rows) -> Table:
    names = rows[0] if rows else ()
    header = [name if "." in name else name.replace("_", " ") for name in names]
    cells = [[_cell(name, text) for name, text in row.items()] for row in rows]
    return Table.first(MOST, caption, header, cells)


def _cell(name: str, text: str) -> Cell:
    """Return a measured fraction as a number, a setting as it is written."""
    return float(text) if columns.measured(name) and text else text
