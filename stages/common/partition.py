"""The encoded rows of one part (train, val or test), on disk and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from stages.common import files
from stages.common.errors import UserError
from stages.common.schema import Schema

CHECKED = 2**16  # rows that are checked at once


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
    def load(cls, path: Path, schema: Schema) -> Partition:
        """Read a saved part, memory-mapped; UserError when it is none of this schema."""
        content = files.read_tensors(path, ("features", "target", "row"), mapped=True)
        try:
            part = cls(content["features"], content["target"], content["row"])
            part._check(schema)
        except (ValueError, AttributeError, TypeError, RuntimeError) as error:
            raise UserError(f"{path}: {error}; {files.remedy(path)}") from error
        return part

    def _check(self, schema: Schema) -> None:
        """Raise ValueError unless the tensors are rows that the schema describes."""
        kind = torch.int64 if schema.task == "classification" else torch.float32
        types = (self.features.dtype, self.target.dtype, self.row.dtype)
        if types != (torch.float32, kind, torch.int64):
            raise ValueError(f"tensors of types {', '.join(map(str, types))}")
        width, rows = schema.n_features, len(self.target)
        if self.features.dim() != 2 or self.features.shape[1] != width:
            shape = tuple(self.features.shape)
            raise ValueError(f"features of shape {shape}, the schema has {width} columns")
        if not len(self.features) == rows == len(self.row):
            sizes = f"{len(self.features)} rows of features, {rows} targets"
            raise ValueError(f"{sizes}, {len(self.row)} row numbers")
        for features, target in self.batches(CHECKED):
            if not bool(features.isfinite().all() & target.isfinite().all()):
                raise ValueError("a number is not finite")
        if rows and schema.task == "classification":
            low, high = int(self.target.min()), int(self.target.max())
            if low < 0 or high >= schema.n_outputs:
                most = schema.n_outputs - 1
                raise ValueError(f"classes {low} to {high}, the schema has 0 to {most}")
