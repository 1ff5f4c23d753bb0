"""The activations of hidden layers, and the way back through them.

Dimensions: K members, B rows, H units.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

aten = torch.ops.aten

# leaky_relu is in neither table, as it takes slopes, too
FORWARD: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "silu": F.silu,
    "elu": F.elu,
    "softplus": F.softplus,
    "identity": lambda x: x,
}
# the gradient by x, of which an activation made y, from that by y (g): what automatic
# differentiation calls, too
BACKWARD: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "relu": lambda g, x, y: aten.threshold_backward.default(g, x, 0),
    "sigmoid": lambda g, x, y: aten.sigmoid_backward.default(g, y),
    "tanh": lambda g, x, y: aten.tanh_backward.default(g, y),
    "gelu": lambda g, x, y: aten.gelu_backward.default(g, x),
    "silu": lambda g, x, y: aten.silu_backward.default(g, x),
    "elu": lambda g, x, y: aten.elu_backward.default(g, 1, 1, 1, False, x),
    "softplus": lambda g, x, y: aten.softplus_backward.default(g, x, 1, 20),
    "identity": lambda g, x, y: g,
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


def forward(name: str, slopes: Tensor, x: Tensor) -> Tensor:
    """Apply an activation to (K, B, H); leaky_relu takes each member's slope, float32 (K,)."""
    if name == "leaky_relu":
        return torch.where(x > 0, x, x * slopes[:, None, None])
    return _each(name, FORWARD[name], x)


def backward(name: str, slopes: Tensor, gradient: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the gradient by x, of which the activation made y, from that by y (K, B, H).

    slopes: as of `forward`.
    """
    if name == "leaky_relu":
        return torch.where(x > 0, gradient, gradient * slopes[:, None, None])
    return _each(name, BACKWARD[name], gradient, x, y)


def _each(name: str, function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Return a function of tensors of one shape, number by number.

    The last few numbers of a tensor miss the vector instructions and take other code, often
    with another rounding. They would be the last member's, whoever that is: zeros behind
    them give every member the same code.
    """
    first = tensors[0]
    spare = -first.numel() % LANES
    if spare == 0 or name in EXACT:
        return function(*tensors)
    padded = (torch.cat([each.flatten(), each.new_zeros(spare)]) for each in tensors)
    return function(*padded)[: first.numel()].view_as(first)
