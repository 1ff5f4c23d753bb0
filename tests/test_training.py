"""The training loop: agreement with a plain torch loop, independence of members, stopping."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from stages.common import batches, initialize, measurement, objective, training
from stages.common.activations import MODULES
from stages.common.batches import Augmentation
from stages.common.network import Stack
from stages.common.objective import Task
from stages.common.optimizer import OPTIMIZERS, Optimizer
from stages.common.partition import Partition
from stages.common.recipe import Recipe
from stages.common.record import Record
from stages.common.training import Fitted

VARIED: dict[str, Any] = {"lr": [0.1, 0.02, 0.05], "momentum": [0.0, 0.9, 0.5]}


def build(widths: list[int], members: int, activation: str = "relu", seed: int = 0) -> Stack:
    return initialize.stack(
        widths,
        activation,
        [(seed, member) for member in range(members)],
        ["default"] * members,
        [(-0.1, 0.1)] * members,
        [0.01 + 0.1 * member for member in range(members)],
    )


def random_rows(task: Task, count: int, features: int, classes: int, seed: int) -> Partition:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randn(count, generator=generator)
    if task == "classification":
        target = torch.randint(classes, (count,), generator=generator)
    return Partition(torch.randn(count, features, generator=generator), target, torch.arange(count))


def weights(stack: Stack, member: int) -> list[bytes]:
    return [parameter[member].detach().numpy().tobytes() for parameter in stack.parameters()]


def story(fitted: Fitted, member: int) -> tuple[Any, ...]:
    """All that is known of a member, its place in the stack left out; NaN equals NaN."""
    history = [record for record in fitted.history if record.member == member]
    records = [repr(replace(record, member=0)) for record in [fitted.best[member], *history]]
    return weights(fitted.stack, member), fitted.diverged[member], records


def of(fitted: Fitted, member: int) -> list[Record]:
    return [record for record in fitted.history if record.member == member]


def train_with_torch(
    network: nn.Sequential, recipe: Recipe, member: int, train: Partition, val: Partition
) -> tuple[nn.Sequential, list[tuple[float, float, float]]]:
    """The plain loop: DataLoader, zero_grad, loss, step. The network ends at its last epoch."""
    lr, momentum = float(recipe.lr[member]), float(recipe.momentum[member])
    optimizer: torch.optim.Optimizer = torch.optim.SGD(
        network.parameters(), lr=lr, momentum=momentum
    )
    if recipe.optimizer == "adamw":
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=lr, betas=(momentum, 0.999), weight_decay=0
        )
    loader = DataLoader(
        TensorDataset(train.features, train.target),
        batch_size=recipe.batch_size,
        shuffle=True,
        generator=torch.Generator().manual_seed(recipe.seed),
    )

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        outputs = network(x)
        return (
            F.cross_entropy(outputs, y) if y.dtype == torch.int64 else F.mse_loss(outputs[:, 0], y)
        )

    found = []
    for _ in range(recipe.epochs):
        running = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = loss_of(x, y)
            loss.backward()
            optimizer.step()
            running += loss.item() * len(y)
        with torch.no_grad():
            on_train, on_val = (loss_of(part.features, part.target) for part in (train, val))
            found.append((running / len(train), on_train.item(), on_val.item()))
    return network, found


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("count", [33, 40])
def test_fit_is_the_plain_torch_loop_for_every_member(make_recipe, task, optimizer, count):
    """With 33 rows in batches of 8 the last batch has a single row."""
    rates = VARIED["lr"] if optimizer == "sgd" else [0.01, 0.003, 0.001]
    recipe = make_recipe(
        3, 3, optimizer=optimizer, batch_size=8, epochs=6, **VARIED | {"lr": rates}
    )
    outputs = 3 if task == "classification" else 1
    train, val = (random_rows(task, rows, 5, outputs, rows) for rows in (count, 19))
    start = build([5, 8, 6, outputs], 3, "tanh")
    last: list[Stack] = []

    def observe(epoch: int, stack: Stack, members: list[int]) -> Tensor:
        last[:] = [stack.take(torch.arange(3))]
        return torch.empty(0)

    fitted = training.fit(task, start, recipe, train, val, observe)
    for member in range(3):
        network, expected = train_with_torch(start.member(member), recipe, member, train, val)
        found = of(fitted, member)[1:]
        ours = [(record.running_loss, record.train_loss, record.val_loss) for record in found]
        torch.testing.assert_close(torch.tensor(ours), torch.tensor(expected), rtol=1e-4, atol=0)
        pairs = zip(last[0].member(member).parameters(), network.parameters(), strict=True)
        for mine, theirs in pairs:
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def random_case(
    chance: random.Random,
) -> tuple[Task, list[int], list[dict[str, float]], dict[str, Any]]:
    """A shape and a recipe; widths of 1, lone last rows, early stops and divergence are common."""
    task: Task = chance.choice(["classification", "regression"])
    hidden = [chance.choice([1, 3, 7, 16, 32]) for _ in range(chance.randint(0, 3))]
    widths = [chance.choice([1, 2, 9, 33]), *hidden, 1 if task == "regression" else 3]
    members = [
        {
            "lr": chance.choice([0.01, 0.1, 1.0, 50.0]),
            "momentum": chance.choice([0.0, 0.9]),
            "weight_decay": chance.choice([0.0, 0.01]),
            "noise": chance.choice([0.0, 0.0, 0.3]),
            "mixup": chance.choice([0.0, 0.0, 1.0]),
            "class_balance": chance.choice([0.0, 0.0, 0.5, 1.0]),
            "dropout": chance.choice([0.0, 0.0, 0.5]),
        }
        for _ in range(chance.randint(2, 5))
    ]
    shared = {
        "optimizer": chance.choice(["sgd", "adamw"]),
        "decay_bias": chance.random() < 0.5,
        "batch_size": chance.choice([1, 4, 16]),
        "epochs": 4,
        "patience": chance.choice([1, 2, 9]),
        "seed": chance.randrange(1000),
    }
    return task, widths, members, shared


CASES = [
    *(("relu", seed) for seed in range(16)),
    *((name, seed) for name in sorted(set(MODULES) - {"relu"}) for seed in range(7)),
]


@pytest.mark.parametrize(("activation", "seed"), CASES)
def test_a_members_bytes_are_the_same_alone_in_any_part_and_in_the_whole_stack(activation, seed):
    chance = random.Random(f"{activation} {seed}")
    task, widths, members, shared = random_case(chance)
    size, layers = shared["batch_size"], len(widths) - 1
    train = random_rows(task, chance.choice([2 * size + 1, 37]), widths[0], widths[-1], seed)
    val = random_rows(task, chance.choice([1, 20]), widths[0], widths[-1], seed + 1)
    stack = build(widths, len(members), activation)
    frozen = [[chance.random() < 0.15 for _ in range(layers)] for _ in members]

    def fit(chosen: list[int]) -> Fitted:
        recipe = Recipe.of(
            [members[i] for i in chosen], layers, shared, [frozen[i] for i in chosen]
        )
        return training.fit(task, stack.take(torch.tensor(chosen)), recipe, train, val)

    whole = fit(list(range(len(members))))
    part = chance.sample(range(len(members)), len(members) - 1)
    for chosen in [part, *([member] for member in range(len(members)))]:
        fitted = fit(chosen)
        for place, member in enumerate(chosen):
            assert story(fitted, place) == story(whole, member)


@pytest.mark.parametrize("widths", [[64, 64, 10], [64, 128, 64, 10], [64, 10]])
@pytest.mark.parametrize("size", [4, 28])
def test_a_last_batch_of_one_row_is_summed_in_the_same_order_in_any_stack(
    make_recipe, widths, size
):
    """A product of such wide layers chooses its order of sums by the strides that it is given."""
    train, val = (random_rows("classification", rows, 64, 10, rows) for rows in (2 * size + 1, 20))
    rates = [0.01, 0.02, 0.03, 0.05]
    layers = len(widths) - 1
    recipe = make_recipe(4, layers, lr=rates, batch_size=size, epochs=2)
    stack = build(widths, 4)
    whole = training.fit("classification", stack, recipe, train, val)
    for member in range(4):
        index = torch.tensor([member])
        alone = training.fit("classification", stack.take(index), recipe.take(index), train, val)
        assert story(alone, 0) == story(whole, member)


def test_those_stacks_stop_early_diverge_and_go_on(make_recipe, blobs):
    """The mixture that the test above relies on: in one stack, each with its own end."""
    recipe = make_recipe(4, 2, lr=[0.01, 1e4, 0.0, 0.01], epochs=6, patience=2, noise=0.1)
    stack, train, val = build([6, 8, 3], 4), blobs(40), blobs(20, seed=1)
    whole = training.fit("classification", stack, recipe, train, val)
    assert [of(whole, member)[-1].epoch for member in range(4)] == [6, 1, 2, 6]
    assert whole.diverged == [False, True, False, False]
    for member in range(4):
        index = torch.tensor([member])
        alone = training.fit("classification", stack.take(index), recipe.take(index), train, val)
        assert story(alone, 0) == story(whole, member)


def test_two_runs_give_the_same_bytes_and_other_seeds_other_ones(make_recipe, blobs):
    settings = {"dropout": 0.3, "noise": 0.2, "mixup": 0.5}
    stack, train, val = build([6, 8, 3], 2), blobs(40), blobs(20, seed=1)

    def fit(**changes: Any) -> Fitted:
        recipe = make_recipe(2, 2, **settings | changes)
        return training.fit("classification", stack, recipe, train, val)

    first = fit()
    torch.manual_seed(5)
    assert story(fit(), 0) == story(first, 0)
    assert weights(fit(seed=1).stack, 0) != weights(first.stack, 0)
    for setting in settings:
        assert weights(fit(**{setting: 0.0}).stack, 0) != weights(first.stack, 0), setting


def test_the_given_stack_rows_and_random_state_are_not_changed(make_recipe, blobs):
    stack, train, val = build([6, 8, 3], 2), blobs(40), blobs(20, seed=1)
    before = [weights(stack, member) for member in range(2)]
    rows = train.features.clone(), train.target.clone()
    state = torch.random.get_rng_state()
    fitted = training.fit(
        "classification", stack, make_recipe(2, 2, noise=1.0, mixup=1.0), train, val
    )
    assert [weights(stack, member) for member in range(2)] == before
    assert weights(fitted.stack, 0) != before[0]
    assert torch.equal(train.features, rows[0])
    assert torch.equal(train.target, rows[1])
    assert torch.equal(torch.random.get_rng_state(), state)


def test_each_member_is_returned_at_its_lowest_validation_loss(make_recipe, blobs):
    """Few noisy rows and large rates: validation loss rises again for some members."""
    train, val = blobs(20, spread=3.0), blobs(60, seed=1, spread=3.0)
    recipe = make_recipe(4, 2, lr=[0.3, 0.1, 0.03, 0.001], epochs=12)
    kept: dict[tuple[int, int], list[bytes]] = {}

    def observe(epoch: int, stack: Stack, members: list[int]) -> Tensor:
        for place, member in enumerate(members):
            kept[epoch, member] = weights(stack, place)
        return torch.empty(0)

    stack = build([6, 16, 3], 4)
    fitted = training.fit("classification", stack, recipe, train, val, observe)
    epochs = set()
    for member in range(4):
        best = min(of(fitted, member), key=lambda record: record.val_loss)
        assert fitted.best[member] == best
        assert weights(fitted.stack, member) == kept[best.epoch, member]
        epochs.add(best.epoch)
    assert len(epochs) > 1
    assert min(epochs) < 12
    losses = measurement.measure("classification", fitted.stack, val)[0].tolist()
    assert losses == [record.val_loss for record in fitted.best]


def test_a_member_that_never_improves_is_returned_as_it_came(make_recipe, blobs):
    """Epoch 0 counts: fine-tuning must not return something worse than what it was given."""
    good = training.fit(
        "classification", build([6, 8, 3], 1), make_recipe(1, 2, epochs=30), blobs(90), blobs(60)
    ).stack
    wrong = blobs(30)
    wrong = Partition(wrong.features, (wrong.target + 1) % 3, wrong.row)
    fitted = training.fit(
        "classification", good, make_recipe(1, 2, lr=0.1), wrong, blobs(30, seed=1)
    )
    assert fitted.best[0].epoch == 0
    assert weights(fitted.stack, 0) == weights(good, 0)
    assert fitted.history[0].running_loss == fitted.history[0].train_loss


@pytest.mark.parametrize("patience", [1, 2, 4])
def test_a_member_stops_after_patience_epochs_without_a_lower_loss(make_recipe, blobs, patience):
    train, val = blobs(20, spread=3.0), blobs(60, seed=1, spread=3.0)
    recipe = make_recipe(3, 2, lr=[0.1, 0.03, 0.0], epochs=60, patience=patience)
    fitted = training.fit("classification", build([6, 16, 3], 3), recipe, train, val)
    assert fitted.best[2].epoch == 0
    for member in range(3):
        history = of(fitted, member)
        assert [record.epoch for record in history] == list(range(len(history)))
        assert history[-1].epoch == fitted.best[member].epoch + patience < 60
        assert not fitted.diverged[member]


def test_observers_see_epoch_0_and_the_members_still_training(make_recipe, blobs):
    recipe = make_recipe(3, 2, lr=[0.01, 0.0, 0.01], epochs=4, patience=2)
    seen = []

    def observe(epoch: int, stack: Stack, members: list[int]) -> Tensor:
        assert len(stack) == len(members)
        seen.append((epoch, members))
        return torch.tensor(members) + 10 * epoch

    fitted = training.fit(
        "classification", build([6, 8, 3], 3), recipe, blobs(40), blobs(20, seed=1), observe
    )
    everyone = [0, 1, 2]
    assert seen == [(0, everyone), (1, everyone), (2, everyone), (3, [0, 2]), (4, [0, 2])]
    returned = [found.tolist() for found in fitted.observed]
    assert returned == [[member + 10 * epoch for member in members] for epoch, members in seen]


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("lr", [3e2, 1e30])
def test_a_member_that_diverges_is_flagged_and_keeps_finite_weights(make_recipe, task, lr):
    outputs = 3 if task == "classification" else 1
    train, val = (random_rows(task, 40, 5, outputs, seed) for seed in (0, 1))
    recipe = make_recipe(2, 2, lr=[lr, 0.01], epochs=6)
    fitted = training.fit(task, build([5, 8, outputs], 2), recipe, train, val)
    assert fitted.diverged == [True, False]
    assert of(fitted, 0)[-1].epoch < 6
    assert of(fitted, 1)[-1].epoch == 6
    assert all(parameter.isfinite().all() for parameter in fitted.stack.parameters())
    for record in fitted.best:
        assert math.isfinite(record.val_loss)
    assert fitted.best[0].val_loss <= of(fitted, 0)[0].val_loss


def test_a_rising_loss_is_divergence_only_above_ten_times_the_first(
    make_recipe, blobs, monkeypatch
):
    def fit(factor: float) -> Fitted:
        def measure(task: Task, stack: Stack, part: Partition) -> tuple[Tensor, Tensor]:
            calls.append(1)  # twice per epoch: training rows, validation rows
            loss = 1.0 if len(calls) <= 2 else factor
            return torch.tensor([loss], dtype=torch.float64), torch.zeros(1)

        calls: list[int] = []
        monkeypatch.setattr(measurement, "measure", measure)
        recipe = make_recipe(1, 2, epochs=3)
        return training.fit("classification", build([6, 8, 3], 1), recipe, blobs(9), blobs(9))

    assert fit(9.9).diverged == [False]
    assert fit(10.1).diverged == [True]
    assert fit(math.inf).diverged == [True]
    assert fit(math.nan).diverged == [True]


def test_a_bad_start_that_gets_no_worse_has_not_diverged(make_recipe, blobs):
    stack = build([6, 8, 3], 1)
    for layer in stack.layers:
        layer.weight.mul_(20)
    fitted = training.fit(
        "classification", stack, make_recipe(1, 2, lr=1e-6, epochs=2), blobs(30), blobs(30)
    )
    assert fitted.history[-1].train_loss > training.DIVERGED
    assert fitted.diverged == [False]


def test_a_good_start_that_forgets_a_little_has_not_diverged(make_recipe, blobs):
    """A base model may fit the second table's rows almost perfectly before fine-tuning."""
    train, val = blobs(60, spread=0.5), blobs(30, seed=1, spread=0.5)
    recipe = make_recipe(1, 2, lr=0.1, epochs=60)
    good = training.fit("classification", build([6, 8, 3], 1), recipe, train, val).stack
    recipe = make_recipe(1, 2, lr=0.03, mixup=1.0, epochs=20)
    fitted = training.fit("classification", good, recipe, train, val)
    assert fitted.history[0].train_loss < 1e-4
    assert 1e-2 < max(record.train_loss for record in fitted.history) < math.log(3)
    assert fitted.diverged == [False]


