"""Loss and score of each row, by task. Smaller losses and larger scores are better."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Task = Literal["classification", "regression"]
SCORE: dict[Task, str] = {"classification": "accuracy", "regression": "r2"}


def losses(task: Task, outputs: Tensor, target: Tensor) -> Tensor:
    """Return the loss of each row and member, float32 (K, B).

    outputs: (K, B, C) logits, or (K, B, 1) standardised values; target: (B,), int64 or
    float32. Cross-entropy for classes, squared error for values.
    """
    members, rows, width = outputs.shape
    if task == "regression":
        assert width == 1
        assert target.dtype == torch.float32
        return (outputs[..., 0] - target).square()
    assert target.dtype == torch.int64
    # classes before rows: vector instructions then run over the rows, which are more
    return F.cross_entropy(outputs.mT, target.expand(members, rows), reduction="none")


def class_weights(task: Task, target: Tensor, classes: int, balance: Tensor) -> Tensor | None:
    """Return the weight of a row of each class for each member, float32 (K, C).

    target: of all training rows. balance: float32 (K,); 0: every row counts alike, 1: every
    class does. The mean weight of the rows is 1. None when no member weighs its rows.
    """
    if task == "regression" or not bool((balance > 0).any()):
        return None
    counts = torch.bincount(target, minlength=classes).double()
    there = counts > 0
    even = torch.where(there, counts.sum() / (there.sum() * counts), 1.0).float()
    return 1 + balance[:, None] * (even - 1)


def training_losses(
    task: Task,
    outputs: Tensor,
    target: Tensor,
    mixing: tuple[Tensor, Tensor] | None = None,
    weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return `losses` with class weights, towards the mixture of each row and its partner.

    weights: see `class_weights`; each of the two losses has the weight of its own class.
    Beside the losses (K, B) stands the gradient of each by its outputs, (K, B, C).
    """
    own = _with_gradient(task, outputs, target, weights)
    if mixing is None:
        return own
    partner, weight = mixing
    other = _with_gradient(task, outputs, target[partner], weights)
    return _blend(own[0], other[0], weight), _blend(own[1], other[1], weight[..., None])


def _blend(own: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    both = own * (1 - weight) + other * weight
    return torch.where(weight > 0, both, own)  # 0 times an infinite loss is no number


def _with_gradient(
    task: Task, outputs: Tensor, target: Tensor, weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the losses (K, B), weighed by class, and their gradients by the outputs (K, B, C)."""
    if task == "regression":
        return losses(task, outputs, target), 2 * (outputs - target[:, None])
    # classes before rows, as in `losses`
    logs, own = outputs.mT.log_softmax(dim=1), target.expand(len(outputs), len(target))
    every = F.nll_loss(logs, own, reduction="none")
    minus = logs.new_full((), -1.0).expand(len(outputs), 1, len(target))
    gradient = logs.exp().scatter_add_(1, own[:, None], minus).mT
    if weights is None:
        return every, gradient
    weight = weights[:, target]
    return every * weight, gradient * weight[..., None]


def scores(task: Task, outputs: Tensor, target: Tensor) -> Tensor:
    """Return the score of each row and member, float32 (K, B), whose mean is reported.

    Classes: 1 where the largest logit is the class, so the mean is the accuracy. Values:
    1 minus the squared error over the variance of a standardised target, so the mean is
    R2 relative to the training rows.
    """
    if task == "regression":
        return 1 - losses(task, outputs, target)
    return (outputs.max(dim=-1).indices == target).float()  # quicker than argmax


def join(task: Task, outputs: Tensor) -> Tensor:
    """Return the members' joint output, (1, B, C): what `losses` and `scores` take.

    Classes: the log of the mean of their probabilities. Values: their mean.
    """
    if task == "regression":
        return outputs.mean(dim=0, keepdim=True)
    tiny = torch.finfo(outputs.dtype).tiny
    return outputs.softmax(dim=-1).mean(dim=0, keepdim=True).clamp_min(tiny).log()
