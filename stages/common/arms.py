"""The arms of a fine-tune: ways to learn the second table that are compared with each other.

freeze N      the base model's weights; the first N hidden layers stay as they are
from scratch  new weights and the same budget, at the fine-tuning rate and at a ladder of
              rates around the base model's; the best of them is the control

Every arm is tried with the same seeds, so seed s of any two arms can be compared.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from stages.common import initialize, network
from stages.common.checkpoint import Checkpoint
from stages.common.errors import UserError
from stages.common.network import Stack
from stages.common.schema import Schema

# Times the base model's learning rate. A short budget wants larger steps than the full
# training did: with that rate alone the control would be weaker than it can be.
LADDER = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Arm:
    """One way to learn the second table; `frozen` says for each layer whether it stays."""

    name: str
    frozen: tuple[bool, ...]
    lr: float
    scratch: bool


def frozen_layers(freeze: int | Sequence[str], layers: int) -> tuple[bool, ...]:
    """Return for each layer whether `freeze` holds it: a count from the input on, or patterns.

    Raises UserError for a count above the hidden layers, for a pattern that matches no
    layer, and for one that matches the output layer.
    """
    names = [f"layer{index}" for index in range(layers)]
    if isinstance(freeze, int):
        if freeze >= layers:
            raise UserError(
                f"finetune.freeze: {freeze} layers, but the network has {layers - 1} hidden ones "
                f"and its output layer stays free; set it to {layers - 1} at most"
            )
        return tuple(index < freeze for index in range(layers))
    for pattern in freeze:
        matched = fnmatch.filter(names, pattern)
        if not matched:
            raise UserError(f"finetune.freeze: '{pattern}' matches none of {', '.join(names)}")
        if names[-1] in matched:
            raise UserError(
                f"finetune.freeze: '{pattern}' matches the output layer {names[-1]}, which stays "
                "free; name hidden layers only"
            )
    return tuple(any(fnmatch.fnmatch(name, pattern) for pattern in freeze) for name in names)


def plan(freeze: int | Sequence[str], layers: int, lr: float, base_lr: float) -> list[Arm]:
    """Return the arms, the one that was asked for first.

    lr: for fine-tuning; base_lr: the one that trained the base model.
    """
    asked = frozen_layers(freeze, layers)
    depths = [frozen_layers(count, layers) for count in range(layers)]
    tuned = [asked, *(depth for depth in depths if depth != asked)]
    arms = [Arm(_name(frozen), frozen, lr, scratch=False) for frozen in tuned]
    free = (False,) * layers
    rates = dict.fromkeys([*(min(1.0, base_lr * factor) for factor in LADDER), lr])
    return arms + [Arm(f"from scratch, lr {rate:g}", free, rate, scratch=True) for rate in rates]


def _name(frozen: Sequence[bool]) -> str:
    count = sum(frozen)
    if list(frozen) == [index < count for index in range(len(frozen))]:
        return f"freeze {count}"
    return "freeze " + " ".join(f"layer{index}" for index, still in enumerate(frozen) if still)


def starting_weights(
    base: Checkpoint, schema: Schema, arms: Sequence[Arm], members: int, seed: int
) -> Stack:
    """Return the stack of all arms, arm by arm, `members` seeds each.

    A fine-tuned seed starts from a member of the base model. Its output layer is kept
    when both tables have the same classes, else replaced by a new one.
    """
    model = base.settings["model"]
    widths = [*base.stack.widths[:-1], schema.n_outputs]
    fresh = initialize.stack(
        widths,
        base.stack.activation,
        [(seed, member) for member in range(members)],
        [model["init"]] * members,
        [(model["init_low"], model["init_high"])] * members,
        [model["negative_slope"]] * members,
    )
    tuned = fresh.take(torch.arange(members))
    assert members <= len(base.stack), "each continues another one"
    origin = torch.arange(members)
    pairs = list(zip(tuned.layers, base.stack.layers, strict=True))
    for mine, theirs in pairs if keeps_head(base, schema) else pairs[:-1]:
        mine.weight.copy_(theirs.weight[origin])
        mine.bias.copy_(theirs.bias[origin])
    return network.concatenate([fresh if arm.scratch else tuned for arm in arms])


def keeps_head(base: Checkpoint, schema: Schema) -> bool:
    """Return whether the second table has the classes of the first, so the output layer fits."""
    return base.schema.target.classes == schema.target.classes