def test_a_starting_loss_that_is_not_finite_is_divergence(make_recipe, blobs):
    stack, rows = build([6, 8, 3], 2), blobs(20)
    with torch.no_grad():
        stack.layers[0].weight[1] = math.nan
    fitted = training.fit("classification", stack, make_recipe(2, 2), rows, rows)
    assert fitted.diverged == [False, True]
    assert of(fitted, 1)[-1].epoch == 1


def test_a_thrifty_training_has_the_same_weights_and_validation_figures(make_recipe, blobs):
    train, val = blobs(30, spread=3.0), blobs(60, seed=1, spread=3.0)
    recipe = make_recipe(3, 2, lr=[0.3, 0.03, 0.0], epochs=6, patience=2, noise=0.2)
    given = build([6, 16, 3], 3), recipe, train, val
    thorough = training.fit("classification", *given)
    run = training.Run("classification", *given, thorough=False)
    while run.goes_on():
        run.advance()
    for member in range(3):
        assert weights(run.fitted.stack, member) == weights(thorough.stack, member)
    for thrifty, full in zip(run.fitted.history, thorough.history, strict=True):
        running = full.running_loss if full.epoch else pytest.approx(math.nan, nan_ok=True)
        assert thrifty.train_loss == running
        assert thrifty.running_loss == running
        assert math.isnan(thrifty.train_score)
        assert (thrifty.epoch, thrifty.member) == (full.epoch, full.member)
        assert (thrifty.val_loss, thrifty.val_score) == (full.val_loss, full.val_score)


