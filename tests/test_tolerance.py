"""tolerance: figures near the recorded ones, where the bytes are not promised."""

from __future__ import annotations

import json

import pytest

from stages.verification.tolerance import TOLERANCE, beyond

FIGURES = {
    "best_epoch": 33.0,
    "rows": 120,
    "transfer": "positive",
    "val_loss": 0.5,
    "weight_norm": 12.0,
}


@pytest.fixture
def compare(tmp_path):
    def call(now: dict[str, object]) -> str:
        for name, figures in (("recorded.json", FIGURES), ("found.json", now)):
            (tmp_path / name).write_text(json.dumps(figures))
        return beyond(tmp_path / "recorded.json", tmp_path / "found.json")

    return call


@pytest.mark.parametrize(
    "moved",
    [
        {},
        {"val_loss": 0.519},
        {"val_loss": 0.481},
        {"weight_norm": 12.23},  # 2 % of it
        {"best_epoch": 3.0},  # a mean of counts
        {"rows": 1},
        {"transfer": "negative"},
    ],
)
def test_what_is_near_or_no_measurement_passes(compare, moved):
    assert compare(FIGURES | moved) == ""


@pytest.mark.parametrize(
    ("moved", "line"),
    [
        ({"val_loss": 0.521}, "val_loss: 0.5 -> 0.521"),
        ({"val_loss": 0.479}, "val_loss: 0.5 -> 0.479"),
        ({"val_loss": 1}, "val_loss: 0.5 -> 1"),
        ({"val_loss": "low"}, 'val_loss: 0.5 -> "low"'),
        ({"val_loss": None}, "val_loss: 0.5 -> null"),
        ({"weight_norm": 12.25}, "weight_norm: 12.0 -> 12.25"),
        ({"new": 1}, "new: (absent) -> 1"),
    ],
)
def test_what_has_moved_too_far_is_named(compare, moved, line):
    assert compare(FIGURES | moved) == f"{line}, tolerance {TOLERANCE}"


def test_a_figure_that_is_gone_is_named(compare):
    del (now := dict(FIGURES))["rows"]
    assert compare(now) == f"rows: 120 -> (absent), tolerance {TOLERANCE}"


def test_it_is_wider_than_what_was_measured_and_a_test_row():
    assert TOLERANCE > 10 * 0.000721
    assert TOLERANCE > 1 / 60
