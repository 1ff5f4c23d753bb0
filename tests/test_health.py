"""Health: saturated and dead units, gradient norms, spread, on weights chosen by hand."""

from __future__ import annotations

import math
from dataclasses import astuple, replace
from typing import get_args

import pytest
import torch
from torch.nn import functional as F

from stages.common import health, initialize
from stages.common.activations import MODULES
from stages.common.health import Health
from stages.common.network import Stack
from stages.common.partition import Partition
from stages.common.settings import Model

SLOPE = 0.05


def drawn(widths, activation, members=2, slope=SLOPE) -> Stack:
    keys = [(0, member) for member in range(members)]
    defaults = ["default"] * members, [(0.0, 1.0)] * members, [slope] * members
    return initialize.stack(widths, activation, keys, *defaults)


def one_unit(activation, weight, bias=0.0, slope=SLOPE) -> Stack:
    """Return a stack of one network 1-1-2 whose hidden unit computes weight * x + bias."""
    return Stack(
        [torch.full((1, 1, 1), weight), torch.ones(1, 1, 2)],
        [torch.full((1, 1, 1), bias), torch.zeros(1, 1, 2)],
        activation,
        torch.tensor([slope]),
    )


def column(values) -> Partition:
    x = torch.tensor(values)[:, None]
    return Partition(x, torch.arange(len(x)) % 2, torch.arange(len(x)))


def normal(rows, features, mean=0.0, deviation=1.0) -> Partition:
    """Return rows of Gaussian noise with two classes."""
    generator = torch.Generator().manual_seed(0)
    x = mean + deviation * torch.randn(rows, features, generator=generator)
    return Partition(x, torch.arange(rows) % 2, torch.arange(rows))


def examine_hidden(stack, part) -> Health:
    return health.examine("classification", stack, part)[0]


def test_relu_units_that_no_row_reaches_are_dead():
    part = column([-1.0, 0.0, 1.0])
    assert examine_hidden(one_unit("relu", 1.0, bias=-100.0), part).dead == 1
    assert examine_hidden(one_unit("relu", 1.0), part).dead == 0


def test_leaky_relu_has_no_dead_units_by_construction():
    part = column([-1.0, 0.0, 1.0])
    assert examine_hidden(one_unit("leaky_relu", 1.0, bias=-100.0), part).dead == 0


def test_dead_units_are_counted_per_layer_and_member():
    stack = drawn([3, 8, 4, 2], "relu", members=2)
    with torch.no_grad():
        stack.layers[0].bias[:] = 10.0
        stack.layers[0].bias[1, 0, :6] = -10.0
    part = normal(9, 3, mean=0.5, deviation=0.1)
    dead = {
        (each.layer, each.member): each.dead
        for each in health.examine("classification", stack, part)
    }
    assert dead[0, 1] == 6 / 8
    assert dead[0, 0] == 0
    assert dead[2, 0] == dead[2, 1] == 0


def test_a_sigmoid_unit_is_saturated_where_its_derivative_is_below_one_percent():
    # sigmoid'(4.5) = 0.0109, sigmoid'(4.7) = 0.0089
    part = column([0.0, 4.5, -4.5, 4.7, -4.7, 50.0, 0.0, 0.0])
    found = examine_hidden(one_unit("sigmoid", 1.0), part)
    assert found.saturated == 3 / 8
    assert found.dead == 0


def test_a_falling_activation_is_not_saturated():
    # gelu'(-1) = -0.083: negative, but not small
    assert examine_hidden(one_unit("gelu", 1.0), column([-1.0, -1.0])).saturated == 0
    assert examine_hidden(one_unit("gelu", 1.0), column([-1.0, -9.0])).saturated == 0.5


