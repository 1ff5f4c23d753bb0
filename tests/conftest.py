"""Shared fixtures. `stages` is imported first: it chooses the arithmetic before torch comes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import stages  # noqa: F401  isort: skip
import pytest
import torch

from stages.common import params
from stages.common.partition import Partition
from stages.common.recipe import Recipe
from stages.common.settings import Settings
from tests import drawn

ROOT = Path(__file__).parents[1]

MEMBER = {
    "lr": 0.05,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "noise": 0.0,
    "mixup": 0.0,
    "class_balance": 0.0,
    "dropout": 0.0,
}
SHARED = {
    "optimizer": "sgd",
    "decay_bias": False,
    "batch_size": 16,
    "epochs": 5,
    "patience": 100,
    "seed": 0,
}


@pytest.fixture
def settings() -> Settings:
    """The real settings of params.yaml."""
    return params.load(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def small_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the finished small project of a task, made once; it is only read."""
    return functools.cache(lambda task: drawn.make(tmp_path_factory.mktemp(task), task))


@pytest.fixture
def csv(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Write a file of text or bytes and return its path."""

    def write(content: str | bytes) -> Path:
        path = Path(tmp_path, "t.csv")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def make_recipe() -> Callable[..., Recipe]:
    """Build a recipe from MEMBER and SHARED with some settings replaced.

    A per-member setting may be a list, one value per member.
    """

    def build(members: int, layers: int, frozen: Any = None, **changes: Any) -> Recipe:
        shared = {key: changes.pop(key, value) for key, value in SHARED.items()}
        each = [
            {
                key: (changes[key][index] if isinstance(changes.get(key), list) else changes[key])
                if key in changes
                else value
                for key, value in MEMBER.items()
            }
            for index in range(members)
        ]
        assert set(changes) <= set(MEMBER), changes
        return Recipe.of(each, layers, shared, frozen)

    return build


@pytest.fixture
def blobs() -> Callable[..., Partition]:
    """Make rows of classes that a small network can tell apart: Gaussian blobs."""

    def build(
        rows: int, features: int = 6, classes: int = 3, seed: int = 0, spread: float = 1.0
    ) -> Partition:
        generator = torch.Generator().manual_seed(seed)
        centres = torch.randn(classes, features, generator=torch.Generator().manual_seed(99)).mul(2)
        target = torch.arange(rows) % classes
        noise = torch.randn(rows, features, generator=generator) * spread
        return Partition(centres[target] + noise, target, torch.arange(rows))

    return build
