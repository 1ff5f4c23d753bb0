"""What is measured of one member after one epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Record:
    """One member after one epoch; epoch 0 is before training.

    `running_loss` is the mean training loss while the weights moved, with dropout, noise,
    mixing and class weights on; `train_loss` and `train_score` are measured at the end of
    the epoch with them off, as `val_loss` and `val_score` are. Each is a mean over rows.
    """

    epoch: int
    member: int
    running_loss: float
    train_loss: float
    train_score: float
    val_loss: float
    val_score: float


def as_table(records: Sequence[Record]) -> Tensor:
    """Return records as float64 (n, 7), which holds their whole numbers exactly."""
    return torch.tensor([list(vars(record).values()) for record in records], dtype=torch.float64)


def of_table(table: Tensor) -> list[Record]:
    """Return what `as_table` was made of."""
    return [Record(int(epoch), int(member), *row) for epoch, member, *row in table.tolist()]