def test_large_weights_saturate_sigmoid_layers():
    part = normal(64, 5)
    small, large = drawn([5, 16, 2], "sigmoid"), drawn([5, 16, 2], "sigmoid")
    with torch.no_grad():
        large.layers[0].weight.mul_(100)
    assert examine_hidden(small, part).saturated == 0
    assert examine_hidden(large, part).saturated > 0.7


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "sigmoid", "gelu"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_gradient_norms_are_those_of_autograd_on_the_member_taken_out(task, activation, blobs):
    part = blobs(40)
    if task == "regression":
        part = replace(part, target=part.features[:, 0].clone())
    stack = drawn([6, 8, 4, 3 if task == "classification" else 1], activation, members=3)
    found = {(each.layer, each.member): each for each in health.examine(task, stack, part)}
    for member in range(3):
        network = stack.member(member)
        output = network(part.features)
        if task == "regression":
            loss = F.mse_loss(output[:, 0], part.target)
        else:
            loss = F.cross_entropy(output, part.target)
        linears = [module for module in network if isinstance(module, torch.nn.Linear)]
        gradients = torch.autograd.grad(loss, [linear.weight for linear in linears])
        for layer, gradient in enumerate(gradients):
            expected = gradient.norm().item()
            assert found[layer, member].gradient == pytest.approx(expected, rel=1e-4)


def test_spread_and_weight_statistics_are_those_of_the_member_taken_out(blobs):
    part, stack = blobs(50), drawn([6, 8, 3], "tanh", members=2)
    found = {
        (each.layer, each.member): each for each in health.examine("classification", stack, part)
    }
    for member in range(2):
        first, activation, last = (
            module for module in stack.member(member) if not isinstance(module, torch.nn.Dropout)
        )
        before = first(part.features)
        for layer, computed in ((0, before), (1, last(activation(before)))):
            weight = stack.layers[layer].weight.detach()[member]
            each = found[layer, member]
            assert each.spread == pytest.approx(computed.std(correction=0).item(), rel=1e-4)
            assert each.weight_low == weight.min().item()
            assert each.weight_high == weight.max().item()
            deviation = weight.std(correction=0).item()
            assert each.weight_deviation == pytest.approx(deviation, rel=1e-5)


def test_default_starting_weights_of_64_inputs_stay_within_an_eighth():
    part = normal(4, 64)
    found = examine_hidden(drawn([64, 128, 2], "relu", members=1), part)
    assert found.weight_low == pytest.approx(-0.125, abs=1e-3)
    assert found.weight_high == pytest.approx(0.125, abs=1e-3)
    assert -0.125 <= found.weight_low < found.weight_high <= 0.125


def test_weights_between_0_and_1_spread_far_more_than_default_ones():
    # E x^2 * 64 * E w^2: 64/3 against 1/3 for 64 standardised inputs
    part = normal(256, 64)
    default = drawn([64, 256, 2], "relu", members=1)
    keys, scheme, bounds = [(0, 0)], ["uniform"], [(0.0, 1.0)]
    positive = initialize.stack([64, 256, 2], "relu", keys, scheme, bounds, [SLOPE])
    small, large = examine_hidden(default, part).spread, examine_hidden(positive, part).spread
    assert (large / small) ** 2 == pytest.approx(64, rel=0.2)


def test_the_gradient_of_a_deep_sigmoid_network_vanishes_and_that_of_relu_does_not(blobs):
    part, widths = blobs(60), [6, *[16] * 6, 3]
    ratio = {
        activation: health.first_to_last(
            health.examine("classification", drawn(widths, activation, members=3), part)
        )
        for activation in ("sigmoid", "relu", "leaky_relu")
    }
    assert ratio["sigmoid"] < health.VANISHING
    assert ratio["relu"] > 1000 * ratio["sigmoid"]
    assert ratio["leaky_relu"] > 1000 * ratio["sigmoid"]


@pytest.mark.parametrize("init", get_args(Model.model_fields["init"].annotation))
@pytest.mark.parametrize("activation", sorted(MODULES))
def test_the_remedy_for_a_gradient_that_vanishes_is_not_what_is_set_already(activation, init):
    said = health.vanishing(0.01, activation, init)
    assert said.startswith(f"the gradient vanishes (first to last layer 1.0e-02, {activation}): ")
    assert said.endswith("take fewer layers")
    assert ("model.activation to relu" in said) == (activation in ("sigmoid", "softplus"))
    assert ("model.init to kaiming" in said) == (init in ("default", "uniform"))
    for ratio in (health.VANISHING, 1.0, math.nan):
        assert not health.vanishing(ratio, activation, init)


