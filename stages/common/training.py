"""The loop that trains a stack. From the outside in: fit, epoch, step; and measure.

`train`, `finetune` and `search` all call `fit`; they differ in the starting weights and
in the recipe.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stages.common import batches, objective
from stages.common.batches import Augmentation
from stages.common.network import Stack
from stages.common.objective import Task
from stages.common.optimizer import OPTIMIZERS, Optimizer
from stages.common.partition import Partition
from stages.common.recipe import Recipe

CHUNK = 2048  # rows evaluated at once
DIVERGED = 10.0  # times the training loss of the starting weights, or of knowing nothing
KNOWS_NOTHING = 1.0  # about the loss of a constant answer, for classes and standardised values

Observer = Callable[[int, Stack, list[int]], None]


@dataclass(frozen=True)
class Record:
    """One member after one epoch; epoch 0 is before training.

    `running_loss` is the mean training loss while the weights moved, with dropout, noise
    and mixing on; `train_loss` and `train_score` are measured at the end of the epoch
    with them off, as `val_loss` and `val_score` are. Each is a mean over rows.
    """

    epoch: int
    member: int
    running_loss: float
    train_loss: float
    train_score: float
    val_loss: float
    val_score: float


@dataclass
class Fitted:
    """The result of `fit`: every member at the epoch with its lowest validation loss."""

    stack: Stack
    best: list[Record]
    diverged: list[bool]
    history: list[Record] = field(default_factory=list)


def fit(
    task: Task,
    stack: Stack,
    recipe: Recipe,
    train: Partition,
    val: Partition,
    observe: Observer | None = None,
) -> Fitted:
    """Train all members of `stack` at once and return each at its best epoch.

    A member stops by itself: after `recipe.patience` epochs without a lower validation
    loss, or when it diverges. Its result does not depend on who else is in the stack.
    `observe(epoch, stack, members)` is called after each epoch, also for epoch 0, with the
    members that are still training. The given stack is not changed.
    """
    active = torch.arange(len(stack))
    stack = stack.take(active)
    optimizer = OPTIMIZERS[recipe.optimizer](stack, recipe)
    augmentation = Augmentation(recipe)
    order = torch.Generator().manual_seed(recipe.seed)
    first = _records(0, task, stack, active, train, val, None)
    fitted = Fitted(stack.take(active), first, [False] * len(stack), list(first))
    if observe is not None:
        observe(0, stack, active.tolist())
    for epoch in range(1, recipe.epochs + 1):
        running = run_epoch(task, stack, optimizer, augmentation, train, order)
        records = _records(epoch, task, stack, active, train, val, running)
        if observe is not None:
            observe(epoch, stack, active.tolist())
        staying = _note(fitted, stack, records, recipe.patience, first)
        if not staying:
            break
        if len(staying) < len(active):
            index = torch.tensor(staying)
            active, stack = active[index], stack.take(index)
            optimizer.keep(stack, index)
            augmentation.recipe = optimizer.recipe
    return fitted


def _note(
    fitted: Fitted, stack: Stack, records: list[Record], patience: int, first: list[Record]
) -> list[int]:
    """Keep what an epoch improved; return the places of the members that go on."""
    improved, staying = [], []
    for place, record in enumerate(records):
        member = record.member
        limit = DIVERGED * max(first[member].train_loss, KNOWS_NOTHING)
        if not record.train_loss <= limit or not record.val_loss < float("inf"):
            fitted.diverged[member] = True
            continue
        if record.val_loss < fitted.best[member].val_loss:
            fitted.best[member] = record
            improved.append(place)
        if record.epoch - fitted.best[member].epoch < patience:
            staying.append(place)
    if improved:
        members = torch.tensor([records[place].member for place in improved])
        fitted.stack.put(members, stack, torch.tensor(improved))
    fitted.history += records
    return staying


def run_epoch(
    task: Task,
    stack: Stack,
    optimizer: Optimizer,
    augmentation: Augmentation,
    train: Partition,
    order: torch.Generator,
) -> Tensor:
    """Pass once over the training rows; return the mean loss of each member, float64 (K,)."""
    shuffled = train.take(batches.shuffled(len(train), order).to(train.target.device))
    total = torch.zeros(len(stack), dtype=torch.float64, device=train.target.device)
    size = optimizer.recipe.batch_size
    for x, y in shuffled.batches(size):
        total += step(task, stack, optimizer, augmentation, x, y).double().sum(dim=1)
    return total / len(train)


def step(
    task: Task,
    stack: Stack,
    optimizer: Optimizer,
    augmentation: Augmentation,
    x: Tensor,
    y: Tensor,
) -> Tensor:
    """Update every member with one batch (B, F), (B,); return the losses (K, B) before it.

    The loss of a member is the mean over the batch. Members share no weight, so the
    gradient of the sum over members is each member's own gradient.
    """
    mixing = augmentation.mixing(len(y))
    outputs = stack(
        augmentation.features(x, mixing), augmentation.masks(len(y), stack.widths[1:-1])
    )
    losses = objective.mixed_losses(task, outputs, y, mixing)
    gradients = torch.autograd.grad(losses.mean(dim=1).sum(), list(stack.parameters()))
    optimizer.step(gradients)
    return losses.detach()


@torch.no_grad()
def measure(task: Task, stack: Stack, part: Partition) -> tuple[Tensor, Tensor]:
    """Return mean loss and mean score of each member over a part, float64 (K,) each.

    Nothing is left switched on or off: dropout exists only where a mask is passed, and no
    random number is drawn.
    """
    loss = torch.zeros(len(stack), dtype=torch.float64, device=part.target.device)
    score = torch.zeros_like(loss)
    for x, y in part.batches(CHUNK):
        outputs = stack(x)
        loss += objective.losses(task, outputs, y).double().sum(dim=1)
        score += objective.scores(task, outputs, y).double().sum(dim=1)
    return loss / len(part), score / len(part)


@torch.no_grad()
def measure_together(task: Task, stack: Stack, part: Partition) -> tuple[float, float]:
    """Return mean loss and score of the members' joint prediction over a part."""
    loss = score = 0.0
    for x, y in part.batches(CHUNK):
        joint = objective.join(task, stack(x))
        loss += objective.losses(task, joint, y).double().sum().item()
        score += objective.scores(task, joint, y).double().sum().item()
    return loss / len(part), score / len(part)


@torch.no_grad()
def row_scores(task: Task, stack: Stack, part: Partition) -> Tensor:
    """Return the score of each member and row, float32 (K, rows), on the CPU."""
    pairs = part.batches(CHUNK)
    return torch.cat([objective.scores(task, stack(x), y) for x, y in pairs], dim=1).cpu()


@torch.no_grad()
def weight_norms(stack: Stack) -> list[float]:
    """Return the L2 norm of each member's weights, biases left out."""
    squares = sum(layer.weight.double().square().sum(dim=(1, 2)) for layer in stack.layers)
    return [math.sqrt(square) for square in squares.tolist()]  # type: ignore[union-attr]


def _records(
    epoch: int,
    task: Task,
    stack: Stack,
    active: Tensor,
    train: Partition,
    val: Partition,
    running: Tensor | None,
) -> list[Record]:
    on_train, on_val = measure(task, stack, train), measure(task, stack, val)
    columns = (on_train[0] if running is None else running, *on_train, *on_val)
    rows = zip(active.tolist(), *(column.tolist() for column in columns), strict=True)
    return [Record(epoch, *row) for row in rows]
