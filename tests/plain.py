"""Sections of settings in which nothing is on that need not be; tests replace what they need."""

from __future__ import annotations

from typing import Any

MODEL: dict[str, Any] = {
    "hidden": [8],
    "activation": "relu",
    "negative_slope": 0.01,
    "dropout": 0.0,
    "init": "default",
    "init_low": -0.1,
    "init_high": 0.1,
    "max_parameters": 0,
}
TRAIN: dict[str, Any] = {
    "members": 1,
    "optimizer": "sgd",
    "lr": 0.05,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "decay_bias": False,
    "batch_size": 16,
    "epochs": 1,
    "patience": 9,
    "noise": 0.0,
    "mixup": 0.0,
    "class_balance": 0.0,
    "seed": 0,
}
