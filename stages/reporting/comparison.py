"""This folder against a revision: figures side by side, is it more than chance, what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stages.reporting import spread
from stages.reporting.headline import LINES, PAGE
from stages.reporting.section import Cell, Section, Table
from stages.reporting.spread import Difference
from stages.reporting.tracked import Tracked

MORE = (  # figures beside the headline ones
    ("base model, validation loss", "val_loss"),
    ("base model, overfit gap", "overfit_gap"),
    ("base model, calibration error", "test_calibration_error"),
    ("base model, parameters", "parameters"),
)
DEVIATIONS = {  # figure: its standard deviation over starting weights
    "val_accuracy": "val_accuracy_deviation",
    "val_r2": "val_r2_deviation",
    "search_best_val_accuracy": "search_best_val_accuracy_sd",
    "search_best_val_r2": "search_best_val_r2_sd",
}
TESTS = {  # figure: prefix of its rows
    "test_accuracy": "",
    "test_rmse": "",
    "finetuned_test_accuracy": "finetuned_",
    "finetuned_test_rmse": "finetuned_",
}
FOLDERS = {"": "source", "finetuned_": "target"}
ABSENT = "(not there)"

Rows = Sequence[Mapping[str, str]]


def section(then: Tracked, now: Tracked) -> Section:
    """Return the figures and the settings of both states."""
    rows: list[Sequence[Cell]] = []
    larger: list[str] = []
    for label, key in (*LINES, *PAGE, *MORE):
        old, new = then.figures.get(key), now.figures.get(key)
        if old is None and new is None:
            continue
        found = difference(key, then, now)
        if found and found.clear:
            larger.append(f"{label.strip()} ({found.value:+.3f})")
        moved, word = (found.value, found.word()) if found else (None, "not in both")
        rows.append([label, _figure(old), _figure(new), moved, word])
    header = ("figure", then.label, now.label, "difference", "larger than the spread?")
    tables = [Table("Figures", header, rows), _settings(then, now)]
    said = ", ".join(larger) if larger else "none"
    sentences = [
        f"{now.label.capitalize()} against {then.label} ({then.commit[:12]}). Differences larger "
        f"than the spread: {said}.",
        "Where the test rows are the same, rows are compared one by one; else both figures are "
        "taken as independent. One comparison in twenty looks larger by chance alone.",
    ]
    return Section("comparison", f"Against {then.label}", sentences, tables)


def difference(key: str, then: Tracked, now: Tracked) -> Difference | None:
    """Return what has changed in a figure; None when only one of the states has it."""
    old, new = then.figures.get(key), now.figures.get(key)
    if old is None or new is None:
        return None
    if key in TESTS and _same_rows(then, now, TESTS[key]):
        one_by_one = [state.rows(f"plots/{TESTS[key]}predicted.csv") for state in (now, then)]
        if key.endswith("accuracy"):
            return spread.of_pairs(*map(_right, one_by_one))
        return spread.of_losses(new - old, *map(_squares, one_by_one))
    one, two = (spread.interval(state.figures, key) for state in (now, then))
    if one and two:
        return spread.of_intervals(one, two)
    if key in DEVIATIONS and all(DEVIATIONS[key] in state.figures for state in (now, then)):
        deviations = (state.figures[DEVIATIONS[key]] for state in (now, then))
        return spread.of_deviations(new - old, *deviations)
    return Difference(new - old, None, "it has no interval")


def _same_rows(then: Tracked, now: Tracked, prefix: str) -> bool:
    """Return whether dvc.lock records the same test tensors, and the answers are of the same."""
    recorded = [_recorded(state, f"{FOLDERS[prefix]}/test.pt") for state in (then, now)]
    actual = [
        [row.get("actual") for row in state.rows(f"plots/{prefix}predicted.csv")]
        for state in (then, now)
    ]
    return bool(recorded[0] and recorded[0] == recorded[1] and actual[0] and actual[0] == actual[1])


def _recorded(state: Tracked, name: str) -> str:
    """Return the md5 of a file that evaluate has read; empty when dvc.lock has none."""
    files = state.lock.get("evaluate", {}).get("deps", [])
    return next((str(file["md5"]) for file in files if file["path"].endswith(name)), "")


def _right(rows: Rows) -> list[bool]:
    """Return for each test row whether the answer is right."""
    return [row["actual"] == row["predicted"] for row in rows]


def _squares(rows: Rows) -> list[float]:
    """Return the squared error of each test row."""
    errors = [float(row["predicted"]) - float(row["actual"]) for row in rows]
    return [error * error for error in errors]


def _settings(then: Tracked, now: Tracked) -> Table:
    keys = sorted(then.settings.keys() | now.settings.keys())
    rows = [
        [key, *(str(state.settings.get(key, ABSENT)) for state in (then, now))]
        for key in keys
        if then.settings.get(key, ABSENT) != now.settings.get(key, ABSENT)
    ]
    return Table("Settings that differ", ("setting", then.label, now.label), rows)


def _figure(value: Any) -> Cell:
    return value if value is None or isinstance(value, int) else float(value)
