"""The order of rows, and the noise, dropout and mixing of a training step.

Members of a stack share every draw, and each applies its own strength to it (common
random numbers): trials then differ by their settings only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from stages.common.recipe import Recipe
from stages.common.streams import stream


def shuffled(rows: int, generator: torch.Generator) -> Tensor:
    """Return the order of one epoch, int64 (rows,).

    It is the order in which `DataLoader(TensorDataset(...), shuffle=True,
    generator=generator)` would deliver the rows. DataLoader draws three times per epoch: a
    seed for its workers, the order, and an order that it throws away.
    """
    torch.empty((), dtype=torch.int64).random_(generator=generator)
    order = torch.randperm(rows, generator=generator)
    torch.randperm(rows, generator=generator)
    return order


def users(recipe: Recipe) -> dict[str, Tensor]:
    """Return which members draw from each stream of a training step, bool (K,) by its name."""
    return {
        "dropout": (recipe.dropout > 0).sum(dim=1) > 0,
        "noise": recipe.noise > 0,
        "mixup": recipe.mixup > 0,
    }


class Augmentation:
    """Draws for one step after another, from streams of their own."""

    def __init__(self, recipe: Recipe) -> None:
        self.follow(recipe)
        self.generators = {name: stream(name, recipe.seed) for name in users(recipe)}

    def follow(self, recipe: Recipe) -> None:
        """Take up the strengths of a recipe; those of hidden layers as columns (K, 1, 1)."""
        self.recipe = recipe
        self.dropout = [rate[:, None, None] for rate in recipe.dropout.unbind(dim=1)]
        self.scale = [1 / (1 - rate) for rate in self.dropout]
        self.drops, self.disturbs, self.mixes = (
            bool(uses.any()) for uses in users(recipe).values()
        )

    def masks(self, batch: int, widths: list[int]) -> list[Tensor] | None:
        """Return dropout factors (K, B, H) per hidden layer: 0, or 1/(1-p) for a unit kept."""
        if not self.drops:
            return None
        masks = []
        for width, rate, scale in zip(widths, self.dropout, self.scale, strict=True):
            uniform = self._draw("dropout", torch.rand, batch, width)
            kept = uniform.new_empty(len(rate), batch, width)
            masks.append(torch.ge(uniform, rate, out=kept).mul_(scale))  # of 0.0 and 1.0
        return masks

    def features(self, x: Tensor, mixing: tuple[Tensor, Tensor] | None) -> Tensor:
        """Return rows (B, F) mixed and with noise for each member: (K, B, F).

        Without either the rows are returned as they are.
        """
        if mixing is not None:
            partner, weight = mixing
            x = x + weight[..., None] * (x[partner] - x)
        if self.disturbs:
            strength = self.recipe.noise[:, None, None]
            x = torch.addcmul(x, strength, self._draw("noise", torch.randn, *x.shape[-2:]))
        return x

    def mixing(self, batch: int) -> tuple[Tensor, Tensor] | None:
        """Return partners int64 (B,) and the partner's weight (K, B), or None without mixup.

        The weight is uniform between 0 and mixup / 2. With mixup 1 this is mixup (Zhang et
        al. 2018) with alpha 1, whose mixtures are the same seen from either row.
        """
        if not self.mixes:
            return None
        mixup = self.recipe.mixup
        partner = torch.randperm(batch, generator=self.generators["mixup"]).to(mixup.device)
        weight = self._draw("mixup", torch.rand, batch)
        return partner, mixup[:, None] * weight / 2

    def _draw(self, name: str, draw: Callable[..., Tensor], *shape: int) -> Tensor:
        drawn: Tensor = draw(*shape, generator=self.generators[name])
        return drawn.to(self.recipe.noise.device)
