"""Is it good: the headline figures with their intervals, beside their baselines."""

from __future__ import annotations

from collections.abc import Iterator

from stages.common.names import counted
from stages.reporting import alarms, spread, verdicts
from stages.reporting.models import MODELS
from stages.reporting.section import Cell, Section, Table
from stages.reporting.tracked import Tracked

# what, key; a key with _low and _high beside it has a 95 % interval
LINES = (
    ("base model, test rows", "test_accuracy"),
    ("  each class counts alike", "test_balanced_accuracy"),
    ("  linear model", "test_linear_accuracy"),
    ("  most frequent class", "test_majority_accuracy"),
    ("base model, test rows, RMSE", "test_rmse"),
    ("  R2", "test_r2"),
    ("  linear model, RMSE", "test_linear_rmse"),
    ("  mean of the training rows, RMSE", "test_mean_rmse"),
    ("fine-tuned, second table's test rows", "finetuned_test_accuracy"),
    ("  each class counts alike", "finetuned_test_balanced_accuracy"),
    ("  base model as it is", "finetuned_test_base_accuracy"),
    ("  most frequent class", "finetuned_test_majority_accuracy"),
    ("fine-tuned, second table's test rows, RMSE", "finetuned_test_rmse"),
    ("  R2", "finetuned_test_r2"),
    ("  base model as it is, RMSE", "finetuned_test_base_rmse"),
    ("  mean of the training rows, RMSE", "finetuned_test_mean_rmse"),
    ("base model, validation rows", "ensemble_val_accuracy"),
    ("  one of its networks", "val_accuracy"),
    ("  linear model", "linear_val_accuracy"),
    ("base model, validation rows, R2", "ensemble_val_r2"),
    ("  one of its networks, R2", "val_r2"),
    ("  linear model, R2", "linear_val_r2"),
    ("gain over training from scratch as long, validation", "transfer_gain"),
    ("best network of the search, validation rows", "search_max_val_accuracy"),
    ("  corrected for choosing it", "search_corrected_val_accuracy"),
    ("  proposed settings, mean of new starts", "search_best_val_accuracy"),
    ("best network of the search, validation rows, R2", "search_max_val_r2"),
    ("  corrected for choosing it, R2", "search_corrected_val_r2"),
    ("  proposed settings, mean of new starts, R2", "search_best_val_r2"),
)
PAGE = (  # what the page has beside them
    ("gain over the linear model, test rows", "test_linear_gain"),
    ("gain over the most frequent class, test rows", "test_majority_gain"),
    ("gain over the mean of the training rows, test rows", "test_mean_gain"),
    ("gain over the base model as it is, second table's test rows", "finetuned_test_base_gain"),
)


def lines(state: Tracked) -> Iterator[str]:
    """Yield what a terminal shows: the headline figures, failed training, what the audit found."""
    figures = state.figures
    for label, key in LINES:
        if key in figures:
            ends = [figures.get(f"{key}_{end}") for end in ("low", "high")]
            interval = "" if None in ends else f"   95 % interval {ends[0]:.3f} to {ends[1]:.3f}"
            yield f"{label:54}{figures[key]:7.3f}{interval}"
    yield from alarms.failed(state)
    for model in MODELS.values():
        if count := figures.get(f"{model.counts}audit_findings"):
            yield f"audit of the {model.rows}: {counted(count, 'finding')}, in {alarms.AUDIT}"


def section(state: Tracked) -> Section:
    """Return what failed, a sentence for each comparison that answers: is it good?, the figures."""
    figures = state.figures
    told = [said for prefix in MODELS for said in verdicts.of_model(state, prefix)]
    sentences = [*alarms.failed(state), *told, *verdicts.of_validation(figures)]
    rows: list[list[Cell]] = []
    for label, key in (*LINES, *PAGE):
        if key in figures:
            found = spread.interval(figures, key)
            rows.append([label, float(figures[key]), found.shown() if found else ""])
    table = Table("Headline figures", ("figure", "value", "95 % interval"), rows)
    return Section("headline", "Is it good?", sentences, [table])
