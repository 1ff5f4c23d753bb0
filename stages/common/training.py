"""The loop that trains a stack. From the outside in: fit, epoch, step.

`train` and `finetune` call `fit`; they differ in the starting weights and in the recipe.
Between two epochs a training is a `Run`, which can be saved and continued: `search` trains
its stacks so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stages.common import batches, measurement, objective
from stages.common.batches import Augmentation
from stages.common.network import Stack
from stages.common.objective import Task
from stages.common.optimizer import OPTIMIZERS, Optimizer
from stages.common.partition import Partition
from stages.common.progress import Progress
from stages.common.recipe import Recipe
from stages.common.record import Record, as_table, of_table
from stages.common.resume import Slot, State

DIVERGED = 10.0  # times the validation loss of the starting weights, or of knowing nothing
KNOWS_NOTHING = 1.0  # about the loss of a constant answer, for classes and standardised values

Observer = Callable[[int, Stack, list[int]], Tensor]


@dataclass
class Fitted:
    """The result of `fit`: every member at the epoch with its lowest validation loss.

    observed: what the observer returned after each epoch, from epoch 0 on.
    """

    stack: Stack
    best: list[Record]
    diverged: list[bool]
    history: list[Record] = field(default_factory=list)
    observed: list[Tensor] = field(default_factory=list)


def fit(
    task: Task,
    stack: Stack,
    recipe: Recipe,
    train: Partition,
    val: Partition,
    observe: Observer | None = None,
    slot: Slot | None = None,
    thorough: bool = True,
) -> Fitted:
    """Train all members of `stack` at once and return each at its best epoch.

    A member stops by itself: after `recipe.patience` epochs without a lower validation
    loss, or when it diverges. Its result does not depend on who else is in the stack.
    `observe(epoch, stack, members)` is called after each epoch, also for epoch 0, with the
    members that are still training. The given stack is not changed.

    slot: where the training is saved between epochs, and continued from; how far it is is told
    under its name. thorough: as of `Run`.
    """
    saved = slot.load() if slot is not None else None
    run = Run(task, stack, recipe, train, val, observe, thorough, saved)
    if slot is not None and saved is not None:
        print(f"{slot.path}: goes on after epoch {run.epoch}")
    with Progress(run.epoch) as progress:
        while run.goes_on():
            run.advance()
            if slot is not None:
                slot.offer(run.state)
                text = f"{slot.path.stem}: {len(run.active)} of {len(stack)} networks"
                progress.show(text, run.epoch, recipe.epochs)
    return run.fitted


class Run:
    """A training between two epochs: all that the next epoch depends on."""

    def __init__(
        self,
        task: Task,
        stack: Stack,
        recipe: Recipe,
        train: Partition,
        val: Partition,
        observe: Observer | None = None,
        thorough: bool = True,
        saved: State | None = None,
    ) -> None:
        """Begin a training, whose epoch 0 is measured, or go on with the `saved` one.

        thorough: measure the training rows after each epoch. Else a record has the running
        loss as its `train_loss`, which is NaN in epoch 0, and NaN as its `train_score`.
        """
        self.task, self.given, self.recipe = task, stack, recipe
        self.train, self.val, self.observe, self.thorough = train, val, observe, thorough
        self.epoch = 0
        self.active = torch.arange(len(stack))
        self.stack = stack.take(self.active)
        self.optimizer = OPTIMIZERS[recipe.optimizer](self.stack, recipe)
        self.augmentation = Augmentation(recipe)
        self.order = torch.Generator().manual_seed(recipe.seed)
        if saved is not None:
            self._restore(saved)
            return
        first = self._measure(None)
        self.fitted = Fitted(stack.take(self.active), first, [False] * len(stack), list(first))
        self._look()

    def goes_on(self) -> bool:
        """Return whether any member has an epoch left."""
        return self.epoch < self.recipe.epochs and len(self.active) > 0

    def advance(self) -> None:
        """Train the active members for an epoch, keep what it improved, let some stop."""
        running = run_epoch(
            self.task, self.stack, self.optimizer, self.augmentation, self.train, self.order
        )
        self.epoch += 1
        records = self._measure(running)
        self._look()
        first = self.fitted.history[: len(self.given)]
        staying = _note(self.fitted, self.stack, records, self.recipe.patience, first)
        if len(staying) < len(self.active):
            self._keep(torch.tensor(staying, dtype=torch.int64))

    def state(self) -> State:
        """Return all that is needed to go on from here, as tensors and numbers."""
        fitted = self.fitted
        return {
            "epoch": self.epoch,
            "active": self.active,
            "weights": [weight.detach() for weight in self.stack.parameters()],
            "optimizer": self.optimizer.state,
            "streams": [generator.get_state() for generator in self._generators()],
            "kept": [weight.detach() for weight in fitted.stack.parameters()],
            "best": as_table(fitted.best),
            "diverged": fitted.diverged,
            "history": as_table(fitted.history),
            "observed": fitted.observed,
        }

    def _restore(self, state: State) -> None:
        """Become the training that `state` was taken of."""
        kept = self.given.take(self.active)
        self.epoch = state["epoch"]
        self._keep(state["active"])
        for stack, saved in ((self.stack, state["weights"]), (kept, state["kept"])):
            for weight, value in zip(stack.parameters(), saved, strict=True):
                weight.data.copy_(value)
        for tensor, value in zip(self.optimizer.state, state["optimizer"], strict=True):
            tensor.copy_(value)
        for generator, position in zip(self._generators(), state["streams"], strict=True):
            generator.set_state(position)
        best, history = of_table(state["best"]), of_table(state["history"])
        self.fitted = Fitted(kept, best, state["diverged"], history, state["observed"])

    def _generators(self) -> list[torch.Generator]:
        return [self.order, *self.augmentation.generators.values()]

    def _keep(self, staying: Tensor) -> None:
        """Go on with the active members at the places `staying`, int64 (n,)."""
        self.active, self.stack = self.active[staying], self.stack.take(staying)
        self.optimizer.keep(self.stack, staying)
        self.augmentation.follow(self.optimizer.recipe)

    def _measure(self, running: Tensor | None) -> list[Record]:
        """Return a record per active member; running: the losses of the epoch, float64 (K,)."""
        on_val = measurement.measure(self.task, self.stack, self.val)
        nothing = torch.full_like(on_val[0], math.nan)
        if self.thorough:
            on_train = measurement.measure(self.task, self.stack, self.train)
        else:
            on_train = nothing if running is None else running, nothing
        columns = (on_train[0] if running is None else running, *on_train, *on_val)
        lists = (column.tolist() for column in columns)
        rows = zip(self.active.tolist(), *lists, strict=True)
        return [Record(self.epoch, *row) for row in rows]

    def _look(self) -> None:
        if self.observe is not None:
            seen = self.observe(self.epoch, self.stack, self.active.tolist())
            self.fitted.observed.append(seen)


def gathered(recipe: Recipe, members: Sequence[tuple[State, int]]) -> State:
    """Return the state of a training of members that come from other ones at the same epoch.

    recipe: of these members; each of them is given by the state that it comes from and its
    number there, where it is still training.
    """
    states = [state for state, _ in members]
    places = [state["active"].tolist().index(member) for state, member in members]
    kept = [member for _, member in members]

    # a stream that a member does not draw from may stand anywhere in its state
    drawing = [0, *(int(uses.int().argmax()) for uses in batches.users(recipe).values())]

    def rows(tensors: Sequence[Sequence[Tensor]], at: Sequence[int]) -> list[Tensor]:
        pairs = (zip(same, at, strict=True) for same in zip(*tensors, strict=True))
        return [torch.stack([tensor[row] for tensor, row in each]) for each in pairs]

    def table(name: str) -> Tensor:
        (found,) = rows([[state[name]] for state in states], kept)
        found[:, 1] = torch.arange(len(members))  # records have the member there
        return found

    return {
        "epoch": states[0]["epoch"],
        "active": torch.arange(len(members)),
        "weights": rows([state["weights"] for state in states], places),
        "optimizer": rows([state["optimizer"] for state in states], places),
        "streams": [states[member]["streams"][at] for at, member in enumerate(drawing)],
        "kept": rows([state["kept"] for state in states], kept),
        "best": table("best"),
        "diverged": [False] * len(members),
        "history": table("history"),  # its first records, of epoch 0, one per member
        "observed": [],
    }


def _note(
    fitted: Fitted, stack: Stack, records: list[Record], patience: int, first: list[Record]
) -> list[int]:
    """Keep what an epoch improved; return the places of the members that go on."""
    improved, staying = [], []
    for place, record in enumerate(records):
        member = record.member
        limit = DIVERGED * max(first[member].val_loss, KNOWS_NOTHING)
        if not record.train_loss <= limit or not record.val_loss < float("inf"):
            fitted.diverged[member] = True
            continue
        if record.val_loss < fitted.best[member].val_loss:
            fitted.best[member] = record
            improved.append(place)
        if record.epoch - fitted.best[member].epoch < patience:
            staying.append(place)
    if improved:
        members = torch.tensor([records[place].member for place in improved])
        fitted.stack.put(members, stack, torch.tensor(improved))
    fitted.history += records
    return staying


def run_epoch(
    task: Task,
    stack: Stack,
    optimizer: Optimizer,
    augmentation: Augmentation,
    train: Partition,
    order: torch.Generator,
) -> Tensor:
    """Pass once over the training rows; return the mean loss of each member, float64 (K,)."""
    shuffled = train.take(batches.shuffled(len(train), order).to(train.target.device))
    total = torch.zeros(len(stack), dtype=torch.float64, device=train.target.device)
    recipe, classes = optimizer.recipe, stack.widths[-1]
    weights = objective.class_weights(task, train.target, classes, recipe.class_balance)
    for x, y in shuffled.batches(recipe.batch_size):
        losses = step(task, stack, optimizer, augmentation, x, y, weights)
        total += losses.double().sum(dim=1)
    return total / len(train)


def step(
    task: Task,
    stack: Stack,
    optimizer: Optimizer,
    augmentation: Augmentation,
    x: Tensor,
    y: Tensor,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Update every member with one batch (B, F), (B,); return the losses (K, B) before it.

    The loss of a member is the mean over the batch, in which each row has the weight of its
    class (K, C). Members share no weight, so each has the gradient of its own loss.
    """
    mixing = augmentation.mixing(len(y))
    done = stack.run(
        augmentation.features(x, mixing), augmentation.masks(len(y), stack.widths[1:-1])
    )
    losses, gradient = objective.training_losses(task, done.outputs, y, mixing, class_weights)
    stack.write_gradients(done, gradient.div_(len(y)), out=optimizer.gradients)
    optimizer.step()
    return losses
