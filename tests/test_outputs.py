"""outputs: put in place together, or not at all."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from dvc_objects.fs.utils import tmp_fname

from stages.common import files, outputs, params
from stages.common.errors import UserError
from stages.common.graph import Declared
from tests.imports import ROOT

NAMES = ["out/bread.pt", "out/crumbs.csv", "metrics/bake.json"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A stage `bake` with one input and three outputs, which are there from an earlier run."""
    stage = {
        "cmd": "python -m stages.bake",
        "deps": ["flour.csv"],
        "params": ["train"],
        "outs": [NAMES[0], {NAMES[1]: {"cache": False}}],
        "metrics": [{NAMES[2]: {"cache": False}}],
    }
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"bake": stage}}))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for name in ("flour.csv", *NAMES):
        files.write_bytes(tmp_path / name, b"old")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def staged():
    return outputs.staged(Declared.read("bake"), params.load())


def bake(paths: Declared, names=NAMES) -> None:
    for name in names:
        files.write_bytes(paths(name), b"new")


def contents(folder) -> dict[str, str]:
    """The text of every file but the project's own and the claim, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".yaml", ".run")
    }


OLD = dict.fromkeys(["flour.csv", *NAMES], "old")
NEW = OLD | dict.fromkeys(NAMES, "new")


def test_old_outputs_stay_until_all_new_ones_are_written(folder):
    with staged() as paths:
        bake(paths)
        assert {name: text for name, text in contents(folder).items() if "/." not in name} == OLD
        assert paths("flour.csv").read_text() == "old"
    assert contents(folder) == NEW


def fails_with(error: BaseException) -> None:
    with staged() as paths:
        bake(paths)
        raise error


@pytest.mark.parametrize(
    "error", [UserError("bad"), KeyboardInterrupt(), SystemExit(143), OSError()], ids=repr
)
def test_a_run_that_fails_leaves_the_old_outputs_and_nothing_else(folder, error):
    with pytest.raises(type(error)):
        fails_with(error)
    assert contents(folder) == OLD


def test_a_run_whose_input_changes_leaves_the_old_outputs(folder):
    def run():
        with staged() as paths:
            bake(paths)
            (folder / "flour.csv").write_text("more")

    with pytest.raises(UserError, match=r"flour\.csv changed while bake ran"):
        run()
    assert contents(folder) == OLD | {"flour.csv": "more"}


def test_a_stage_that_forgets_an_output_is_a_bug(folder):
    def run():
        with staged() as paths:
            bake(paths, NAMES[:2])

    with pytest.raises(AssertionError, match="not written"):
        run()
    assert contents(folder) == OLD


def test_the_newest_run_wins(folder):
    """A run that a killed dvc left behind ends after a second one has begun."""

    def run():
        with staged() as orphan:
            bake(orphan)
            with staged() as paths:
                for name in NAMES:
                    files.write_bytes(paths(name), b"newest")
                with pytest.raises(UserError, match="a newer run"):
                    outputs.check_newest(orphan)
                outputs.check_newest(paths)

    with pytest.raises(UserError, match="a newer run of bake has begun"):
        run()
    assert contents(folder) == OLD | dict.fromkeys(NAMES, "newest")


def test_a_run_begins_only_when_another_has_put_its_outputs_in_place(folder):
    claim = outputs.STATE / "bake.run"
    files.write_bytes(claim, b"")
    with ThreadPoolExecutor(1) as pool:
        with open(claim) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            begun = pool.submit(outputs.begin, Declared.read("bake"))
            with pytest.raises(TimeoutError):
                begun.result(timeout=0.5)
        run = begun.result(timeout=60).run
        assert claim.read_text() == run


def test_runs_of_other_stages_do_not_matter(folder):
    graph = json.loads((folder / "dvc.yaml").read_text())
    graph["stages"]["eat"] = {"cmd": "", "deps": [NAMES[0]], "outs": ["plate"], "params": []}
    (folder / "dvc.yaml").write_text(json.dumps(graph))
    with staged() as paths:
        with outputs.staged(Declared.read("eat"), params.load()) as other:
            files.write_bytes(other("plate"), b"")
        bake(paths)
    assert contents(folder) == NEW | {"plate": ""}


def test_what_a_killed_run_left_is_removed_by_the_next(folder):
    code = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from stages.common import files, outputs, params\n"
        "from stages.common.graph import Declared\n"
        "with outputs.staged(Declared.read('bake'), params.load()) as paths:\n"
        "    files.write_bytes(paths('bread.pt'), b'half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-B", "-c", code], cwd=folder)
    assert killed.returncode == -9
    assert len(contents(folder)) == len(OLD) + 1
    with staged() as paths:
        assert contents(folder) == OLD
        bake(paths)
    assert contents(folder) == NEW


def test_what_a_killed_dvc_left_beside_an_output_is_removed_by_the_next_run(folder):
    left = folder / "out" / tmp_fname()  # where DVC copies and links to first
    kept = [folder / "out" / ".notes.tmp", folder / "out" / "bread.tmp"]
    for path in (left, *kept):
        path.write_text("")
    with staged() as paths:
        assert not left.exists()
        bake(paths)
    assert contents(folder) == NEW | {str(path.relative_to(folder)): "" for path in kept}