@pytest.mark.parametrize("activation", sorted(MODULES))
def test_the_remedy_for_a_gradient_that_vanishes_helps(activation, blobs):
    """From PyTorch's starting weights it vanishes in each deep narrow network."""
    part, widths = blobs(60), [6, *[8] * 12, 3]
    keys, bounds, slopes = [(0, member) for member in range(9)], [(0.0, 1.0)] * 9, [SLOPE] * 9

    def ratio(activation: str, init: str) -> float:
        stack = initialize.stack(widths, activation, keys, [init] * 9, bounds, slopes)
        return health.first_to_last(health.examine("classification", stack, part))

    before = ratio(activation, "default")
    assert "set " in health.vanishing(before, activation, "default")
    remedied = "relu" if activation in health.FLAT else activation
    assert not health.vanishing(ratio(remedied, "kaiming"), remedied, "kaiming")


def test_a_linear_model_has_the_ratio_one_and_no_saturated_or_dead_units(blobs):
    found = health.examine("classification", drawn([6, 3], "relu"), blobs(30))
    assert [(each.layer, each.saturated, each.dead) for each in found] == [(0, 0, 0)] * 2
    assert health.first_to_last(found) == 1


def test_a_member_is_as_healthy_alone_as_beside_others(blobs):
    part, stack = blobs(30), drawn([6, 8, 3], "sigmoid", members=3)
    together = [each for each in health.examine("classification", stack, part) if each.member == 2]
    alone = health.examine("classification", stack.take(torch.tensor([2])), part)
    assert [each.layer for each in alone] == [each.layer for each in together] == [0, 1]
    for mine, theirs in zip(alone, together, strict=True):
        assert astuple(replace(mine, member=2)) == pytest.approx(astuple(theirs), rel=1e-12)


def test_the_probe_is_spread_evenly_over_the_rows(blobs):
    part, stack = blobs(3 * health.PROBE_ROWS), drawn([6, 8, 3], "relu")
    probe = part.take(torch.arange(0, 3 * health.PROBE_ROWS, 3))
    whole = health.examine("classification", stack, part)
    assert whole == health.examine("classification", stack, probe)
    fewer = part.take(torch.arange(health.PROBE_ROWS - 1))
    assert whole != health.examine("classification", stack, fewer)


def test_the_probe_has_every_class_of_a_table_that_is_sorted_by_class():
    # the two classes are told apart by a feature that all rows of a class share
    target = (torch.arange(2000) >= 1000).long()
    part = Partition(target[:, None].float(), target, torch.arange(2000))
    assert examine_hidden(one_unit("identity", 1.0), part).spread > 0.4


def test_an_examination_changes_neither_weights_nor_gradients_nor_random_numbers(blobs):
    stack = drawn([6, 8, 3], "relu")
    before, state = stack.take(torch.arange(2)), torch.get_rng_state()
    health.examine("classification", stack, blobs(30))
    assert torch.equal(torch.get_rng_state(), state)
    for mine, theirs in zip(stack.parameters(), before.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        assert mine.grad is None


def measured(*gradients) -> list[Health]:
    """Return first- and last-layer health of members with these (first, last) gradients."""
    return [
        Health(layer, member, 0, 0, pair[layer], 0, 0, 0, 0)
        for layer in (0, 1)
        for member, pair in enumerate(gradients)
    ]


def test_the_ratio_is_the_median_over_members():
    assert health.first_to_last(measured((1, 10), (6, 2), (1, 2))) == 0.5


def test_the_median_of_two_members_lies_between_them():
    assert health.first_to_last(measured((1, 10), (3, 10))) == pytest.approx(0.2)


def test_members_without_a_gradient_in_the_last_layer_do_not_count():
    assert health.first_to_last(measured((1, 0), (1, 4))) == 0.25
    assert math.isnan(health.first_to_last(measured((0, 0))))
