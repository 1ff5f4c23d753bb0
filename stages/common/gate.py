"""Step one of the recipe: overfit one batch, or say why it cannot be done.

A network that cannot learn a handful of rows by heart has a bug in its data, loss,
gradients or updates. Regularisers are off, the network is the configured one (at least
WIDTH units per hidden layer, one hidden layer at the least), the learning rate is this
module's own.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor

from stages.common import health, initialize, measurement, parity, training
from stages.common.batches import Augmentation
from stages.common.errors import UserError
from stages.common.optimizer import OPTIMIZERS
from stages.common.partition import Partition
from stages.common.recipe import Recipe
from stages.common.schema import Schema
from stages.common.settings import Model

ROWS = 16
WIDTH = 64
STEPS = 1000
LOOK = 4096  # rows among which those of the batch are found, about
EXPLODES = 100.0  # loss of the starting weights
LOSS = 0.01  # near 0; cross-entropy only approaches it
MEMBER = {
    "lr": 0.003,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "noise": 0.0,
    "mixup": 0.0,
    "class_balance": 0.0,
    "dropout": 0.0,
}


@dataclass(frozen=True)
class Overfit:
    """What the gate reached: rows learnt, steps taken, and loss and score after them."""

    rows: int
    steps: int
    loss: float
    score: float


def batch(part: Partition) -> Partition:
    """Return up to ROWS rows with different features: the classes in turn, or values spread out.

    Rows with the same features and different targets cannot be told apart by any network.
    """
    seen: set[bytes] = set()
    different = []
    candidates = _candidates(part.target.cpu())
    for index, row in zip(candidates, part.features[candidates].cpu() + 0.0, strict=True):
        key = row.numpy().tobytes()  # adding 0 has made 0.0 of -0.0
        if key not in seen:
            seen.add(key)
            different.append(index)
    target = part.target.tolist()
    if part.target.is_floating_point():
        ordered = sorted(different, key=target.__getitem__)
        last = len(ordered) - 1
        chosen = sorted({ordered[round(step * last / (ROWS - 1))] for step in range(ROWS)})
    else:
        turn: Counter[int] = Counter()
        turns = []
        for index in different:
            turns.append((turn[target[index]], target[index], index))
            turn[target[index]] += 1
        chosen = [index for *_, index in sorted(turns)[:ROWS]]
    return part.take(torch.tensor(chosen, device=part.target.device))


def _candidates(target: Tensor) -> list[int]:
    """Return rows among which the batch is chosen: some of every class, or evenly spread ones."""
    if target.is_floating_point():
        size = min(LOOK, len(target))
        return [step * len(target) // size for step in range(size)]
    labels = sorted(set(target.tolist()))
    each = max(ROWS, LOOK // len(labels))
    rows = [(target == label).nonzero()[:each, 0] for label in labels]
    return sorted(torch.cat(rows).tolist())


def overfit(schema: Schema, train: Partition, model: Model, seed: int) -> Overfit:
    """Learn one batch by heart; UserError with the likely cause when that fails.

    Two rows that nearly agree in their features but not in their target take very long:
    a batch that cannot be learnt is halved, down to two rows, before the gate gives up.
    """
    whole = batch(train)
    size = len(whole)
    while True:
        reached, cause = _learn(schema, _part(whole, size), model, seed)
        if not cause:
            return reached
        if size <= 2 or not math.isfinite(reached.loss):
            break
        size = (size + 1) // 2
    raise UserError(
        f"train: cannot learn {reached.rows} rows by heart: loss {reached.loss:.3g} after "
        f"{reached.steps} steps, score {reached.score:.3g}; likely cause: {cause}"
    )


def _part(whole: Partition, size: int) -> Partition:
    """Return `size` rows of a batch: the first, which has the classes in turn, or spread ones."""
    index = torch.arange(size, device=whole.target.device)
    if whole.target.is_floating_point():
        index = index * (len(whole) - 1) // max(1, size - 1)
    return whole.take(index)


def _learn(schema: Schema, rows: Partition, model: Model, seed: int) -> tuple[Overfit, str]:
    """Return what learning by heart reached, and the likely cause if that is too little."""
    task = schema.task
    hidden = [max(width, WIDTH) for width in model.hidden or [WIDTH]]
    stack = initialize.stack(
        [schema.n_features, *hidden, schema.n_outputs],
        model.activation,
        [(seed, 0)],
        [model.init],
        [(model.init_low, model.init_high)],
        [model.negative_slope],
    ).to(rows.target.device)
    shared = {
        "optimizer": "adamw",
        "decay_bias": False,
        "batch_size": ROWS,
        "epochs": STEPS,
        "patience": STEPS,
        "seed": seed,
    }
    recipe = Recipe.of([MEMBER], stack.depth, shared).to(rows.target.device)
    doubt = parity.doubt(task, stack, recipe, rows)
    optimizer, augmentation = OPTIMIZERS["adamw"](stack, recipe), Augmentation(recipe)
    start = measurement.measure(task, stack, rows)[0].item()
    ratio = health.first_to_last(health.examine(task, stack, rows))
    for count in range(1, STEPS + 1):
        training.step(task, stack, optimizer, augmentation, rows.features, rows.target)
        if count % 10 == 0 or count == STEPS:
            loss, score = (value.item() for value in measurement.measure(task, stack, rows))
            reached = Overfit(len(rows), count, loss, score)
            if loss < LOSS and score > 1 - LOSS and not doubt:
                return reached, ""
            if doubt or not math.isfinite(loss):
                break
    return reached, doubt or _cause(start, loss, ratio, model)


def _cause(start: float, loss: float, ratio: float, model: Model) -> str:
    if not math.isfinite(loss) or start > EXPLODES:
        return (
            "outputs explode: set preprocess.scale to standard or model.init to default; the "
            "features are not scaled, or the weights too large"
        )
    if loss == start:
        return parity.STILL
    if vanishing := health.vanishing(ratio, model.activation, model.init):
        return vanishing
    if loss > start:
        return "the updates go astray: is their sign right?"
    return "features and target do not belong together, or the features are not scaled"
