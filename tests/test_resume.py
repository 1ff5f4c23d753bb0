"""resume: a training goes on from what a killed run left, and ends with the same bytes."""

from __future__ import annotations

import io
import json
import math
import random
import shutil
import time
from functools import partial

import pytest
import torch

from stages.common import files, initialize, outputs, params, resume, training
from stages.common.errors import UserError
from stages.common.graph import Declared
from stages.common.resume import Saves
from stages.common.training import Fitted, Run
from tests.imports import ROOT

STATE = {"epoch": 3, "weights": [torch.arange(4.0)], "flags": [True, False]}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A stage `bake` that has not been run."""
    stage = {"cmd": "", "deps": ["flour.csv"], "params": ["train"], "outs": ["bread.pt"]}
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"bake": stage}}))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "flour.csv").write_text("flour")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saves() -> Saves:
    """Those of a new run."""
    return Saves(outputs.begin(Declared.read("bake")), params.load())


def saved(name: str = "oven") -> Saves:
    found = saves()
    found.write(found.slot(name).path, STATE)
    return found


def test_a_saved_state_comes_back(folder, capsys):
    saved()
    state = saves().slot("oven").load()
    assert state is not None
    assert (state["epoch"], state["flags"]) == (3, [True, False])
    assert torch.equal(state["weights"][0], torch.arange(4.0))
    assert saves().slot("other").load() is None
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("change", ["input", "setting"])
def test_a_state_of_other_inputs_or_settings_is_ignored_with_a_line(folder, capsys, change):
    saved()
    if change == "input":
        (folder / "flour.csv").write_text("flouR")
    else:
        text = (folder / "params.yaml").read_text()
        (folder / "params.yaml").write_text(params.edit(text, "train", {"lr": 0.5}))
    assert saves().slot("oven").load() is None
    line = "data/resume/bake/oven.pt: of other inputs, settings or code: ignored\n"
    assert capsys.readouterr().out == line
    assert saves().slot("oven").load() is None
    assert capsys.readouterr().out == "", "said once"


@pytest.mark.parametrize("content", [b"", b"\n", b"tabline resume", b"PK\x03\x04junk\n" * 99])
def test_a_foreign_file_is_ignored_with_a_line(folder, capsys, content):
    path = saved().slot("oven").path
    path.write_bytes(content)
    assert saves().slot("oven").load() is None
    assert capsys.readouterr().out == f"{path}: damaged: ignored\n"


def test_every_cut_and_every_flipped_bit_is_noticed(folder, capsys):
    path = saved().slot("oven").path
    whole = path.read_bytes()
    shuffled = random.Random(0)
    cuts = [whole[: shuffled.randrange(len(whole))] for _ in range(60)]
    flips = []
    for place in [*range(60), *(shuffled.randrange(len(whole)) for _ in range(200))]:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << shuffled.randrange(8)
        flips.append(bytes(flipped))
    zeros = [whole[:200] + bytes(len(whole) - 200)]
    for damaged in [*cuts, *flips, *zeros]:
        path.write_bytes(damaged)
        assert saves().slot("oven").load() is None
        assert capsys.readouterr().out.endswith(": ignored\n")
    path.write_bytes(whole)
    assert saves().slot("oven").load() is not None


def test_half_a_save_is_never_seen(folder):
    slot = saved().slot("oven")
    unfinished = files.part(slot.path, "123")
    unfinished.write_bytes(b"half")
    assert saves().slot("oven").load() is not None
    assert not unfinished.exists()


def test_saves_take_a_small_share_of_the_time(folder, monkeypatch):
    now, saves_at = [0.0], []

    def slow(path, data):
        now[0] += 0.01
        saves_at.append(now[0])

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    found = saves()
    slot = found.slot("oven")
    monkeypatch.setattr(files, "write_bytes", slow)
    for _ in range(10_000):
        now[0] += 0.01  # an epoch
        slot.offer(lambda: STATE)
    assert saves_at[0] < 1.0, "the first state comes early"
    assert found.spent == pytest.approx(0.01 * len(saves_at))
    assert 0.9 * resume.SHARE * now[0] <= found.spent <= resume.SHARE * now[0]


def test_a_short_run_saves_nothing(folder):
    found = saves()
    found.slot("oven").offer(lambda: pytest.fail("asked for a state"))
    assert not found.slot("oven").path.exists()


def test_a_state_that_cannot_be_written_ends_no_run_and_is_said_once(folder, capsys, monkeypatch):
    def full(path, data):
        raise UserError(f"cannot write {path}: No space left on device; make room")

    monkeypatch.setattr(files, "write_bytes", full)
    found = saves()
    found.cost = -1.0  # due
    for _ in range(3):
        found.slot("oven").offer(lambda: STATE)
    assert capsys.readouterr().out.count("No space left on device") == 1
    assert math.isinf(found.cost)


def test_an_orphan_ends_at_its_next_save(folder):
    orphan = saves()
    saves()
    with pytest.raises(UserError, match="a newer run of bake has begun"):
        orphan.write(orphan.slot("oven").path, STATE)


def test_clear_removes_the_states_of_one_stage(folder):
    path = saved().slot("oven").path
    other = files.part(path, "x").with_name("kept.txt")
    other.write_text("")
    resume.clear("cook")
    assert path.exists()
    resume.clear("bake")
    assert [found.name for found in path.parent.iterdir()] == ["kept.txt"]


# A training that is killed after any epoch.


def observe(epoch, stack, members):
    return torch.tensor([[epoch, member] for member in members]) + stack.layers[0].weight.sum() * 0


def weights(fitted: Fitted) -> list[bytes]:
    return [weight.detach().numpy().tobytes() for weight in fitted.stack.parameters()]


def same(ours: Fitted, theirs: Fitted) -> bool:
    seen = zip(ours.observed, theirs.observed, strict=True)
    return (
        weights(ours) == weights(theirs)
        and all(torch.equal(a, b) for a, b in seen)
        and repr((ours.best, ours.diverged, ours.history))
        == repr((theirs.best, theirs.diverged, theirs.history))
    )


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_training_killed_after_any_epoch_ends_with_the_same_bytes(make_recipe, blobs, optimizer):
    """One member stops early, one diverges, every kind of draw is on."""
    train, val = blobs(30, spread=3.0), blobs(40, seed=1, spread=3.0)
    recipe = make_recipe(
        4,
        3,
        optimizer=optimizer,
        lr=[0.05, 0.0, 1e6, 0.01],
        epochs=9,
        patience=3,
        dropout=0.3,
        noise=0.2,
        mixup=0.5,
        class_balance=0.5,
        weight_decay=0.01,
    )
    keys = [(0, member) for member in range(4)]
    stack = initialize.stack([6, 8, 7, 3], "tanh", keys, ["default"] * 4, [(0, 1)] * 4, [0.1] * 4)
    begin = partial(Run, "classification", stack, recipe, train, val, observe)
    whole = training.fit("classification", stack, recipe, train, val, observe)
    assert whole.diverged == [False, False, True, False]
    assert {len(seen) for seen in whole.observed} >= {4, 2}, "some members stop"
    for killed in range(9):
        run = begin()
        for _ in range(killed):
            run.advance()
        state = torch.load(io.BytesIO(files.tensor_bytes(run.state())), weights_only=True)
        again = begin(saved=state)
        while again.goes_on():
            again.advance()
        assert same(again.fitted, whole), killed


def test_fit_goes_on_from_its_slot_and_says_so(folder, make_recipe, blobs, capsys):
    train, val = blobs(30), blobs(20, seed=1)
    stack = initialize.stack([6, 5, 3], "relu", [(0, 0)], ["default"], [(0, 1)], [0.1])
    recipe = make_recipe(1, 2, epochs=6)
    whole = training.fit("classification", stack, recipe, train, val)
    run = Run("classification", stack, recipe, train, val, None)
    for _ in range(4):
        run.advance()
    found = saves()
    found.write(found.slot("oven").path, run.state())
    again = training.fit("classification", stack, recipe, train, val, slot=saves().slot("oven"))
    assert again.history == whole.history
    assert weights(again) == weights(whole)
    assert capsys.readouterr().out == "data/resume/bake/oven.pt: goes on after epoch 4\n"
