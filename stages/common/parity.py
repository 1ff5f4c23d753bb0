"""The engine against plain PyTorch, on one batch.

Adam forgives gradients of a wrong size, so learning a batch by heart alone would miss
gradients that are never reset or a second softmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from stages.common import objective, training
from stages.common.batches import Augmentation
from stages.common.network import Stack
from stages.common.objective import Task
from stages.common.optimizer import OPTIMIZERS
from stages.common.partition import Partition
from stages.common.recipe import Recipe

WRONG = "the gradients are not those of the loss: has an activation another one's derivative?"
ROUNDING = 1e-6  # of a gradient; where the rows' own cancel, it is all that is left
STILL = "the weights do not move: is every layer frozen, or the learning rate 0?"


def doubt(task: Task, stack: Stack, recipe: Recipe, rows: Partition) -> str:
    """Return what is wrong with loss, updates or gradients of a stack of one, or nothing.

    Two steps of plain gradient descent on a batch are compared with the gradients that
    automatic differentiation gives for the member's own loss.
    """
    with torch.no_grad():
        outputs, own = stack.member(0)(rows.features)[None], stack(rows.features)
        losses = objective.losses(task, own, rows.target)
        if task == "classification":
            plain = F.cross_entropy(outputs[0], rows.target, reduction="none")
        else:
            plain = (outputs[0, :, 0] - rows.target).square()
    finite = bool(outputs.isfinite().all())
    if finite and not torch.allclose(losses[0], plain, rtol=1e-3, atol=1e-4):
        return "the loss is not that of the layers' outputs: is there a softmax before the loss?"
    copy = stack.take(torch.zeros(1, dtype=torch.int64, device=rows.target.device))
    sgd = OPTIMIZERS["sgd"](copy, replace(recipe, momentum=torch.zeros_like(recipe.momentum)))
    found: list[Tensor] = []
    true: list[Tensor] = []
    given: list[Tensor] = []
    for _ in range(2):
        before = [parameter.clone() for parameter in copy.parameters()]
        network = copy.member(0)
        loss = objective.losses(task, network(rows.features)[None], rows.target).mean()
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        true.append(_flat([gradient.t() for gradient in gradients]))  # torch has (out, in)
        training.step(task, copy, sgd, Augmentation(recipe), rows.features, rows.target)
        given.append(_flat(sgd.gradients))
        moved = [old - new for old, new in zip(before, copy.parameters(), strict=True)]
        found.append(_flat(moved) / recipe.lr)
    if not bool(found[0].any()):
        return STILL
    if bool((given[0] - true[0]).norm() > 0.01 * true[0].norm() + ROUNDING):
        return WRONG
    error = (found[1] - true[1]).norm()
    if bool((found[1] - true[1] - true[0]).norm() < 0.1 * error):
        return "gradients add up from step to step: are gradients reset at every step?"
    return ""


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])
