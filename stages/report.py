"""report: the headline figures of the tracked metrics as a short table.

A command, no DVC stage: it only reads what the stages have written.
"""

from __future__ import annotations

import sys
from typing import Any

from stages.common import files
from stages.common.graph import Declared
from stages.common.launch import guard

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

AUDIT = "metrics/audit.csv"


def report() -> None:
    """Print the table of headline figures with their intervals, and what the audit found."""
    found: dict[str, Any] = {}
    for stage in ("preprocess", "train", "finetune", "evaluate", "search"):
        found |= files.read_json(Declared.read(stage)(f"metrics/{stage}.json"))
    for label, key in LINES:
        if key in found:
            ends = [found.get(f"{key}_{end}") for end in ("low", "high")]
            interval = "" if None in ends else f"   95 % interval {ends[0]:.3f} to {ends[1]:.3f}"
            print(f"{label:54}{found[key]:7.3f}{interval}")
    for prefix, table in (("", "the table"), ("second_", "the second table")):
        if count := found.get(f"{prefix}audit_findings"):
            print(f"audit of {table}: {count} findings, in {AUDIT}")


if __name__ == "__main__":
    sys.exit(guard(report))
