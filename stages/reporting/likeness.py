"""Have two states the same tables and test rows: can their figures be compared, and how."""

from __future__ import annotations

from stages.reporting.models import MODELS
from stages.reporting.tracked import Tracked

TABLES = {model.table: model.rows for model in MODELS.values()}
SECOND = ("finetune", "control", "transfer")  # figures of the second table begin with one of them
CHOICES = {  # settings that choose a table and what to learn of it
    "source": ("preprocess.csv", "preprocess.target", "preprocess.task"),
    "target": ("finetune.csv",),
}
PREDICTED = {model.table: f"plots/{prefix}predicted.csv" for prefix, model in MODELS.items()}


def table(key: str) -> str:
    """Return which of TABLES a figure is of."""
    return "target" if key.startswith(SECOND) else "source"


def different(then: Tracked, now: Tracked, of: str) -> list[str]:
    """Return the settings that choose another table; none where the test rows are the same."""
    old, new = (_recorded(state, of) for state in (then, now))
    if old and old == new:
        return []
    keys = CHOICES["source"] + (CHOICES["target"] if of == "target" else ())
    return [key for key in keys if then.settings.get(key) != now.settings.get(key)]


def same_rows(then: Tracked, now: Tracked, of: str) -> bool:
    """Return whether dvc.lock records the same test tensors, and the answers are of the same."""
    old, new = (_recorded(state, of) for state in (then, now))
    before, after = ([row["actual"] for row in state.rows(PREDICTED[of])] for state in (then, now))
    return bool(old and old == new and before and before == after)


def sentence(then: Tracked, now: Tracked, of: str) -> str:
    """Return how the figures of a table can be compared."""
    if keys := different(then, now, of):
        return f"Different {TABLES[of]}s ({', '.join(keys)}): their figures cannot be compared."
    rows = f"Test rows of the {TABLES[of]}"
    if same_rows(then, now, of):
        return f"{rows}: the same, compared one by one."
    return (
        f"{rows}: not the same (other rows, split or encoding), both figures are taken as "
        "independent."
    )


def _recorded(state: Tracked, of: str) -> str:
    """Return the md5 of the test rows that evaluate has read; empty when dvc.lock has none."""
    files = state.lock.get("evaluate", {}).get("deps", [])
    name = f"{of}/test.pt"
    return next((str(file["md5"]) for file in files if file["path"].endswith(name)), "")
