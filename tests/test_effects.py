"""Effects: turning each setting changes the outcome in the direction that it states.

Tests are named test_SECTION_KEY_...; the last test looks for one for every key.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch

from stages.common import (
    ensemble,
    evaluation,
    initialize,
    measurement,
    params,
    proposals,
    race,
    space,
    training,
    transfer,
)
from stages.common.checkpoint import Checkpoint
from stages.common.errors import UserError
from stages.common.network import Stack, check_budget, count_parameters
from stages.common.partition import Partition
from stages.common.record import Record
from stages.common.settings import Evaluate, Finetune, Model, Search, Section, Train
from stages.common.trials import Common, Trial
from tests import plain
from tests.columns import numbers_schema
from tests.imports import ROOT

MODEL = plain.MODEL
TRAIN = plain.TRAIN | {"lr": 0.01, "momentum": 0.0, "batch_size": 64, "patience": 1000}
FINETUNE = {"freeze": 0, "lr": 0.01, "epochs": 2, "members": 2, "seed": 0}
ROWS = 64


@pytest.fixture
def train(settings, blobs):
    """Train on ROWS rows with some settings of MODEL and TRAIN replaced."""

    def build(rows=None, val=None, **changes) -> ensemble.Trained:
        model = {key: changes.pop(key, value) for key, value in MODEL.items()}
        chosen = {key: changes.pop(key, value) for key, value in TRAIN.items()}
        assert not changes
        return ensemble.train(
            numbers_schema(),
            rows or blobs(ROWS, spread=2.0),
            val or blobs(40, seed=1, spread=2.0),
            settings.model.model_copy(update=model),
            settings.train.model_copy(update=chosen),
        )

    return build


@pytest.fixture
def stack_after(train):
    """Return the stack at the last epoch, not the best one: every epoch is an improvement."""

    def build(**changes) -> Any:
        trained = train(**changes)
        assert [record.epoch for record in trained.fitted.best] == [changes.get("epochs", 1)]
        return trained.checkpoint.stack

    return build


def start(**changes) -> Stack:
    """Return the starting weights of `train`."""
    chosen = MODEL | changes
    return initialize.stack(
        [6, *chosen["hidden"], 3],
        str(chosen["activation"]),
        [(0, 0)],
        [str(chosen["init"])],
        [(chosen["init_low"], chosen["init_high"])],
        [chosen["negative_slope"]],
    )


def moved(stack: Stack, origin: Stack | None = None) -> float:
    """Return how far the weights are from the starting weights."""
    squares = [
        (after - before).double().square().sum()
        for after, before in zip(stack.parameters(), (origin or start()).parameters(), strict=True)
    ]
    return math.sqrt(sum(float(square.detach()) for square in squares))


def norm(stack: Stack, kind: str) -> float:
    """Return the L2 norm of all weights, or of all biases."""
    tensors = [getattr(layer, kind) for layer in stack.layers]
    return math.sqrt(sum(float(tensor.detach().square().sum()) for tensor in tensors))


def crossed(rows=200, seed=0) -> Partition:
    """Return two classes that no straight line parts: the sign of a product."""
    x = torch.rand(rows, 6, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return Partition(x, (x[:, 0] * x[:, 1] > 0).long(), torch.arange(rows))


def test_train_lr_moves_the_weights_in_proportion_in_one_step(stack_after):
    once, thrice = (moved(stack_after(lr=lr)) for lr in (0.01, 0.03))
    assert thrice == pytest.approx(3 * once, rel=1e-4)


def test_train_momentum_carries_the_weights_further(stack_after):
    without, some, much = (moved(stack_after(momentum=m, epochs=5)) for m in (0.0, 0.5, 0.9))
    assert 1.3 * without < some
    assert 1.3 * some < much


def test_train_momentum_of_adamw_is_its_beta1(train):
    low, high = (
        train(momentum=m, epochs=5, optimizer="adamw").checkpoint.stack for m in (0.0, 0.9)
    )
    assert moved(low) != moved(high)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_train_weight_decay_makes_weights_smaller(optimizer, stack_after):
    norms = [
        norm(stack_after(weight_decay=w, epochs=20, optimizer=optimizer), "weight")
        for w in (0.0, 0.1, 1.0)
    ]
    assert norms == sorted(norms, reverse=True)
    assert norms[2] < 0.95 * norms[0]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_train_decay_bias_makes_biases_smaller(optimizer, stack_after):
    chosen = {"weight_decay": 1.0, "epochs": 20, "optimizer": optimizer}
    free, pulled = (norm(stack_after(decay_bias=each, **chosen), "bias") for each in (False, True))
    assert pulled < 0.97 * free


def test_train_optimizer_adamw_moves_every_weight_by_the_learning_rate_at_first(train):
    # momentum is beta1; the first step of Adam is lr * sign(gradient)
    after = train(optimizer="adamw", lr=0.01, momentum=0.9).checkpoint.stack
    for mine, before in zip(after.parameters(), start().parameters(), strict=True):
        step = (mine - before).abs().detach()
        assert step[step > 1e-6].tolist() == pytest.approx(
            [0.01] * int((step > 1e-6).sum()), rel=1e-2
        )
    assert moved(train(optimizer="sgd").checkpoint.stack) < moved(after)


def test_train_batch_size_halves_the_steps_of_an_epoch_when_doubled(stack_after):
    few, many = (moved(stack_after(batch_size=size, lr=1e-4)) for size in (32, 16))
    assert many == pytest.approx(2 * few, rel=0.02)


def test_train_epochs_is_how_often_the_rows_are_passed(train):
    short, long = (train(epochs=epochs, lr=0.1).fitted for epochs in (2, 20))
    assert [max(record.epoch for record in each.history) for each in (short, long)] == [2, 20]
    assert long.history[-1].train_loss < short.history[-1].train_loss


def test_train_patience_is_how_long_a_member_goes_on_without_a_better_epoch(train, blobs):
    rows, val = blobs(12, spread=3.0), blobs(60, seed=1, spread=3.0)
    for patience in (1, 5):
        fitted = train(rows, val, epochs=60, lr=0.3, patience=patience).fitted
        last = max(record.epoch for record in fitted.history)
        assert last == fitted.best[0].epoch + patience < 60


def test_train_members_is_the_number_of_networks(train):
    assert [len(train(members=members).checkpoint.stack) for members in (1, 4)] == [1, 4]


def test_train_seed_draws_other_weights(train):
    one, other = (train(seed=seed, lr=1e-9).checkpoint.stack for seed in (0, 1))
    assert moved(one) < 1e-6
    assert moved(other) > 1


@pytest.mark.parametrize("changes", [{"noise": 1.0}, {"mixup": 1.0}, {"dropout": 0.5}])
def test_train_seed_draws_other_noise_mixing_and_dropout(changes, make_recipe, blobs):
    moves = []
    for seed in (0, 0, 1):
        recipe = make_recipe(1, 2, epochs=1, batch_size=ROWS, seed=seed, **changes)
        val = blobs(30)
        moves.append(moved(training.fit("classification", start(), recipe, blobs(64), val).stack))
    assert moves[0] == moves[1] != moves[2]


def test_train_seed_deals_other_batches(make_recipe, blobs):
    moves = []
    for seed in (0, 0, 1):
        recipe = make_recipe(1, 2, epochs=1, batch_size=8, seed=seed)
        val = blobs(30)
        moves.append(moved(training.fit("classification", start(), recipe, blobs(64), val).stack))
    assert moves[0] == moves[1] != moves[2]


@pytest.fixture
def excess(make_recipe, blobs):
    """Return how much higher the loss of a training step is than without the setting.

    The network has learnt the rows before, so that whatever changes them can only hurt.
    """
    rows = blobs(ROWS)
    recipe = make_recipe(1, 2, epochs=40)
    learnt = training.fit("classification", start(), recipe, rows, rows).stack

    def measure(**changes) -> float:
        recipe = make_recipe(1, 2, epochs=1, lr=1e-9, batch_size=ROWS, **changes)
        last = training.fit("classification", learnt, recipe, rows, rows).history[-1]
        return last.running_loss - last.train_loss

    return measure


def final_loss(train, **changes) -> float:
    """Return the training loss, measured without dropout and noise, after many epochs."""
    fitted = train(epochs=60, lr=0.1, momentum=0.9, **changes).fitted
    return float(fitted.history[-1].train_loss)


def test_train_noise_makes_the_training_step_harder(excess, train):
    assert excess(noise=0.0) == pytest.approx(0, abs=1e-5)
    assert 0.001 < excess(noise=1.0) < excess(noise=3.0)
    assert final_loss(train) < final_loss(train, noise=3.0)


def test_train_mixup_makes_the_training_step_harder(excess, train):
    assert excess(mixup=0.0) == pytest.approx(0, abs=1e-5)
    assert 0.001 < excess(mixup=0.5) < excess(mixup=1.0)
    assert final_loss(train) < final_loss(train, mixup=1.0)


def test_train_class_balance_finds_more_of_a_rare_class(train, blobs):
    def rare(part: Partition) -> Partition:
        return part.take(((part.target < 2) | (part.row % 24 == 2)).nonzero()[:, 0])

    rows, val = rare(blobs(480, spread=4.0)), rare(blobs(240, seed=1, spread=4.0))
    others = blobs(600, seed=2, spread=4.0)
    recalls = []
    for balance in (0.0, 0.5, 1.0):
        trained = train(rows, val, epochs=30, lr=0.1, class_balance=balance)
        hits = measurement.row_scores("classification", trained.checkpoint.stack, others)[0]
        recalls.append(hits[others.target == 2].mean().item())
    assert recalls[0] + 0.05 < recalls[1] < recalls[2] - 0.05


def test_model_dropout_makes_the_training_step_harder_and_leaves_evaluation_alone(excess, train):
    assert excess(dropout=0.0) == pytest.approx(0, abs=1e-5)
    assert 0.001 < excess(dropout=0.4) < excess(dropout=0.8)
    assert final_loss(train) < final_loss(train, dropout=0.8)


def fits(make_recipe, stack) -> float:
    """Return the training accuracy on two classes that no straight line parts."""
    recipe = make_recipe(1, stack.depth, epochs=100, lr=0.03, batch_size=100, optimizer="adamw")
    rows = crossed()
    return training.fit("classification", stack, recipe, rows, rows).best[0].train_score


def network(hidden, activation) -> Stack:
    return initialize.stack(
        [6, *hidden, 2], activation, [(0, 0)], ["default"], [(0.0, 1.0)], [0.01]
    )


def test_model_hidden_gives_capacity(make_recipe, train):
    none, some = fits(make_recipe, network([], "relu")), fits(make_recipe, network([32], "relu"))
    assert none < 0.7
    assert some > 0.95
    assert train(hidden=[5, 4]).checkpoint.stack.widths == [6, 5, 4, 3]


def test_model_hidden_more_layers_are_not_always_more_parameters():
    assert count_parameters([100, 100]) == 10_100
    assert count_parameters([100, 1, 100]) == 301


def test_model_activation_makes_the_capacity_of_layers(make_recipe, train):
    # without an activation any depth is one linear map
    assert fits(make_recipe, network([32, 32], "identity")) < 0.7
    assert fits(make_recipe, network([32], "tanh")) > 0.9
    assert train(activation="tanh").checkpoint.stack.activation == "tanh"


def test_model_negative_slope_lets_gradients_through_in_proportion(train, blobs):
    # positive features and negative weights: every unit has a negative input, so its gradient
    # is that of the layer behind it times the slope
    rows = blobs(ROWS)
    rows = replace(rows, features=rows.features.abs() + 1)
    below = {"activation": "leaky_relu", "init": "uniform", "init_low": -0.2, "init_high": -0.1}
    gradients = []
    for slope in (0.01, 0.02, 0.04):
        first = train(rows, negative_slope=slope, **below).health[0][1]
        assert (first.layer, first.dead) == (0, 0)
        gradients.append(first.gradient)
    assert gradients[1] == pytest.approx(2 * gradients[0], rel=0.05)
    assert gradients[2] == pytest.approx(4 * gradients[0], rel=0.05)


@pytest.mark.parametrize(
    ("init", "bound"),
    [
        ("default", 1 / math.sqrt(6)),
        ("xavier", math.sqrt(2) * math.sqrt(6 / (6 + 200))),
        ("kaiming", math.sqrt(2) * math.sqrt(3 / 6)),
        ("uniform", 0.1),
    ],
)
def test_model_init_sets_the_bound_of_starting_weights(init, bound, train):
    first = train(init=init, hidden=[200]).health[0][1]
    assert first.layer == 0
    assert first.weight_high == pytest.approx(bound, rel=0.01)
    assert first.weight_low == pytest.approx(-bound, rel=0.01)


def test_model_init_low_is_the_lower_bound_of_uniform_weights(train):
    for low in (-0.7, 0.05):
        first = train(init="uniform", init_low=low, hidden=[200]).health[0][1]
        assert low <= first.weight_low < low + 0.01


def test_model_init_high_is_the_upper_bound_of_uniform_weights(train):
    for high in (0.7, -0.05):
        first = train(init="uniform", init_high=high, hidden=[200]).health[0][1]
        assert high - 0.01 < first.weight_high <= high


def test_model_max_parameters_refuses_a_network_above_it():
    check_budget([8, 4, 2, 2], 52)
    check_budget([8, 4, 2, 2], 0)
    with pytest.raises(UserError, match=r"hidden \[4, 2\]: 52 .* model\.max_parameters 51; take"):
        check_budget([8, 4, 2, 2], 51)


@pytest.fixture
def finetune(settings, train, blobs):
    """Fine-tune a base model of two members on few rows of a similar task."""
    base: Checkpoint = train(members=2, epochs=20, lr=0.1).checkpoint

    def similar(part) -> Any:
        return replace(part, features=part.features + 0.4)

    def build(**changes) -> tuple[Checkpoint, transfer.Transfer]:
        assert set(changes) <= set(FINETUNE)
        chosen = settings.finetune.model_copy(update=FINETUNE | changes)
        rows, val = similar(blobs(30, seed=2)), similar(blobs(40, seed=3))
        return base, transfer.run(base, base.schema, rows, val, chosen)

    return build


def last_epoch(finetune, **changes) -> float:
    """Return how far the arm asked for has moved from the base at its best epoch."""
    base, found = finetune(**changes)
    assert [record.epoch for record in found.best[0]] == [changes.get("epochs", 2)] * 2
    return moved(found.checkpoint.stack, base.stack)


def test_finetune_freeze_keeps_layers_as_they_are(finetune):
    base, free = finetune(freeze=0)
    _, frozen = finetune(freeze=1)
    first, *_ = base.stack.parameters()
    assert torch.equal(next(frozen.checkpoint.stack.parameters()), first)
    assert not torch.equal(next(free.checkpoint.stack.parameters()), first)


def test_finetune_lr_moves_the_base_model_further(finetune):
    assert 5 * last_epoch(finetune, lr=0.0001) < last_epoch(finetune, lr=0.001)


def test_finetune_epochs_moves_the_base_model_further(finetune):
    short, long = (last_epoch(finetune, lr=0.001, epochs=epochs) for epochs in (1, 4))
    assert 2 * short < long
    assert len(finetune(epochs=4)[1].gains) == 5


def test_finetune_members_is_the_number_of_networks_per_arm(finetune):
    for members in (1, 2):
        found = finetune(members=members)[1]
        assert len(found.checkpoint.stack) == members
        assert {len(best) for best in found.best} == {members}


def test_finetune_seed_draws_another_control(finetune):
    one, again, other = (finetune(seed=seed)[1] for seed in (0, 0, 1))
    assert one.gains == again.gains
    assert [gain.control for gain in one.gains] != [gain.control for gain in other.gains]


RATES = {"low": 0.001, "high": 0.1, "scale": "log"}


def search_of(**changes) -> Search:
    space_of = {"model": {}, "train": {"lr": [0.001, 0.01, 0.1], "noise": [0.0, 0.1]}}
    plain = {
        "method": "random",
        "trials": 6,
        "epochs": 1,
        "halving": 1,
        "workers": 1,
        "engine": "local",
        "address": "auto",
        "seed": 0,
        "space": space_of,
    }
    return Search.model_validate(plain | changes)


def points_of(search) -> list[space.Point]:
    return space.draw(search, params.load(ROOT / "params.yaml").model)


def test_search_method_grid_is_every_combination_and_random_is_drawn():
    grid, random = (points_of(search_of(method=method)) for method in ("grid", "random"))
    assert len({tuple(point.values()) for point in grid}) == 6
    assert len({tuple(point.values()) for point in random}) < 6


def test_search_method_sobol_is_more_even_than_random():
    """As in 16 boxes of the same size, over two settings: how many points each gets."""
    boxes = {"model": {}, "train": {"lr": [0.001, 0.01, 0.05, 0.1], "noise": [0.0, 0.1, 0.2, 0.3]}}
    for seed in range(5):
        filled = [
            Counter(tuple(point.values()) for point in points_of(search))
            for search in (
                search_of(method=method, trials=64, seed=seed, space=boxes)
                for method in ("sobol", "random")
            )
        ]
        assert set(filled[0].values()) == {4}
        assert len(filled[0]) == 16
        assert max(filled[1].values()) > 6


@pytest.mark.parametrize("method", ["grid", "random", "sobol"])
def test_search_trials_is_the_number_of_points(method):
    assert [len(points_of(search_of(method=method, trials=n))) for n in (2, 5)] == [2, 5]


def test_search_epochs_is_how_long_a_trial_may_train(settings, blobs):
    model = settings.model.model_copy(update=MODEL)
    chosen = settings.train.model_copy(update=TRAIN)
    best = []
    for epochs in (1, 12):
        search = search_of(epochs=epochs)
        point = {("train", "lr"): 0.01}
        rows = blobs(60), blobs(40, seed=1)
        (trial,) = race.run(Common(numbers_schema(), *rows, model, chosen, search), [point])
        best.append(trial.best)
    assert [record.epoch for record in best] == [1, 12]
    assert best[1].val_loss < best[0].val_loss


def searched(settings, blobs, points, **changes) -> list[Trial]:
    """Return the trials of a small search; changes: of its settings."""
    model = settings.model.model_copy(update=MODEL)
    chosen = settings.train.model_copy(update=TRAIN)
    rows = blobs(60), blobs(40, seed=1)
    return race.run(Common(numbers_schema(), *rows, model, chosen, search_of(**changes)), points)


def test_search_halving_lets_a_smaller_share_of_the_trials_train_to_the_end(settings, blobs):
    points: list[space.Point] = [{("train", "lr"): 0.001 * 1.5**at} for at in range(9)]
    for share, finished in ((1, 9), (2, 4), (3, 3), (4, 9)):  # of 3 epochs there is no fourth
        found = searched(settings, blobs, points, epochs=3, halving=share)
        ends = [trial.best.epoch for trial in found]
        assert sorted(ends) == [1] * (9 - finished) + [3] * finished
        assert [trial.status == "stopped" for trial in found] == [end == 1 for end in ends]


def test_search_workers_never_changes_a_byte(settings, blobs):
    points: list[space.Point] = [
        {("train", "lr"): 0.03 * (at + 1), ("model", "hidden"): [4 + at % 3]} for at in range(6)
    ]
    one, two, most = (
        searched(settings, blobs, points, epochs=4, halving=2, workers=workers)
        for workers in (1, 2, 0)
    )
    assert [repr(trial.best) for trial in one] == [repr(trial.best) for trial in two]
    assert [repr(trial.best) for trial in one] == [repr(trial.best) for trial in most]


def test_search_engine_ray_needs_a_cluster_and_local_none(settings, blobs):
    points: list[space.Point] = [{("train", "lr"): 0.1}]
    nowhere = {"epochs": 1, "halving": 1, "workers": 1, "address": "127.0.0.1:1"}
    assert len(searched(settings, blobs, points, **nowhere)) == 1
    with pytest.raises(UserError, match="no Ray cluster answers"):
        searched(settings, blobs, points, engine="ray", **nowhere)


def test_search_address_names_the_cluster(settings, blobs):
    points: list[space.Point] = [{("train", "lr"): 0.1}]
    for address in ("127.0.0.1:1", "127.0.0.1:2"):
        with pytest.raises(UserError, match=f"search.address {address}: no Ray cluster answers"):
            searched(settings, blobs, points, epochs=1, engine="ray", address=address)


def test_search_space_holds_what_is_tried():
    points = points_of(search_of(space={"model": {}, "train": {"lr": RATES}}))
    assert all(0.001 <= point["train", "lr"] <= 0.1 for point in points)
    assert [set(point) for point in points] == [{("train", "lr")}] * 6


def test_search_seed_draws_other_points_and_other_weights(settings, blobs):
    found = []
    for seed in (0, 0, 1):
        search = search_of(seed=seed)
        sections = (
            settings.model.model_copy(update=MODEL),
            settings.train.model_copy(update=TRAIN),
        )
        rows = blobs(60), blobs(40, seed=1)
        found.append(
            (
                points_of(search),
                race.run(Common(numbers_schema(), *rows, *sections, search), [{}])[0].best,
            )
        )
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]
    assert found[0][1] != found[2][1]


def test_evaluate_calibration_bins_cuts_the_confidences_finer(blobs):
    # bins within bins: errors of opposite sign cancel less
    stack, part = network([8], "relu"), blobs(80, classes=2)
    schema = numbers_schema(2)
    predicted = evaluation.predict(stack, schema, part.features)
    found: list[Any] = [
        evaluation.figures(predicted, schema, part, bins)["calibration_error"]
        for bins in (2, 20, 200)
    ]
    assert found == sorted(found)
    assert found[0] < found[2]


def test_every_setting_of_these_sections_has_a_test_here():
    sections: dict[str, type[Section]] = {
        "model": Model,
        "train": Train,
        "evaluate": Evaluate,
        "finetune": Finetune,
        "search": Search,
    }
    keys = {f"{name}_{key}" for name, section in sections.items() for key in section.model_fields}
    keys.remove("finetune_csv")  # a table: with the tests of whole pipelines
    untested = {key for key in keys if not any(n.startswith(f"test_{key}_") for n in globals())}
    assert len(keys) > 30
    assert untested == set()


def test_search_method_tpe_tries_more_where_trials_were_better(settings):
    changes = {"method": "tpe", "space": {"model": {}, "train": {"lr": RATES}}}
    search = Search.model_validate(settings.search.model_dump() | changes)
    points = space.draw(search, settings.model)[:16]
    shares = []
    for sign in (1, -1):
        told = [
            Trial(point, 1, Record(1, at, 0, 0, 0, 0, sign * point["train", "lr"]))
            for at, point in enumerate(points)
        ]
        asked = proposals.ask(search, settings.model, told, 16)
        shares.append(sum(point["train", "lr"] > 0.01 for point in asked) / 16)
    assert sum(point["train", "lr"] > 0.01 for point in points) == 8
    assert shares[0] > 0.8
    assert shares[1] < 0.2
