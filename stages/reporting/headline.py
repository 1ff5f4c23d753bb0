"""Is it good: the headline figures with their intervals, beside their baselines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stages.reporting import spread
from stages.reporting.section import Cell, Section, Table, counted
from stages.reporting.tracked import Tracked

# what, key; a key with _low and _high beside it has a 95 % interval
LINES = (
    ("base model, test rows", "test_accuracy"),
    ("  each class counts alike", "test_balanced_accuracy"),
    ("  linear model", "test_linear_accuracy"),
    ("  most frequent class", "test_majority_accuracy"),
    ("base model, test rows, RMSE", "test_rmse"),
    ("  linear model, RMSE", "test_linear_rmse"),
    ("  mean of the training rows, RMSE", "test_mean_rmse"),
    ("fine-tuned, second table's test rows", "finetuned_test_accuracy"),
    ("  each class counts alike", "finetuned_test_balanced_accuracy"),
    ("  base model as it is", "finetuned_test_base_accuracy"),
    ("  most frequent class", "finetuned_test_majority_accuracy"),
    ("fine-tuned, RMSE", "finetuned_test_rmse"),
    ("  base model as it is, RMSE", "finetuned_test_base_rmse"),
    ("base model, validation rows", "ensemble_val_accuracy"),
    ("  one of its networks", "val_accuracy"),
    ("  linear model", "linear_val_accuracy"),
    ("gain over training from scratch as long, validation", "transfer_gain"),
    ("best network of the search, validation rows", "search_max_val_accuracy"),
    ("  corrected for choosing it", "search_corrected_val_accuracy"),
    ("  its settings, mean of new starts", "search_best_val_accuracy"),
    ("best network of the search, validation rows, R2", "search_max_val_r2"),
    ("  corrected for choosing it, R2", "search_corrected_val_r2"),
    ("  its settings, mean of new starts, R2", "search_best_val_r2"),
)
PAGE = (  # what the page has beside them
    ("base model, validation rows, R2", "ensemble_val_r2"),
    ("  one of its networks, R2", "val_r2"),
    ("  linear model, R2", "linear_val_r2"),
)
AUDIT = "metrics/audit.csv"

# prefix of a model's test figures: its name, and its baselines
MODELS = {
    "": ("The base model", {"linear": "the linear model", "majority": "the most frequent class"}),
    "finetuned_": (
        "The fine-tuned model",
        {"base": "the base model as it is", "majority": "the most frequent class"},
    ),
}
MEAN = {"mean": "the mean of the training rows"}


def lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the table of headline figures that a terminal shows, and what the audit found."""
    for label, key in LINES:
        if key in figures:
            ends = [figures.get(f"{key}_{end}") for end in ("low", "high")]
            interval = "" if None in ends else f"   95 % interval {ends[0]:.3f} to {ends[1]:.3f}"
            yield f"{label:54}{figures[key]:7.3f}{interval}"
    for prefix, table in (("", "the table"), ("second_", "the second table")):
        if count := figures.get(f"{prefix}audit_findings"):
            yield f"audit of {table}: {count} findings, in {AUDIT}"


def section(state: Tracked) -> Section:
    """Return the figures, and a sentence for each comparison that answers: is it good?"""
    figures = state.figures
    sentences = [*verdicts(figures, ""), *verdicts(figures, "finetuned_"), *_validation(figures)]
    rows: list[list[Cell]] = []
    for label, key in (*LINES, *PAGE):
        if key in figures:
            found = spread.interval(figures, key)
            rows.append([label, float(figures[key]), found.shown() if found else ""])
    table = Table("Headline figures", ("figure", "value", "95 % interval"), rows)
    return Section("headline", "Is it good?", sentences, [table])


def verdicts(figures: Mapping[str, Any], prefix: str) -> list[str]:
    """Return a sentence per baseline of a model; one that says so when it has no test figure."""
    name, baselines = MODELS[prefix]
    rows = figures.get(f"{prefix}test_rows")
    if not rows:
        return [] if prefix else ["No test rows: how good the model is cannot be told."]
    unit, value = _headline(figures, prefix)
    found = spread.interval(figures, f"{prefix}test_{unit}")
    interval = f" (95 % interval {found.shown()})" if found else ""
    measure = "an accuracy" if unit == "accuracy" else "an RMSE"
    first = f"{name} has {measure} of {value:.3f}{interval} on {counted(rows, 'test row')}."
    keys = {f"{prefix}test_{short}_{unit}": long for short, long in (baselines | MEAN).items()}
    return [first, *(_against(figures, f"{prefix}test_{unit}", key, long)
                     for key, long in keys.items() if key in figures)]  # fmt: skip


def _headline(figures: Mapping[str, Any], prefix: str) -> tuple[str, float]:
    unit = "accuracy" if f"{prefix}test_accuracy" in figures else "rmse"
    return unit, figures[f"{prefix}test_{unit}"]


def _against(figures: Mapping[str, Any], key: str, other: str, name: str) -> str:
    """Return how a model compares with a baseline, in words."""
    value = figures[key] - figures[other]
    better = value < 0 if key.endswith("rmse") else value > 0
    said = f"{name} ({figures[other]:.3f})"
    if value == 0:
        return f"It is as good as {said}."
    one, two = spread.interval(figures, key), spread.interval(figures, other)
    word = "better" if better else "worse"
    if one is None or two is None:
        return f"It is {word} than {said}; by more than chance or not cannot be told."
    found = spread.of_intervals(one, two)
    if found.clear:
        return f"It is {word} than {said}, by more than chance: {value:+.3f}, {found.basis}."
    return f"Against {said} it is {word}, but within noise: {value:+.3f}, {found.basis}."


def _validation(figures: Mapping[str, Any]) -> list[str]:
    """Return what the validation figure says, beside the test figure."""
    val, test = (spread.interval(figures, f"{name}_accuracy") for name in ("ensemble_val", "test"))
    if val is None:
        return []
    said = (
        "On the validation rows, which chose the epoch, the base model has an accuracy of "
        f"{val.value:.3f}"
    )
    if test is None:
        return [f"{said}: a figure that is kind to the model."]
    found = spread.of_intervals(val, test)
    if found.clear:
        way = "higher" if found.value > 0 else "lower"
        return [f"{said}: {way} than on the test rows by more than chance ({found.basis})."]
    return [f"{said}: the difference to the test rows is within noise ({found.basis})."]
