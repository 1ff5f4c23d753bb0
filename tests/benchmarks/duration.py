"""How long the pipeline takes, and what a stack saves against one network after another.

Both sides of a ratio are measured in one run, on the default table, with one thread.
"""

from __future__ import annotations

import itertools
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import stages  # noqa: F401  isort: skip
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from stages.common import dataset, initialize, params, training
from stages.common.partition import Partition
from stages.common.recipe import Recipe
from stages.common.settings import Settings
from tests.columns import partition

EPOCHS = 5
MEMBERS = (1, 8, 64)


def seconds(run: Callable[[], object]) -> float:
    """Return the wall-clock time of a call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def loop(settings: Settings, rows: Partition, widths: list[int]) -> None:
    """Train one network as PyTorch's tutorials do: DataLoader, nn.Sequential, optim.SGD."""
    modules: list[nn.Module] = []
    for before, after in itertools.pairwise(widths[:-1]):
        modules += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(settings.model.dropout)]
    network = nn.Sequential(*modules, nn.Linear(widths[-2], widths[-1]))
    optimizer = torch.optim.SGD(network.parameters(), lr=settings.train.lr, momentum=0.9)
    data = TensorDataset(rows.features, rows.target)
    loader = DataLoader(data, batch_size=settings.train.batch_size, shuffle=True)
    for _ in range(EPOCHS):
        for features, target in loader:
            noisy = features + settings.train.noise * torch.randn_like(features)
            loss = nn.functional.cross_entropy(network(noisy), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def stacked(settings: Settings, rows: Partition, widths: list[int], members: int) -> None:
    """Train a stack of networks with the project's engine, validation left out."""
    init = settings.model.init
    stack = initialize.stack(
        widths,
        settings.model.activation,
        [(0, member) for member in range(members)],
        [init] * members,
        [(-0.1, 0.1)] * members,
        [0.01] * members,
    )
    shared = settings.train.model_dump() | {"epochs": EPOCHS, "patience": EPOCHS}
    each = settings.train.model_dump() | {"dropout": settings.model.dropout}
    recipe = Recipe.of([each] * members, stack.depth, shared)
    few = rows.take(torch.arange(2))
    training.fit("classification", stack, recipe, rows, few)


def main() -> None:
    """Print the time of the whole pipeline and of a no-op, and network-epochs per second."""
    for name, arguments in (("from nothing", ["--force", "--no-run-cache"]), ("no-op", [])):
        command = ["python", "-m", "dvc", "repro", "--quiet", *arguments]
        taken = seconds(lambda command=command: subprocess.run(command, check=True))  # type: ignore[misc]
        print(f"dvc repro, {name}: {taken:.1f} s")
    settings = params.load()
    built = dataset.read(settings.preprocess, Path(tempfile.gettempdir()))
    rows = partition(built, "train")
    widths = [rows.features.shape[1], *settings.model.hidden, 10]
    one = EPOCHS / seconds(lambda: loop(settings, rows, widths))
    print(f"PyTorch loop, one network after another: {one:.0f} network-epochs/s")
    for members in MEMBERS:
        taken = seconds(lambda members=members: stacked(settings, rows, widths, members))  # type: ignore[misc]
        rate = members * EPOCHS / taken
        print(f"stack of {members:2}: {rate:.0f} network-epochs/s, {rate / one:.1f} times")


if __name__ == "__main__":
    main()
