"""Importance: what a setting explains of the ranking, less what chance does."""

from __future__ import annotations

import csv
from typing import Any

import pytest
import torch

from stages.common import sensitivity
from stages.common.settings import Range, Space
from stages.common.training import Record
from stages.common.trials import Trial

AXES = Space(
    model={"hidden": [[8], [16]], "dropout": [0.0, 0.2, 0.5]},
    train={"lr": Range(low=0.001, high=1.0, scale="log")},
)


def trial(score: float, **point: Any) -> Trial:
    sections = {"lr": "train"}
    named = {(sections.get(key, "model"), key): value for key, value in point.items()}
    return Trial(named, 10, Record(1, 0, 0.0, 0.0, 0.0, 1 - score, score))


def importance(tmp_path, trials, axes=AXES) -> dict[str, float]:
    sensitivity.write_importance(tmp_path / "i.csv", trials, axes)
    with open(tmp_path / "i.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    values = [float(row["importance"]) for row in rows]
    assert values == sorted(values, reverse=True)
    return {row["setting"]: float(row["importance"]) for row in rows}


def test_a_setting_that_decides_explains_nearly_all_and_the_others_nothing(tmp_path):
    draw = torch.Generator().manual_seed(0)
    made = []
    for at in range(90):
        share = float(torch.rand((), generator=draw))
        hidden, dropout = [[8], [16]][at % 2], [0.0, 0.2, 0.5][at % 3]
        made.append(trial(share, lr=0.001 + share, hidden=hidden, dropout=dropout))
    found = importance(tmp_path, made)
    assert found["train.lr"] > 0.85
    assert found["model.hidden"] < 0.05
    assert found["model.dropout"] < 0.05


def test_omega_squared_is_that_of_a_worked_example(tmp_path):
    # places 0 1 | 2 3 | 4 5: between 16, within 1.5 of 3 degrees of freedom
    made = [
        trial(1 - at / 10, hidden=[8], dropout=[0.0, 0.2, 0.5][at // 2], lr=0.1) for at in range(6)
    ]
    expected = (16 - 2 * 0.5) / (17.5 + 0.5)
    assert importance(tmp_path, made)["model.dropout"] == pytest.approx(expected, abs=1e-6)


def test_chance_explains_nothing_on_average(tmp_path):
    draw = torch.Generator().manual_seed(1)
    found = []
    for _ in range(60):
        scores = torch.rand(30, generator=draw).tolist()
        made = [
            trial(score, hidden=[8], dropout=[0.0, 0.2, 0.5][at % 3], lr=0.1)
            for at, score in enumerate(scores)
        ]
        found.append(importance(tmp_path, made)["model.dropout"])
    assert sum(found) / len(found) < 0.05  # eta squared would be 0.07


def test_a_setting_with_one_value_or_without_trials_explains_nothing(tmp_path):
    made = [trial(at / 10, dropout=0.2, lr=0.1) for at in range(5)]
    found = importance(tmp_path, made)
    assert found["model.dropout"] == found["model.hidden"] == 0


def test_a_setting_is_judged_by_the_trials_that_it_makes_a_difference_to(tmp_path):
    axes = Space(model={"negative_slope": [0.1, 0.3], "hidden": [[8], [16]]}, train={})
    made = [trial(at / 20, hidden=[8]) for at in range(10)]
    made += [trial(at / 20, hidden=[16], negative_slope=[0.1, 0.3][at // 5]) for at in range(10)]
    sensitivity.write_importance(tmp_path / "i.csv", made, axes)
    rows = list(csv.DictReader((tmp_path / "i.csv").read_text().splitlines()))
    assert {row["setting"]: row["trials"] for row in rows} == {
        "model.negative_slope": "10",
        "model.hidden": "20",
    }
