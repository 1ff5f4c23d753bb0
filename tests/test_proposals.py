"""Proposals: rounds of points that lean towards what was good; the same on every run."""

from __future__ import annotations

import math
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stages import preprocess, search
from stages.common import checkpoint, grouping, launch, params, proposals, race, space
from stages.common.errors import UserError
from stages.common.graph import Declared
from stages.common.partition import Partition
from stages.common.record import Record
from stages.common.resume import Saves
from stages.common.settings import Search
from stages.common.space import Point
from stages.common.trials import Common, Trial
from tests.imports import ROOT

ANY: Any = None
LR, MOMENTUM = ("train", "lr"), ("train", "momentum")
SMOOTH = {
    "model": {"hidden": [[64], [128, 64]]},
    "train": {
        "lr": {"low": 0.001, "high": 0.1, "scale": "log"},
        "momentum": {"low": 0.85, "high": 0.99, "scale": "linear"},
    },
}
EVERY = {  # kind of axis
    "model": {
        "activation": ["relu", "leaky_relu"],
        "dropout": [0.0, 0.2, 0.2],
        "hidden": [[], [8], [8, 4]],
        "init": ["uniform"],
        "init_high": {"low": 0.1, "high": 0.5, "scale": "linear"},
        "negative_slope": {"low": 0.01, "high": 0.3, "scale": "log"},
    },
    "train": {
        "batch_size": {"low": 7.5, "high": 64, "scale": "integer"},
        "decay_bias": [True, False],
        "lr": {"low": 0.00123456, "high": 0.1, "scale": "log"},
        "momentum": {"low": 0.0, "high": 0.987654, "scale": "linear"},
        "patience": {"low": 3, "high": 3.5, "scale": "integer"},
    },
}


@pytest.fixture
def searching(settings) -> Callable[..., Search]:
    """Build a search by the method tpe, of a small space."""

    def build(**changes) -> Search:
        chosen = {"method": "tpe", "trials": 64, "space": SMOOTH, "seed": 0} | changes
        return Search.model_validate(settings.search.model_dump() | chosen)

    return build


def told(points: list[Point], score: Callable[[Point], float], status: str = "done") -> list[Trial]:
    return [
        Trial(point, 1, Record(1, at, 0.0, 0.0, 0.0, 1.0, score(point)), status)
        for at, point in enumerate(points)
    ]


def away(point: Point) -> float:
    """Return how far a point is from a learning rate of 0.02 and a momentum of 0.95."""
    lr, momentum = float(point[LR]), float(point[MOMENTUM])
    return abs(math.log(lr / 0.02)) / math.log(100) + abs(momentum - 0.95) / 0.14


def rounds(settings, chosen: Search, score: Callable[[Point], float]) -> list[list[Point]]:
    """Return the points of each round of a search that finds the scores given."""
    found = [space.draw(chosen, settings.model)[: proposals.ROUND]]
    while len(found) * proposals.ROUND < chosen.trials:
        before = told([point for each in found for point in each], score)
        found.append(proposals.ask(chosen, settings.model, before, proposals.ROUND))
    return found


def test_points_of_every_kind_of_axis_are_valid(settings, searching):
    chosen = searching(space=EVERY)
    drawn = space.draw(chosen, settings.model)
    asked = proposals.ask(chosen, settings.model, told(drawn, lambda point: point[LR]), 64)
    assert len(asked) == 64
    axes = {(section, key): axis for section, key, axis in chosen.space.axes()}
    slope = ("model", "negative_slope")
    for point in asked:
        space.apply(point, settings.model, settings.train)
        assert (slope in point) == (point["model", "activation"] == "leaky_relu")
        assert list(point) == [name for name in axes if name in point]
        assert axes.keys() - point.keys() <= {slope}
        for name, value in point.items():
            axis = axes[name]
            if isinstance(axis, list):
                assert value in axis
                assert type(value) in {type(each) for each in axis}
            else:
                assert type(value) is (int if axis.scale == "integer" else float)
                assert axis.low <= value <= axis.high
                assert value in (axis.low, axis.high) or float(f"{value:.4g}") == value
    for section, key in (("model", "init_high"), ("train", "batch_size"), LR, MOMENTUM):
        assert len({point[section, key] for point in asked}) > 10, key


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_later_rounds_lean_towards_better_points(seed, settings, searching):
    found = rounds(settings, searching(seed=seed), lambda point: -away(point))
    assert [len(each) for each in found] == [16] * 4
    first, *_, last = (statistics.fmean(map(away, each)) for each in found)
    assert last < 0.6 * first


