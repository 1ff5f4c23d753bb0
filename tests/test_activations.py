"""Activations and their derivatives: closed forms, torch's modules, the same bytes in any stack."""

from __future__ import annotations

import math
import typing
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from stages.common import activations
from stages.common.activations import BACKWARD, FORWARD, MODULES
from stages.common.settings import Activation

NAMES = sorted(MODULES)


def numbers(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def same_bytes(one: Tensor, other: Tensor) -> bool:
    return one.numpy().tobytes() == other.numpy().tobytes()


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_every_activation_of_the_settings_can_be_computed_and_taken_out():
    allowed = set(typing.get_args(Activation))
    assert allowed == set(MODULES) == set(FORWARD) | {"leaky_relu"}
    assert set(BACKWARD) == set(FORWARD)


DERIVATIVES: dict[str, Callable[[float], float]] = {
    "relu": lambda x: float(x > 0),
    "leaky_relu": lambda x: 1.0 if x > 0 else 0.05,
    "sigmoid": lambda x: sigmoid(x) * (1 - sigmoid(x)),
    "tanh": lambda x: 1 - math.tanh(x) ** 2,
    "gelu": lambda x: (
        (1 + math.erf(x / math.sqrt(2))) / 2 + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    ),
    "silu": lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    "elu": lambda x: 1.0 if x > 0 else math.exp(x),
    "softplus": sigmoid,
    "identity": lambda x: 1.0,
}


@pytest.mark.parametrize("x", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("name", NAMES)
def test_activation_derivatives_have_their_closed_form(name, x):
    at, slopes = torch.full((1, 1, 1), x), torch.tensor([0.05])
    behind = activations.forward(name, slopes, at)
    slope = activations.backward(name, slopes, torch.ones(1, 1, 1), at, behind)
    assert slope.item() == pytest.approx(DERIVATIVES[name](x), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_activations_agree_with_torch_modules(name):
    x = torch.linspace(-6, 6, 101)
    module = MODULES[name](**({"negative_slope": 0.05} if name == "leaky_relu" else {}))
    ours = activations.forward(name, torch.full((2,), 0.05), x.expand(2, 1, 101))
    torch.testing.assert_close(ours[1, 0], module(x))


@pytest.mark.parametrize("width", [1, 2, 7, 16, 33])
def test_leaky_gradients_of_negative_inputs_are_the_members_own_slope(width):
    x, slopes = -numbers(2, 5, width).abs() - 0.1, torch.tensor([0.01, 0.3])
    behind = activations.forward("leaky_relu", slopes, x)
    slope = activations.backward("leaky_relu", slopes, torch.ones_like(x), x, behind)
    assert torch.equal(slope, slopes[:, None, None].expand_as(x))


@pytest.mark.parametrize("name", NAMES)
def test_activations_have_the_same_bytes_alone_and_in_any_stack(name):
    """Vectorised and scalar code of exp and its kin differ in the last bit, and the last few
    numbers of a tensor take the scalar one (for gelu: a number that is the only one)."""
    slopes = torch.tensor([0.01, 0.3] * 100)
    for count in (1, 7):
        x = numbers(len(slopes), count, 1) * 3
        whole = activations.forward(name, slopes, x)
        gradient = activations.backward(name, slopes, x, x, whole)
        for member in range(len(slopes)):
            slope, one = slopes[[member]], x[[member]]
            alone = activations.forward(name, slope, one)
            assert same_bytes(alone[0], whole[member]), one
            back = activations.backward(name, slope, one, one, alone)
            assert same_bytes(back[0], gradient[member]), one
