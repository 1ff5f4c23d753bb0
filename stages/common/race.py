"""The trials of a search, trained rung by rung, on several processes.

At each rung those that go on form new stacks, so that no stack is left with a few. A trial's
result is the same bytes on any number of processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

from stages.common import arithmetic, files, grouping, halving, objective, space, training, workers
from stages.common.grouping import Group
from stages.common.halving import Rung
from stages.common.names import counted
from stages.common.network import check_budget, count_parameters
from stages.common.progress import Progress
from stages.common.record import of_table
from stages.common.resume import Saves, State
from stages.common.space import Point
from stages.common.trials import Common, Trial, ranked
from stages.common.workers import Submit


def run(
    common: Common, points: Sequence[Point], saves: Saves | None = None, first: int = 0
) -> list[Trial]:
    """Train every point, rung by rung, and return the trials in the order of the points.

    Point t is trial first + t of the search and starts from weights of its own, (search.seed,
    first + t). Divergence ends a trial, not the search.
    """
    search = common.search
    race = Race(common, points, saves, first)
    rungs = halving.rungs(len(points), search.epochs, search.halving)
    with _pool(common, len(race.groups)) as submit:
        for at, rung in enumerate(rungs):
            race.climb(at, rung, submit)
            if len(rungs) > 1:
                print(f"rung {at + 1} of {len(rungs)}: {race.summary(rung)}")
    return race.trials()


def _pool(common: Common, groups: int) -> AbstractContextManager[Submit]:
    """Return the processes that train groups."""
    search, work = common.search, partial(grouping.advance, common)
    if search.engine == "ray":
        from stages.common import cluster

        return cluster.pool(work, search.address, arithmetic.current())
    alone = common.rows.target.is_cuda
    return workers.pool(work, 1 if alone else min(search.workers or workers.available(), groups))


class Race:
    """The trials of a search on their way up the rungs, by their numbers."""

    def __init__(
        self, common: Common, points: Sequence[Point], saves: Saves | None, first: int
    ) -> None:
        """Begin at the bottom. UserError when a network is larger than it may be."""
        self.common, self.saves = common, saves
        self.points = dict(enumerate(points, first))
        self.going = list(self.points)  # trials that are in the race
        self.groups = self._grouped(self.points)  # that train to the next rung
        self.starts: list[State | None] = [None] * len(self.groups)
        for group in self.groups:
            check_budget(group.widths(common), group.models[0].max_parameters)
        self.found: dict[int, Trial] = {}
        self.places: dict[int, tuple[State, int]] = {}  # of trials with epochs left: in a stack

    def climb(self, at: int, rung: Rung, submit: Submit) -> None:
        """Let the best trials train to a rung."""
        if at:
            self._part(at, rung.trials)
        states = self._train(rung, submit)
        self.places = {}
        for group, state in zip(self.groups, states, strict=True):
            self._note(at, group, state)

    def trials(self) -> list[Trial]:
        """Return all trials as they stand, in the order of the points."""
        return [self.found[number] for number in self.points]

    def summary(self, rung: Rung) -> str:
        """Return in words what a rung has brought."""
        best = min(self.found.values(), key=lambda trial: trial.rank).best
        score = objective.SCORE[self.common.schema.task]
        return (
            f"{counted(len(self.going), 'trial')} to epoch {rung.epoch}; "
            f"best val {score} {best.val_score:.3f}"
        )

    def _grouped(self, numbers: Iterable[int]) -> list[Group]:
        model, train, schema = self.common.model, self.common.train, self.common.schema
        sections = {number: space.apply(self.points[number], model, train) for number in numbers}
        return grouping.grouped(sections, schema.n_features, schema.n_outputs)

    def _part(self, at: int, count: int) -> None:
        """Choose the trials that go on, and form new groups of those with epochs left."""
        order = [self.going[place] for place in ranked([self.found[each] for each in self.going])]
        for number in order[count:]:
            if self.found[number].status == "done":
                self.found[number] = replace(self.found[number], status="stopped")
        self.going = sorted(order[:count])
        for number in self.going:
            if self.found[number].status == "done":
                self.found[number] = replace(self.found[number], rung=at)
        self.groups = self._grouped(number for number in self.going if number in self.places)
        self.starts = [
            training.gathered(group.recipe(self.common), [self.places[t] for t in group.trials])
            for group in self.groups
        ]

    def _note(self, at: int, group: Group, state: State) -> None:
        """Note how the trials of a group stand at a rung."""
        size = count_parameters(group.widths(self.common))
        active = set(state["active"].tolist())
        best = of_table(state["best"])
        for member, number in enumerate(group.trials):
            loss, score = state["figures"][:, member].tolist()
            record = replace(best[member], member=number, train_loss=loss, train_score=score)
            status = "diverged" if state["diverged"][member] else "done"
            scores = state["scores"][member]
            self.found[number] = Trial(self.points[number], size, record, status, at, scores)
            if member in active:
                self.places[number] = state, member

    def _train(self, rung: Rung, submit: Submit) -> list[State]:
        """Train the groups to a rung, or go on with what an earlier run has saved."""
        names = [group.name(self.common, rung.epoch) for group in self.groups]
        slots = [self.saves.slot(name) for name in names] if self.saves else []
        states = [slot.load() for slot in slots] or [None] * len(self.groups)
        if self.saves and (begun := sum(state is not None for state in states)):
            print(f"{self.saves.folder}: goes on where it was, with {begun} of {len(names)} stacks")
        states = [state or start for state, start in zip(states, self.starts, strict=True)]

        def send(place: int) -> Future[bytes]:
            state = states[place]
            saved = None if state is None else files.tensor_bytes(state)
            return submit(self.groups[place], saved, rung.epoch)

        below = deque(place for place, state in enumerate(states) if not _there(state))
        waiting: dict[Future[bytes], int] = {}
        with Progress(_done(states, rung)) as progress:
            while below or waiting:
                while below and not any(future.done() for future in waiting):
                    place = below.popleft()
                    waiting[send(place)] = place
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    place = waiting.pop(future)
                    state = states[place] = grouping.opened(future.result())
                    if slots:
                        slots[place].offer(partial(dict, state))
                    if not _there(state):
                        below.append(place)
                self._show(progress, rung, states)
        return [state for state in states if state is not None]

    def _show(self, progress: Progress, rung: Rung, states: list[State | None]) -> None:
        """Show how far the trials are on their way to a rung."""
        begun = [of_table(state["best"]) for state in states if state]
        best = max(record.val_score for records in begun for record in records)
        text = (
            f"search: {len(self.going)} of {len(self.points)} trials to epoch {rung.epoch}, "
            f"best val {objective.SCORE[self.common.schema.task]} {best:.3f}"
        )
        progress.show(text, _done(states, rung), rung.epoch * len(states))


def _done(states: Sequence[State | None], rung: Rung) -> float:
    """Return how many epochs the groups have behind them; one that is there has all."""
    return sum(rung.epoch if _there(state) else state["epoch"] for state in states if state)


def _there(state: State | None) -> bool:
    """Return whether a group has reached its rung."""
    return state is not None and "scores" in state
