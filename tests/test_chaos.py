"""A small sample of `make chaos`: kills at random instants, the same bytes in the end.

And a search that is killed at chosen instants.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from stages.common import params
from tests.imports import ROOT
from tests.project import copy_project, run

KILLS = 10
SEARCH = ("metrics/trials.csv", "metrics/search.json", "metrics/plots/effects.csv")
KILLED = """
import os, signal, sys
import stages
from stages.common import grouping, resume
from stages.common.launch import launch
from stages.search import search

resume.SHARE, grouping.LEG = float("inf"), 0.0  # a state after each epoch of each stack
left = {}

def hook(event, arguments):
    global left
    if event == "os.rename" and "data/resume" in os.fspath(arguments[1]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
launch("search", search)
"""


def test_a_pipeline_that_is_killed_ends_with_the_same_bytes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--kills", str(KILLS), "--seed", "3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    closing = re.search(r"(\d+) kills in (\d+) runs: (\d+) runs ended with the", done.stdout)
    assert closing
    kills, runs, same = map(int, closing.groups())
    assert kills >= KILLS
    assert runs == same == done.stdout.count(": same")


def test_a_search_on_two_processes_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    """Killed as it saves its first state, some epochs later, and again in a later rung."""
    copy_project(tmp_path)
    changes = {"trials": 9, "epochs": 9, "halving": 3, "workers": 2}
    path = tmp_path / "params.yaml"
    params.save(params.edit(params.read(path), "search", changes), path)
    run(tmp_path, "python", "-m", "stages.preprocess")
    printed = run(tmp_path, "python", "-m", "stages.search")
    assert "goes on" not in printed
    expected = [(tmp_path / name).read_bytes() for name in SEARCH]
    assert {line.split(b",")[-2] for line in expected[0].splitlines()[1:]} == {b"0", b"1", b"2"}
    for name in SEARCH:
        (tmp_path / name).unlink()
    begun = 0
    for saves in (1, 4, 8):
        printed = run(tmp_path, "python", "-c", KILLED.format(saves), status=-9)
        assert ("goes on where it was" in printed) == (begun > 0)
        assert not any((tmp_path / name).exists() for name in SEARCH)
        begun = len(list((tmp_path / "data/resume/search").glob("*.pt")))
    assert begun > 2, "a rung above the first has begun"
    printed = run(tmp_path, "python", "-m", "stages.search")
    assert "data/resume/search: goes on where it was, with 2 of 2 stacks\n" in printed
    assert [(tmp_path / name).read_bytes() for name in SEARCH] == expected
    assert not list((tmp_path / "data/resume/search").glob("*.pt"))