@pytest.mark.parametrize("thorough", [True, False])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_members_of_several_trainings_go_on_together_as_they_would_alone(
    make_recipe, blobs, optimizer, thorough
):
    """Each draws from other streams, so one training has moved some that another has not."""
    train, val = blobs(24, spread=3.0), blobs(60, seed=1, spread=3.0)
    settings: dict[str, list[float]] = {
        "lr": [0.05, 0.02, 0.1, 1e6, 0.03, 0.01],
        "momentum": [0.9, 0.0, 0.5, 0.9, 0.8, 0.9],
        "dropout": [0.0, 0.3, 0.0, 0.0, 0.0, 0.5],
        "noise": [0.0, 0.0, 0.5, 0.0, 0.1, 0.0],
        "mixup": [0.0, 0.0, 0.0, 0.0, 0.5, 1.0],
    }
    stack = build([6, 16, 3], 6)

    def begin(members: list[int], saved: Any = None) -> training.Run:
        chosen = {name: [values[at] for at in members] for name, values in settings.items()}
        recipe = make_recipe(len(members), 2, optimizer=optimizer, epochs=9, **chosen)
        given = stack.take(torch.tensor(members)), recipe, train, val
        return training.Run("classification", *given, thorough=thorough, saved=saved)

    def to(run: training.Run, epoch: int) -> training.Run:
        while run.epoch < epoch and run.goes_on():
            run.advance()
        return run

    whole = to(begin(list(range(6))), 9)
    parts = {members: to(begin(list(members)), 4).state() for members in ((0, 3), (1, 2), (4, 5))}
    assert parts[0, 3]["active"].tolist() == [0], "one has diverged"
    for members in ([0, 1, 2, 4, 5], [5, 0], [4, 2, 1], [0]):
        sources = [
            (state, given.index(member))
            for member in members
            for given, state in parts.items()
            if member in given
        ]
        begun = begin(members)
        joined = to(begin(members, training.gathered(begun.recipe, sources)), 9)
        for place, member in enumerate(members):
            found, expected = (
                (weights(run.fitted.stack, at), repr(replace(run.fitted.best[at], member=0)))
                for run, at in ((joined, place), (whole, member))
            )
            assert found == expected, (members, member)
            assert joined.fitted.best[place].member == place


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_frozen_layers_keep_every_byte_while_others_move(make_recipe, blobs, optimizer):
    frozen = [[True, True, False], [False, True, False], [False, False, False]]
    settings = {"optimizer": optimizer, "weight_decay": 0.1, "decay_bias": True, "lr": 0.01}
    stack = build([6, 8, 5, 3], 3)
    with torch.no_grad():
        stack.layers[1].weight[:, 0] = -0.0
        stack.layers[1].bias[:] = -0.0
    recipe = make_recipe(3, 3, frozen, dropout=0.2, **settings)
    fitted = training.fit("classification", stack, recipe, blobs(60), blobs(30, seed=1))
    for member in range(3):
        assert fitted.best[member].epoch > 0
        pairs = zip(weights(fitted.stack, member), weights(stack, member), strict=True)
        same = [ours == theirs for ours, theirs in pairs]
        assert same == [still for still in frozen[member] for _ in ("weight", "bias")]


