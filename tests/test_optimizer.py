"""SGD and AdamW of a stack against torch.optim on each member taken out; frozen layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stages.common import initialize
from stages.common.network import Stack
from stages.common.optimizer import OPTIMIZERS, Optimizer
from stages.common.recipe import Recipe

WIDTHS = [5, 4, 3]
STEPS = 60
VARIED: dict[str, Any] = {
    "lr": [0.1, 0.01, 0.003],
    "momentum": [0.9, 0.0, 0.99],
    "weight_decay": [0.0, 0.1, 0.01],
}


def build(members: int = 3) -> Stack:
    keys = [(0, member) for member in range(members)]
    return initialize.stack(
        WIDTHS, "relu", keys, ["default"] * members, [(0, 1)] * members, [0.1] * members
    )


def gradients(step: int, members: int = 3) -> list[Tensor]:
    """The gradients of one step; their size differs by place and by step."""
    generator = torch.Generator().manual_seed(step)
    shapes = [(members, 5, 4), (members, 1, 4), (members, 4, 3), (members, 1, 3)]
    return [torch.randn(shape, generator=generator) * (1 + step % 7) / 5 for shape in shapes]


def step_by(optimizer: Optimizer, given: Sequence[Tensor]) -> None:
    for place, gradient in zip(optimizer.gradients, given, strict=True):
        place.copy_(gradient)
    optimizer.step()


def train(stack: Stack, recipe: Recipe, steps: int = STEPS) -> Stack:
    optimizer = OPTIMIZERS[recipe.optimizer](stack, recipe)
    for step in range(steps):
        step_by(optimizer, gradients(step, len(stack)))
    return stack


def train_with_torch(network: nn.Sequential, recipe: Recipe, member: int) -> nn.Sequential:
    """The same steps for one member by torch's own optimizer."""
    weights = [p for name, p in network.named_parameters() if name.endswith("weight")]
    biases = [p for name, p in network.named_parameters() if name.endswith("bias")]
    decay = float(recipe.weight_decay[member])
    groups = [
        {"params": weights, "weight_decay": decay},
        {"params": biases, "weight_decay": decay if recipe.decay_bias else 0.0},
    ]
    lr, momentum = float(recipe.lr[member]), float(recipe.momentum[member])
    optimizer: torch.optim.Optimizer
    if recipe.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, lr=lr, momentum=momentum)
    else:
        optimizer = torch.optim.AdamW(groups, lr=lr, betas=(momentum, 0.999))
    for step in range(STEPS):
        given = [gradient[member] for gradient in gradients(step)]
        for parameter, gradient in zip(network.parameters(), given, strict=True):
            parameter.grad = gradient.T.clone() if parameter.dim() == 2 else gradient[0].clone()
        optimizer.step()
    return network


@pytest.mark.parametrize("decay_bias", [True, False])
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_every_member_moves_as_under_torch_optim_with_its_own_settings(
    make_recipe, name, decay_bias
):
    recipe = make_recipe(3, 2, optimizer=name, decay_bias=decay_bias, **VARIED)
    start = build()
    trained = train(build(), recipe)
    for member in range(3):
        expected = train_with_torch(start.member(member), recipe, member)
        found = trained.member(member)
        for ours, theirs in zip(found.parameters(), expected.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-6)


