"""Where it fails: the classes, what they are taken for, calibration, the wrong rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from stages.common.names import counted
from stages.reporting.models import MODELS
from stages.reporting.section import Cell, Section, Table
from stages.reporting.tracked import Tracked

MOST = 50  # rows of a table
WORST = 20  # rows of a regression
TAKEN = 3  # classes that a class is taken for
CLASS_HEADER = ("class", "test rows", "found (recall)", "right when said (precision)", "taken for")

Pairs = Sequence[tuple[str, str]]  # actual, predicted
Figures = tuple[int, float | None, float | None]  # of a class: test rows, recall, precision


def section(state: Tracked, most: int = MOST) -> Section:
    """Return confusions in words, a table of classes per model, the wrong rows, `most` of them."""
    sentences, tables = [], []
    for prefix, model in MODELS.items():
        if f"{prefix}test_rows" not in state.figures:
            continue
        sentences += state.missing(f"plots/{prefix}predicted.csv")
        pairs = _pairs(state, prefix)
        if not pairs:
            continue
        if f"{prefix}test_accuracy" in state.figures:
            sentences += [_confused(model.name, pairs)]
            sentences += _calibration(model.name, prefix, state.figures)
            measured = _measured(state, model.column)
            tables += [_classes(model.name, measured, pairs)] if measured else []
        else:
            sentences.append(_residuals(model.name, prefix, state.figures))
    title = "Where does it fail?"
    if not sentences:
        none = ["No test rows: nothing is known of where it fails."]
        return Section("failures", title, state.missing("evaluate.json") or none)
    sentences += state.missing("plots/classes.csv", "errors.csv")
    return Section("failures", title, sentences, [*tables, *_wrong(state, most)], "test")


def _pairs(state: Tracked, prefix: str) -> Pairs:
    rows = state.rows(f"plots/{prefix}predicted.csv")
    return [(row["actual"], row["predicted"]) for row in rows]


def _confused(name: str, pairs: Pairs) -> str:
    """Return which classes are taken for each other most often."""
    wrong = Counter(pair for pair in pairs if pair[0] != pair[1])
    if not wrong:
        return f"The {name} confuses no classes: every test row is right."
    said = [
        f"{actual} taken for {predicted} ({counted(count, 'row')})"
        for (actual, predicted), count in _ordered(wrong)[:5]
    ]
    return (
        f"The {name} gets {wrong.total()} of {len(pairs)} test rows wrong; most confused: "
        f"{', '.join(said)}."
    )


def _ordered(counts: Counter[Any]) -> list[tuple[Any, int]]:
    """Return what was counted, the most frequent first, then by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _calibration(name: str, prefix: str, figures: Mapping[str, Any]) -> list[str]:
    error = figures.get(f"{prefix}test_calibration_error")
    if error is None:
        return []
    return [
        f"Calibration of the {name}: its confidence is off by {error:.3f} on average (expected "
        "calibration error; 0 is perfect)."
    ]


def _residuals(name: str, prefix: str, figures: Mapping[str, Any]) -> str:
    said = [
        f"{word} {figures[f'{prefix}test_{key}']:.4g}"
        for key, word in (("rmse", "RMSE"), ("mae", "mean absolute error"))
        if f"{prefix}test_{key}" in figures
    ]
    r2 = figures.get(f"{prefix}test_r2")
    share = "" if r2 is None else f"; R2 {r2:.3f} (1 is perfect, 0 is as good as the mean)"
    return f"Residuals of the {name}: {', '.join(said)}, in the unit of the target{share}."


def _measured(state: Tracked, model: str) -> dict[str, Figures]:
    """Return the figures of each class that has test rows."""
    return {
        row["class"]: (int(row["rows"]), _share(row["recall"]), _share(row["precision"]))
        for row in state.rows("plots/classes.csv")
        if row["model"] == model
    }


def _share(cell: str) -> float | None:
    return float(cell) if cell else None


def _classes(name: str, measured: Mapping[str, Figures], pairs: Pairs) -> Table:
    """Return a row per class, the worst found first; one without test rows counts as found."""
    taken: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (label, answer), count in Counter(pairs).items():
        taken[label][answer] = count
    rows: list[tuple[float, list[Cell]]] = []
    for label in sorted(measured.keys() | {answer for _, answer in pairs}, key=_natural):
        taken[label].pop(label, None)
        count, recall, precision = measured.get(label, (0, None, 0.0))
        ordered = [f"{other} ({often})" for other, often in _ordered(taken[label])]
        others = ", ".join([*ordered[:TAKEN], *(["…"] if len(ordered) > TAKEN else [])])
        row: list[Cell] = [label, count, recall, precision, others]
        rows.append((1.0 if recall is None else recall, row))
    worst = [row for _, row in sorted(rows, key=lambda pair: pair[0])]
    return Table.first(MOST, f"Classes, {name}, the worst first", CLASS_HEADER, worst)


def _natural(label: str) -> tuple[int, str]:
    """Return what orders the names of classes, 2 before 10."""
    return (len(label), label) if label.isdecimal() else (0, label)


def _wrong(state: Tracked, most: int) -> list[Table]:
    """Return the wrong test rows of each model, the most confident first, or the worst residuals.

    Of a regression every row has a residual: the table ends after the worst.
    """
    tables = []
    for model in MODELS.values():
        rows = [row for row in state.rows("errors.csv") if row["model"] == model.column]
        if not rows:
            continue
        columns = [column for column in rows[0] if column != "model"]
        header = [column.replace("_", " ") for column in columns]
        cells = [[_number(column, row[column]) for column in columns] for row in rows]
        caption = f"test rows of the {model.name}, {{}} first (row: counted from 0 as iloc does)"
        if "residual" in columns:
            worst = cells[: min(most, WORST)]
            tables.append(Table(f"Worst {caption.format('the largest residuals')}", header, worst))
        else:
            named = f"Wrong {caption.format('the most confident')}"
            tables.append(Table.first(most, named, header, cells))
    return tables


def _number(name: str, text: str) -> Cell:
    return float(text) if name in ("confidence", "residual") and text else text