def test_frozen_layers_are_in_evaluation_mode(make_recipe, blobs):
    """With the only hidden layer frozen, dropout of 0.9 changes nothing at all."""
    stack, train, val = build([6, 8, 3], 1), blobs(40), blobs(20, seed=1)
    stories = [
        story(
            training.fit(
                "classification", stack, make_recipe(1, 2, frozen, dropout=rate), train, val
            ),
            0,
        )
        for frozen in ([[True, False]], None)
        for rate in (0.0, 0.9)
    ]
    assert stories[0] == stories[1]
    assert stories[2] != stories[3]


def test_the_running_loss_weighs_rows_and_not_batches(make_recipe, blobs):
    """101 rows in batches of 50: the lone last row counts for 1 %, not for a third."""
    rows = blobs(101, spread=2.0)
    stack = build([6, 8, 3], 2)
    recipe = make_recipe(2, 2, lr=0.0, batch_size=50, epochs=2)
    fitted = training.fit("classification", stack, recipe, rows, rows)
    expected = [
        F.cross_entropy(stack.member(member)(rows.features), rows.target).item()
        for member in range(2)
    ]
    for record in fitted.history:
        assert record.running_loss == pytest.approx(expected[record.member], rel=1e-6)


def test_dropout_and_noise_are_in_the_running_loss_and_not_in_the_measured_ones(make_recipe, blobs):
    rows, stack = blobs(120), build([6, 8, 3], 2)
    recipe = make_recipe(2, 2, lr=0.0, dropout=[0.0, 0.7], epochs=1)
    fitted = training.fit("classification", stack, recipe, rows, rows)
    plain, dropped = fitted.history[2:]
    assert plain.running_loss == pytest.approx(plain.train_loss, rel=1e-6)
    assert dropped.running_loss > 1.05 * dropped.train_loss
    assert dropped.train_loss == dropped.val_loss == fitted.history[1].train_loss


