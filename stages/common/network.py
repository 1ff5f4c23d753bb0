"""A stack of K multilayer perceptrons of one shape, computed as one batched program.

Dimensions: K members, B rows, F features, H units of a hidden layer, C outputs.
Layers are named layer0, layer1, ... from the input on; a name does not shift when an
activation or dropout is added. The output layer has no activation: the loss works on
logits (or on the standardised value).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stages.common import activations
from stages.common.errors import UserError
from stages.common.names import counted
from stages.common.products import product


class StackedLinear(nn.Module):
    """K linear layers: weight (K, in, out), bias (K, 1, out), float32."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (K, B, in) to (K, B, out)."""
        return product(x, self.weight).add_(self.bias)


@dataclass
class Pass:
    """What a forward pass leaves for the way back, layer by layer.

    given: what a layer takes (K, B, in); computed: what it makes of it, before the activation
    (K, B, out), the last are the outputs; activated: that of a hidden layer behind its
    activation; masks: the dropout of hidden layers, or None.
    """

    given: list[Tensor]
    computed: list[Tensor]
    activated: list[Tensor]
    masks: Sequence[Tensor] | None

    @property
    def outputs(self) -> Tensor:
        return self.computed[-1]


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
        return self.run(x, masks).outputs

    def run(self, x: Tensor, masks: Sequence[Tensor] | None = None) -> Pass:
        """Return all that a forward pass computes; see `forward`."""
        if x.dim() == 2:
            x = x.expand(len(self), *x.shape)
        done = Pass([], [], [], masks)
        for index, layer in enumerate(self.layers[:-1]):
            done.given.append(x)
            done.computed.append(layer(x))
            x = activations.forward(self.activation, self.negative_slope, done.computed[-1])
            done.activated.append(x)
            if masks is not None:
                x = x * masks[index]
        last = self.layers[-1]
        done.given.append(x)
        # classes before rows in memory: what follows runs over the rows, which are more
        done.computed.append(product(last.weight.mT, x.mT).add_(last.bias.mT).mT)
        return done

    def backward(self, done: Pass, gradient: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Go the way of a pass back: yield each layer, the last one first, and its gradient.

        It is the gradient (K, B, out) of a sum over members and rows by what the layer computed;
        that by the outputs is given.
        """
        for index in reversed(range(self.depth)):
            yield index, gradient
            if index > 0:
                gradient = product(gradient, self.layers[index].weight.mT)
                if done.masks is not None:
                    gradient.mul_(done.masks[index - 1])
                before, behind = done.computed[index - 1], done.activated[index - 1]
                gradient = activations.backward(
                    self.activation, self.negative_slope, gradient, before, behind
                )

    def write_gradients(self, done: Pass, gradient: Tensor, out: Sequence[Tensor]) -> None:
        """Write the gradients by the parameters, in their order, into `out`; see `backward`."""
        for index, each in self.backward(done, gradient):
            product(done.given[index].mT, each, out=out[2 * index])
            torch.sum(each, dim=1, keepdim=True, out=out[2 * index + 1])

    def take(self, members: Tensor) -> Stack:
        """Return a new stack of copies of the members at an index, int64 (n,)."""
        return Stack(
            [layer.weight[members] for layer in self.layers],
            [layer.bias[members] for layer in self.layers],
            self.activation,
            self.negative_slope[members],
        )

    def put(self, members: Tensor, other: Stack, chosen: Tensor) -> None:
        """Overwrite members with copies of the `chosen` members of another stack."""
        for mine, theirs in zip(self.parameters(), other.parameters(), strict=True):
            mine[members] = theirs[chosen]

    def member(self, index: int, dropout: float = 0.0) -> nn.Sequential:
        """Return one member as an ordinary network: Linear, activation, Dropout, ..., Linear."""
        modules: list[nn.Module] = []
        for place, layer in enumerate(self.layers):
            linear = nn.utils.skip_init(nn.Linear, *layer.weight.shape[1:])  # draws nothing
            linear.weight.data = layer.weight[index].T.clone()
            linear.bias.data = layer.bias[index, 0].clone()
            modules.append(linear)
            if place < self.depth - 1:
                slope = float(self.negative_slope[index])
                options: dict[str, Any] = {}
                if self.activation == "leaky_relu":
                    options = {"negative_slope": slope}
                modules += [activations.MODULES[self.activation](**options), nn.Dropout(dropout)]
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
        [torch.cat([layer.weight for layer in same]) for same in layers],
        [torch.cat([layer.bias for layer in same]) for same in layers],
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
            f"model.hidden {list(widths[1:-1])}: {counted(parameters, 'parameter')}, more than "
            f"model.max_parameters {most}; take smaller layers"
        )
