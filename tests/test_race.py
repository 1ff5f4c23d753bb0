"""Trials: each the same bytes whoever is beside it; divergence ends a trial, not the search."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest

from stages.common import files, grouping, halving, initialize, measurement, race, training, workers
from stages.common.errors import UserError
from stages.common.recipe import Recipe
from stages.common.trials import Common, Trial
from tests import plain
from tests.columns import numbers_schema

MODEL = plain.MODEL
TRAIN = plain.TRAIN


SEARCH = {"epochs": 4, "halving": 1, "workers": 1, "seed": 0}


@pytest.fixture
def run(settings, blobs):
    """Run points, each a mapping such as {"train.lr": 0.1}, on blobs."""

    def build(*points, saves=None, spread=1.0, **changes) -> list[Trial]:
        search = {key: changes.pop(key, value) for key, value in SEARCH.items()}
        model = {key: changes.pop(key, value) for key, value in MODEL.items()}
        train = {key: changes.pop(key, value) for key, value in TRAIN.items()}
        assert not changes
        named = [
            {tuple(name.split(".")): value for name, value in point.items()} for point in points
        ]
        common = Common(
            numbers_schema(),
            blobs(60, spread=spread),
            blobs(40, seed=1, spread=spread),
            settings.model.model_copy(update=model),
            settings.train.model_copy(update=train),
            settings.search.model_copy(update=search),
        )
        return race.run(common, named, saves)

    return build


def figures(trial) -> tuple[Any, ...]:
    """Return all that a trial found, to the last bit."""
    found = learnt_by(trial)
    return trial.parameters, trial.status, trial.rung, *found


def learnt_by(trial) -> tuple[str, bytes]:
    """Return the figures of its network and what it scored on each row."""
    return repr(trial.best), trial.scores.numpy().tobytes()


MIXED: list[dict[str, Any]] = [
    {"train.lr": 0.1, "model.dropout": 0.3, "model.hidden": [8], "train.noise": 0.5},
    {"train.lr": 0.01, "model.dropout": 0.0, "model.hidden": [8, 4], "train.noise": 0.0},
    {"train.lr": 0.05, "model.dropout": 0.0, "model.hidden": [8], "train.noise": 0.0},
    {"train.lr": 0.02, "model.dropout": 0.5, "model.hidden": [], "train.noise": 0.1},
    {"train.lr": 0.2, "model.dropout": 0.1, "model.hidden": [8, 4], "train.noise": 0.0},
]


@pytest.mark.parametrize("at", range(len(MIXED)))
def test_a_trial_is_the_same_beside_any_others(at, run):
    others = [
        [{**MIXED[0], "train.lr": 0.3}] * 5,  # one large stack
        [{**MIXED[0], "model.hidden": [width]} for width in (2, 3, 4, 5, 6)],  # one each
        [{**MIXED[0], "train.noise": 0.0, "model.dropout": 0.0}] * 5,  # no draws at all
    ]
    expected = figures(run(*MIXED)[at])
    for beside in others:
        points = [*beside[:at], MIXED[at], *beside[at + 1 :]]
        assert figures(run(*points)[at]) == expected


def test_a_trial_that_stops_early_leaves_the_others_as_they_are(run):
    slow = {"train.lr": 0.01, "train.momentum": 0.0}
    wild = {"train.lr": 1.0, "train.momentum": 0.999}
    calm = {"train.lr": 0.01, "train.momentum": 0.5}
    beside_wild = run(slow, wild, epochs=8, patience=1)
    assert beside_wild[1].best.epoch < 7
    assert figures(beside_wild[0]) == figures(run(slow, calm, epochs=8, patience=1)[0])


def test_trials_come_in_the_order_of_the_points(run):
    found = run(*MIXED)
    expected = [{tuple(name.split(".")): value for name, value in each.items()} for each in MIXED]
    assert [trial.point for trial in found] == expected
    # 6-8-3, 6-8-4-3, 6-8-3, 6-3, 6-8-4-3
    assert [trial.parameters for trial in found] == [83, 107, 83, 21, 107]


def test_a_trial_is_what_training_its_settings_gives(run, blobs):
    found = run({"train.lr": 0.2}, {"train.lr": 0.02}, seed=5)[1]
    stack = initialize.stack([6, 8, 3], "relu", [(5, 1)], ["default"], [(-0.1, 0.1)], [0.01])
    shared = TRAIN | {"epochs": 4, "seed": 5, "lr": 0.02, "dropout": 0.0}
    recipe = Recipe.of([shared], 2, shared)
    fitted = training.fit("classification", stack, recipe, blobs(60), blobs(40, seed=1))
    scores = measurement.row_scores("classification", fitted.stack, blobs(40, seed=1))[0]
    best = replace(fitted.best[0], member=1)
    assert learnt_by(found) == learnt_by(Trial({}, 0, best, scores=scores))


def test_a_trial_has_the_score_of_each_validation_row(run):
    for trial in run(*MIXED):
        assert trial.scores is not None
        assert trial.scores.shape == (40,)
        assert set(trial.scores.tolist()) <= {0.0, 1.0}
        assert trial.scores.mean().item() == pytest.approx(trial.best.val_score)


def test_trials_with_the_same_settings_start_from_different_weights(run):
    one, other = run({"train.lr": 0.1}, {"train.lr": 0.1}, epochs=1)
    assert one.best.val_loss != other.best.val_loss


def test_the_same_seed_gives_the_same_trials_and_another_seed_others(run):
    one, again, other = (run(*MIXED[:2], seed=seed) for seed in (3, 3, 4))
    assert [figures(trial) for trial in one] == [figures(trial) for trial in again]
    assert [figures(trial) for trial in one] != [figures(trial) for trial in other]


@pytest.mark.parametrize(
    ("name", "values", "stacks"),
    [
        ("model.hidden", ([8], [4]), 2),
        ("model.activation", ("relu", "tanh"), 2),
        ("train.optimizer", ("sgd", "adamw"), 2),
        ("train.batch_size", (8, 16), 2),
        ("train.decay_bias", (True, False), 2),
        ("train.patience", (1, 2), 2),
        ("train.lr", (0.1, 0.2), 1),
        ("train.momentum", (0.0, 0.9), 1),
        ("train.weight_decay", (0.0, 0.1), 1),
        ("train.noise", (0.0, 0.1), 1),
        ("train.mixup", (0.0, 1.0), 1),
        ("train.class_balance", (0.0, 1.0), 1),
        ("model.dropout", (0.0, 0.5), 1),
        ("model.init", ("default", "xavier"), 1),
        ("model.negative_slope", (0.1, 0.2), 1),
    ],
)
def test_only_settings_of_the_whole_stack_part_the_trials(name, values, stacks, run, monkeypatch):
    sizes = []
    real = training.Run

    def begin(task, stack, *rest, **options) -> Any:
        sizes.append(len(stack))
        return real(task, stack, *rest, **options)

    monkeypatch.setattr(grouping, "Run", begin)
    run({name: values[0]}, {name: values[1]}, {name: values[0]}, epochs=1)
    assert sizes == ([2, 1] if stacks == 2 else [3])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("model.init", ("default", "kaiming")),
        ("model.activation", ("relu", "tanh")),
        ("model.dropout", (0.0, 0.5)),
        ("train.optimizer", ("sgd", "adamw")),
        ("train.lr", (0.1, 0.2)),
        ("train.momentum", (0.0, 0.9)),
        ("train.weight_decay", (0.0, 0.5)),
        ("train.batch_size", (8, 16)),
        ("train.noise", (0.0, 0.5)),
        ("train.mixup", (0.0, 1.0)),
    ],
)
def test_a_searched_setting_reaches_its_trial(name, values, run):
    one, other = (run({name: value})[0] for value in values)
    assert figures(one) != figures(other)


def test_settings_reach_their_own_trial_in_a_stack(run):
    plain = {"model.init": "default"}
    found = run(plain, plain)[1], run(plain, {"model.init": "kaiming"})[1]
    assert figures(found[0]) != figures(found[1])


def test_bounds_and_slope_reach_their_trials(run):
    low, wide = ({"model.init_low": -each, "model.init_high": each} for each in (0.01, 1.0))
    found = run(low, low, init="uniform")[1], run(low, wide, init="uniform")[1]
    assert figures(found[0]) != figures(found[1])
    gentle, steep = ({"model.negative_slope": each} for each in (0.01, 0.9))
    leaky = [run(gentle, each, activation="leaky_relu")[1] for each in (gentle, steep)]
    assert figures(leaky[0]) != figures(leaky[1])


def test_a_trial_that_diverges_is_a_row_and_not_a_crash(run):
    wild = {"train.lr": 1.0, "train.momentum": 0.999}
    calm = {"train.lr": 0.01, "train.momentum": 0.9}
    found = run(wild, calm, epochs=10, activation="identity", hidden=[8, 8, 8])
    assert [trial.status for trial in found] == ["diverged", "done"]
    assert [trial.learnt for trial in found] == [False, True]
    told = replace(found[0].best, running_loss=0.0)  # there is none before the first epoch
    assert all(math.isfinite(figure) for figure in astuple(told))
    assert found[1].best.val_score > 0.9


def test_a_trial_above_the_budget_of_parameters_is_refused(run):
    with pytest.raises(UserError, match="max_parameters"):
        run({"model.hidden": [8]}, {"model.hidden": [64]}, epochs=1, max_parameters=83)


# Successive halving, on any number of processes, with a kill at any moment.

CALM: list[dict[str, Any]] = [
    {"train.lr": 0.1, "model.dropout": 0.3, "train.noise": 0.5},
    {"train.lr": 0.001, "model.hidden": [8, 4], "train.mixup": 0.5},
    {"train.lr": 0.05},
    {"train.lr": 0.02, "model.dropout": 0.5, "model.hidden": []},
    {"train.lr": 0.2, "model.dropout": 0.1, "model.hidden": [8, 4]},
    {"train.lr": 0.03, "train.class_balance": 1.0, "train.weight_decay": 0.01},
    {"train.lr": 0.5, "model.hidden": [], "train.optimizer": "adamw"},
    {"train.lr": 0.3, "train.momentum": 0.5, "train.noise": 0.1},
]
LATE = {"train.lr": 1.0, "train.momentum": 0.99}  # good after one epoch, diverges in the third
EARLY = {
    "train.lr": 1.0,
    "train.momentum": 0.999,
    "model.activation": "identity",
    "model.hidden": [8, 8, 8],
}


def everything(found) -> list[Any]:
    return [figures(trial) for trial in found]


WAYS: dict[str, dict[str, Any]] = {
    "each alone": {"MOST": 1},
    "in pairs": {"MOST": 2},
    "in stacks of three": {"MOST": 3},
    "in stacks that fit a small cache": {"BYTES": 4 * 83 * 2},
    "handed over after each epoch": {"LEG": 0.0},
    "alone and handed over": {"LEG": 0.0, "MOST": 1},
    "on two processes": {"workers": 2},
    "on two processes, alone, handed over": {"workers": 2, "LEG": 0.0, "MOST": 1},
    "on one processor each": {"workers": 0},
}


@pytest.mark.parametrize("share", [1, 2])
@pytest.mark.parametrize("way", WAYS)
def test_trials_are_the_same_bytes(way, share, run, monkeypatch):
    chosen = dict(WAYS[way])
    expected = run(*CALM, epochs=5, halving=share, patience=2)
    assert len({trial.best.epoch for trial in expected}) > 2
    count = chosen.pop("workers", 1)
    for name, value in chosen.items():
        monkeypatch.setattr(grouping, name, value)
    found = run(*CALM, epochs=5, halving=share, patience=2, workers=count)
    assert everything(found) == everything(expected)


def test_no_stack_has_more_trials_or_bytes_than_it_may(run, monkeypatch):
    sizes = []
    real = training.Run

    def begin(task, stack, *rest, **options) -> Any:
        sizes.append(len(stack))
        return real(task, stack, *rest, **options)

    monkeypatch.setattr(grouping, "Run", begin)
    for name, value in (("MOST", 3), ("BYTES", 4 * 83 * 3 + 1)):
        with monkeypatch.context() as patch:
            patch.setattr(grouping, name, value)
            run(*[{}] * 7, epochs=1)
        assert sorted(sizes) == [2, 2, 3]
        sizes.clear()
    monkeypatch.setattr(grouping, "BYTES", 1)
    run({}, {}, epochs=1)
    assert sizes == [1, 1]


@pytest.mark.parametrize(("share", "epochs"), [(2, 9), (3, 9), (3, 4), (8, 8)])
def test_each_rung_is_a_search_of_that_many_epochs_whose_best_go_on(share, epochs, run):
    points = [*CALM, LATE]
    found = run(*points, epochs=epochs, halving=share)
    rungs = halving.rungs(len(points), epochs, share)
    assert len(rungs) > 1
    going = list(range(len(points)))
    for at, rung in enumerate(rungs):
        assert {trial for trial in range(len(points)) if found[trial].rung >= at} == set(going)
        whole = run(*points, epochs=rung.epoch)
        for trial in going:
            if found[trial].rung == at:
                assert learnt_by(found[trial]) == learnt_by(whole[trial])
                last = at == len(rungs) - 1
                assert found[trial].status in ("done" if last else "stopped", "diverged")
        if at + 1 < len(rungs):
            going.sort(key=lambda trial: place(whole[trial], trial))
            going = going[: rungs[at + 1].trials]


def place(trial, number) -> tuple[Any, ...]:
    """Return what a trial is ranked by, from its figures."""
    lost = trial.status == "diverged" or trial.best.epoch == 0
    return lost, -trial.best.val_score, trial.best.val_loss, number


class Kept:
    """Resume states in memory, as a stage keeps them in files: bytes, by name of the stack."""

    folder = Path("kept")

    def __init__(self, states: dict[str, bytes], noted: Callable[[str, bytes], None]) -> None:
        self.states, self.noted = states, noted

    def slot(self, name) -> Any:
        return KeptSlot(self, name)


class KeptSlot:
    def __init__(self, saves: Kept, name: str) -> None:
        self.saves, self.name = saves, name

    def load(self) -> Any:
        saved = self.saves.states.get(self.name)
        return None if saved is None else grouping.opened(saved)

    def offer(self, state) -> None:
        self.saves.noted(self.name, files.tensor_bytes(state()))


@pytest.fixture
def climbed(run, monkeypatch) -> Any:
    """Return a search, the states it offered one after another, and how to go on from some."""
    monkeypatch.setattr(grouping, "LEG", 0.0)
    monkeypatch.setattr(grouping, "MOST", 2)
    search = {"epochs": 6, "halving": 2, "patience": 4}

    def build(*points, **changes) -> tuple[Any, list[tuple[str, bytes]], Callable[..., Any]]:
        offered: list[tuple[str, bytes]] = []
        given = search | changes
        whole = run(*points, **given, saves=Kept({}, lambda *pair: offered.append(pair)))

        def go_on(states, **more) -> Any:
            return run(*points, **given, **more, saves=Kept(states, lambda *pair: None))

        return whole, offered, go_on

    return build


def test_a_search_killed_at_any_moment_ends_with_the_same_trials(climbed, capsys):
    whole, offered, go_on = climbed(*CALM, LATE, EARLY)
    assert {trial.rung for trial in whole} == {0, 1, 2}
    assert {trial.status for trial in whole} == {"done", "stopped", "diverged"}
    assert len(dict(offered)) > 8
    for moment in range(len(offered) + 1):
        states = dict(offered[:moment])
        assert everything(go_on(states)) == everything(whole), moment
        line = r"kept: goes on where it was, with (\d+) of \d+ stacks\n"
        said = re.findall(line, capsys.readouterr().out)  # at each rung that has begun
        assert sum(map(int, said)) == len(states)


NOISY = {"spread": 4.0, "seed": 7, "epochs": 8, "patience": 8}  # a lower loss, a lower score


@pytest.mark.parametrize("changes", [{}, NOISY])
def test_states_of_stacks_may_be_of_different_rungs(changes, climbed):
    """A state is saved when it is due: one stack's can be old or missing, another's new.

    The rank of a noisy trial falls from a rung to the next: it must be ranked as it was.
    """
    whole, offered, go_on = climbed(*CALM, LATE, EARLY, **changes)
    assert everything(go_on(dict(offered))) == everything(whole)
    names = sorted(dict(offered))
    chance = random.Random(0)
    for count in [1] * 20 + [2] * 2:
        states: dict[str, bytes] = {}
        for name in names:
            choice = chance.choice([None, *(saved for other, saved in offered if other == name)])
            states |= {} if choice is None else {name: choice}
        assert everything(go_on(states, workers=count)) == everything(whole)


def test_divergence_after_a_rung_does_not_change_who_went_on_there(climbed):
    whole, offered, go_on = climbed(*CALM, LATE)
    assert (whole[-1].status, whole[-1].rung > 0, whole[-1].best.epoch > 0) == (
        "diverged",
        True,
        True,
    )
    assert everything(go_on(dict(offered))) == everything(whole)


def test_a_search_that_goes_on_at_its_end_trains_nothing_again(climbed, monkeypatch):
    whole, offered, go_on = climbed(*CALM)
    monkeypatch.setattr(grouping, "advance", lambda *given: pytest.fail("trains"))
    assert everything(go_on(dict(offered))) == everything(whole)


def test_on_one_process_each_leg_is_offered_before_the_next_begins(run, monkeypatch):
    events = []
    real = grouping.advance

    def advance(*given) -> bytes:
        events.append("leg")
        return real(*given)

    monkeypatch.setattr(grouping, "advance", advance)
    monkeypatch.setattr(grouping, "LEG", 0.0)
    run(*CALM, epochs=2, saves=Kept({}, lambda *pair: events.append("offer")))
    assert events == ["leg", "offer"] * (len(events) // 2)
    assert len(events) == 2 * 2 * 4  # two epochs of four shapes


def test_no_more_processes_begin_than_there_are_stacks(run, monkeypatch):
    counts = []
    real = workers.pool

    def pool(work, count) -> Any:
        counts.append(count)
        return real(work, count)

    monkeypatch.setattr(workers, "pool", pool)
    monkeypatch.setattr(workers, "available", lambda: 3)
    for points, asked in (([{}], 8), ([{}, {}], 0), (MIXED, 2), (MIXED, 0), (MIXED, 8)):
        run(*points, epochs=1, workers=asked)
    assert counts == [1, 1, 2, 3, 3]


@pytest.mark.parametrize("share", [1, 2, 3])
@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("epochs", [1, 5])
def test_a_search_may_have_one_trial_of_an_empty_space(share, workers, epochs, run):
    (found,) = run({}, epochs=epochs, halving=share, workers=workers, lr=0.01)
    assert (found.point, found.status, found.rung, found.best.epoch) == ({}, "done", 0, epochs)


def test_a_search_of_one_epoch_has_one_rung(run):
    found = run(*CALM, epochs=1, halving=2)
    assert {(trial.status, trial.rung) for trial in found} == {("done", 0)}


def test_a_stack_of_which_no_trial_goes_on_keeps_what_it_had(run):
    slow = [{"train.lr": 1e-6, "model.hidden": [4]}] * 3
    quick = [{"train.lr": 0.1}] * 3
    found = run(*slow, *quick, epochs=8, halving=2)
    before = run(*slow, *quick, epochs=2)
    assert [trial.status for trial in found[:3]] == ["stopped"] * 3
    assert [learnt_by(trial) for trial in found[:3]] == [learnt_by(trial) for trial in before[:3]]
    assert max(trial.rung for trial in found[3:]) == 2


def test_trials_that_stop_before_a_rung_are_ranked_there_as_they_are(run):
    """The quick ones overfit at once and stop; they stay in the race with their best epoch."""
    still = {"train.lr": 1e-12}
    found = run(*[still] * 4, epochs=8, halving=2, patience=1)
    assert [trial.best.epoch for trial in found] == [0] * 4
    assert sorted(trial.rung for trial in found) == [0, 0, 1, 2]
    assert sorted(trial.status for trial in found) == ["done", "stopped", "stopped", "stopped"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_search_of_which_all_trials_diverge_ends(workers, run):
    wild = {"train.lr": 1.0, "train.momentum": 0.999, "model.activation": "identity"}
    points = [{**wild, "model.hidden": [8] * depth} for depth in (3, 3, 4, 4)]
    found = run(*points, epochs=16, halving=2, workers=workers)
    assert {trial.status for trial in found} == {"diverged"}
    assert not any(trial.learnt for trial in found)
    assert all(math.isfinite(trial.best.val_loss) for trial in found)


def test_starting_weights_without_a_finite_loss_end_a_trial_and_not_the_search(run):
    huge = {"model.init_low": -1e38, "model.init_high": 1e38}
    found = run(huge, {}, huge, {}, epochs=4, halving=2, init="uniform")
    assert [trial.status for trial in found[::2]] == ["diverged"] * 2
    assert max(trial.rung for trial in found[1::2]) == 2
    assert not any(trial.learnt for trial in found[::2])