@pytest.mark.parametrize("score", [1.0, math.nan])
def test_trials_that_diverged_are_bad_whatever_their_figures(score, settings, searching):
    chosen = searching()
    drawn = space.draw(chosen, settings.model)
    wild, calm = ([point for point in drawn if (point[LR] > 0.02) == high] for high in (1, 0))
    learnt = told(calm, lambda point: float(point[LR]))
    diverged = told(wild, lambda point: score, "diverged")
    asked = proposals.ask(chosen, settings.model, [*diverged, *learnt], 16)
    assert len(wild) > 16
    assert sum(point[LR] > 0.02 for point in asked) <= 4


def test_the_worst_may_be_all_there_is(settings, searching):
    chosen = searching()
    drawn = space.draw(chosen, settings.model)[:16]
    before = told(drawn, lambda point: math.nan, "diverged")
    assert len(proposals.ask(chosen, settings.model, before, 16)) == 16


def test_the_same_seed_and_trials_give_the_same_points_and_others_other_ones(settings, searching):
    chosen = searching()
    drawn = space.draw(chosen, settings.model)
    before = told(drawn[:16], lambda point: -away(point))
    asked = proposals.ask(chosen, settings.model, before, 16)
    assert proposals.ask(chosen, settings.model, before, 16) == asked
    others = (
        (searching(seed=1), before),
        (chosen, told(drawn[:16], away)),
        (chosen, told(drawn[:17], lambda point: -away(point))),
    )
    for other, trials_before in others:
        assert proposals.ask(other, settings.model, trials_before, 16) != asked


def test_points_of_a_round_differ_unless_the_space_is_small(settings, searching):
    for each in rounds(settings, searching(), lambda point: -away(point)):
        assert len({repr(point) for point in each}) == 16
    few = {"model": {}, "train": {"lr": [0.001, 0.01], "noise": [0.0, 0.1]}}
    *_, last = rounds(settings, searching(space=few), lambda point: -point[LR])
    assert 1 < len({repr(point) for point in last}) <= 4


def test_a_space_may_be_empty(settings, searching):
    chosen = searching(space={"model": {}, "train": {}}, trials=32)
    assert rounds(settings, chosen, lambda point: 0.0) == [[{}] * 16] * 2


def test_without_optuna_a_line_says_how_to_get_it_before_any_trial(
    settings, searching, monkeypatch
):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setattr(race, "run", lambda *given: pytest.fail("trains"))
    with pytest.raises(UserError) as caught:
        proposals.run(Common(ANY, ANY, ANY, settings.model, settings.train, searching()))
    assert str(caught.value) == (
        "search.method is tpe, but Optuna is not installed; run: python -m pip install "
        "'.[optuna]', or set search.method to sobol"
    )


@pytest.mark.parametrize(
    ("method", "count", "sizes"),
    [("tpe", 40, [16, 16, 8]), ("tpe", 16, [16]), ("tpe", 3, [3]), ("sobol", 40, [40])],
)
def test_rounds_are_trained_one_after_another(
    method, count, sizes, settings, searching, monkeypatch
):
    calls = []

    def train(common, points, *given) -> list[Trial]:
        calls.append((given[-1], points))
        return told(points, lambda point: -away(point))

    monkeypatch.setattr(race, "run", train)
    chosen = searching(method=method, trials=count)
    found = proposals.run(Common(ANY, ANY, ANY, settings.model, settings.train, chosen))
    assert [len(points) for _, points in calls] == sizes
    assert [first for first, _ in calls] == [sum(sizes[:at]) for at in range(len(sizes))]
    assert [trial.point for trial in found] == [point for _, points in calls for point in points]
    assert calls[0][1] == space.draw(chosen, settings.model)[: sizes[0]]


# A small search by the stage.

TRIALS = 36  # two whole rounds, and four
SETTINGS: dict[str, dict[str, Any]] = {
    "preprocess": {"csv": "data/raw/small.csv", "task": "classification"},
    "finetune": {"csv": ""},
    "search": {"method": "tpe", "trials": TRIALS, "epochs": 3, "workers": 1},
}