def uneven(part: Partition) -> Partition:
    """Return the rows without five in six of those of class 2."""
    rare = part.target == 2
    return part.take((~rare | (part.row % 18 == 2)).nonzero()[:, 0])


def even_weights(part: Partition) -> Tensor:
    """Return the weight of each class with which all three count alike."""
    return torch.tensor([len(part) / (3 * int((part.target == c).sum())) for c in range(3)])


@pytest.mark.parametrize("mixup", [0.0, 1.0])
def test_a_step_with_class_weights_is_a_torch_step_on_the_member_taken_out(
    make_recipe, blobs, mixup
):
    rows, stack, balance = uneven(blobs(60)), build([6, 8, 3], 3, "tanh"), [0.0, 0.5, 1.0]
    recipe = make_recipe(
        3, 2, batch_size=len(rows), epochs=1, lr=0.1, class_balance=balance, mixup=mixup
    )
    networks = [stack.member(member) for member in range(3)]
    order = torch.Generator().manual_seed(0)
    x, y, _ = vars(rows.take(batches.shuffled(len(rows), order))).values()
    mixing = Augmentation(recipe).mixing(len(y))
    partner, share = mixing or (torch.arange(len(y)), torch.zeros(3, len(y)))
    order.manual_seed(0)
    training.run_epoch(
        "classification", stack, OPTIMIZERS["sgd"](stack, recipe), Augmentation(recipe), rows, order
    )
    for member, network in enumerate(networks):
        weight = 1 + balance[member] * (even_weights(rows) - 1)
        own, other = 1 - share[member], share[member]
        outputs = network(x * own[:, None] + x[partner] * other[:, None])
        loss = sum(
            part * F.cross_entropy(outputs, classes, weight, reduction="none")
            for part, classes in ((own, y), (other, y[partner]))
        )
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        loss.mean().backward()  # type: ignore[union-attr]
        optimizer.step()
        for mine, theirs in zip(
            stack.member(member).parameters(), network.parameters(), strict=True
        ):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("mixup", [0.0, 1.0])
