"""A stack of K multilayer perceptrons of one shape, computed as one batched program.

Dimensions: K members, B rows, F features, H units of a hidden layer, C outputs.
Layers are named layer0, layer1, ... from the input on; a name does not shift when an
activation or dropout is added. The output layer has no activation: the loss works on
logits (or on the standardised value).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.common.errors import UserError

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "silu": F.silu,
    "elu": F.elu,
    "softplus": F.softplus,
    "identity": lambda x: x,
}
EXACT = ("relu", "identity")  # no rounding, so the same by any code
LANES = 64  # a multiple of the numbers that one round of vector instructions takes
MODULES: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "softplus": nn.Softplus,
    "identity": nn.Identity,
}


class StackedLinear(nn.Module):
    """K linear layers: weight (K, in, out), bias (K, 1, out), float32."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (K, B, in) to (K, B, out).

        A product with a width of 1 takes a matrix-vector path for a stack of one, whose
        sums have another order. A lone member is then computed beside a copy of itself,
        so that it has the same bytes alone as in any stack.
        """
        if len(x) == 1 and min(x.shape[1], *self.weight.shape[1:]) == 1:
            pair = (t.expand(2, -1, -1) for t in (self.bias, x, self.weight))
            return torch.baddbmm(*pair)[:1]
        return torch.baddbmm(self.bias, x, self.weight)


class Stack(nn.Module):
    """K networks of one shape and activation; any one can be taken out as nn.Sequential."""

    def __init__(
        self,
        weights: Sequence[Tensor],
        biases: Sequence[Tensor],
        activation: str,
        negative_slope: Tensor,
    ) -> None:
        """Wrap weights (K, in, out) and biases (K, 1, out), one pair per layer.

        `negative_slope` (K,) is used by leaky_relu alone.
        """
        super().__init__()
        self.activation = activation
        self.negative_slope: Tensor
        self.register_buffer("negative_slope", negative_slope)
        self.depth = len(weights)
        # from input to output; all but the last are hidden
        self.layers = [StackedLinear(*pair) for pair in zip(weights, biases, strict=True)]
        for index, layer in enumerate(self.layers):
            self.add_module(f"layer{index}", layer)

    @property
    def widths(self) -> list[int]:
        """F, the hidden widths, C."""
        layers = self.layers
        return [layers[0].weight.shape[1], *(layer.weight.shape[2] for layer in layers)]

    def __len__(self) -> int:
        return len(self.negative_slope)

    def forward(self, x: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """Return outputs (K, B, C) for rows (B, F) shared by all members, or (K, B, F).

        `masks`, one (K, B, H) factor per hidden layer, are dropout; none in evaluation.
        """
        return self.hidden(x, masks)[-1]

    def hidden(self, x: Tensor, masks: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Return what every layer computes before its activation; the last is the output."""
        if x.dim() == 2:
            x = x.expand(len(self), *x.shape)
        computed = []
        for index, layer in enumerate(self.layers):
            computed.append(layer(x))
            if index < self.depth - 1:
                x = self.activate(computed[-1])
                if masks is not None:
                    x = x * masks[index]
        return computed

    def activate(self, x: Tensor) -> Tensor:
        """Apply the activation to (K, B, H).

        The last few numbers of a tensor miss the vector instructions and take other code,
        with another rounding in `exp` and its kin. They would be the last member's, whoever
        that is: zeros behind them give every member the same code.
        """
        if self.activation == "leaky_relu":
            return torch.where(x > 0, x, x * self.negative_slope[:, None, None])
        spare = -x.numel() % LANES
        if spare == 0 or self.activation in EXACT:
            return ACTIVATIONS[self.activation](x)
        padded = torch.cat([x.flatten(), x.new_zeros(spare)])
        return ACTIVATIONS[self.activation](padded)[: x.numel()].view_as(x)

    def take(self, members: Tensor) -> Stack:
        """Return a new stack of copies of the members at an index, int64 (n,)."""
        return Stack(
            [layer.weight.detach()[members] for layer in self.layers],
            [layer.bias.detach()[members] for layer in self.layers],
            self.activation,
            self.negative_slope[members],
        )

    @torch.no_grad()
    def put(self, members: Tensor, other: Stack, chosen: Tensor) -> None:
        """Overwrite members with copies of the `chosen` members of another stack."""
        for mine, theirs in zip(self.parameters(), other.parameters(), strict=True):
            mine[members] = theirs[chosen]

    def member(self, index: int, dropout: float = 0.0) -> nn.Sequential:
        """Return one member as an ordinary network: Linear, activation, Dropout, ..., Linear."""
        modules: list[nn.Module] = []
        for place, layer in enumerate(self.layers):
            linear = nn.utils.skip_init(nn.Linear, *layer.weight.shape[1:])  # draws nothing
            linear.weight.data = layer.weight.detach()[index].T.clone()
            linear.bias.data = layer.bias.detach()[index, 0].clone()
            modules.append(linear)
            if place < self.depth - 1:
                slope = float(self.negative_slope[index])
                options: dict[str, Any] = {}
                if self.activation == "leaky_relu":
                    options = {"negative_slope": slope}
                modules += [MODULES[self.activation](**options), nn.Dropout(dropout)]
        return nn.Sequential(*modules).to(self.negative_slope.device)

    def put_member(self, index: int, network: nn.Sequential) -> None:
        """Put the weights of a network of the same shape back as one member."""
        linears = [module for module in network if isinstance(module, nn.Linear)]
        shape = [tuple(linear.weight.T.shape) for linear in linears]
        assert shape == [tuple(layer.weight.shape[1:]) for layer in self.layers], "another shape"
        with torch.no_grad():
            for layer, linear in zip(self.layers, linears, strict=True):
                layer.weight[index] = linear.weight.T
                layer.bias[index, 0] = linear.bias


def concatenate(stacks: Sequence[Stack]) -> Stack:
    """Join stacks of one shape and activation into one."""
    layers = list(zip(*(stack.layers for stack in stacks), strict=True))
    return Stack(
        [torch.cat([layer.weight.detach() for layer in same]) for same in layers],
        [torch.cat([layer.bias.detach() for layer in same]) for same in layers],
        stacks[0].activation,
        torch.cat([stack.negative_slope for stack in stacks]),
    )


def count_parameters(widths: Sequence[int]) -> int:
    """Return the parameters of one network by the closed form: sum of out * (in + 1)."""
    return sum(after * (before + 1) for before, after in itertools.pairwise(widths))


def check_budget(widths: Sequence[int], most: int) -> None:
    """Raise UserError when a network has more parameters than `most`; 0 allows any number."""
    parameters = count_parameters(widths)
    if 0 < most < parameters:
        raise UserError(
            f"model.hidden {list(widths[1:-1])}: {parameters} parameters, more than "
            f"model.max_parameters {most}; take smaller layers"
        )
