"""What the search found: which setting mattered most, the best trials, corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stages.reporting.section import Cell, Section, Table, counted
from stages.reporting.tracked import Tracked

TITLE = "Which setting mattered most?"
MOST = 20  # rows of a table

Rows = Sequence[Mapping[str, str]]


def section(state: Tracked) -> Section:
    """Return the importance of the settings, the finalists, the best trials."""
    figures = state.figures
    if "search_trials" not in figures:
        return Section("search", TITLE, ["There was no search yet."])
    importance, trials = state.rows("plots/importance.csv"), state.rows("trials.csv")
    sentences = [*_mattered(importance), _best(figures), *_settings(figures, trials)]
    tables = [
        _table("How much each setting explains of the trials' ranking, alone", importance),
        _table("Each value: mean and best validation score", state.rows("plots/effects.csv")),
        _table("Finalists: the best settings from new starts", state.rows("finalists.csv")),
        _table("Best trials", sorted(trials, key=_rank)),
    ]
    return Section("search", TITLE, sentences, [table for table in tables if table.rows], "search")


def _mattered(importance: Rows) -> list[str]:
    ranked = [(row["setting"], float(row["importance"] or 0)) for row in importance]
    if not ranked or ranked[0][1] == 0:
        return ["No setting mattered more than chance."]
    (first, share), *others = ranked
    then = [f"{name} {value:.2f}" for name, value in others[:2] if value > 0]
    more = f"; then {', '.join(then)}" if then else "; no other did by more than chance"
    return [f"{first} mattered most: alone it explains {share:.2f} of the ranking{more}."]


def _best(figures: Mapping[str, Any]) -> str:
    score = "accuracy" if "search_max_val_accuracy" in figures else "r2"
    said = (
        f"Of {counted(figures['search_trials'], 'trial')}, {figures['search_diverged']} diverged; "
        f"the best scored {figures[f'search_max_val_{score}']:.3f} on validation rows, the one in "
        f"the middle {figures[f'search_median_val_{score}']:.3f}"
    )
    corrected = figures.get(f"search_corrected_val_{score}")
    if corrected is not None:
        said += f"; corrected for choosing it, {corrected:.3f} can be expected on other rows"
    mean, deviation = (figures.get(f"search_best_val_{score}{end}") for end in ("", "_sd"))
    if mean is not None:
        said += f"; the settings proposed scored {mean:.3f} +- {deviation:.3f} over new starts"
    return f"{said}."


def _settings(figures: Mapping[str, Any], trials: Rows) -> list[str]:
    chosen = str(figures.get("search_best_trial"))
    found = next((row for row in trials if row["trial"] == chosen), {})
    said = [f"{name} {value}" for name, value in found.items() if "." in name and value]
    return [f"Proposed are those of trial {chosen}: {', '.join(said)}."] if said else []


def _rank(row: Mapping[str, str]) -> tuple[bool, int, float, float]:
    """Return what puts the best trial first: done ones, last rung, score, loss."""
    score, loss = (float(row[name] or "nan") for name in ("val_score", "val_loss"))
    return score != score, -int(row["rung"]), -score, loss


def _table(caption: str, rows: Rows) -> Table:
    names = rows[0] if rows else ()
    header = [name if "." in name else name.replace("_", " ") for name in names]
    cells = [[_cell(name, text) for name, text in row.items()] for row in rows]
    return Table.first(MOST, caption, header, cells)


def _cell(name: str, text: str) -> Cell:
    """Return a measured fraction as a number, a setting as it is written."""
    measured = name == "importance" or "score" in name or "loss" in name
    named = name in ("lowest", "highest")
    return float(text) if (measured or named) and text else text
