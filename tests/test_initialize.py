"""Starting weights: their bounds by scheme, and what they depend on."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stages.common import initialize
from stages.common.network import Stack


def build(widths: list[int], members: int = 1, **changes: Any) -> Stack:
    """Members with the keys (0, 0), (0, 1), ...; `changes` replace arguments for all of them."""
    activation = changes.pop("activation", "relu")
    keys = changes.pop("keys", [(0, member) for member in range(members)])
    scheme, bound = changes.pop("scheme", "default"), changes.pop("bound", (-0.1, 0.1))
    assert not changes
    count = len(keys)
    return initialize.stack(
        widths, activation, keys, [scheme] * count, [bound] * count, [0.01] * count
    )


def assert_uniform(values: Tensor, low: float, high: float) -> None:
    spread = high - low
    assert values.min() >= low - 1e-4 * spread
    assert values.max() <= high + 1e-4 * spread
    assert values.min() < low + 0.01 * spread
    assert values.max() > high - 0.01 * spread
    assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.02 * spread)
    assert values.std().item() == pytest.approx(spread / math.sqrt(12), rel=0.03)


def test_default_weights_of_64_to_128_reach_from_minus_to_plus_an_eighth():
    layer = build([64, 128]).layers[0]
    assert_uniform(layer.weight.detach(), -0.125, 0.125)
    assert layer.bias.abs().max() <= 0.125
    assert layer.bias.abs().max() > 0.12


@pytest.mark.parametrize("fan_in", [1, 9, 100, 400])
def test_default_bounds_are_those_of_torch_linear(fan_in):
    layer = build([fan_in, 2000]).layers[0]
    torch.manual_seed(0)
    reference = nn.Linear(fan_in, 2000)
    bound = 1 / math.sqrt(fan_in)
    for ours, theirs in ((layer.weight, reference.weight), (layer.bias, reference.bias)):
        assert ours.abs().max().item() == pytest.approx(bound, rel=0.01)
        assert theirs.abs().max().item() == pytest.approx(bound, rel=0.01)
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.05)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "identity", "leaky_relu"])
@pytest.mark.parametrize("scheme", ["xavier", "kaiming"])
def test_xavier_and_kaiming_have_the_bounds_of_torch_init_and_no_bias(scheme, activation):
    layer = build([100, 300], activation=activation, scheme=scheme).layers[0]
    gain = nn.init.calculate_gain({"identity": "linear"}.get(activation, activation), 0.01)
    fan = (100 + 300) / 2 if scheme == "xavier" else 100
    assert_uniform(layer.weight.detach(), *(sign * gain * math.sqrt(3 / fan) for sign in (-1, 1)))
    assert not layer.bias.any()


@pytest.mark.parametrize("slope", [0.01, 0.3, 0.8])
def test_kaiming_for_leaky_relu_takes_each_members_slope_into_account(slope):
    layer = initialize.stack(
        [100, 300], "leaky_relu", [(0, 0), (0, 0)], ["kaiming"] * 2, [(0, 1)] * 2, [0.5, slope]
    ).layers[0]
    bound = nn.init.calculate_gain("leaky_relu", slope) * math.sqrt(3 / 100)
    assert_uniform(layer.weight[1].detach(), -bound, bound)


def test_uniform_weights_lie_between_the_given_bounds_whatever_the_width():
    for widths in ([50, 200], [400, 30]):
        layer = build(widths, scheme="uniform", bound=(0.2, 0.7)).layers[0]
        assert_uniform(layer.weight.detach(), 0.2, 0.7)
        assert layer.bias.abs().max() <= 1 / math.sqrt(widths[0])


def test_kaiming_keeps_the_spread_of_activations_through_many_relu_layers():
    x = torch.randn(500, 128, generator=torch.Generator().manual_seed(0))
    for scheme, low, high in (("kaiming", 0.5, 2.0), ("default", 0.0, 0.15)):
        found = build([128] * 8, scheme=scheme).run(x).computed
        ratio = (found[-1].std() / found[0].std()).item()
        assert low <= ratio <= high, scheme


def test_uniform_weights_from_0_to_1_explode_where_default_ones_do_not():
    x = torch.randn(4000, 64, generator=torch.Generator().manual_seed(0))
    outputs = {
        scheme: (x @ build([64, 400], scheme=scheme, bound=(0.0, 1.0)).layers[0].weight[0])
        for scheme in ("default", "uniform")
    }
    variance = {scheme: output.var().item() for scheme, output in outputs.items()}
    assert variance["default"] == pytest.approx(1 / 3, rel=0.05)
    assert variance["uniform"] == pytest.approx(64 / 3, rel=0.1)


def test_a_members_weights_depend_on_its_key_alone():
    alone = build([5, 4, 3], keys=[(7, 2)])
    among = initialize.stack(
        [5, 4, 3],
        "relu",
        [(7, 0), (1, 2), (7, 2)],
        ["kaiming", "uniform", "default"],
        [(0, 1)] * 3,
        [0.1, 0.2, 0.3],
    )
    for ours, theirs in zip(alone.parameters(), among.parameters(), strict=True):
        assert torch.equal(ours[0], theirs[2])


def test_a_layers_weights_do_not_shift_when_other_layers_change():
    kept = build([6, 5, 4, 3]).layers
    for other in ([6, 5, 4, 9, 9], [6, 5, 4], [6, 5, 4, 3]):
        for activation in ("relu", "sigmoid"):
            found = build(other, activation=activation).layers
            assert torch.equal(found[0].weight, kept[0].weight)
            assert torch.equal(found[1].weight, kept[1].weight)
            assert torch.equal(found[1].bias, kept[1].bias)
    assert torch.equal(build([9, 9, 4, 3]).layers[2].weight, kept[2].weight)


def test_seeds_members_and_layers_all_draw_different_weights():
    layers = build([6, 6, 6], keys=[(0, 0), (0, 1), (1, 0), (1, 1)]).layers
    drawn = [weight for layer in layers for weight in layer.weight.detach()]
    assert len({tuple(weight.flatten().tolist()) for weight in drawn}) == 8
    assert torch.corrcoef(torch.stack([w.flatten() for w in drawn])).triu(1).abs().max() < 0.5


def test_torch_own_random_numbers_are_neither_used_nor_moved():
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = build([6, 5, 3], 2)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    for ours, theirs in zip(first.parameters(), build([6, 5, 3], 2).parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_weights_are_float32_contiguous_and_of_the_shapes_a_stack_needs():
    stack = build([6, 5, 3], 4, activation="leaky_relu")
    shapes = [(4, 6, 5), (4, 1, 5), (4, 5, 3), (4, 1, 3)]
    assert [tuple(p.shape) for p in stack.parameters()] == shapes
    assert all(p.dtype == torch.float32 and p.is_contiguous() for p in stack.parameters())
    assert stack.negative_slope.tolist() == pytest.approx([0.01] * 4)


def test_every_member_needs_a_scheme_and_bounds():
    with pytest.raises(ValueError, match="shorter"):
        initialize.stack([2, 2], "relu", [(0, 0), (0, 1)], ["default"], [(0, 1)] * 2, [0.1] * 2)


def test_an_unknown_scheme_is_refused_by_name():
    with pytest.raises(KeyError, match="orthogonal"):
        build([3, 2], scheme="orthogonal")