def test_the_first_step_of_sgd_is_worked_out_by_hand(make_recipe):
    stack = build(1)
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.fill_(2.0)
    recipe = make_recipe(1, 2, lr=0.1, momentum=0.5, weight_decay=0.25, decay_bias=False)
    optimizer = OPTIMIZERS["sgd"](stack, recipe)
    ones = [torch.ones_like(parameter) for parameter in stack.parameters()]
    step_by(optimizer, ones)
    # weights: 2 - 0.1 * (1 + 0.25 * 2); biases are not decayed
    torch.testing.assert_close(
        stack.layers[0].weight, torch.full_like(stack.layers[0].weight, 1.85)
    )
    torch.testing.assert_close(stack.layers[1].bias, torch.full_like(stack.layers[1].bias, 1.9))
    step_by(optimizer, ones)
    # the last update, 1.5, counts half: 1.85 - 0.1 * (0.5 * 1.5 + 1 + 0.25 * 1.85)
    torch.testing.assert_close(
        stack.layers[0].weight, torch.full_like(stack.layers[0].weight, 1.62875)
    )
    torch.testing.assert_close(stack.layers[1].bias, torch.full_like(stack.layers[1].bias, 1.75))


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_decay_alone_shrinks_weights_by_lr_times_decay_and_leaves_biases(make_recipe, name):
    recipe = make_recipe(2, 2, optimizer=name, momentum=0.0, lr=0.5, weight_decay=[0.0, 0.2])
    stack, before = build(2), build(2)
    step_by(OPTIMIZERS[name](stack, recipe), [torch.zeros_like(p) for p in stack.parameters()])
    for ours, theirs in zip(stack.layers, before.layers, strict=True):
        assert torch.equal(ours.weight[0], theirs.weight[0])
        torch.testing.assert_close(ours.weight[1], theirs.weight[1] * 0.9)
        assert torch.equal(ours.bias, theirs.bias)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_rate_of_0_moves_one_member_not_at_all(make_recipe, name):
    stack = train(build(2), make_recipe(2, 2, optimizer=name, lr=[0.0, 0.1]), steps=3)
    for ours, theirs in zip(stack.parameters(), build(2).parameters(), strict=True):
        assert torch.equal(ours[0], theirs[0])
        assert not torch.equal(ours[1], theirs[1])


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_frozen_layers_keep_every_byte_and_the_others_move_as_ever(make_recipe, name):
    frozen = [[True, False], [False, False], [True, True]]
    stack, start = build(), build()
    for some in (stack, start):
        with torch.no_grad():
            some.layers[0].weight[0, 0] = -0.0
            some.layers[1].bias[2, 0] = -0.0
    settings = {**VARIED, "optimizer": name, "decay_bias": True}
    free = train(start.take(torch.arange(3)), make_recipe(3, 2, **settings))
    train(stack, make_recipe(3, 2, frozen, **settings))
    for layer in range(2):
        for member in range(3):
            reference = start if frozen[member][layer] else free
            for kind in ("weight", "bias"):
                ours = getattr(stack.layers[layer], kind)[member].detach().numpy()
                theirs = getattr(reference.layers[layer], kind)[member].detach().numpy()
                assert ours.tobytes() == theirs.tobytes(), (layer, member, kind)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_members_kept_go_on_as_if_the_others_had_stayed(make_recipe, name):
    frozen = [[False, False], [False, False], [True, False]]
    recipe = make_recipe(3, 2, frozen, optimizer=name, **VARIED)
    whole = train(build(), recipe, steps=20)
    stack, kept = build(), torch.tensor([2, 0])
    optimizer = OPTIMIZERS[name](stack, recipe)
    for step in range(20):
        given = gradients(step)
        if step == 8:
            stack = stack.take(kept)
            optimizer.keep(stack, kept)
        if step >= 8:
            given = [gradient[kept] for gradient in given]
        step_by(optimizer, given)
    assert optimizer.recipe.lr.tolist() == recipe.lr[kept].tolist()
    for ours, theirs in zip(stack.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs[kept])


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_parameters_stay_as_they_are_when_an_optimizer_takes_them_up(make_recipe, name):
    stack = build()
    optimizer = OPTIMIZERS[name](stack, make_recipe(3, 2, optimizer=name))
    for ours, before in zip(stack.parameters(), build().parameters(), strict=True):
        assert torch.equal(ours, before)
    assert [p.shape for p in optimizer.gradients] == [p.shape for p in stack.parameters()]


def test_every_optimizer_of_the_settings_exists(settings):
    allowed = type(settings.train).model_json_schema()["properties"]["optimizer"]["enum"]
    assert set(allowed) == set(OPTIMIZERS)
