"""gain: what is said of fine-tuning agrees with its figures."""

from __future__ import annotations

from typing import Any

from stages.reporting import gain
from tests import reported


def told(**changes: Any) -> str:
    return " ".join(gain.section(reported.state(**changes)).sentences)


def test_how_soon_it_was_as_good_is_told_only_when_it_helped():
    said = "what training from scratch reached at its best"
    assert f"Fine-tuning scored {said} after 2 epochs." in told(epochs_to_control=2)
    assert f"The base model scored {said} before any fine-tuning." in told(epochs_to_control=0)
    worse: dict[str, Any] = {"transfer": "negative", "transfer_gain": -0.1}
    assert said not in told(epochs_to_control=2, **worse)
    assert said not in told(epochs_to_control=None)


def test_single_networks_on_validation_rows_and_all_on_test_rows_are_told_apart():
    said = told()
    assert "Both are means of single networks on validation rows of the second table" in said
    assert "answer together, by their mean: accuracy 0." in said
    assert "of always answering the most frequent class 0.117." in said
    figures = ("", "base_", "majority_")
    assert "answer together" not in told(
        **{f"finetuned_test_{key}accuracy": None for key in figures}
    )