def test_a_member_without_class_balance_has_the_bytes_of_a_training_without_weights(
    make_recipe, blobs, mixup, monkeypatch
):
    train, val, stack = uneven(blobs(60)), blobs(30, seed=1), build([6, 8, 3], 3)
    recipe = make_recipe(3, 2, class_balance=[0.0, 1.0, 0.0], noise=0.1, mixup=mixup)
    together = training.fit("classification", stack, recipe, train, val)

    def fit(member: int) -> Fitted:
        index = torch.tensor([member])
        return training.fit("classification", stack.take(index), recipe.take(index), train, val)

    alone = [fit(member) for member in range(3)]
    monkeypatch.setattr(objective, "class_weights", lambda *given: None)
    for member in (0, 2):
        plain = story(fit(member), 0)
        assert plain == story(alone[member], 0) == story(together, member)
    assert story(fit(1), 0) != story(alone[1], 0) == story(together, 1)


def test_class_weights_are_in_the_running_loss_and_not_in_the_measured_ones(make_recipe, blobs):
    rows, stack = uneven(blobs(120)), build([6, 8, 3], 1)
    recipe = make_recipe(1, 2, lr=0.0, class_balance=1.0, epochs=1)
    last = training.fit("classification", stack, recipe, rows, rows).history[-1]
    outputs = stack.member(0)(rows.features)
    plain = F.cross_entropy(outputs, rows.target).item()
    weighted = F.cross_entropy(outputs, rows.target, even_weights(rows)).item()
    assert (last.train_loss, last.val_loss) == pytest.approx((plain, plain), rel=1e-6)
    assert last.running_loss == pytest.approx(weighted, rel=1e-6)
    assert abs(weighted - plain) > 0.01


