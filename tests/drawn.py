"""Small finished projects whose plots are drawn, with two commits to compare."""

from __future__ import annotations

import random
from pathlib import Path

from tests import keys
from tests.project import commit, copy_project, dvc

SMALL = {
    "train.members": "2",
    "train.epochs": "3",
    "finetune.members": "2",
    "finetune.epochs": "2",
    "search.trials": "12",
    "search.epochs": "2",
}
VALUES = {
    "preprocess.csv": "data/raw/one.csv",
    "preprocess.features": "':-1'",
    "finetune.csv": "data/raw/two.csv",
}
FASTER = {"train.lr": "0.2"}  # the second commit


def make(folder: Path, task: str) -> Path:
    """Return a project whose pipeline has run, and again with another setting since its commit."""
    copy_project(folder)
    if task == "regression":
        for seed, name in enumerate(("one", "two")):
            (folder / f"data/raw/{name}.csv").write_text(line(seed))
    changes = SMALL | (VALUES if task == "regression" else {})
    path = folder / "params.yaml"
    for more in ({}, FASTER):
        text = path.read_text()
        for key, value in (more or changes).items():
            text = keys.change(text, key, value)
        path.write_text(text)
        dvc(folder, "repro", *(["train"] if more else []))
        if not more:
            commit(folder)
    return folder


def line(seed: int) -> str:
    """Return a table of 60 rows whose target is nearly a sum of two columns."""
    drawn = random.Random(seed)
    rows = [[drawn.gauss(0, 1), drawn.gauss(0, 1)] for _ in range(60)]
    lines = [f"{a:.3f},{b:.3f},{2 * a - b + drawn.gauss(0, 0.2):.3f}" for a, b in rows]
    return "\n".join(["a,b,y", *lines]) + "\n"
