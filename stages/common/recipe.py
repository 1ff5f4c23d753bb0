"""How each member of a stack is trained: one value per member of every setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

PER_MEMBER = ("lr", "momentum", "weight_decay", "noise", "mixup", "class_balance", "dropout")
SHARED = ("optimizer", "decay_bias", "batch_size", "epochs", "patience", "seed")


@dataclass(frozen=True)
class Recipe:
    """Settings of K members. Tensors are float32 (K,) unless noted; the rest is shared."""

    lr: Tensor
    momentum: Tensor
    weight_decay: Tensor
    noise: Tensor
    mixup: Tensor
    class_balance: Tensor
    dropout: Tensor  # (K, hidden layers); 0 for a frozen layer, which is in evaluation mode
    frozen: Tensor  # bool (K, layers); weight and bias of a frozen layer do not move
    optimizer: str
    decay_bias: bool
    batch_size: int
    epochs: int
    patience: int
    seed: int

    @classmethod
    def of(
        cls,
        members: Sequence[Mapping[str, Any]],
        layers: int,
        shared: Mapping[str, Any],
        frozen: Sequence[Sequence[bool]] | None = None,
    ) -> Self:
        """Build the recipe of members whose settings are mappings with the keys PER_MEMBER.

        layers: number of layers of the network; shared: a mapping with the keys SHARED;
        frozen: for each member and layer whether it stays as it is.
        """
        values: dict[str, Any] = {
            key: torch.tensor([float(member[key]) for member in members]) for key in PER_MEMBER
        }
        still = torch.tensor(frozen or [[False] * layers] * len(members), dtype=torch.bool)
        assert still.shape == (len(members), layers)
        values["dropout"] = values["dropout"][:, None] * (~still[:, : layers - 1]).float()
        values |= {key: shared[key] for key in SHARED}
        return cls(frozen=still, **values)

    def take(self, index: Tensor) -> Self:
        """Return the recipe of the members at `index`."""
        return self._each(lambda tensor: tensor[index.to(tensor.device)])

    def to(self, device: torch.device) -> Self:
        return self._each(lambda tensor: tensor.to(device))

    def _each(self, change: Any) -> Self:
        tensors = {
            field.name: change(getattr(self, field.name))
            for field in fields(self)
            if isinstance(getattr(self, field.name), Tensor)
        }
        return replace(self, **tensors)
