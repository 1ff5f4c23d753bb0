"""The stack of networks: shapes, counts, members taken out and put back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from stages.common import initialize
from stages.common.activations import MODULES
from stages.common.errors import UserError
from stages.common.network import Stack, check_budget, concatenate, count_parameters

NAMES = sorted(MODULES)
LIKELY = st.lists(st.integers(1, 40), min_size=2, max_size=6)


def build(
    widths: list[int],
    members: int = 3,
    activation: str = "relu",
    seed: int = 0,
    slopes: list[float] | None = None,
) -> Stack:
    return initialize.stack(
        widths,
        activation,
        [(seed, member) for member in range(members)],
        ["default"] * members,
        [(-0.1, 0.1)] * members,
        slopes or [0.01] * members,
    )


def rows(count: int, features: int, seed: int = 0) -> Tensor:
    return torch.randn(count, features, generator=torch.Generator().manual_seed(seed))


def same_bytes(one: Tensor, other: Tensor) -> bool:
    return one.detach().numpy().tobytes() == other.detach().numpy().tobytes()


def gradients(stack: Stack, x: Tensor, masks: list[Tensor] | None = None) -> list[Tensor]:
    """The gradient of the sum of all squared outputs by each parameter."""
    done = stack.run(x, masks)
    found = [torch.empty_like(parameter) for parameter in stack.parameters()]
    stack.write_gradients(done, 2 * done.outputs, out=found)
    return found


@pytest.mark.parametrize("hidden", [[], [7], [16, 1, 5]])
@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_automatic_differentiation_of_the_member(name, dropped, hidden):
    """By every parameter, and by what each layer computes."""
    stack = build([6, *hidden, 3], 3, name, slopes=[0.01, 0.2, 0.5])
    x, draw = rows(9, 6), torch.Generator().manual_seed(1)
    shapes = [(3, 9, width) for width in hidden]
    masks = [(torch.rand(shape, generator=draw) > 0.3) * 1.5 for shape in shapes]
    found = gradients(stack, x, masks if dropped else None)
    done = stack.run(x, masks if dropped else None)
    slopes = dict(stack.backward(done, 2 * done.outputs))
    for member in range(3):
        plain, out, computed = stack.member(member), x, []
        linears = [module for module in plain if isinstance(module, nn.Linear)]
        for layer, linear in enumerate(linears):
            out = linear(out)
            computed.append(out)
            if layer < len(hidden):
                out = plain[3 * layer + 1](out)
                out = out * masks[layer][member] if dropped else out
        wanted = [*plain.parameters(), *computed]
        true = torch.autograd.grad(out.square().sum(), wanted)
        for layer in range(len(linears)):
            weight, bias = true[2 * layer : 2 * layer + 2]
            torch.testing.assert_close(found[2 * layer][member], weight.T, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(found[2 * layer + 1][member, 0], bias, rtol=1e-4, atol=1e-5)
            slope = true[2 * len(linears) + layer]
            torch.testing.assert_close(slopes[layer][member], slope, rtol=1e-4, atol=1e-5)


def test_a_relu_unit_that_no_row_activates_learns_nothing():
    stack = build([4, 3, 2], 1)
    stack.layers[0].bias[0, 0, 1] = -100
    gradient, *_ = gradients(stack, rows(20, 4))
    assert (gradient[0, :, 1] == 0).all()
    assert (gradient[0, :, 0] != 0).any()


@pytest.mark.parametrize(
    ("widths", "parameters"),
    [
        ([8, 4, 2], 46),
        ([8, 4, 2, 2], 52),
        ([100, 100], 10_100),
        ([100, 1, 100], 301),  # one more layer, fewer parameters
        ([1, 1], 2),
    ],
)
def test_parameters_are_counted_by_hand(widths, parameters):
    assert count_parameters(widths) == parameters


@settings(deadline=None, max_examples=30, derandomize=True)
@given(widths=LIKELY, members=st.integers(1, 4))
def test_the_closed_form_counts_what_the_network_holds(widths, members):
    stack = build(widths, members)
    closed = count_parameters(widths)
    assert closed == sum(p.numel() for p in stack.member(0).parameters())
    assert closed * members == sum(p.numel() for p in stack.parameters())


def test_a_budget_of_parameters_is_kept_and_its_error_names_both_numbers():
    for most in (0, 52, 120):
        check_budget([8, 4, 2, 2], most)
    with pytest.raises(UserError) as error:
        check_budget([8, 4, 2, 2], 51)
    assert str(error.value) == (
        "model.hidden [4, 2]: 52 parameters, more than model.max_parameters 51; take smaller layers"
    )


@pytest.mark.parametrize("hidden", [[], [8], [8, 4], [1, 1, 1, 1]])
def test_any_number_of_hidden_layers_can_be_had(hidden):
    stack = build([6, *hidden, 3], 2)
    assert stack.widths == [6, *hidden, 3]
    assert len(stack) == 2
    assert [layer.weight.shape[1:] for layer in stack.layers] == [
        (before, after) for before, after in zip([6, *hidden], [*hidden, 3], strict=True)
    ]
    assert stack(rows(5, 6)).shape == (2, 5, 3)


@pytest.mark.parametrize("activation", ["relu", "identity", "leaky_relu"])
def test_layers_are_named_from_the_input_on_whatever_stands_between_them(activation):
    names = [name for name, _ in build([5, 4, 3, 2], 1, activation).named_parameters()]
    layers = ("layer0", "layer1", "layer2")
    assert names == [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]


def test_one_row_gives_one_row_of_outputs():
    stack = build([8, 4, 2], 3)
    one = rows(1, 8)
    assert stack(one).shape == (3, 1, 2)
    assert stack.member(0).eval()(one).shape == (1, 2)
    torch.testing.assert_close(stack(rows(5, 8))[:, :1], stack(rows(5, 8)[:1]))


def test_a_row_of_another_width_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match="mismatch") as error:
        build([8, 4, 2])(rows(3, 7))
    assert "7" in str(error.value)
    assert "8" in str(error.value)


def test_rows_shared_by_all_members_are_the_same_as_a_copy_for_each():
    stack, x = build([6, 5, 2], 3), rows(7, 6)
    assert torch.equal(stack(x), stack(x.expand(3, 7, 6).clone()))


def test_a_stack_without_activation_is_one_linear_map():
    stack = build([6, 9, 9, 3], 1, "identity")
    x = rows(4, 6)
    first, second, third = (layer.weight[0] for layer in stack.layers)
    weight = first @ second @ third
    bias = stack(torch.zeros(1, 6))[0]
    torch.testing.assert_close(stack(x)[0], x @ weight + bias)


@pytest.mark.parametrize("activation", NAMES)
@pytest.mark.parametrize("widths", [[6, 3], [6, 8, 4, 3], [1, 5, 1]])
def test_a_member_taken_out_predicts_the_same_and_goes_back_unchanged(activation, widths):
    stack = build(widths, 3, activation, slopes=[0.01, 0.2, 0.5])
    before = [p.detach().clone() for p in stack.parameters()]
    x = rows(9, widths[0]) * 3
    for index in range(3):
        network = stack.member(index, dropout=0.5).eval()
        torch.testing.assert_close(network(x), stack(x)[index])
        stack.put_member(index, network)
    assert all(same_bytes(old, new) for old, new in zip(before, stack.parameters(), strict=True))


def test_a_member_is_linear_activation_dropout_in_turn_and_ends_with_linear():
    network = build([8, 4, 2, 3], 2, "tanh").member(1, dropout=0.3)
    kinds = [nn.Linear, nn.Tanh, nn.Dropout, nn.Linear, nn.Tanh, nn.Dropout, nn.Linear]
    assert [type(module) for module in network] == kinds
    assert {module.p for module in network if isinstance(module, nn.Dropout)} == {0.3}


def test_a_member_put_back_replaces_that_member_alone():
    stack, other = build([5, 4, 2], 3), build([5, 4, 2], 3, seed=1)
    before, x = stack(rows(6, 5)).detach(), rows(6, 5)
    network = other.member(0).eval()
    stack.put_member(1, network)
    torch.testing.assert_close(stack(x)[1], network(x))
    assert torch.equal(stack(x)[[0, 2]], before[[0, 2]])


def test_training_a_member_that_was_taken_out_leaves_the_stack_alone():
    stack = build([5, 4, 2], 2)
    before = [p.detach().clone() for p in stack.parameters()]
    with torch.no_grad():
        for parameter in stack.member(0).parameters():
            parameter.add_(1)
    assert all(torch.equal(*pair) for pair in zip(before, stack.parameters(), strict=True))


@pytest.mark.parametrize("widths", [[5, 4, 4, 2], [5, 2], [4, 4, 2], [5, 4, 3], [1, 1, 1]])
def test_a_network_of_another_shape_cannot_be_put_back(widths):
    """Widths of 1 would be spread over a wider member."""
    with pytest.raises((AssertionError, ValueError)):
        build([5, 4, 2]).put_member(0, build(widths).member(0))


def test_masks_act_after_the_activation_of_hidden_layers_only():
    stack, x = build([6, 5, 4, 2], 2, "sigmoid"), rows(3, 6)
    ones, none = [torch.ones(2, 3, width) for width in (5, 4)], torch.zeros(2, 3, 4)
    assert torch.equal(stack(x, ones), stack(x))
    blind = stack(x, [ones[0], none])
    assert torch.equal(blind, stack.layers[2].bias.expand(2, 3, 2))
    doubled = stack.run(x, [2 * ones[0], ones[1]]).computed
    plain = stack.run(x).computed
    assert torch.equal(doubled[0], plain[0])
    expected = 2 * torch.sigmoid(plain[0]) @ stack.layers[1].weight + stack.layers[1].bias
    torch.testing.assert_close(doubled[1], expected)


def test_a_pass_has_what_each_layer_takes_and_computes_before_its_activation_and_behind_it():
    stack, x = build([6, 5, 2], 2), rows(4, 6)
    done = stack.run(x)
    first, last = done.computed
    assert torch.equal(done.given[0], x.expand(2, 4, 6))
    assert torch.equal(done.given[1], first.relu())
    assert torch.equal(done.activated[0], first.relu())
    linear = stack.member(1)[0]
    torch.testing.assert_close(first[1], linear(x))
    assert (first < 0).any()
    assert torch.equal(last, stack(x))


def test_take_copies_the_members_asked_for_in_their_order():
    stack, x = build([5, 4, 2], 4, "leaky_relu", slopes=[0.1, 0.2, 0.3, 0.4]), rows(6, 5)
    taken = stack.take(torch.tensor([2, 0]))
    assert torch.equal(taken(x), stack(x)[[2, 0]])
    before = stack(x).detach()
    with torch.no_grad():
        for parameter in taken.parameters():
            parameter.zero_()
        taken.negative_slope.zero_()
    assert torch.equal(stack(x), before)


def test_put_overwrites_the_members_at_an_index_with_the_chosen_ones():
    stack, other, x = build([5, 4, 2], 4), build([5, 4, 2], 3, seed=1), rows(6, 5)
    before = stack(x).detach()
    stack.put(torch.tensor([3, 1]), other, torch.tensor([0, 2]))
    assert torch.equal(stack(x)[[3, 1]], other(x)[[0, 2]])
    assert torch.equal(stack(x)[[0, 2]], before[[0, 2]])


def test_concatenated_stacks_keep_their_members_and_slopes_in_order():
    one = build([5, 4, 2], 1, "leaky_relu", slopes=[0.5])
    two = build([5, 4, 2], 2, "leaky_relu", seed=1, slopes=[0.1, 0.2])
    x = rows(6, 5)
    joined = concatenate([one, two])
    assert len(joined) == 3
    assert torch.equal(joined(x), torch.cat([one(x), two(x)]))
    with pytest.raises(ValueError, match="shorter"):
        concatenate([two, build([5, 2], 1)])


@pytest.mark.parametrize("features", [1, 5, 33])
@pytest.mark.parametrize("hidden", [[], [1], [7, 1, 16], [31]])
@pytest.mark.parametrize("outputs", [1, 10])
@pytest.mark.parametrize("count", [1, 19])
def test_products_have_the_same_bytes_alone_and_in_any_stack(features, hidden, outputs, count):
    x = rows(count, features)
    stack = build([features, *hidden, outputs], 4)
    whole, whole_gradients = stack(x), gradients(stack, x)
    for index in ([2], [3, 1], [0, 1, 2]):
        part = stack.take(torch.tensor(index))
        assert same_bytes(part(x), whole[index])
        for ours, theirs in zip(gradients(part, x), whole_gradients, strict=True):
            assert same_bytes(ours, theirs[index])
