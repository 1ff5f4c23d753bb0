"""The ensemble: seeds of its members, its figures against members taken out."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from stages.common import ensemble, health, training
from stages.common.gate import Overfit
from tests import plain
from tests.columns import numbers_schema

MODEL = plain.MODEL | {"hidden": [8, 4]}
TRAIN = plain.TRAIN | {"members": 3, "lr": 0.1, "epochs": 6, "patience": 6}


@pytest.fixture
def run(settings, blobs):
    """Train on blobs with some settings of MODEL and TRAIN replaced."""

    def build(rows=None, val=None, **changes) -> ensemble.Trained:
        model = {key: changes.pop(key, value) for key, value in MODEL.items()}
        train = {key: changes.pop(key, value) for key, value in TRAIN.items()}
        assert not changes
        rows = rows or blobs(60, spread=2.0)
        val = val or blobs(40, seed=1, spread=2.0)
        return ensemble.train(
            numbers_schema(3),
            rows,
            val,
            settings.model.model_copy(update=model),
            settings.train.model_copy(update=train),
        )

    return build


def weights(stack, member) -> list[torch.Tensor]:
    return [parameter.detach()[member] for parameter in stack.parameters()]


def same(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_members_differ_and_each_is_the_same_alone(run):
    together, alone = run().checkpoint.stack, run(members=1).checkpoint.stack
    assert same(weights(together, 0), weights(alone, 0))
    assert not same(weights(together, 0), weights(together, 1))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(run):
    one, again, other = (run(seed=seed, epochs=1).checkpoint.stack for seed in (3, 3, 4))
    assert same(one.parameters(), again.parameters())
    assert not same(one.parameters(), other.parameters())


def test_the_checkpoint_has_the_settings_it_was_trained_with(run):
    found = run(epochs=1).checkpoint
    assert found.settings == {"model": MODEL, "train": TRAIN | {"epochs": 1}}
    assert found.stack.widths == [6, 8, 4, 3]


def test_health_is_examined_before_training_and_after_every_epoch(run):
    found = run(epochs=3).health
    assert [epoch for epoch, _ in found] == sorted([0, 1, 2, 3] * 9)
    assert {(each.layer, each.member) for _, each in found} == {
        (layer, member) for layer in range(3) for member in range(3)
    }


@pytest.fixture
def stopping_first(monkeypatch):
    """Let member 0 stop after epoch 1; the others go on."""
    real = training._note

    def note(fitted, stack, records, patience, first):
        staying = real(fitted, stack, records, patience, first)
        return [place for place in staying if records[place].member != 0]

    monkeypatch.setattr(training, "_note", note)


@pytest.mark.usefixtures("stopping_first")
def test_health_names_the_member_also_after_another_has_stopped(run):
    found = run(epochs=3).health
    assert {each.member for epoch, each in found if epoch == 3} == {1, 2}


def test_figures_are_means_over_members_at_their_best_epoch(run, blobs):
    rows, val = blobs(60, spread=2.0), blobs(40, seed=1, spread=2.0)
    trained = run()
    stack, found = trained.checkpoint.stack, ensemble.figures(trained, rows, val)

    def measured(part) -> tuple[list[float], list[float], torch.Tensor]:
        outputs = [stack.member(member)(part.features) for member in range(3)]
        losses = [F.cross_entropy(output, part.target).item() for output in outputs]
        hits = [(output.argmax(dim=1) == part.target).double() for output in outputs]
        joint = torch.stack([output.softmax(dim=1) for output in outputs]).mean(dim=0)
        return losses, [hit.mean().item() for hit in hits], joint

    train_losses, train_scores, _ = measured(rows)
    val_losses, val_scores, joint = measured(val)
    norms = [
        sum(float(layer.weight[member].detach().square().sum()) for layer in stack.layers) ** 0.5
        for member in range(3)
    ]
    gap = statistics.mean(val_losses) - statistics.mean(train_losses)
    expected = {
        "train_loss": statistics.mean(train_losses),
        "train_accuracy": statistics.mean(train_scores),
        "val_loss": statistics.mean(val_losses),
        "val_accuracy": statistics.mean(val_scores),
        "val_accuracy_deviation": statistics.stdev(val_scores),
        "ensemble_val_loss": F.nll_loss(joint.log(), val.target).item(),
        "ensemble_val_accuracy": (joint.argmax(dim=1) == val.target).double().mean().item(),
        "best_epoch": statistics.mean(record.epoch for record in trained.fitted.best),
        "overfit_gap": gap,
        "diverged_members": 0,
        "parameters": 107,
        "parameters_per_row": 107 / 60,
        "weight_norm": statistics.mean(norms),
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected, rel=1e-4)


def test_health_figures_are_those_of_the_weights_that_are_kept(run, blobs):
    rows, val = blobs(12), blobs(40, seed=1, spread=4.0)
    trained = run(rows, val, epochs=30, patience=30, lr=0.3)
    assert max(record.epoch for record in trained.fitted.best) < 25
    kept = health.examine("classification", trained.checkpoint.stack, rows)
    hidden = [each for each in kept if each.layer < 2]
    found = ensemble.figures(trained, rows, val)
    assert found["gradient_first_to_last"] == health.first_to_last(kept)
    assert found["saturated_share"] == pytest.approx(
        statistics.mean(each.saturated for each in hidden)
    )
    assert found["dead_share"] == pytest.approx(statistics.mean(each.dead for each in hidden))
    assert found["saturated_share"] > found["dead_share"]


def test_the_starting_spread_is_the_widest_before_training(run, blobs):
    trained = run(epochs=2)
    spreads = [each.spread for epoch, each in trained.health if epoch == 0]
    found = ensemble.figures(trained, blobs(60), blobs(40, seed=1))
    assert found["starting_spread"] == max(spreads)


def test_members_that_overfit_are_counted_with_their_epoch(run, blobs):
    rows, val = blobs(12), blobs(40, seed=1, spread=4.0)
    trained = run(rows, val, epochs=30, patience=30, lr=0.3)
    found = ensemble.figures(trained, rows, val)
    epochs = []
    for best in trained.fitted.best:
        curve = [each.val_loss for each in trained.fitted.history if each.member == best.member]
        late = [
            epoch
            for epoch, loss in enumerate(curve)
            if epoch > best.epoch and loss > 1.1 * best.val_loss
        ]
        epochs.append(late[0])
    assert found["overfit_members"] == 3
    assert found["overfit_epoch"] == statistics.median(epochs)


def test_a_run_without_overfitting_has_no_overfit_epoch(run, blobs):
    rows, val = blobs(60), blobs(40, seed=1)
    found = ensemble.figures(run(rows, val, epochs=2, lr=0.01), rows, val)
    assert (found["overfit_members"], found["overfit_epoch"]) == (0, None)


def test_a_member_that_diverges_is_counted_and_its_best_epoch_kept(run, blobs):
    trained = run(lr=1.0, momentum=0.99, weight_decay=1.0, epochs=10, patience=10)
    found = ensemble.figures(trained, blobs(60), blobs(40, seed=1))
    assert found["diverged_members"] == sum(trained.fitted.diverged) > 0
    assert all(torch.isfinite(each).all() for each in trained.checkpoint.stack.parameters())


def test_a_regression_is_scored_by_r2(settings, blobs):
    rows, val = blobs(60), blobs(40, seed=1)
    rows = replace(rows, target=rows.features[:, 0].clone())
    val = replace(val, target=val.features[:, 0].clone())
    model = settings.model.model_copy(update=MODEL | {"hidden": []})
    chosen = settings.train.model_copy(update=TRAIN | {"lr": 0.01, "epochs": 30})
    found = ensemble.figures(ensemble.train(numbers_schema(0), rows, val, model, chosen), rows, val)
    assert found["val_r2"] > 0.99
    assert found["saturated_share"] == found["dead_share"] == 0
    assert "val_accuracy" not in found


def test_figures_are_written_and_said_in_words(run, blobs, tmp_path, capsys):
    passed = Overfit(rows=16, steps=20, loss=0.001, score=1.0)
    rows, val = blobs(60, spread=2.0), blobs(40, seed=1, spread=2.0)
    trained = run()
    ensemble.write_figures(tmp_path / "train.json", trained, {"linear_lr": 0.5}, passed, rows, val)
    found = json.loads((tmp_path / "train.json").read_text())
    expected = ensemble.figures(trained, rows, val)
    assert found["linear_lr"] == 0.5
    assert found["gate_steps"] == 20
    assert found["gate_loss"] == 0.001
    assert found["gate_score"] == 1.0
    assert found["val_accuracy"] == pytest.approx(expected["val_accuracy"], abs=1e-6)
    said = capsys.readouterr().out
    assert said.startswith("base: 3 members of 107 parameters, best epoch ")
    assert f"together {expected['ensemble_val_accuracy']:.3f}" in said


def test_one_member_has_no_deviation(run, blobs, tmp_path, capsys):
    passed = Overfit(rows=16, steps=20, loss=0.001, score=1.0)
    trained = run(epochs=1, members=1)
    ensemble.write_figures(tmp_path / "t.json", trained, {}, passed, blobs(60), blobs(40, seed=1))
    said = capsys.readouterr().out
    assert said.startswith("base: 1 member of ")
    assert "+-" not in said


def test_starting_weights_between_0_and_1_are_warned_of(run, blobs, tmp_path, capsys):
    deep = {"hidden": [64, 64, 64], "init": "uniform", "init_low": 0.0, "init_high": 1.0}
    trained = run(**deep, epochs=1, lr=1e-9)
    passed = Overfit(rows=16, steps=20, loss=0.001, score=1.0)
    ensemble.write_figures(tmp_path / "t.json", trained, {}, passed, blobs(60), blobs(40, seed=1))
    assert "outputs explode" in capsys.readouterr().out
