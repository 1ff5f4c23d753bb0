"""The encoded rows of one part (train, val or test), on disk and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from stages.common import files


@dataclass(frozen=True)
class Partition:
    """Rows as tensors.

    features: float32 (rows, n_features); target: int64 (rows,) class indices or float32
    (rows,) standardised values; row: int64 (rows,), each row's number in the CSV file.
    """

    features: Tensor
    target: Tensor
    row: Tensor

    def __len__(self) -> int:
        return len(self.target)

    def to(self, device: torch.device) -> Partition:
        return Partition(*(tensor.to(device) for tensor in (self.features, self.target, self.row)))

    def take(self, index: Tensor) -> Partition:
        """Return the rows at `index`, in its order."""
        return Partition(self.features[index], self.target[index], self.row[index])

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield features (B, n_features) and target (B,), at most `size` rows at a time."""
        for start in range(0, len(self), size):
            yield self.features[start : start + size], self.target[start : start + size]

    def save(self, path: Path) -> None:
        files.write_tensors(
            path, {"features": self.features, "target": self.target, "row": self.row}
        )

    @classmethod
    def load(cls, path: Path) -> Partition:
        """Read a saved part, memory-mapped; UserError when the file is not one."""
        content = files.read_tensors(path, ("features", "target", "row"))
        return cls(content["features"], content["target"], content["row"])