def test_class_balance_has_no_effect_on_a_regression(make_recipe):
    train, val = (random_rows("regression", 40, 5, 1, seed) for seed in (0, 1))
    stories = [
        story(training.fit("regression", build([5, 8, 1], 1), recipe, train, val), 0)
        for recipe in (make_recipe(1, 2, class_balance=balance) for balance in (0.0, 1.0))
    ]
    assert stories[0] == stories[1]


def test_records_name_epoch_member_losses_and_scores(make_recipe, blobs):
    train, val = blobs(60), blobs(30, seed=1)
    fitted = training.fit(
        "classification", build([6, 8, 3], 2), make_recipe(2, 2, epochs=3), train, val
    )
    assert [(record.epoch, record.member) for record in fitted.history] == [
        (epoch, member) for epoch in range(4) for member in range(2)
    ]
    best = fitted.best[1]
    on_train, on_val = (
        measurement.measure("classification", fitted.stack, part) for part in (train, val)
    )
    assert (best.train_loss, best.train_score) == tuple(figure[1].item() for figure in on_train)
    assert (best.val_loss, best.val_score) == tuple(figure[1].item() for figure in on_val)


def test_a_linear_network_learns(make_recipe, blobs):
    recipe = make_recipe(2, 1, epochs=15, dropout=0.5)
    fitted = training.fit("classification", build([6, 3], 2), recipe, blobs(90), blobs(60, seed=1))
    assert min(record.val_score for record in fitted.best) > 0.9


