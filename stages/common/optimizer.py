"""SGD and AdamW for a stack, with one learning rate, momentum and decay per member.

A member moves exactly as it would under torch.optim.SGD or torch.optim.AdamW with its own
values. A frozen layer of a member does not move at all.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stages.common.network import Stack
from stages.common.recipe import Recipe

BETA2, EPSILON = 0.999, 1e-8  # AdamW's defaults in torch; momentum is its beta1


class Optimizer:
    """Updates all members of a stack in place, each as one row of all its P parameters.

    The stack's parameters become parts of these rows, weights before biases. `step` moves
    them by `gradients`: tensors shaped as the parameters and in their order, which whoever
    calls it has filled.
    """

    slots = 0  # tensors of state, (K, P) each

    def __init__(self, stack: Stack, recipe: Recipe) -> None:
        self._follow(stack, recipe)
        self.state = [torch.zeros_like(self.rows) for _ in range(self.slots)]

    def _follow(self, stack: Stack, recipe: Recipe) -> None:
        """Take up the parameters of a stack and, as columns (K, 1), what moves them."""
        self.recipe = recipe
        self.lr, self.momentum = recipe.lr[:, None], recipe.momentum[:, None]
        self.weight_decay = recipe.weight_decay[:, None]
        ordered = _ordered(stack)
        sizes = [parameter.shape[1:].numel() for parameter in ordered]
        self.rows = torch.cat([parameter.flatten(1) for parameter in ordered], dim=1)
        self.gradient = torch.zeros_like(self.rows)
        self.gradients = _parts(self.gradient, stack)
        for parameter, part in zip(stack.parameters(), _parts(self.rows, stack), strict=True):
            parameter.data = part
        decaying = sum(sizes) if recipe.decay_bias else sum(sizes[: stack.depth])
        self.decaying = self.rows[:, :decaying]
        self.frozen: Tensor | None = None
        if bool(recipe.frozen.any()):
            repeats = torch.tensor(sizes, device=self.rows.device)
            self.frozen = recipe.frozen.repeat(1, 2).repeat_interleave(repeats, dim=1)

    def step(self) -> None:
        """Move every parameter by its gradient."""
        if self.frozen is None:
            self._move()
            return
        old = self.rows.clone()
        self._move()
        self.rows.copy_(torch.where(self.frozen, old, self.rows))

    def _move(self) -> None:
        raise AssertionError("a subclass moves the parameters")

    def keep(self, stack: Stack, members: Tensor) -> None:
        """Continue with the members at an index only; `stack` holds them, in this order."""
        self._follow(stack, self.recipe.take(members))
        self.state = [tensor[members] for tensor in self.state]


def _ordered(stack: Stack) -> list[nn.Parameter]:
    """Return the parameters of a stack in the order of a row, weights first."""
    return [layer.weight for layer in stack.layers] + [layer.bias for layer in stack.layers]


def _parts(rows: Tensor, stack: Stack) -> list[Tensor]:
    """Return the parts of rows (K, P) as views shaped as the stack's parameters, in their order."""
    ordered = _ordered(stack)
    split = rows.split([parameter.shape[1:].numel() for parameter in ordered], dim=1)
    shaped = [part.view(like.shape) for part, like in zip(split, ordered, strict=True)]
    pairs = zip(shaped[: stack.depth], shaped[stack.depth :], strict=True)
    return [part for pair in pairs for part in pair]


class SGD(Optimizer):
    """Stochastic gradient descent with momentum; decay is part of the gradient (L2)."""

    slots = 1

    def _move(self) -> None:
        (buffer,) = self.state
        torch.addcmul(self.gradient, self.momentum, buffer, out=buffer)
        buffer[:, : self.decaying.shape[1]].addcmul_(self.weight_decay, self.decaying)
        self.rows.addcmul_(self.lr, buffer, value=-1)


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    The powers of beta1 and beta2 that correct the bias of the first steps are kept as
    running products: `pow` is not the same on every processor, a product is.
    """

    slots = 2

    def __init__(self, stack: Stack, recipe: Recipe) -> None:
        super().__init__(stack, recipe)
        ones = torch.ones_like(self.lr, dtype=torch.float64)
        self.state += [ones, ones.clone()]

    def _move(self) -> None:
        lr, beta1 = self.lr, self.momentum
        first, second, power1, power2 = self.state
        power1.mul_(beta1.double())
        power2.mul_(BETA2)
        self.decaying.mul_(1 - lr * self.weight_decay)
        first.mul_(beta1).add_((1 - beta1) * self.gradient)
        second.mul_(BETA2).add_((1 - BETA2) * self.gradient.square())
        share1, share2 = ((1 - power).to(self.rows.dtype) for power in (power1, power2))
        # sqrt differs between processors, rsqrt does not
        root = (second / share2).rsqrt().reciprocal()
        self.rows.sub_(lr * (first / share1) / (root + EPSILON))


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adamw": AdamW}
