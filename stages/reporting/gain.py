"""Did fine-tuning help: its gain over training from scratch, the freeze depths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.common.names import counted
from stages.reporting import alarms
from stages.reporting.section import Cell, Section, Table
from stages.reporting.tracked import Tracked

TITLE = "Did fine-tuning help?"
WORDS = {
    "positive": "Yes: fine-tuning is better than training from scratch, by more than chance",
    "negative": "No: fine-tuning is worse than training from scratch, by more than chance",
    "unclear": "Not clear: the difference to training from scratch is within noise",
}


def section(state: Tracked) -> Section:
    """Return the gain with its interval, and the score of each arm."""
    figures = state.figures
    if figures.get("transfer") not in WORDS:
        none = ["There is no second table: nothing was fine-tuned."]
        return Section("transfer", TITLE, state.missing("finetune.json") or none)
    columns = ("val_score", "lowest", "highest", "val_loss")
    arms: list[list[Cell]] = [
        [row["arm"], row["frozen_layers"], *(float(row[name] or "nan") for name in columns)]
        for row in state.rows("plots/freezing.csv")
    ]
    header = ("way to learn", "frozen layers", "validation score", "lowest", "highest", "loss")
    table = Table("Freeze depths and training from scratch, validation rows", header, arms)
    return Section(
        "transfer",
        TITLE,
        [
            _gain(figures),
            *_speed(figures),
            *_together(figures),
            *state.missing("plots/freezing.csv"),
        ],
        [table] if arms else [],
        "transfer",
    )


def _gain(figures: Mapping[str, Any]) -> str:
    score = "accuracy" if "finetune_val_accuracy" in figures else "r2"
    name = "an accuracy" if score == "accuracy" else "an R2"
    return (
        f"{WORDS[figures['transfer']]}: {name} of {figures[f'finetune_val_{score}']:.3f} against "
        f"{figures[f'control_val_{score}']:.3f}, a gain of {figures['transfer_gain']:+.3f} (95 % "
        f"interval {figures['transfer_gain_low']:+.3f} to {figures['transfer_gain_high']:+.3f}). "
        "Both are means of single networks on validation rows of the second table, after at most "
        f"{counted(figures['finetune_epochs'], 'epoch')}."
    )


def _speed(figures: Mapping[str, Any]) -> list[str]:
    """Return how soon fine-tuning was as good as its control; nothing when it was not better."""
    epochs = figures.get("epochs_to_control")
    if epochs is None or figures["transfer_gain"] <= 0:
        return []
    reached = "what training from scratch reached at its best"
    if epochs == 0:
        return [f"The base model scored {reached} before any fine-tuning."]
    return [f"Fine-tuning scored {reached} after {counted(epochs, 'epoch')}."]


def _together(figures: Mapping[str, Any]) -> list[str]:
    """Return the figures on test rows beside those of no fine-tuning and of no model."""
    unit = "accuracy" if "finetuned_test_accuracy" in figures else "rmse"
    key, answer = alarms.TRIVIAL[unit]
    said = [
        f"{name} {figures[f'finetuned_test_{short}{unit}']:.3f}"
        for short, name in (
            ("", "accuracy" if unit == "accuracy" else "RMSE"),
            ("base_", "of the base model as it is"),
            (f"{key}_", f"of {answer}"),
        )
        if f"finetuned_test_{short}{unit}" in figures
    ]
    if not said:
        return []
    return [
        f"On test rows the fine-tuned networks answer together, by their mean: {', '.join(said)}."
    ]
