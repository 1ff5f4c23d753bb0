"""Ranking: the winner, a table that gives every setting back, the figures."""

from __future__ import annotations

import csv
import itertools
import json
import math
import shutil
from dataclasses import replace
from typing import Any

import pytest
import torch

from stages.common import adoption, files, intervals, params, ranking, space
from stages.common.finalists import Finalist
from stages.common.record import Record
from stages.common.schema import Schema, Target
from stages.common.settings import Search, Settings, Space
from stages.common.trials import Trial
from tests.conftest import ROOT

SCHEMA = Schema(
    task="classification",
    missing="fill",
    scale="none",
    features=[],
    dropped=[],
    target=Target(name="y", position=0, classes=["a", "b"], counts=[1, 1]),
)


def trial(score, loss=1.0, point=None, status="done", epoch=3, rung=0) -> Trial:
    named = {tuple(name.split(".")): value for name, value in (point or {}).items()}
    record = Record(epoch, 0, 0.9, 0.8, 0.7, loss, score)
    return Trial(named, 123, record, status, rung)


def space_of(model=None, train=None) -> Space:
    return Space.model_validate({"model": model or {}, "train": train or {}})


def table(path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize(
    ("scored", "winner"),
    [
        ([(0.8, 0.5), (0.9, 0.9), (0.7, 0.1)], 1),  # the score decides
        ([(0.9, 0.5), (0.9, 0.4), (0.9, 0.6)], 1),  # then the loss
        ([(0.8, 0.1), (0.9, 0.5), (0.9, 0.5)], 1),  # then the first
        ([(-5.0, 6.0), (-2.0, 3.0)], 1),  # R2 can be below 0
    ],
)
def test_the_best_trial_has_the_highest_score_then_the_lowest_loss(scored, winner):
    assert ranking.best([trial(*each) for each in scored]) == winner


def test_a_trial_whose_score_is_no_number_does_not_win():
    assert ranking.best([trial(math.nan, math.nan, status="diverged"), trial(0.5)]) == 1


def test_the_table_has_a_row_per_trial_with_every_figure(tmp_path):
    points: list[dict[str, Any]] = [{"train.lr": 0.01}, {"train.lr": 0.1}]
    found = [
        trial(0.5, 0.25, points[0], rung=2),
        trial(0.1, 3.0, points[1], status="diverged", epoch=0),
        trial(0.4, 0.5, points[0], status="stopped", rung=1),
    ]
    ranking.write_table(tmp_path / "t.csv", found, space_of(train={"lr": [0.01, 0.1]}))
    assert (tmp_path / "t.csv").read_text() == (
        "trial,train.lr,parameters,best_epoch,train_loss,train_score,val_loss,val_score,rung,"
        "status\n"
        "0,0.01,123,3,0.8,0.7,0.25,0.5,2,done\n"
        "1,0.1,123,0,0.8,0.7,3.0,0.1,0,diverged\n"
        "2,0.01,123,3,0.8,0.7,0.5,0.4,1,stopped\n"
    )


def test_a_setting_that_makes_no_difference_to_a_trial_is_an_empty_cell(tmp_path):
    points: list[dict[str, Any]] = [
        {"model.activation": "tanh"},
        {"model.activation": "leaky_relu", "model.negative_slope": 0.2},
    ]
    axes = space_of({"activation": ["tanh", "leaky_relu"], "negative_slope": [0.1, 0.2]})
    ranking.write_table(tmp_path / "t.csv", [trial(0.5, point=point) for point in points], axes)
    rows = table(tmp_path / "t.csv")
    assert [row["model.negative_slope"] for row in rows] == ["", "0.2"]


def ranged(low, high, scale) -> dict[str, Any]:
    return {"low": low, "high": high, "scale": scale}


EVERY: dict[str, Any] = {
    "model": {
        "hidden": [[], [1], [64, 32]],
        "activation": ["relu", "leaky_relu", "identity"],
        "negative_slope": [0.1, 1 / 3],
        "dropout": ranged(0.0, 0.9, "linear"),
        "init": ["default", "uniform"],
        "init_low": [-1e-07, -0.3],
        "init_high": ranged(0.01, 0.2, "log"),
    },
    "train": {
        "optimizer": ["sgd", "adamw"],
        "lr": ranged(1e-8, 1.0, "log"),
        "momentum": ranged(0.85, 0.99, "linear"),
        "weight_decay": [0.0, 1e-20, 0.1 + 0.2],
        "decay_bias": [True, False],
        "batch_size": ranged(1, 512, "integer"),
        "patience": [1, 10],
        "noise": [0.0, 1.0],
        "mixup": [0, 1.0],
        "class_balance": [0, 1.0],
    },
}


def drawn(trials) -> tuple[list[Any], list[Trial]]:
    """Return points over EVERY setting, and trials of them."""
    search = Search.model_validate(
        {
            "method": "random",
            "trials": trials,
            "epochs": 1,
            "halving": 1,
            "workers": 1,
            "engine": "local",
            "address": "auto",
            "seed": 0,
            "space": EVERY,
        }
    )
    points = space.draw(search, params.load(ROOT / "params.yaml").model)
    return points, [Trial(point, 1, trial(0.5).best) for point in points]


def test_the_table_has_every_setting_exactly(tmp_path):
    points, trials = drawn(200)
    ranking.write_table(tmp_path / "t.csv", trials, Space.model_validate(EVERY))
    rows = table(tmp_path / "t.csv")
    names = [(section, key) for section in EVERY for key in EVERY[section]]
    assert len(rows) == 200
    for row, point in zip(rows, points, strict=True):
        for section, key in names:
            cell, value = row[f"{section}.{key}"], point.get((section, key), "")
            assert (cell if isinstance(value, str) else json.loads(cell)) == value


def adopted(tmp_path, trials, winner) -> Settings:
    """Return the real settings after the adoption of a trial."""
    ranking.write_table(tmp_path / "trials.csv", trials, Space.model_validate(EVERY))
    files.write_metrics(tmp_path / "search.json", {"search_best_trial": winner})
    shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")
    adoption.adopt(*(tmp_path / name for name in ("trials.csv", "search.json", "params.yaml")))
    return params.load(tmp_path / "params.yaml")


def test_the_table_gives_every_setting_back_to_the_one_who_adopts_it(tmp_path):
    points, trials = drawn(6)
    chosen = [at for at, point in enumerate(points) if point["model", "hidden"]]
    assert len(chosen) > 1
    for at in chosen:
        found = adopted(tmp_path, trials, at)
        assert {name: getattr(getattr(found, name[0]), name[1]) for name in points[at]} == points[
            at
        ]


def test_a_linear_model_can_be_adopted(tmp_path):
    assert adopted(tmp_path, [trial(0.5, point={"model.hidden": []})], 0).model.hidden == []


def finalist(at: int, *scores: float, loss: float = 0.5) -> Finalist:
    return Finalist(at, [trial(score, loss) for score in scores])


def test_figures_name_the_winner_and_count_what_diverged():
    trials = [trial(0.5), trial(0.9), trial(0.1, status="diverged")]
    best = [finalist(0, 0.5, 0.7), finalist(1, 0.4, 0.7)]
    assert ranking.figures(trials, best, SCHEMA, 0) == {
        "search_trials": 3,
        "search_diverged": 1,
        "search_best_trial": 0,
        "search_best_val_accuracy": pytest.approx(0.6),
        "search_best_val_accuracy_sd": pytest.approx(0.02**0.5),
        "search_max_val_accuracy": 0.9,
        "search_corrected_val_accuracy": None,
        "search_median_val_accuracy": 0.5,
    }


def test_the_median_of_an_even_number_of_trials_lies_between_the_middle_two():
    found = ranking.figures([trial(each) for each in (0.1, 0.4, 0.6, 0.9)], [], SCHEMA, 0)
    assert found["search_median_val_accuracy"] == pytest.approx(0.5)


def test_the_maximum_stands_beside_a_value_corrected_for_selection():
    # trials that all guess: the best one is lucky
    scores = (torch.rand(20, 60, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    trials = [replace(trial(each.mean().item()), scores=each) for each in scores]
    found = ranking.figures(trials, [], SCHEMA, 0)
    assert found["search_max_val_accuracy"] > 0.6
    assert found["search_corrected_val_accuracy"] == intervals.best_of(scores, 0)
    assert found["search_corrected_val_accuracy"] < found["search_max_val_accuracy"] - 0.05


def test_a_regression_is_ranked_by_r2():
    regression = SCHEMA.model_copy(update={"task": "regression"})
    found = ranking.figures([trial(0.5)], [finalist(0, 0.4, 0.2)], regression, 0)
    assert found["search_max_val_r2"] == 0.5
    assert found["search_best_val_r2"] == pytest.approx(0.3)


def test_the_sentence_has_the_winner_its_settings_and_how_to_adopt_them():
    trials = [
        trial(0.5, point={"train.lr": 0.1}, status="diverged"),
        trial(0.9, point={"train.lr": 0.2, "model.hidden": [8, 4]}),
    ]
    best = [finalist(1, 0.8, 0.9), finalist(0, 0.1, 0.1)]
    found = ranking.figures(trials, best, SCHEMA, 0)
    text = ranking.sentence(trials, best, SCHEMA, found)
    assert "2 trials, 1 diverged; highest val accuracy 0.900; of the best 2, from 2 new" in text
    assert "trial 1 has the best mean, 0.850 +- 0.071: train.lr 0.2, model.hidden [8, 4];" in text
    assert text.endswith("; adopt it with `python -m stages.search --adopt`")
    assert ranking.sentence(trials, best, SCHEMA, found, adopted=True).endswith(
        "model.hidden [8, 4]; params.yaml has them"
    )
    corrected = {**found, "search_corrected_val_accuracy": 0.8765}
    said = ranking.sentence(trials, best, SCHEMA, corrected)
    assert "0.900 (corrected for choosing it: 0.876); of the" in said


def test_a_trial_that_diverged_or_never_got_better_does_not_win():
    scored = [trial(0.9, status="diverged"), trial(0.8, epoch=0), trial(0.1)]
    assert ranking.best(scored) == 2
    assert ranking.figures(scored, [], SCHEMA, 0)["search_max_val_accuracy"] == 0.1


def test_when_no_trial_has_learnt_anything_none_is_proposed():
    scored = [trial(0.9, status="diverged"), trial(0.8, epoch=0)]
    found = ranking.figures(scored, [], SCHEMA, 0)
    assert found["search_best_trial"] is found["search_best_val_accuracy"] is None
    assert "adopt" not in ranking.sentence(scored, [], SCHEMA, found)


def test_trials_without_a_finite_loss_or_score_have_a_place_in_the_ranking():
    """NaN is neither above nor below a number: it would leave the order to chance."""
    scored = [trial(0.5, math.nan, epoch=0), trial(0.5, 2.0, epoch=0), trial(math.nan, 0.1)]
    scored += [trial(0.5, math.inf, epoch=0), trial(math.inf, 0.1), trial(0.1, 0.1)]
    for order in itertools.permutations(range(6)):
        ranked = sorted(order, key=lambda at: (*scored[at].rank, at))
        assert ranked == [5, 2, 4, 1, 0, 3]
