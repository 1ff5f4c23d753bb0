"""SGD and AdamW for a stack, with one learning rate, momentum and decay per member.

A member moves exactly as it would under torch.optim.SGD or torch.optim.AdamW with its own
values. A frozen layer of a member does not move at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stages.common.network import Stack
from stages.common.recipe import Recipe

BETA2, EPSILON = 0.999, 1e-8  # AdamW's defaults in torch; momentum is its beta1


class Optimizer:
    """Updates all members of a stack in place."""

    slots = 0  # tensors of state per parameter

    def __init__(self, stack: Stack, recipe: Recipe) -> None:
        self._follow(stack, recipe)
        self.state = [[torch.zeros_like(p) for p in self.parameters] for _ in range(self.slots)]

    def _follow(self, stack: Stack, recipe: Recipe) -> None:
        """Take up the parameters of a stack and, as columns (K, 1, 1), what moves them."""
        self.recipe = recipe
        self.parameters: list[Tensor] = list(stack.parameters())
        self.lr, self.momentum = _column(recipe.lr), _column(recipe.momentum)
        self.weight_decay = _column(recipe.weight_decay)
        layers = [_column(frozen) for frozen in recipe.frozen.unbind(dim=1)]
        self.frozen = [frozen if bool(frozen.any()) else None for frozen in layers]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move every parameter (K, ., .) by its gradient of the same shape."""
        for index, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            frozen = self.frozen[index // 2]
            decays = index % 2 == 0 or self.recipe.decay_bias
            old = None if frozen is None else parameter.clone()
            self._move(index, parameter, gradient, decays)
            if frozen is not None and old is not None:
                parameter.copy_(torch.where(frozen, old, parameter))

    def _move(self, index: int, parameter: Tensor, gradient: Tensor, decays: bool) -> None:
        raise AssertionError("a subclass moves the parameters")

    def keep(self, stack: Stack, members: Tensor) -> None:
        """Continue with the members at an index only; `stack` holds them, in this order."""
        self._follow(stack, self.recipe.take(members))
        self.state = [[tensor[members] for tensor in slot] for slot in self.state]


def _column(values: Tensor) -> Tensor:
    return values[:, None, None]


class SGD(Optimizer):
    """Stochastic gradient descent with momentum; decay is part of the gradient (L2)."""

    slots = 1

    def _move(self, index: int, parameter: Tensor, gradient: Tensor, decays: bool) -> None:
        buffer = self.state[0][index]
        torch.addcmul(gradient, self.momentum, buffer, out=buffer)
        if decays:
            buffer.addcmul_(self.weight_decay, parameter)
        parameter.addcmul_(self.lr, buffer, value=-1)


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    The powers of beta1 and beta2 that correct the bias of the first steps are kept as
    running products: `pow` is not the same on every processor, a product is.
    """

    slots = 2

    def __init__(self, stack: Stack, recipe: Recipe) -> None:
        super().__init__(stack, recipe)
        ones = torch.ones_like(recipe.lr, dtype=torch.float64)
        self.state.append([ones, ones.clone()])

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        first, second = self.state[2]
        first.mul_(self.recipe.momentum.double())
        second.mul_(BETA2)
        super().step(gradients)

    def _move(self, index: int, parameter: Tensor, gradient: Tensor, decays: bool) -> None:
        lr, beta1 = self.lr, self.momentum
        if decays:
            parameter.mul_(1 - lr * self.weight_decay)
        first, second = self.state[0][index], self.state[1][index]
        first.mul_(beta1).add_((1 - beta1) * gradient)
        second.mul_(BETA2).add_((1 - BETA2) * gradient.square())
        share1, share2 = (_column(1 - power).to(parameter.dtype) for power in self.state[2])
        # sqrt differs between processors, rsqrt does not
        root = (second / share2).rsqrt().reciprocal()
        parameter.sub_(lr * (first / share1) / (root + EPSILON))


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adamw": AdamW}
