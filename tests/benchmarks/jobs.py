"""Searches of this project that tests.benchmarks.search measures, each in a process of its own.

A job is called by its name with what follows on the command line and prints a JSON object;
the process has set its arithmetic before this module imports torch.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import stages  # noqa: F401  isort: skip
import numpy as np
import torch

from stages.common import (
    dataset,
    grouping,
    initialize,
    objective,
    params,
    race,
    ranking,
    space,
    training,
)
from stages.common.batches import Augmentation
from stages.common.optimizer import OPTIMIZERS
from stages.common.partition import Partition
from stages.common.products import product
from stages.common.recipe import Recipe
from stages.common.schema import Schema
from stages.common.settings import Range, Search, Settings, Space
from stages.common.space import Point
from stages.common.trials import Common, Trial
from tests.benchmarks import peers
from tests.columns import partition

SPACE = Space(
    model={"dropout": Range(low=0.0, high=0.5, scale="linear")},
    train={
        "lr": Range(low=0.001, high=0.1, scale="log"),
        "momentum": Range(low=0.85, high=0.99, scale="linear"),
        "weight_decay": Range(low=0.00001, high=0.01, scale="log"),
    },
)
NEVER = 10**6  # epochs without progress before a trial stops
ROUNDS, STEPS = 60, 4  # the quickest of so many rounds of steps counts


@functools.cache
def settings() -> Settings:
    """Return params.yaml with the networks and the trials of this benchmark."""
    found = params.load()
    model = found.model.model_copy(
        update={"hidden": list(peers.HIDDEN), "activation": "relu", "init": "default"}
    )
    train = found.train.model_copy(
        update={
            "optimizer": "sgd",
            "batch_size": peers.BATCH,
            "patience": NEVER,
            "noise": 0.0,
            "mixup": 0.0,
            "class_balance": 0.0,
        }
    )
    search = found.search.model_copy(
        update={
            "method": "random",
            "epochs": peers.EPOCHS,
            "halving": 1,
            "engine": "local",
            "workers": peers.PROCESSES,
            "space": SPACE,
            "seed": 0,
        }
    )
    return found.model_copy(update={"model": model, "train": train, "search": search})


@functools.cache
def digits() -> tuple[Schema, Partition, Partition]:
    """Return the default table's schema, training and validation rows."""
    built = dataset.read(settings().preprocess, Path(tempfile.gettempdir()))
    return built.schema, partition(built, "train"), partition(built, "val")


def widths() -> list[int]:
    """Return the widths of the networks."""
    return [digits()[0].n_features, *peers.HIDDEN, peers.CLASSES]


def points(search: Search) -> list[Point]:
    """Return the points that a search draws."""
    return space.draw(search, settings().model)


def found(rows: Partition, val: Partition, **changes: Any) -> tuple[list[Trial], float]:
    """Return the trials of a search and the seconds it took; changes: of its settings."""
    search = settings().search.model_copy(update=changes)
    schema, drawn = digits()[0], points(search)
    start = time.perf_counter()
    common = Common(schema, rows, val, settings().model, settings().train, search)
    result = race.run(common, drawn)
    return result, time.perf_counter() - start


def accuracy(result: Sequence[Trial]) -> float:
    """Return the best validation accuracy."""
    return result[ranking.best(result)].best.val_score


def prepare(folder: str, count: str) -> dict[str, Any]:
    """Write the encoded table and the first `count` points where peers read them."""
    _, rows, val = digits()
    tensors = {"x": rows.features, "y": rows.target, "val_x": val.features, "val_y": val.target}
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    np.savez(Path(folder) / peers.TABLE, **arrays)  # type: ignore[arg-type]
    drawn = points(settings().search.model_copy(update={"trials": int(count)}))
    plain = [{key: value for (_, key), value in point.items()} for point in drawn]
    (Path(folder) / peers.POINTS).write_text(json.dumps(plain))
    return {}


def rate(count: str) -> dict[str, Any]:
    """Return the trial-epochs per second of a search of `count` trials, and its accuracy."""
    result, seconds = found(*digits()[1:], trials=int(count))
    return {"rate": int(count) * peers.EPOCHS / seconds, "best": accuracy(result)}


def halving(count: str, share: str, rounds: str) -> dict[str, Any]:
    """Return least seconds and accuracy of a search, all trials to the end and with halving."""
    full_seconds = seconds = math.inf
    for _ in range(int(rounds)):
        full, taken = found(*digits()[1:], trials=int(count))
        full_seconds = min(full_seconds, taken)
        climbed, taken = found(*digits()[1:], trials=int(count), halving=int(share))
        seconds = min(seconds, taken)
    return {
        "full_seconds": full_seconds,
        "full_best": accuracy(full),
        "seconds": seconds,
        "best": accuracy(climbed),
    }