# Bugs that a training loop is likely to get, put into the engine one at a time. Each must
# be caught by a check that the engine itself passes.


def check_agreement(make_recipe: Callable[..., Recipe], rows: Partition) -> None:
    recipe = make_recipe(2, 2, lr=0.05, momentum=0.9, batch_size=16)
    stack, start = build([6, 8, 3], 2, "tanh"), build([6, 8, 3], 2, "tanh")
    optimizer, order = OPTIMIZERS["sgd"](stack, recipe), torch.Generator().manual_seed(0)
    for _ in range(recipe.epochs):
        training.run_epoch("classification", stack, optimizer, Augmentation(recipe), rows, order)
    for member in range(2):
        network, _ = train_with_torch(start.member(member), recipe, member, rows, rows)
        for ours, theirs in zip(
            stack.member(member).parameters(), network.parameters(), strict=True
        ):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def check_learning(make_recipe: Callable[..., Recipe], rows: Partition) -> None:
    fitted = training.fit("classification", build([6, 8, 3], 2), make_recipe(2, 2), rows, rows)
    for member in range(2):
        losses = [record.train_loss for record in of(fitted, member)]
        assert losses[-1] < 0.5 * losses[0]


def check_measuring(make_recipe: Callable[..., Recipe], rows: Partition) -> None:
    stack = build([6, 8, 3], 1)
    expected = F.cross_entropy(stack.member(0)(rows.features), rows.target).item()
    loss, _ = measurement.measure("classification", stack, rows)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def accumulate_gradients(patch: pytest.MonkeyPatch) -> None:
    step = Optimizer.step
    sums: dict[Optimizer, Tensor] = {}

    def bug(self: Optimizer) -> None:
        sums[self] = self.gradient + sums.get(self, 0.0)
        self.gradient.copy_(sums[self])
        step(self)

    patch.setattr(Optimizer, "step", bug)


def change_recipe(change: Callable[[Recipe], Recipe]) -> Callable[[pytest.MonkeyPatch], None]:
    def apply(patch: pytest.MonkeyPatch) -> None:
        start = Optimizer.__init__

        def bug(self: Optimizer, stack: Stack, recipe: Recipe) -> None:
            start(self, stack, change(recipe))

        patch.setattr(Optimizer, "__init__", bug)

    return apply


def softmax_before_the_loss(patch: pytest.MonkeyPatch) -> None:
    losses = objective.training_losses

    def bug(
        task: Task, outputs: Tensor, *others: tuple[Tensor, Tensor] | Tensor | None
    ) -> tuple[Tensor, Tensor]:
        return losses(task, outputs.softmax(dim=-1), *others)  # type: ignore[arg-type]

    patch.setattr(objective, "training_losses", bug)


def dropout_in_measure(patch: pytest.MonkeyPatch) -> None:
    forward = Stack.forward

    def bug(self: Stack, x: Tensor, masks: list[Tensor] | None = None) -> Tensor:
        widths = self.widths[1:-1]
        drawn = [F.dropout(torch.ones(len(self), len(x), width), 0.5) for width in widths]
        return forward(self, x, drawn if masks is None else masks)

    patch.setattr(Stack, "forward", bug)


def rows_in_file_order(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(batches, "shuffled", lambda rows, generator: torch.arange(rows))


BUGS = {
    "gradients accumulated over steps": (accumulate_gradients, check_agreement),
    "learning rate 0": (
        change_recipe(lambda recipe: replace(recipe, lr=recipe.lr * 0)),
        check_learning,
    ),
    "softmax before the loss": (softmax_before_the_loss, check_agreement),
    "dropout active in measure": (dropout_in_measure, check_measuring),
    "everything frozen": (
        change_recipe(lambda recipe: replace(recipe, frozen=torch.ones_like(recipe.frozen))),
        check_learning,
    ),
    "rows in file order": (rows_in_file_order, check_agreement),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_put_into_the_engine_is_caught(make_recipe, blobs, bug):
    put_in, check = BUGS[bug]
    rows = blobs(60)
    check(make_recipe, rows)
    with pytest.MonkeyPatch.context() as patch:
        put_in(patch)
        with pytest.raises(AssertionError):
            check(make_recipe, rows)
