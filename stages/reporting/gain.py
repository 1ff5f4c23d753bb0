"""Did fine-tuning help: its gain over training from scratch, the freeze depths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.reporting.section import Cell, Section, Table, counted
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
        return Section("transfer", TITLE, ["There is no second table: nothing was fine-tuned."])
    columns = ("val_score", "lowest", "highest", "val_loss")
    arms: list[list[Cell]] = [
        [row["arm"], row["frozen_layers"], *(float(row[name] or "nan") for name in columns)]
        for row in state.rows("plots/freezing.csv")
    ]
    header = ("way to learn", "frozen layers", "validation score", "lowest", "highest", "loss")
    table = Table("Freeze depths and training from scratch, validation rows", header, arms)
    return Section("transfer", TITLE, [_gain(figures), *_speed(figures)], [table], "transfer")


def _gain(figures: Mapping[str, Any]) -> str:
    score = "accuracy" if "finetune_val_accuracy" in figures else "r2"
    return (
        f"{WORDS[figures['transfer']]}: {figures[f'finetune_val_{score}']:.3f} against "
        f"{figures[f'control_val_{score}']:.3f} on validation rows of the second table after "
        f"{counted(figures['finetune_epochs'], 'epoch')} each, a gain of "
        f"{figures['transfer_gain']:+.3f} (95 % interval {figures['transfer_gain_low']:+.3f} to "
        f"{figures['transfer_gain_high']:+.3f})."
    )


def _speed(figures: Mapping[str, Any]) -> list[str]:
    epochs = figures.get("epochs_to_control")
    if epochs is None:
        return ["It never scored what training from scratch reached at its best."]
    return [
        f"What training from scratch reached at its best, it scored after "
        f"{counted(epochs, 'epoch')}."
    ]