@pytest.fixture(scope="module")
def preprocessed(tmp_path_factory) -> Path:
    """A folder with the settings of a small search and the rows that it needs."""
    folder: Path = tmp_path_factory.mktemp("proposals")
    text = (ROOT / "params.yaml").read_text()
    for section, changes in SETTINGS.items():
        text = params.edit(text, section, changes)
    (folder / "params.yaml").write_text(text)
    shutil.copy(ROOT / "dvc.yaml", folder)
    (folder / "data" / "raw").mkdir(parents=True)
    values = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
    lines = [
        f"{at},{a:.3f},{b:.3f},{c:.3f},{d:.3f},{'no' if a * b + c / 2 < 0 else 'yes'}"
        for at, (a, b, c, d) in enumerate(values.tolist())
    ]
    (folder / "data/raw/small.csv").write_text("\n".join(["id,a,b,c,d,y", *lines, ""]))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        launch.execute("preprocess", preprocess.preprocess)
    return folder


@pytest.fixture
def project(preprocessed, tmp_path, monkeypatch) -> Path:
    """A copy of that folder, which is the current one."""
    folder: Path = tmp_path / "project"
    shutil.copytree(preprocessed, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def searched() -> Callable[[], dict[Path, bytes]]:
    """Run the stage and return its outputs."""

    def run() -> dict[Path, bytes]:
        launch.execute("search", search.search)
        return {path: path.read_bytes() for path in Declared.read("search").outputs}

    return run


def test_a_search_is_the_same_again_and_says_nothing_of_optuna(project, searched):
    found = searched()
    table = found[Path("metrics/trials.csv")].decode().splitlines()
    assert len(table) == 1 + TRIALS
    command = [sys.executable, "-W", "always", "-m", "stages.search"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    assert "optuna" not in ended.stdout.lower()
    assert {path: path.read_bytes() for path in found} == found


@pytest.mark.parametrize("round_of", [16, 32])
def test_a_search_that_is_killed_between_rounds_goes_on_there(
    round_of, project, searched, monkeypatch
):
    expected = searched()
    real, advance = race.run, grouping.advance
    trained = []

    def stop(*given, **named) -> list[Trial]:
        if given[-1] == round_of:
            raise KeyboardInterrupt
        return real(*given, **named)

    def noted(common, group, *given) -> bytes:
        trained.extend(group.trials)
        return advance(common, group, *given)

    monkeypatch.setattr(grouping, "advance", noted)
    monkeypatch.setattr(Saves, "due", lambda saves: True)
    with monkeypatch.context() as patch:
        patch.setattr(race, "run", stop)
        with pytest.raises(KeyboardInterrupt):
            searched()
    assert set(trained) == set(range(round_of))
    trained.clear()
    assert searched() == expected
    assert min(trained) == round_of


def test_a_state_is_of_use_to_the_same_points_only(project, searched, monkeypatch):
    """As on another machine, which proposes others: rounds that differ are trained anew."""
    expected = searched()
    real, ask = race.run, proposals.ask

    def stop(*given) -> list[Trial]:
        if given[-1] == 32:
            raise KeyboardInterrupt
        return real(*given)

    def elsewhere(*given) -> list[Point]:
        return ask(*given)[::-1]

    monkeypatch.setattr(Saves, "due", lambda saves: True)
    with monkeypatch.context() as patch:
        patch.setattr(race, "run", stop)
        patch.setattr(proposals, "ask", elsewhere)
        with pytest.raises(KeyboardInterrupt):
            searched()
    assert len(list(Path("data/resume/search").glob("*.pt"))) > 2
    assert searched() == expected


def test_each_trial_of_a_later_round_has_starting_weights_of_its_own(project):
    chosen = params.load()
    paths = Declared.read("search")
    schema = checkpoint.read_schema(paths("schema.json"))["source"]
    rows, val = (Partition.load(paths(f"source/{part}.pt"), schema) for part in ("train", "val"))
    plain = chosen.search.model_copy(update={"halving": 1})
    common = Common(schema, rows, val, chosen.model, chosen.train, plain)
    point = {LR: 0.01}
    whole = race.run(common, [point] * 4)
    later = race.run(common, [point] * 2, first=2)
    assert [trial.best for trial in later] == [trial.best for trial in whole[2:]]
    assert len({trial.best.val_loss for trial in whole}) == 4
