"""The linear model: what it is tried with, what is chosen, what a killed run ends with."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.common import ensemble, files, linear
from tests.columns import numbers_schema
from tests.test_ensemble import MODEL, TRAIN, same, weights


@pytest.fixture
def run(settings, blobs):
    """Train on blobs with some settings of TRAIN replaced."""

    def build(rows=None, val=None, saves=None, **changes) -> Any:
        return linear.train(
            numbers_schema(3),
            rows or blobs(60, spread=2.0),
            val or blobs(40, seed=1, spread=2.0),
            settings.model.model_copy(update=MODEL),
            settings.train.model_copy(update=TRAIN | changes),
            saves,
        )

    return build


def used(checkpoint, *keys) -> list[Any]:
    return [checkpoint.settings["train"][key] for key in keys]


def test_every_rate_is_tried_with_and_without_regularisers_the_given_settings_first(settings):
    given = settings.train.model_copy(update=TRAIN | {"noise": 0.3, "lr": 0.08})
    found = linear.candidates(given)
    assert found[0] == given
    rates = [0.01, 0.02, 0.04, 0.08]
    for noise in (0.3, 0.0):
        assert sorted(one.lr for one in found if one.noise == noise) == pytest.approx(rates)
    assert len(found) == 2 * len(rates)


@pytest.mark.parametrize("change", [{"noise": 0.3}, {"mixup": 0.5}, {"weight_decay": 0.01}])
def test_each_regulariser_of_the_network_is_left_out_of_some(settings, change):
    given = settings.train.model_copy(update=TRAIN | change)
    assert given.model_copy(update=dict.fromkeys(change, 0.0)) in linear.candidates(given)


def test_nothing_is_tried_twice(settings):
    plain = settings.train.model_copy(update=TRAIN)
    assert [one.lr for one in linear.candidates(plain)] == [0.1, 0.05, 0.025, 0.0125, linear.USUAL]


def test_the_linear_model_has_no_hidden_layer_and_the_settings_it_was_trained_with(run):
    found = run(members=2, class_balance=0.5)
    assert found.stack.widths == [6, 3]
    assert len(found.stack) == 2
    assert found.settings["model"] == MODEL | {"hidden": []}
    assert used(found, "members", "epochs", "class_balance") == [2, TRAIN["epochs"], 0.5]
    found.check_settings(Path("linear.pt"))


def test_the_candidate_with_the_lowest_validation_loss_is_trained_as_if_alone(run, settings, blobs):
    rows, val = blobs(60, spread=2.0), blobs(40, seed=1, spread=2.0)
    model = settings.model.model_copy(update=MODEL | {"hidden": []})
    given = settings.train.model_copy(update=TRAIN | {"noise": 0.5, "lr": 0.4})
    tried = linear.candidates(given)
    alone = [ensemble.train(numbers_schema(3), rows, val, model, one) for one in tried]
    best = min(alone, key=lambda trained: trained.fitted.best[0].val_loss)
    found = run(rows, val, noise=0.5, lr=0.4)
    assert found.settings == best.checkpoint.settings != alone[0].checkpoint.settings
    assert same(found.stack.parameters(), best.checkpoint.stack.parameters())
    assert not same(weights(found.stack, 0), weights(found.stack, 1))


def test_a_rate_that_is_too_large_for_it_is_left(run, monkeypatch):
    assert used(run(lr=0.8), "lr") == [linear.USUAL]
    monkeypatch.setattr(linear, "USUAL", 0.8)
    assert used(run(lr=0.8), "lr") == [0.1]


def test_a_rate_that_suits_nothing_does_not_make_it_weak(run, blobs):
    found, val = run(lr=1e-6), blobs(40, seed=1, spread=2.0)
    assert used(found, "lr") == [linear.USUAL]
    assert linear.figures(found, val)["linear_val_accuracy"] > 0.75  # chance is a third


@pytest.mark.parametrize("change", [{"noise": 20.0}, {"weight_decay": 1.0}])
def test_a_regulariser_that_hurts_it_is_left_out(run, blobs, change):
    assert used(run(blobs(60), blobs(40, seed=1), **change), *change) == [0.0]


def test_candidates_that_diverge_do_not_stand_in_the_way(settings, blobs):
    rows, val = (replace(part, target=part.features[:, 0]) for part in (blobs(60), blobs(40)))
    model = settings.model.model_copy(update=MODEL | {"hidden": []})
    given = settings.train.model_copy(update=TRAIN | {"lr": 0.2, "epochs": 30})
    assert all(ensemble.train(numbers_schema(0), rows, val, model, given).fitted.diverged)
    found = linear.train(numbers_schema(0), rows, val, model, given)
    assert linear.figures(found, val) == {
        "linear_val_r2": pytest.approx(1, abs=0.03),
        "linear_lr": linear.USUAL,
    }


def test_when_all_candidates_diverge_the_starting_weights_and_given_settings_stay(
    run, settings, blobs
):
    rows = blobs(60)
    huge = replace(rows, features=rows.features * 1e9)
    found = run(huge, huge, lr=0.3)
    model = settings.model.model_copy(update=MODEL | {"hidden": []})
    start = ensemble.starting_weights(numbers_schema(3), model, 3, 0)
    assert used(found, "lr") == [0.3]
    assert same(found.stack.parameters(), start.parameters())


class Kept:
    """Resume states in memory; every state that is offered is noted with its slot."""

    def __init__(self, states: dict[str, bytes]) -> None:
        self.states, self.offered = states, list[tuple[str, bytes]]()

    def slot(self, name) -> Any:
        return KeptSlot(self, name)


class KeptSlot:
    def __init__(self, saves: Kept, name: str) -> None:
        self.saves, self.name, self.path = saves, name, Path(name)

    def load(self) -> Any:
        saved = self.saves.states.get(self.name)
        return None if saved is None else torch.load(io.BytesIO(saved), weights_only=True)

    def offer(self, state) -> None:
        self.saves.offered.append((self.name, files.tensor_bytes(state())))


def test_a_run_killed_at_any_moment_ends_with_the_same_weights(run):
    saves = Kept({})
    whole = run(saves=saves, noise=0.3)
    assert [name for name, _ in saves.offered] == ["candidates"] * 6 + ["linear"] * 6
    states: dict[str, bytes] = {}
    for name, state in saves.offered:
        states[name] = state
        again = run(saves=Kept(dict(states)), noise=0.3)
        assert again.settings == whole.settings
        assert same(again.stack.parameters(), whole.stack.parameters())


def test_figures_and_the_line_say_what_was_chosen_and_how_it_validates(run, blobs):
    found, val = run(noise=0.25), blobs(40, seed=1, spread=2.0)
    figures = linear.figures(found, val)
    joint = torch.stack([found.stack.member(at)(val.features).softmax(dim=1) for at in range(3)])
    score = (joint.mean(dim=0).argmax(dim=1) == val.target).double().mean().item()
    lr, noise = used(found, "lr", "noise")
    assert figures == {"linear_val_accuracy": pytest.approx(score), "linear_lr": lr}
    said = f"val accuracy {score:.3f} with lr {lr:g}, noise {noise:g}, mixup 0, weight_decay 0"
    assert linear.sentence(found, figures) == f"linear model: {said}"
