"""Trials: each the same bytes whoever is beside it; divergence ends a trial, not the search."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from stages.common import initialize, training, trials
from stages.common.errors import UserError
from stages.common.recipe import Recipe
from stages.common.schema import Numeric, Schema, Target

MODEL = {
    "hidden": [8],
    "activation": "relu",
    "negative_slope": 0.01,
    "dropout": 0.0,
    "init": "default",
    "init_low": -0.1,
    "init_high": 0.1,
    "max_parameters": 0,
}
TRAIN = {
    "members": 1,
    "optimizer": "sgd",
    "lr": 0.05,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "decay_bias": False,
    "batch_size": 16,
    "epochs": 1,
    "patience": 9,
    "noise": 0.0,
    "mixup": 0.0,
    "class_balance": 0.0,
    "seed": 0,
}


def schema_of(classes, features=6) -> Schema:
    plain: Any = {"kind": "numeric", "shift": 0, "scale": 1, "low": None, "high": None, "fill": 0}
    columns: list[Any] = [
        Numeric(name=f"x{at}", position=at, indicator=False, **plain) for at in range(features)
    ]
    names = [f"c{at}" for at in range(classes)]
    return Schema(
        task="classification",
        missing="fill",
        scale="none",
        features=columns,
        dropped=[],
        target=Target(name="y", position=features, classes=names, counts=[1] * classes),
    )


@pytest.fixture
def run(settings, blobs):
    """Run points, each a mapping such as {"train.lr": 0.1}, on blobs."""

    def build(*points, epochs=4, seed=0, **changes) -> list[trials.Trial]:
        model = {key: changes.pop(key, value) for key, value in MODEL.items()}
        train = {key: changes.pop(key, value) for key, value in TRAIN.items()}
        assert not changes
        named = [
            {tuple(name.split(".")): value for name, value in point.items()} for point in points
        ]
        return trials.run(
            schema_of(3),
            named,
            blobs(60),
            blobs(40, seed=1),
            settings.model.model_copy(update=model),
            settings.train.model_copy(update=train),
            settings.search.model_copy(update={"epochs": epochs, "seed": seed}),
        )

    return build


def figures(trial) -> tuple[float, ...]:
    """Return what a trial found, without its place in a stack."""
    best = trial.best
    return (
        trial.parameters,
        trial.diverged,
        best.epoch,
        best.train_loss,
        best.train_score,
        best.val_loss,
        best.val_score,
    )


MIXED: list[dict[str, Any]] = [
    {"train.lr": 0.1, "model.dropout": 0.3, "model.hidden": [8], "train.noise": 0.5},
    {"train.lr": 0.01, "model.dropout": 0.0, "model.hidden": [8, 4], "train.noise": 0.0},
    {"train.lr": 0.05, "model.dropout": 0.0, "model.hidden": [8], "train.noise": 0.0},
    {"train.lr": 0.02, "model.dropout": 0.5, "model.hidden": [], "train.noise": 0.1},
    {"train.lr": 0.2, "model.dropout": 0.1, "model.hidden": [8, 4], "train.noise": 0.0},
]


@pytest.mark.parametrize("at", range(len(MIXED)))
def test_a_trial_is_the_same_beside_any_others(at, run):
    others = [
        [{**MIXED[0], "train.lr": 0.3}] * 5,  # one large stack
        [{**MIXED[0], "model.hidden": [width]} for width in (2, 3, 4, 5, 6)],  # one each
        [{**MIXED[0], "train.noise": 0.0, "model.dropout": 0.0}] * 5,  # no draws at all
    ]
    expected = figures(run(*MIXED)[at])
    for beside in others:
        points = [*beside[:at], MIXED[at], *beside[at + 1 :]]
        assert figures(run(*points)[at]) == expected


def test_a_trial_that_stops_early_leaves_the_others_as_they_are(run):
    slow = {"train.lr": 0.01, "train.momentum": 0.0}
    wild = {"train.lr": 1.0, "train.momentum": 0.999}
    calm = {"train.lr": 0.01, "train.momentum": 0.5}
    beside_wild = run(slow, wild, epochs=8, patience=1)
    assert beside_wild[1].best.epoch < 7
    assert figures(beside_wild[0]) == figures(run(slow, calm, epochs=8, patience=1)[0])


def test_trials_come_in_the_order_of_the_points(run):
    found = run(*MIXED)
    expected = [{tuple(name.split(".")): value for name, value in each.items()} for each in MIXED]
    assert [trial.point for trial in found] == expected
    # 6-8-3, 6-8-4-3, 6-8-3, 6-3, 6-8-4-3
    assert [trial.parameters for trial in found] == [83, 107, 83, 21, 107]


def test_a_trial_is_what_training_its_settings_gives(run, blobs):
    found = run({"train.lr": 0.2}, {"train.lr": 0.02}, seed=5)[1]
    stack = initialize.stack([6, 8, 3], "relu", [(5, 1)], ["default"], [(-0.1, 0.1)], [0.01])
    shared = TRAIN | {"epochs": 4, "seed": 5, "lr": 0.02, "dropout": 0.0}
    recipe = Recipe.of([shared], 2, shared)
    fitted = training.fit("classification", stack, recipe, blobs(60), blobs(40, seed=1))
    assert figures(found)[2:] == figures(trials.Trial({}, 0, fitted.best[0], diverged=False))[2:]


def test_a_trial_has_the_score_of_each_validation_row(run):
    for trial in run(*MIXED):
        assert trial.scores is not None
        assert trial.scores.shape == (40,)
        assert set(trial.scores.tolist()) <= {0.0, 1.0}
        assert trial.scores.mean().item() == pytest.approx(trial.best.val_score)


def test_trials_with_the_same_settings_start_from_different_weights(run):
    one, other = run({"train.lr": 0.1}, {"train.lr": 0.1}, epochs=1)
    assert figures(one) != figures(other)


def test_the_same_seed_gives_the_same_trials_and_another_seed_others(run):
    one, again, other = (run(*MIXED[:2], seed=seed) for seed in (3, 3, 4))
    assert [figures(trial) for trial in one] == [figures(trial) for trial in again]
    assert [figures(trial) for trial in one] != [figures(trial) for trial in other]


@pytest.mark.parametrize(
    ("name", "values", "stacks"),
    [
        ("model.hidden", ([8], [4]), 2),
        ("model.activation", ("relu", "tanh"), 2),
        ("train.optimizer", ("sgd", "adamw"), 2),
        ("train.batch_size", (8, 16), 2),
        ("train.decay_bias", (True, False), 2),
        ("train.patience", (1, 2), 2),
        ("train.lr", (0.1, 0.2), 1),
        ("train.momentum", (0.0, 0.9), 1),
        ("train.weight_decay", (0.0, 0.1), 1),
        ("train.noise", (0.0, 0.1), 1),
        ("train.mixup", (0.0, 1.0), 1),
        ("train.class_balance", (0.0, 1.0), 1),
        ("model.dropout", (0.0, 0.5), 1),
        ("model.init", ("default", "xavier"), 1),
        ("model.negative_slope", (0.1, 0.2), 1),
    ],
)
def test_only_settings_of_the_whole_stack_part_the_trials(name, values, stacks, run, monkeypatch):
    sizes = []
    real = training.fit

    def fit(task, stack, *rest, slot):
        sizes.append(len(stack))
        return real(task, stack, *rest)

    monkeypatch.setattr(training, "fit", fit)
    run({name: values[0]}, {name: values[1]}, {name: values[0]}, epochs=1)
    assert sizes == ([2, 1] if stacks == 2 else [3])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("model.init", ("default", "kaiming")),
        ("model.activation", ("relu", "tanh")),
        ("model.dropout", (0.0, 0.5)),
        ("train.optimizer", ("sgd", "adamw")),
        ("train.lr", (0.1, 0.2)),
        ("train.momentum", (0.0, 0.9)),
        ("train.weight_decay", (0.0, 0.5)),
        ("train.batch_size", (8, 16)),
        ("train.noise", (0.0, 0.5)),
        ("train.mixup", (0.0, 1.0)),
    ],
)
def test_a_searched_setting_reaches_its_trial(name, values, run):
    one, other = (run({name: value})[0] for value in values)
    assert figures(one) != figures(other)


def test_settings_reach_their_own_trial_in_a_stack(run):
    plain = {"model.init": "default"}
    found = run(plain, plain)[1], run(plain, {"model.init": "kaiming"})[1]
    assert figures(found[0]) != figures(found[1])


def test_bounds_and_slope_reach_their_trials(run):
    low, wide = ({"model.init_low": -each, "model.init_high": each} for each in (0.01, 1.0))
    found = run(low, low, init="uniform")[1], run(low, wide, init="uniform")[1]
    assert figures(found[0]) != figures(found[1])
    gentle, steep = ({"model.negative_slope": each} for each in (0.01, 0.9))
    leaky = [run(gentle, each, activation="leaky_relu")[1] for each in (gentle, steep)]
    assert figures(leaky[0]) != figures(leaky[1])


def test_a_trial_that_diverges_is_a_row_and_not_a_crash(run):
    wild = {"train.lr": 1.0, "train.momentum": 0.999}
    calm = {"train.lr": 0.01, "train.momentum": 0.9}
    found = run(wild, calm, epochs=10, activation="identity", hidden=[8, 8, 8])
    assert [trial.diverged for trial in found] == [True, False]
    assert torch.tensor(figures(found[0])[3:]).isfinite().all()
    assert found[1].best.val_score > 0.9


def test_a_trial_above_the_budget_of_parameters_is_refused(run):
    with pytest.raises(UserError, match="max_parameters"):
        run({"model.hidden": [8]}, {"model.hidden": [64]}, epochs=1, max_parameters=83)
