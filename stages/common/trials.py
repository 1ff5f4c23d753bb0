"""The trials of a search, trained in stacks of one shape, on several processes.

Trials that share a shape, an activation and the settings of the whole stack train at
once; they see the same rows in the same order, so they differ by their settings only. A
trial's result is the same bytes alone, in any stack and on any number of processes.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import time
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from stages.common import (
    arithmetic,
    files,
    halving,
    initialize,
    measurement,
    objective,
    space,
    training,
    workers,
)
from stages.common.halving import Rung
from stages.common.network import check_budget, count_parameters
from stages.common.partition import Partition
from stages.common.progress import Progress
from stages.common.recipe import Recipe
from stages.common.resume import Saves, State
from stages.common.schema import Schema
from stages.common.settings import Model, Search, Train
from stages.common.space import Point
from stages.common.training import Record, Run
from stages.common.workers import Submit

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
LEG = 5.0  # seconds after which a process hands over what it has, so that it can be saved


@dataclass(frozen=True)
class Trial:
    """One point of the space and what came of it, at its best epoch.

    rung: the last one that it has reached, from 0 on; status: done, stopped (others were
    better at that rung) or diverged.
    """

    point: Point
    parameters: int
    best: Record
    status: str = "done"
    rung: int = 0
    scores: Tensor | None = None  # of each validation row, float32 (rows,)

    @property
    def learnt(self) -> bool:
        """Whether it got better than its starting weights and did not diverge."""
        return self.best.epoch > 0 and self.status != "diverged"

    @property
    def rank(self) -> tuple[bool, float, float]:
        """What sorts trials, the best first: the higher score, then the lower loss."""
        keys = -self.best.val_score, self.best.val_loss
        score, loss = (key if math.isfinite(key) else math.inf for key in keys)
        return not self.learnt, score, loss


def ranked(trials: Sequence[Trial]) -> list[int]:
    """Return the places of trials, the best first; of equal ones the first."""
    return sorted(range(len(trials)), key=lambda at: (*trials[at].rank, at))


@dataclass(frozen=True)
class Shared:
    """What all trials of a round have in common; first: the number of its first trial."""

    schema: Schema
    rows: Partition
    val: Partition
    search: Search
    first: int


@dataclass(frozen=True)
class Group:
    """Trials that train as one stack: their numbers in the round and settings."""

    trials: tuple[int, ...]
    models: tuple[Model, ...]
    trains: tuple[Train, ...]

    def widths(self, schema: Schema) -> list[int]:
        """Return the widths of their networks, from features to outputs."""
        return [schema.n_features, *self.models[0].hidden, schema.n_outputs]

    def run(self, shared: Shared, saved: State | None) -> Run:
        """Return their training, before the first epoch or as it was saved."""
        search, device = shared.search, shared.rows.target.device
        stack = initialize.stack(
            self.widths(shared.schema),
            self.models[0].activation,
            [(search.seed, shared.first + trial) for trial in self.trials],
            [model.init for model in self.models],
            [(model.init_low, model.init_high) for model in self.models],
            [model.negative_slope for model in self.models],
        ).to(device)
        members = [
            train.model_dump() | {"dropout": model.dropout}
            for train, model in zip(self.trains, self.models, strict=True)
        ]
        common = self.trains[0].model_dump() | {"epochs": search.epochs, "seed": search.seed}
        recipe = Recipe.of(members, stack.depth, common).to(device)
        task, rows, val = shared.schema.task, shared.rows, shared.val
        return Run(task, stack, recipe, rows, val, thorough=False, saved=saved)


def run(
    schema: Schema,
    points: Sequence[Point],
    rows: Partition,
    val: Partition,
    model: Model,
    train: Train,
    search: Search,
    saves: Saves | None = None,
    first: int = 0,
) -> list[Trial]:
    """Train every point, rung by rung, and return the trials in the order of the points.

    Point t is trial first + t of the search and starts from weights of its own, (search.seed,
    first + t). Divergence ends a trial, not the search.
    """
    shared = Shared(schema, rows, val, search, first)
    groups = _groups([space.apply(point, model, train) for point in points], schema)
    for group in groups:
        check_budget(group.widths(schema), group.models[0].max_parameters)
    rungs = halving.rungs(len(points), search.epochs, search.halving)
    with _pool(shared, len(groups)) as submit:
        ladder = Ladder(points, groups, shared, submit, saves)
        for at, rung in enumerate(rungs):
            ladder.climb(at, rung)
            if len(rungs) > 1:
                print(f"rung {at + 1} of {len(rungs)}: {ladder.summary()}")
    return ladder.trials()


def _pool(shared: Shared, groups: int) -> AbstractContextManager[Submit]:
    """Return the processes that train groups."""
    search, work = shared.search, partial(advance, shared)
    if search.engine == "ray":
        from stages.common import cluster

        return cluster.pool(work, search.address, arithmetic.current())
    alone = shared.rows.target.is_cuda
    return workers.pool(work, 1 if alone else min(search.workers or workers.available(), groups))


def advance(
    shared: Shared, group: Group, saved: bytes | None, until: int, out: Collection[int]
) -> bytes:
    """Train a group on from a saved state, up to an epoch or for LEG seconds; return the state.

    An epoch is always trained to its end, the first one even if it takes longer.

    out: members that do not go on. At the search's last epoch the state is only what is left
    to tell: the scores of all validation rows (K, rows), and mean loss and score of the
    training rows (2, K), of each member at its best epoch.
    """
    run = group.run(shared, None if saved is None else opened(saved))
    run.drop(out)
    end = time.monotonic() + LEG
    while run.epoch < until and run.goes_on():
        run.advance()
        if time.monotonic() >= end:
            break
    state = run.state()
    if until == shared.search.epochs and not run.goes_on():
        task, stack = shared.schema.task, run.fitted.stack
        state = {key: state[key] for key in ("epoch", "active", "diverged", "history")}
        state["scores"] = measurement.row_scores(task, stack, shared.val)
        state["figures"] = torch.stack(measurement.measure(task, stack, shared.rows)).cpu()
    return files.tensor_bytes(state)


def opened(saved: bytes) -> State:
    """Return a state that `advance` has returned."""
    state: State = torch.load(io.BytesIO(saved), weights_only=True)
    return state


class Ladder:
    """The groups of a search on their way up the rungs."""

    def __init__(
        self,
        points: Sequence[Point],
        groups: Sequence[Group],
        shared: Shared,
        submit: Submit,
        saves: Saves | None,
    ) -> None:
        """Begin at the bottom, or with what an earlier run has saved."""
        self.points, self.groups, self.shared, self.submit = points, groups, shared, submit
        self.slots = [saves.slot(_name(shared, group)) for group in groups] if saves else []
        self.states = [slot.load() for slot in self.slots] or [None] * len(groups)
        if saves and any(self.states):
            begun = sum(state is not None for state in self.states)
            print(f"{saves.folder}: goes on where it was, with {begun} of {len(groups)} stacks")
        self.going = set(range(len(points)))  # trials that are in the race
        self.rungs = [0] * len(points)  # the last that each trial has reached
        self.epoch = 0
        self.progress = Progress()

    def climb(self, at: int, rung: Rung) -> None:
        """Let the best trials train to a rung."""
        if at:
            order = [trial for trial in ranked(self.trials()) if trial in self.going]
            self.going = set(order[: rung.trials])
        for trial in self.going:
            self.rungs[trial] = at
        self.epoch = rung.epoch
        below = deque(place for place in range(len(self.groups)) if self._below(place))
        waiting: dict[Future[bytes], int] = {}
        while below or waiting:
            while below and not any(future.done() for future in waiting):
                place = below.popleft()
                waiting[self._send(place)] = place
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                place = waiting.pop(future)
                state = self.states[place] = opened(future.result())
                if self.slots:
                    self.slots[place].offer(partial(dict, state))
                if self._below(place):
                    below.append(place)
            self._show()
        self.progress.clear()

    def _below(self, place: int) -> bool:
        """Return whether a group has not reached the rung."""
        state = self.states[place]
        if state is None:
            return True
        if self.epoch == self.shared.search.epochs:
            return "scores" not in state
        return state["epoch"] < self.epoch and len(state["active"]) > 0

    def _send(self, place: int) -> Future[bytes]:
        group, state = self.groups[place], self.states[place]
        out = [member for member, trial in enumerate(group.trials) if trial not in self.going]
        saved = None if state is None else files.tensor_bytes(state)
        return self.submit(group, saved, self.epoch, out)

    def _show(self) -> None:
        """Show how far the trials are on their way to the rung."""
        states = [state for state in self.states if state is not None]
        there = sum(min(self.epoch, state["epoch"]) for state in states)
        text = f"search: {len(self.going)} of {len(self.points)} trials, to epoch {self.epoch}"
        self.progress.show(text, there, self.epoch * len(self.groups))

    def summary(self) -> str:
        """Return in words what the rung has brought."""
        best = min(self.trials(), key=lambda trial: trial.rank).best
        score = objective.SCORE[self.shared.schema.task]
        return (
            f"{len(self.going)} trials to epoch {self.epoch}; best val {score} {best.val_score:.3f}"
        )

    def trials(self) -> list[Trial]:
        """Return all trials as they are at this rung, in the order of the points."""
        found: dict[int, Trial] = {}
        for group, state in zip(self.groups, self.states, strict=True):
            assert state is not None
            size = count_parameters(group.widths(self.shared.schema))
            for member, (best, diverged) in enumerate(
                zip(*training.standing(state, self.epoch), strict=True)
            ):
                trial, scores = group.trials[member], None
                best = replace(best, member=self.shared.first + trial)
                if "scores" in state:
                    loss, score = state["figures"][:, member].tolist()
                    best = replace(best, train_loss=loss, train_score=score)
                    scores = state["scores"][member]
                status = "diverged" if diverged else "done" if trial in self.going else "stopped"
                reached = self.rungs[trial]
                found[trial] = Trial(self.points[trial], size, best, status, reached, scores)
        return [found[trial] for trial in range(len(self.points))]


def _name(shared: Shared, group: Group) -> str:
    """Return a name that no other group has, also where another machine proposes other points."""
    key = repr((shared.search, shared.first, group))
    return f"stack-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _groups(sections: Sequence[tuple[Model, Train]], schema: Schema) -> list[Group]:
    """Group trials whose stack settings are the same, in stacks of much the same size."""
    alike: dict[str, list[int]] = {}
    for trial, (model, train) in enumerate(sections):
        both = {"model": model, "train": train}
        key = json.dumps([getattr(both[section], name) for section, name in IN_ONE_STACK])
        alike.setdefault(key, []).append(trial)
    groups = []
    for same in alike.values():
        widths = [schema.n_features, *sections[same[0]][0].hidden, schema.n_outputs]
        most = min(MOST, max(1, BYTES // (4 * count_parameters(widths))))
        number = -(-len(same) // most)
        for at in range(number):
            trials = same[at * len(same) // number : (at + 1) * len(same) // number]
            pairs = [sections[trial] for trial in trials]
            groups.append(Group(tuple(trials), *(tuple(each) for each in zip(*pairs, strict=True))))
    return groups
