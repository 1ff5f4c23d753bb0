"""The gate: it lets every sane network pass and stops for each bug that is put in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from stages.common import activations, gate, initialize, objective, parity, training
from stages.common.errors import UserError
from stages.common.network import Stack
from stages.common.optimizer import SGD, Optimizer
from stages.common.partition import Partition
from stages.common.schema import Numeric, Schema, Target

FAILED = (AssertionError, pytest.fail.Exception)
FEW = 300  # steps that are plenty for a sane network
ACTIVATIONS = [
    "relu",
    "leaky_relu",
    "sigmoid",
    "tanh",
    "gelu",
    "silu",
    "elu",
    "softplus",
    "identity",
]


def schema_of(classes, features=6) -> Schema:
    """Return the schema of plain numbers; no classes is a regression."""
    plain: Any = {"kind": "numeric", "shift": 0, "scale": 1, "low": None, "high": None, "fill": 0}
    columns: list[Any] = [
        Numeric(name=f"x{at}", position=at, indicator=False, **plain) for at in range(features)
    ]
    names = [f"c{at}" for at in range(classes)]
    return Schema(
        task="classification" if classes else "regression",
        missing="fill",
        scale="none",
        features=columns,
        dropped=[],
        target=Target(name="y", position=features, classes=names, counts=[1] * classes),
    )


def values(part: Partition) -> Partition:
    """Return a regression on the rows: a standardised, curved function of two features."""
    y = part.features[:, 0] / 2 + part.features[:, 1].sin()
    return replace(part, target=(y - y.mean()) / y.std())


@pytest.fixture
def rows(blobs):
    """Make rows of a number of classes; 0 is a regression."""
    return lambda classes, **other: (
        blobs(100, classes=classes or 3, **other)
        if classes
        else (values(blobs(100, classes=3, **other)))
    )


@pytest.fixture
def model(settings):
    """Make a model section from the real one."""
    return lambda **changes: settings.model.model_copy(update={"hidden": [8, 4]} | changes)


@pytest.fixture
def fails(rows, model, monkeypatch):
    """Run the gate for FEW steps and return its message; it has to fail."""
    monkeypatch.setattr(gate, "STEPS", FEW)

    def run(classes=3, part=None, **changes):
        part = rows(classes) if part is None else part
        with pytest.raises(UserError) as caught:
            gate.overfit(schema_of(classes), part, model(**changes), 0)
        return str(caught.value)

    return run


@pytest.mark.parametrize("init", ["default", "xavier", "kaiming", "uniform"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_and_init_passes(activation, init, rows, model):
    chosen = model(activation=activation, init=init)
    passed = gate.overfit(schema_of(3), rows(3), chosen, 0)
    assert passed.loss < gate.LOSS
    assert passed.score == 1
    assert 0 < passed.steps < gate.STEPS


@pytest.mark.parametrize("hidden", [[], [8, 4]])
@pytest.mark.parametrize("classes", [0, 2, 10])
def test_both_tasks_pass_with_and_without_hidden_layers(classes, hidden, rows, model):
    passed = gate.overfit(schema_of(classes), rows(classes), model(hidden=hidden), 0)
    assert passed.loss < gate.LOSS
    assert passed.score > 1 - gate.LOSS
    assert passed.steps < FEW


def test_one_row_is_learnt_by_heart(blobs, model):
    passed = gate.overfit(schema_of(3), blobs(1), model(), 0)
    assert (passed.score, passed.loss < gate.LOSS) == (1, True)


def test_narrow_layers_are_widened_so_that_capacity_is_no_cause(blobs, model):
    part, schema = blobs(100, classes=10), schema_of(10)
    widened = gate.overfit(schema, part, model(hidden=[1, 2]), 0)
    assert widened == gate.overfit(schema, part, model(hidden=[gate.WIDTH] * 2), 0)


def test_regularisers_are_off(rows, model):
    with_dropout = gate.overfit(schema_of(3), rows(3), model(dropout=0.9), 0)
    assert with_dropout == gate.overfit(schema_of(3), rows(3), model(dropout=0.0), 0)


def test_the_same_seed_gives_the_same_result_and_another_seed_another(rows, model):
    one, again, other = (gate.overfit(schema_of(3), rows(3), model(), seed) for seed in (1, 1, 2))
    assert one == again
    assert one.loss != other.loss


def test_the_message_says_rows_losses_steps_and_cause(monkeypatch, fails):
    monkeypatch.setattr(gate, "STEPS", 1)
    text = fails(10)
    assert text.startswith("train: cannot learn 2 rows by heart: loss 2.")
    assert "after 1 steps" in text
    assert "likely cause: " in text


@pytest.mark.parametrize("classes", [0, 3])
def test_an_update_that_does_nothing_is_found(classes, monkeypatch, fails):
    monkeypatch.setattr(Optimizer, "step", lambda self: None)
    assert "the weights do not move" in fails(classes)


def test_sgd_that_does_nothing_is_found(monkeypatch, fails):
    monkeypatch.setattr(SGD, "_move", lambda self: None)
    assert "cannot learn" in fails()


def accumulate(monkeypatch) -> None:
    """Never reset a gradient: each step uses the sum of all so far."""
    real = Optimizer.step

    def step(self):
        self.total = self.gradient + getattr(self, "total", 0.0)
        self.gradient.copy_(self.total)
        real(self)

    monkeypatch.setattr(Optimizer, "step", step)


@pytest.mark.parametrize("classes", [0, 2, 3, 10])
def test_gradients_that_are_never_reset_are_found(classes, monkeypatch, fails):
    # classes would be learnt by heart with summed gradients, too
    accumulate(monkeypatch)
    assert "are gradients reset at every step?" in fails(classes)


def test_updates_in_the_wrong_direction_are_found(monkeypatch, fails):
    real = Optimizer.step

    def step(self):
        self.lr = -self.lr.abs()
        real(self)

    monkeypatch.setattr(Optimizer, "step", step)
    assert "the updates go astray" in fails()


def test_the_stack_that_is_compared_with_torch_stays_as_it_is(make_recipe, blobs):
    def build() -> Stack:
        keys, scheme, bounds = [(0, 0)], ["default"], [(-0.1, 0.1)]
        return initialize.stack([6, 8, 3], "relu", keys, scheme, bounds, [0.01])

    stack = build()
    assert parity.doubt("classification", stack, make_recipe(1, 2, lr=0.1), blobs(9)) == ""
    for mine, before in zip(stack.parameters(), build().parameters(), strict=True):
        assert torch.equal(mine, before)


def test_the_derivative_of_another_activation_is_found(monkeypatch, fails):
    monkeypatch.setitem(activations.BACKWARD, "relu", lambda g, x, y: g)
    assert "has an activation another one's derivative?" in fails()


def test_gradients_that_are_a_little_wrong_are_found(monkeypatch, fails):
    real = activations.BACKWARD["relu"]
    monkeypatch.setitem(activations.BACKWARD, "relu", lambda g, x, y: 1.1 * real(g, x, y))
    assert "has an activation another one's derivative?" in fails()


@pytest.mark.parametrize("activation", ["tanh", "silu", "elu"])
def test_gradients_that_cancel_are_not_taken_for_wrong_ones(activation, make_recipe, blobs):
    """With tiny features and no biases all rows look alike: what is left is rounding."""
    rows = blobs(16, classes=2)
    rows = replace(rows, features=rows.features * 1e-6, target=torch.arange(16) % 2)
    keys, bounds = [(0, 0)], [(-0.1, 0.1)]
    stack = initialize.stack([6, 8, 8, 2], activation, keys, ["xavier"], bounds, [0.01])
    doubt = parity.doubt("classification", stack, make_recipe(1, 3, lr=0.1), rows)
    assert doubt != parity.WRONG


@pytest.mark.parametrize("classes", [2, 10])
def test_softmax_at_the_end_of_the_network_is_found(classes, monkeypatch, fails):
    real = Stack.run

    def run(self, x, masks=None):
        done = real(self, x, masks)
        done.computed[-1] = done.outputs.softmax(dim=-1)
        return done

    monkeypatch.setattr(Stack, "run", run)
    assert "is there a softmax before the loss?" in fails(classes)


def softmax_in_the_loss(monkeypatch) -> None:
    real = objective.losses
    monkeypatch.setattr(
        objective, "losses", lambda task, outputs, target: real(task, outputs.softmax(-1), target)
    )


@pytest.mark.parametrize("classes", [2, 10])
def test_softmax_in_the_loss_is_found(classes, monkeypatch, fails):
    softmax_in_the_loss(monkeypatch)
    assert "cannot learn" in fails(classes)


def test_softmax_in_the_loss_is_named(monkeypatch, fails):
    softmax_in_the_loss(monkeypatch)
    assert "softmax" in fails(10)


def shuffle_labels(monkeypatch) -> None:
    real, generator = training.step, torch.Generator().manual_seed(0)

    def step(task, stack, optimizer, augmentation, x, y):
        if not isinstance(optimizer, SGD):  # which compares the gradients of one batch
            y = y[torch.randperm(len(y), generator=generator)]
        return real(task, stack, optimizer, augmentation, x, y)

    monkeypatch.setattr(training, "step", step)


@pytest.mark.parametrize("classes", [0, 2, 10])
def test_labels_that_are_shuffled_at_every_step_are_found(classes, monkeypatch, fails):
    shuffle_labels(monkeypatch)
    monkeypatch.setattr(gate, "STEPS", 1000)
    assert "features and target do not belong together" in fails(classes)


def not_a_number(part: Partition) -> Partition:
    features = part.features.clone()
    features[:, 2] = torch.nan
    return replace(part, features=features)


@pytest.mark.parametrize("classes", [0, 3])
def test_features_that_are_not_numbers_are_found(classes, rows, fails):
    assert "outputs explode" in fails(classes, not_a_number(rows(classes)))


def test_unscaled_features_are_found(rows, fails):
    part = rows(3)
    unscaled = part.features.clone()
    unscaled[:, 0] = 1e6 + 1e5 * unscaled[:, 0]
    assert "features are not scaled" in fails(3, replace(part, features=unscaled))


@pytest.mark.parametrize("classes", [0, 3])
def test_exploding_features_are_found(classes, rows, fails):
    part = rows(classes)
    text = fails(classes, replace(part, features=part.features * 1e30))
    assert "outputs explode: set preprocess.scale" in text


@pytest.mark.parametrize("classes", [0, 3])
def test_outputs_beyond_float32_are_found_at_once(classes, rows, fails):
    part = rows(classes)
    huge = replace(part, features=part.features * 1e36)
    text = fails(classes, huge, init="uniform", init_low=-10.0, init_high=10.0)
    assert "outputs explode: set preprocess.scale" in text
    assert "after 10 steps" in text


@pytest.mark.parametrize(
    ("activation", "init", "remedy"),
    [
        ("sigmoid", "default", "set model.activation to relu and model.init to kaiming, or take"),
        ("sigmoid", "kaiming", "set model.activation to relu, or take"),
        ("relu", "default", "set model.init to kaiming, or take"),
    ],
)
def test_a_vanishing_gradient_is_named_with_its_activation(fails, activation, init, remedy):
    text = fails(10, hidden=[8] * 30, activation=activation, init=init)
    assert "the gradient vanishes" in text
    assert f"{activation}): {remedy} fewer layers" in text


def test_dead_units_are_not_put_down_to_the_data(fails):
    text = fails(10, init="uniform", init_low=-10.0, init_high=-9.0)
    assert "do not belong together" not in text


def test_a_batch_has_the_classes_in_turn_and_different_rows(blobs):
    part = blobs(50, classes=3)
    doubled = part.take(torch.arange(50).repeat_interleave(2))
    chosen = gate.batch(doubled)
    assert len(chosen) == gate.ROWS
    assert len(set(map(tuple, chosen.features.tolist()))) == gate.ROWS
    assert torch.bincount(chosen.target).tolist() == [6, 5, 5]


def test_a_batch_takes_a_rare_class_too(blobs):
    part = blobs(200, classes=2)
    rare = replace(part, target=(torch.arange(200) == 150).long())
    assert gate.batch(rare).target.sum() == 1


def test_a_batch_has_every_class_of_a_table_that_is_sorted_by_class():
    x = torch.arange(6000.0)[:, None]
    part = Partition(x, (torch.arange(6000) >= 5000).long(), torch.arange(6000))
    assert torch.bincount(gate.batch(part).target, minlength=2).tolist() == [8, 8]


def test_a_batch_has_both_ends_of_a_table_that_is_sorted_by_value():
    y = torch.linspace(-2, 2, 6000)
    chosen = gate.batch(Partition(y[:, None], y, torch.arange(6000))).target
    assert len(chosen) == gate.ROWS
    assert chosen.min() < -1.9
    assert chosen.max() > 1.9


def test_a_batch_is_smaller_when_there_are_fewer_rows(blobs):
    assert sorted(gate.batch(blobs(5)).row.tolist()) == [0, 1, 2, 3, 4]


def test_of_equal_rows_with_different_classes_the_first_is_taken(model):
    x = torch.ones(4, 6)
    x[3] = 2
    part = Partition(x, torch.tensor([1, 0, 2, 0]), torch.arange(4))
    assert sorted(gate.batch(part).row.tolist()) == [0, 3]
    assert gate.overfit(schema_of(3), part, model(), 0).score == 1


def test_rows_that_differ_by_the_sign_of_zero_are_the_same_row():
    x = torch.tensor([[0.0, 1.0], [-0.0, 1.0]])
    assert len(gate.batch(Partition(x, torch.tensor([0, 1]), torch.arange(2)))) == 1


def test_a_batch_of_values_spreads_over_the_target():
    generator = torch.Generator().manual_seed(0)
    y = torch.rand(1000, generator=generator).log().neg()  # many small values, few large ones
    part = Partition(torch.randn(1000, 6, generator=generator), y, torch.arange(1000))
    assert gate.batch(part).target.var() > 0.1 * y.var()


def test_a_target_with_many_small_values_does_not_pass_with_shuffled_labels(monkeypatch, fails):
    generator = torch.Generator().manual_seed(0)
    y = torch.rand(1000, generator=generator).log().neg() - 1
    part = Partition(torch.randn(1000, 6, generator=generator), y, torch.arange(1000))
    shuffle_labels(monkeypatch)
    fails(0, part)


def test_a_single_noisy_feature_is_no_bug(model):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(200, 1, generator=generator) * 3.4 - 1.7
    for seed in range(6):
        noise = torch.randn(200, generator=torch.Generator().manual_seed(seed))
        y = (x[:, 0] + 0.5 * noise) / 1.2
        part = Partition(x, y, torch.arange(200))
        assert gate.overfit(schema_of(0, 1), part, model(), 0).rows >= 2
