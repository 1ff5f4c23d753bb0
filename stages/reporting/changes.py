"""The figures of two states side by side: what has changed in each, is it more than chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stages.reporting import likeness, spread
from stages.reporting.headline import LINES, PAGE
from stages.reporting.section import Cell
from stages.reporting.spread import Difference
from stages.reporting.tracked import Tracked

GAIN = "transfer_gain"
ARMS = (  # what the gain is a difference of
    ("  fine-tuned", "finetune_val_accuracy"),
    ("  from scratch", "control_val_accuracy"),
    ("  fine-tuned, R2", "finetune_val_r2"),
    ("  from scratch, R2", "control_val_r2"),
)
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
TESTS = {"test_accuracy", "test_rmse", "finetuned_test_accuracy", "finetuned_test_rmse"}

Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Change:
    """A figure of both states.

    name: its label with what it belongs to; found: None where they cannot be compared; verdict:
    in a few words.
    """

    label: str
    name: str
    key: str
    old: Cell
    new: Cell
    found: Difference | None
    verdict: str


def changes(then: Tracked, now: Tracked) -> list[Change]:
    """Return the figures that one of the states has, with their differences."""
    found, above = [], ""
    for label, key in _listed():
        below = label.startswith(" ")
        above = above if below else label
        old, new = (state.figures.get(key) for state in (then, now))
        if old is None and new is None:
            continue
        name = f"{above}, {label.strip()}" if below else label
        moved = difference(key, then, now)
        without = "not in both" if None in (old, new) else "another table"
        verdict = moved.verdict() if moved else without
        found.append(Change(label, name, key, _figure(old), _figure(new), moved, verdict))
    return found


def difference(key: str, then: Tracked, now: Tracked) -> Difference | None:
    """Return what has changed in a figure; None when one state lacks it or has another table."""
    old, new = then.figures.get(key), now.figures.get(key)
    of = likeness.table(key)
    if old is None or new is None or likeness.different(then, now, of):
        return None
    if key in TESTS and likeness.same_rows(then, now, of):
        one_by_one = [state.rows(likeness.PREDICTED[of]) for state in (now, then)]
        if key.endswith("accuracy"):
            return spread.of_pairs(*map(_right, one_by_one))
        return spread.of_losses(new - old, *map(_squares, one_by_one))
    one, two = (spread.interval(state.figures, key) for state in (now, then))
    found = [spread.of_intervals(one, two)] if one and two else []
    if key in DEVIATIONS and all(DEVIATIONS[key] in state.figures for state in (now, then)):
        deviations = (state.figures[DEVIATIONS[key]] for state in (now, then))
        found.append(spread.of_deviations(new - old, *deviations))
    return spread.strictest(found) if found else Difference(new - old, None, "it has no interval")


def _listed() -> Iterator[tuple[str, str]]:
    """Yield what is compared: the headline figures, the arms below the gain, and more."""
    for line in (*LINES, *PAGE, *MORE):
        yield line
        if line[1] == GAIN:
            yield from ARMS


def _figure(value: Any) -> Cell:
    return value if value is None or isinstance(value, int) else float(value)


def _right(rows: Rows) -> list[bool]:
    """Return for each test row whether the answer is right."""
    return [row["actual"] == row["predicted"] for row in rows]


def _squares(rows: Rows) -> list[float]:
    """Return the squared error of each test row."""
    errors = [float(row["predicted"]) - float(row["actual"]) for row in rows]
    return [error * error for error in errors]
