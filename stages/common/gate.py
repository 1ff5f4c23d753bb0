"""Step one of the recipe: overfit one batch, or say why it cannot be done.

A network that cannot learn a handful of rows by heart has a bug in its data, loss,
gradients or updates. Regularisers are off, the network is the configured one (at least
WIDTH units per hidden layer, one hidden layer at the least), the learning rate is this
module's own, so that only a bug can make it fail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from stages.common import health, initialize, training
from stages.common.batches import Augmentation
from stages.common.errors import UserError
from stages.common.network import Stack
from stages.common.optimizer import OPTIMIZERS
from stages.common.partition import Partition
from stages.common.recipe import Recipe
from stages.common.schema import Schema
from stages.common.settings import Model

ROWS = 16
WIDTH = 64
STEPS = 1000
LOSS = 0.01  # near 0; cross-entropy only approaches it
MEMBER = {
    "lr": 0.003,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "noise": 0.0,
    "mixup": 0.0,
    "dropout": 0.0,
}


@dataclass(frozen=True)
class Overfit:
    """What the gate reached: steps taken, and loss and score on its batch after them."""

    steps: int
    loss: float
    score: float


def batch(part: Partition) -> Partition:
    """Return up to ROWS rows with different features, the classes in turn.

    Rows with the same features and different classes cannot be told apart by any network.
    """
    seen: set[bytes] = set()
    queues: dict[float, list[int]] = {}
    for index, row in enumerate(part.features[:4096]):
        key = row.cpu().numpy().tobytes()
        if key not in seen:
            seen.add(key)
            queues.setdefault(float(part.target[index]), []).append(index)
    chosen: list[int] = []
    while len(chosen) < ROWS and any(queues.values()):
        for label in sorted(queues):
            if queues[label] and len(chosen) < ROWS:
                chosen.append(queues[label].pop(0))
    return part.take(torch.tensor(chosen, device=part.target.device))


def overfit(schema: Schema, train: Partition, model: Model, seed: int) -> Overfit:
    """Learn one batch by heart; UserError with the likely cause when that fails."""
    task, rows = schema.task, batch(train)
    hidden = [max(width, WIDTH) for width in model.hidden or [WIDTH]]
    stack = initialize.stack(
        [schema.n_features, *hidden, schema.n_outputs],
        model.activation,
        [(seed, 0)],
        [model.init],
        [(model.init_low, model.init_high)],
        [model.negative_slope],
    ).to(train.features.device)
    shared = {
        "optimizer": "adamw",
        "decay_bias": False,
        "batch_size": ROWS,
        "epochs": STEPS,
        "patience": STEPS,
        "seed": seed,
    }
    recipe = Recipe.of([MEMBER], stack.depth, shared).to(train.features.device)
    optimizer, augmentation = OPTIMIZERS["adamw"](stack, recipe), Augmentation(recipe)
    start = training.measure(task, stack, rows)[0].item()
    ratio = health.first_to_last(health.examine(task, stack, rows))
    for count in range(1, STEPS + 1):
        training.step(task, stack, optimizer, augmentation, rows.features, rows.target)
        if count % 10 == 0 or count == STEPS:
            loss, score = (value.item() for value in training.measure(task, stack, rows))
            if loss < LOSS and score > 1 - LOSS:
                return Overfit(count, loss, score)
            if not math.isfinite(loss):
                break
    raise UserError(
        f"train: cannot learn {len(rows)} rows by heart: loss {start:.3g} before, {loss:.3g} after "
        f"{count} steps, score {score:.3g}; likely cause: {_cause(start, loss, ratio, stack)}"
    )


def _cause(start: float, loss: float, ratio: float, stack: Stack) -> str:
    if not math.isfinite(loss):
        return "outputs explode: set preprocess.scale to standard or model.init to default"
    if loss == start:
        return "the weights do not move: is every layer frozen, or the learning rate 0?"
    if ratio < health.VANISHING:
        return (
            f"the gradient vanishes (first to last layer {ratio:.1e}, {stack.activation}): "
            "set model.activation to relu, or take fewer layers"
        )
    if loss > start:
        return "the updates go astray: are gradients reset at every step?"
    return "features and target do not belong together, or the features are not scaled"