def cost(count: str, epochs: str) -> dict[str, Any]:
    """Return the seconds of a search."""
    return {"seconds": found(*digits()[1:], trials=int(count), epochs=int(epochs))[1]}


def equal(count: str, epochs: str, *stacks: str) -> dict[str, Any]:
    """Return the md5 of all trials' figures for each size of the stacks and number of workers."""
    changes: dict[str, Any] = {"trials": int(count), "epochs": int(epochs)}
    sums = {}
    for stack in stacks:
        for workers in (1, peers.PROCESSES):
            with mock.patch.object(grouping, "MOST", int(stack)):
                result, _ = found(*digits()[1:], workers=workers, **changes)
            told = [(trial.best, trial.status, _listed(trial.scores)) for trial in result]
            digest = hashlib.md5(repr(told).encode()).hexdigest()
            sums[f"stacks of {stack}, workers {workers}"] = digest
    return sums


def _listed(scores: torch.Tensor | None) -> list[float]:
    assert scores is not None
    return scores.tolist()


def honest(seeds: str, count: str, epochs: str) -> dict[str, Any]:
    """Return raw best and corrected accuracy of searches on labels that say nothing."""
    schema, rows, val = digits()
    raw, corrected, chance = [], [], []
    for seed in range(int(seeds)):
        draw = torch.Generator().manual_seed(seed)
        both = torch.cat([rows.target, val.target])
        both = both[torch.randperm(len(both), generator=draw)]
        noisy = replace(rows, target=both[: len(rows)]), replace(val, target=both[len(rows) :])
        result, _ = found(*noisy, trials=int(count), epochs=int(epochs), seed=seed)
        figures = ranking.figures(result, [], schema, seed)
        raw.append(figures["search_max_val_accuracy"])
        corrected.append(figures["search_corrected_val_accuracy"])
        shares = (part.target.bincount(minlength=peers.CLASSES) / len(part) for part in noisy)
        chance.append(float(torch.stack(list(shares)).prod(dim=0).sum()))
    return {
        "raw": statistics.fmean(raw),
        "corrected": statistics.fmean(corrected),
        "error": statistics.stdev(corrected) / len(corrected) ** 0.5,
        "chance": statistics.fmean(chance),
    }


def steps(*sizes: str) -> dict[str, Any]:
    """Return the microseconds of a step and of its matrix products alone, for stacks."""
    return {size: [_step(int(size)), _products(int(size))] for size in sizes}


def _quickest(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(STEPS):
            work()
        taken.append((time.perf_counter() - start) / STEPS)
    return min(taken) * 1e6


def _step(size: int) -> float:
    """Return the microseconds of a training step of a stack, with dropout of each strength."""
    schema, rows, _ = digits()
    inits = ["default"] * size, [(-0.1, 0.1)] * size, [0.01] * size
    stack = initialize.stack(widths(), "relu", [(0, at) for at in range(size)], *inits)
    plain = settings().train.model_dump()
    members = [plain | {"dropout": 0.1 + 0.3 * at / size} for at in range(size)]
    recipe = Recipe.of(members, stack.depth, plain)
    optimizer, augmentation = OPTIMIZERS["sgd"](stack, recipe), Augmentation(recipe)
    x, y = next(rows.batches(peers.BATCH))
    weights = objective.class_weights(schema.task, y, peers.CLASSES, recipe.class_balance)
    return _quickest(
        lambda: training.step(schema.task, stack, optimizer, augmentation, x, y, weights)
    )


def _products(size: int) -> float:
    """Return the microseconds of the eight products of a step: forward, weights, inputs."""
    weights = [torch.randn(size, *pair) for pair in itertools.pairwise(widths())]
    values = [torch.randn(size, peers.BATCH, width) for width in widths()]

    def work() -> None:
        for at, weight in enumerate(weights):
            product(values[at], weight)
            product(values[at].mT, values[at + 1])
            if at > 0:
                product(values[at + 1], weight.mT)

    return _quickest(work)


JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    job.__name__: job for job in (prepare, rate, halving, cost, equal, honest, steps)
}


def main() -> None:
    """Do the job that the command line names."""
    name, *arguments = sys.argv[1:]
    print(json.dumps(JOBS[name](*arguments)))
