"""Trials in groups that train as one stack each.

Trials that share a shape, an activation and the settings of the whole stack train at
once; they see the same rows in the same order, so they differ by their settings only. A
trial's result is the same bytes alone and in any group.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from stages.common import files, initialize, inputs, measurement
from stages.common.network import Stack, count_parameters
from stages.common.recipe import Recipe
from stages.common.resume import State
from stages.common.settings import Model, Train
from stages.common.training import Run
from stages.common.trials import Common

IN_ONE_STACK = (  # settings that all members of a stack share, besides the shape
    ("model", "hidden"),
    ("model", "activation"),
    ("train", "optimizer"),
    ("train", "batch_size"),
    ("train", "decay_bias"),
    ("train", "patience"),
)
MOST = 32  # trials in a stack
BYTES = 2**21  # of the weights of a stack, at most: what a step reads and writes fits a cache
EVEN = 16  # trials from which on they form an even number of stacks, as most machines have
# an even number of processors; fewer are as quick in one stack
LEG = 5.0  # seconds after which a process hands over what it has, so that it can be saved


@dataclass(frozen=True)
class Group:
    """Trials that train as one stack: their numbers in the search and settings."""

    trials: tuple[int, ...]
    models: tuple[Model, ...]
    trains: tuple[Train, ...]

    def widths(self, common: Common) -> list[int]:
        """Return the widths of their networks, from features to outputs."""
        return [common.schema.n_features, *self.models[0].hidden, common.schema.n_outputs]

    def recipe(self, common: Common) -> Recipe:
        """Return how they are trained."""
        search = common.search
        members = [
            train.model_dump() | {"dropout": model.dropout}
            for train, model in zip(self.trains, self.models, strict=True)
        ]
        shared = self.trains[0].model_dump() | {"epochs": search.epochs, "seed": search.seed}
        return Recipe.of(members, len(self.models[0].hidden) + 1, shared)

    def run(self, common: Common, saved: State | None) -> Run:
        """Return their training, before the first epoch or as it was saved."""
        device = common.rows.target.device
        stack = self._starting(common) if saved is None else self._kept(saved)
        task, recipe = common.schema.task, self.recipe(common).to(device)
        rows, val = common.rows, common.val
        return Run(task, stack.to(device), recipe, rows, val, thorough=False, saved=saved)

    def _starting(self, common: Common) -> Stack:
        return initialize.stack(
            self.widths(common),
            self.models[0].activation,
            [(common.search.seed, trial) for trial in self.trials],
            [model.init for model in self.models],
            [(model.init_low, model.init_high) for model in self.models],
            [model.negative_slope for model in self.models],
        )

    def _kept(self, saved: State) -> Stack:
        slopes = torch.tensor([model.negative_slope for model in self.models])
        kept = saved["kept"]
        return Stack(kept[::2], kept[1::2], self.models[0].activation, slopes)

    def name(self, common: Common, until: int) -> str:
        """Return a name that no other training to this epoch has, whoever does it.

        Where another machine proposes other points, it has another name, too.
        """
        search = inputs.content("search", common.search.model_dump())
        key = repr((search, until, self))
        return f"stack-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def grouped(
    sections: Mapping[int, tuple[Model, Train]], features: int, outputs: int
) -> list[Group]:
    """Group trials whose stack settings are the same, in groups of much the same size.

    sections: of each trial, by its number. The groups that take longest come first.
    """
    alike: dict[str, list[int]] = {}
    for trial, (model, train) in sections.items():
        both = {"model": model, "train": train}
        key = json.dumps([getattr(both[section], name) for section, name in IN_ONE_STACK])
        alike.setdefault(key, []).append(trial)
    groups = []
    for same in alike.values():
        parameters = count_parameters([features, *sections[same[0]][0].hidden, outputs])
        most = min(MOST, max(1, BYTES // (4 * parameters)))
        number = -(-len(same) // most)
        if len(same) >= EVEN:
            number += number % 2
        for at in range(number):
            trials = same[at * len(same) // number : (at + 1) * len(same) // number]
            pairs = [sections[trial] for trial in trials]
            group = Group(tuple(trials), *(tuple(each) for each in zip(*pairs, strict=True)))
            groups.append((-parameters * len(trials), trials[0], group))
    return [group for _, _, group in sorted(groups, key=lambda each: each[:2])]


def advance(common: Common, group: Group, saved: bytes | None, until: int) -> bytes:
    """Train a group on from a saved state, up to an epoch or for LEG seconds; return the state.

    An epoch is always trained to its end, the first one even if it takes longer. The state of
    a group that is there also has the scores of all validation rows (K, rows), and mean loss and
    score of the training rows (2, K), of each member at its best epoch; at the search's last
    epoch it has only what is left to tell.
    """
    run = group.run(common, None if saved is None else opened(saved))
    end = time.monotonic() + LEG
    while run.epoch < until and run.goes_on():
        run.advance()
        if time.monotonic() >= end:
            break
    state = run.state()
    if run.epoch >= until or not run.goes_on():
        task, stack = common.schema.task, run.fitted.stack
        if until == common.search.epochs:
            state = {key: state[key] for key in ("epoch", "active", "best", "diverged")}
        state["scores"] = measurement.row_scores(task, stack, common.val)
        state["figures"] = torch.stack(measurement.measure(task, stack, common.rows)).cpu()
    return files.tensor_bytes(state)


def opened(saved: bytes) -> State:
    """Return a state that `advance` has returned."""
    state: State = torch.load(io.BytesIO(saved), weights_only=True)
    return state
