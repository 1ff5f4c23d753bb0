"""Importance: what a setting explains of the ranking, less what chance does."""

from __future__ import annotations

import csv
from typing import Any

import pytest
import torch

from stages.common import sensitivity, space
from stages.common.record import Record
from stages.common.settings import Range, Space
from stages.common.trials import Trial
from tests.test_ranking import ranged, space_of, table
from tests.test_ranking import trial as one

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


def effects(tmp_path, trials, axes) -> list[tuple[str, str, int, float, float]]:
    sensitivity.write_effects(tmp_path / "e.csv", trials, axes)
    return [
        (
            row["setting"],
            row["value"],
            int(row["trials"]),
            float(row["mean_val_score"]),
            float(row["best_val_score"]),
        )
        for row in table(tmp_path / "e.csv")
    ]


def test_effects_of_a_list_are_mean_and_best_by_value(tmp_path):
    axes = space_of({"dropout": [0.5, 0.0]}, {"optimizer": ["sgd", "adamw"]})
    pairs = [(0.5, "sgd", 0.9), (0.0, "adamw", 0.6), (0.5, "adamw", 0.7), (0.0, "sgd", 0.8)]
    trials = [
        one(score, point={"model.dropout": dropout, "train.optimizer": optimizer})
        for dropout, optimizer, score in pairs
    ]
    assert effects(tmp_path, trials, axes) == [
        ("model.dropout", "0.0", 2, 0.7, 0.8),
        ("model.dropout", "0.5", 2, 0.8, 0.9),
        ("train.optimizer", "adamw", 2, 0.65, 0.7),
        ("train.optimizer", "sgd", 2, 0.85, 0.9),
    ]


def test_effects_of_lists_of_layers_and_of_truth_values_have_a_row_each(tmp_path):
    axes = space_of({"hidden": [[], [64], [64, 32]]}, {"decay_bias": [True, False]})
    trials = [
        one(0.5, point={"model.hidden": hidden, "train.decay_bias": decays})
        for hidden in ([64, 32], [], [64])
        for decays in (True, False)
    ]
    found = effects(tmp_path, trials, axes)
    assert sorted(row[1] for row in found[:3]) == ["[64, 32]", "[64]", "[]"]
    assert [row[1:3] for row in found[3:]] == [("false", 3), ("true", 3)]


def test_a_range_is_cut_into_three_bands_from_low_to_high(tmp_path):
    axes = space_of(train={"lr": ranged(0.001, 1.0, "log")})
    rates = [0.3, 0.001, 0.2, 0.05, 0.01, 0.9]
    trials = [one(rate, point={"train.lr": rate}) for rate in rates]
    assert effects(tmp_path, trials, axes) == [
        ("train.lr", "0.001 to 0.01", 2, 0.0055, 0.01),
        ("train.lr", "0.05 to 0.2", 2, 0.125, 0.2),
        ("train.lr", "0.3 to 0.9", 2, 0.6, 0.9),
    ]


@pytest.mark.parametrize("trials", [3, 4, 5, 6, 7, 32])
def test_the_three_bands_have_as_nearly_as_can_be_the_same_number_of_trials(trials, tmp_path):
    axes = space_of(train={"lr": ranged(0.001, 1.0, "log")})
    made = [one(0.5, point={"train.lr": 0.001 * (at + 1)}) for at in range(trials)]
    sizes = [row[2] for row in effects(tmp_path, made, axes)]
    assert len(sizes) == 3
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("count", [1, 2, 5, 17])
def test_every_setting_accounts_for_every_trial_and_score(count, tmp_path, settings):
    search = settings.search.model_copy(update={"trials": count, "method": "random"})
    points = space.draw(search, settings.model)
    trials = [Trial(point, 1, one(0.5 + at / 100).best) for at, point in enumerate(points)]
    found = effects(tmp_path, trials, search.space)
    names = [f"{section}.{key}" for section, key, _ in search.space.axes()]
    total, best = sum(each.best.val_score for each in trials), 0.5 + (count - 1) / 100
    assert len(names) > 3
    for name in names:
        rows = [row for row in found if row[0] == name]
        assert sum(row[2] for row in rows) == count
        assert sum(row[2] * row[3] for row in rows) == pytest.approx(total, abs=1e-4)
        assert max(row[4] for row in rows) == pytest.approx(best)


def test_only_trials_to_which_a_setting_makes_a_difference_are_in_its_effects(tmp_path):
    axes = space_of(
        {"activation": ["tanh", "leaky_relu"], "negative_slope": ranged(0.1, 0.4, "linear")}
    )
    leaky = [
        one(slope, point={"model.activation": "leaky_relu", "model.negative_slope": slope})
        for slope in (0.3, 0.1, 0.2)
    ]
    plain = [one(0.9, point={"model.activation": "tanh"}) for _ in range(5)]
    found = effects(tmp_path, [*plain, *leaky], axes)
    assert found == [
        ("model.activation", "leaky_relu", 3, 0.2, 0.3),
        ("model.activation", "tanh", 5, 0.9, 0.9),
        ("model.negative_slope", "0.1", 1, 0.1, 0.1),
        ("model.negative_slope", "0.2", 1, 0.2, 0.2),
        ("model.negative_slope", "0.3", 1, 0.3, 0.3),
    ]
    assert [row[0] for row in effects(tmp_path, plain, axes)] == ["model.activation"]
