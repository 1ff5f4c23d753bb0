"""Small projects that together use everything that reaches torch.

The search spaces hold what has many values: a search trains them in few stacks, and in this
process, where its operations are seen.
"""

from __future__ import annotations

from typing import get_args

from stages.common.settings import Activation
from tests.emulation import tables
from tests.emulation.project import Project

DEFAULT = Project(
    "default",
    {
        "preprocess": {"features": "17:49"},
        "train": {"members": 2, "epochs": 1, "batch_size": 320},
        "finetune": {"members": 1, "epochs": 1},
        "search": {"trials": 2, "epochs": 1, "workers": 1},
    },
    new="digits_tilted.csv",
)
CREATURES = Project(  # every kind of column and activation, both optimizers, a new head
    "creatures",
    {
        "preprocess": {"csv": "data/raw/a.csv"},
        "model": {
            "hidden": [6, 4],
            "activation": "leaky_relu",
            "negative_slope": 0.2,
            "dropout": 0.3,
            "init": "kaiming",
        },
        "train": {
            "members": 3,
            "epochs": 2,
            "batch_size": 17,  # of 52 rows: the last batch has one
            "mixup": 0.6,
            "class_balance": 0.7,
            "decay_bias": True,
        },
        "finetune": {"csv": "data/raw/b.csv", "freeze": 1, "epochs": 2, "members": 2},
        "search": {
            "method": "grid",
            "trials": 18,
            "workers": 1,
            "epochs": 1,
            "space": {
                "model": {
                    "activation": [*get_args(Activation)],
                    "dropout": [0.0, 0.5],
                    "hidden": [[5, 3]],
                },
                "train": {"optimizer": ["adamw"], "batch_size": [51]},
            },
        },
    },
    new="b.csv",
    tables={
        "a.csv": tables.creatures(64, 1, ["ant", "bee", "cow"]),
        "b.csv": tables.creatures(30, 2, ["dog", "eel"]),
    },
)
LINE = Project(  # widths of 1, one network alone, early stops, divergence, a regression
    "line",
    {
        "preprocess": {"csv": "data/raw/a.csv", "features": ":-1", "scale": "quantile"},
        "model": {"hidden": [4, 1], "activation": "gelu", "dropout": 0.0},
        "train": {
            "members": 1,
            "optimizer": "adamw",
            "epochs": 3,
            "batch_size": 12,
            "patience": 1,
            "noise": 0.0,
        },
        "finetune": {"csv": "data/raw/b.csv", "freeze": ["layer1"], "epochs": 1, "members": 1},
        "search": {
            "method": "grid",
            "trials": 12,
            "workers": 1,
            "epochs": 3,
            "space": {
                "model": {
                    "init": ["default", "uniform", "xavier", "kaiming"],
                    "hidden": [[4]],
                    "activation": ["relu"],
                },
                "train": {"optimizer": ["sgd"], "lr": [0.01, 1.0], "mixup": [0.0, 1.0]},
            },
        },
    },
    new="b.csv",
    tables={"a.csv": tables.line(40, 3, 2.0), "b.csv": tables.line(20, 4, -1.0)},
)
HALVES = Project(  # a linear model, a given split, no scaling, no second table, a second rung
    "halves",
    {
        "preprocess": {
            "csv": "data/raw/a.csv",
            "scale": "none",
            "missing": "drop",
            "split": {"column": "part"},
        },
        "model": {"hidden": [], "init": "uniform", "init_low": -0.3, "init_high": 0.3},
        "train": {"members": 1, "epochs": 2, "batch_size": 64, "lr": 0.001},
        "finetune": {"csv": ""},
        "search": {
            "method": "random",
            "trials": 2,
            "workers": 1,
            "epochs": 2,
            "halving": 2,
            "space": {
                "model": {"negative_slope": {"low": 0.1, "high": 0.3, "scale": "linear"}},
                "train": {
                    "batch_size": {"low": 20, "high": 30, "scale": "integer"},
                    "lr": {"low": 0.001, "high": 1.0, "scale": "log"},
                },
            },
        },
    },
    new="a.csv",
    tables={"a.csv": tables.halves(50, 5)},
    killed="search",
)
SCENARIOS = {project.name: project for project in (DEFAULT, CREATURES, LINE, HALVES)}
