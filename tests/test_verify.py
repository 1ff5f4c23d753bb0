"""verify: exit status 0 only when every byte is as dvc.lock records it; else it is named."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages import verify
from stages.common.launch import guard
from stages.verification.place import content
from tests import keys
from tests.imports import ROOT
from tests.project import commit, dvc, run
from tests.recorded import FIGURES, OUTPUTS, Project, flip, make

INPUTS = ["data/raw/one.csv", "data/raw/two.csv", "stages/common/loop.py", "stages/preprocess.py"]
IN_GIT = [name for name in OUTPUTS if name.startswith("metrics/")]

Check = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Project:
    return make(tmp_path_factory.mktemp("project"))


@pytest.fixture
def project(original: Project, tmp_path, monkeypatch) -> Project:
    """A copy for one test, the current folder."""
    shutil.copytree(original.folder.parent, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy/here")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return Project(tmp_path / "copy/here", tmp_path / "copy/finished")


@pytest.fixture
def check(project, capsys) -> Check:
    """Run the command; return its status and what it printed. No temporary file is left."""

    def call(rebuild: Callable[[Path], str] = project.rebuild) -> tuple[int, str]:
        capsys.readouterr()
        status: Any = None
        try:
            status = guard(lambda: verify.verify(rebuild))
        except SystemExit as ended:
            status = ended.code
        assert not list((project.folder.parents[1] / "temporary").iterdir())
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return call


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


# all is the same


def test_a_record_that_holds_gives_status_0_and_a_row_per_output(check):
    status, printed = check()
    assert status == 0
    rows = re.findall(r"^(\w+) +(\S+) +([0-9a-f]{12})  ([0-9a-f]{12})  same$", printed, re.M)
    assert [row[1] for row in rows] == [*OUTPUTS[3:], *OUTPUTS[:3]]  # in the order of the graph
    assert {row[0] for row in rows} == {"preprocess", "train"}
    assert all(row[2] == row[3] for row in rows)
    assert "\n10 of 10 recorded inputs are the same\n" in printed
    assert re.search(r"\n6 of 6 outputs are the same bytes as dvc.lock records, on .+\n$", printed)


def test_a_fresh_clone_has_no_outputs_and_that_is_fine(project, check):
    shutil.rmtree("data/models")
    shutil.rmtree("data/tensors")
    assert check()[0] == 0


def test_the_order_of_settings_and_comments_are_no_difference(project, check):
    settings = YAML(typ="safe").load(Path("params.yaml"))
    Path("params.yaml").write_text("# new\n" + json.dumps(dict(reversed(settings.items()))))
    project.commit()
    assert check()[0] == 0


# one bit


def expect(check: Check, name: str, verdict: str) -> str:
    status, printed = check()
    assert status == 1, printed
    rows = [line for line in printed.splitlines() if line.endswith(verdict) and name in line]
    assert len(rows) == 1, printed
    return printed


def offsets(path: str, count: int) -> list[tuple[int, int]]:
    draw = random.Random(path)
    size = os.path.getsize(path)
    return [(draw.randrange(size), draw.randrange(8)) for _ in range(count)]


@pytest.mark.parametrize("name", INPUTS)
def test_a_bit_of_an_input_here(project, check, name):
    for offset, bit in offsets(name, 5):
        flip(Path(name), offset, bit)
        row = "data/raw" if name.startswith("data") else name
        assert Path(name).name in expect(check, row, "changed here")
        flip(Path(name), offset, bit)
    assert check()[0] == 0


@pytest.mark.parametrize("name", INPUTS)
def test_a_bit_of_a_committed_input(project, check, name):
    for offset, bit in offsets(name, 3):
        flip(Path(name), offset, bit)
        project.commit()
        row = "data/raw" if name.startswith("data") else name
        printed = expect(check, row, "not same in Git")
        assert Path(name).name in printed  # also of a file in a folder
        assert "recorded inputs are the same" in printed
        assert "10 of 10" not in printed
        flip(Path(name), offset, bit)
        project.commit()
    assert check()[0] == 0


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_bit_of_an_output_here(check, name):
    for offset, bit in offsets(name, 5):
        flip(Path(name), offset, bit)
        printed = expect(check, name, "changed here")
        assert re.search(r"changed here\n  .* (->|differ)", printed)
        assert "origin, here: " in printed
        assert "6 of 6 outputs are the same bytes" in printed
        flip(Path(name), offset, bit)
    assert check()[0] == 0


@pytest.mark.parametrize("name", IN_GIT)
def test_a_bit_of_a_committed_output(project, check, name):
    for offset, bit in offsets(name, 3):
        flip(Path(name), offset, bit)
        project.commit()
        printed = expect(check, name, "not same in Git")
        assert "6 of 6 outputs are the same bytes" in printed
        flip(Path(name), offset, bit)
        project.commit()
    assert check()[0] == 0


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_bit_of_a_rebuilt_output(project, check, name):
    for offset, bit in offsets(str(project.finished / name), 5):
        flip(project.finished / name, offset, bit)
        printed = expect(check, name, "not same")
        assert "origin, rebuilt: " in printed
        assert "\n5 of 6 outputs are the same bytes" in printed
        flip(project.finished / name, offset, bit)


def test_a_bit_of_a_setting(project, check):
    path = Path("params.yaml")
    before = YAML(typ="safe").load(path)
    found = set()
    for offset, bit in offsets("params.yaml", 20):
        flip(path, offset, bit)
        try:
            now = YAML(typ="safe").load(path.read_text())
        except (YAMLError, UnicodeDecodeError):
            now = None
        recorded = [(part, now and now.get(part)) for part in ("arithmetic", "preprocess", "model")]
        differs = now is None or any(before[part] != value for part, value in recorded)
        differs = differs or before["train"] != now["train"]
        if differs != (check()[0] == 1):
            pytest.fail(f"bit {bit} at {offset}")
        found.add(differs)
        flip(path, offset, bit)
    assert found == {True, False}


@pytest.mark.parametrize("where", ["here", "in Git"])
def test_a_changed_setting_is_shown_with_both_values(project, check, where):
    params = Path("params.yaml")
    params.write_text(keys.change(params.read_text(), "train.lr", "0.03"))
    if where == "in Git":
        project.commit()
    verdict = "changed here" if where == "here" else "not same in Git"
    printed = expect(check, "params.yaml: train.lr ", verdict)
    assert re.search(rf"params.yaml: train.lr +[0-9.]+ +0.03 +{verdict}\n", printed)


def test_settings_that_cannot_be_read_are_one_row(check):
    Path("params.yaml").write_text("train: [")
    expect(check, "params.yaml  ", "changed here")


@pytest.mark.parametrize("where", ["here", "in Git"])
def test_a_bit_of_an_md5_in_the_record(project, check, where):
    whole = Path("dvc.lock").read_bytes()
    recorded = [(found.start(1), found[1]) for found in re.finditer(rb"md5: (\w{32})", whole)]
    assert len(recorded) == 11
    draw = random.Random(0)
    for start, _ in recorded:
        flip(Path("dvc.lock"), start + 1 + draw.randrange(31), draw.randrange(8))
        if where == "in Git":
            project.commit()
        status, printed = check()
        name = re.findall(rb"- path: (.+)", whole[:start])[-1].decode()
        assert (name if where == "in Git" else "dvc.lock") in printed
        assert status == 1, printed
        Path("dvc.lock").write_bytes(whole)


@pytest.mark.parametrize("damage", [b"\x13", b"\xb3"])  # a 3 with another bit: no YAML, no UTF-8
def test_a_character_of_the_record_that_dvc_cannot_read_is_named(project, check, damage):
    whole = Path("dvc.lock").read_bytes()
    start = whole.index(b"md5: ", whole.index(b"- path: stages/preprocess.py")) + 10
    Path("dvc.lock").write_bytes(whole[:start] + damage + whole[start + 1 :])
    project.commit()
    expect(check, "stages/preprocess.py", "not same in Git")


def test_an_input_that_another_stage_makes_is_compared_though_it_is_not_here(project, check):
    text = Path("dvc.lock").read_text()
    before, path, after = text.partition("- path: data/tensors/part.pt\n")  # of train
    wrong = re.sub(r"md5: \w{32}", f"md5: {'a' * 32}", after, count=1)
    Path("dvc.lock").write_text(before + path + wrong)
    project.commit()
    shutil.rmtree("data/tensors")
    printed = expect(check, "data/tensors/part.pt", "  not same")
    assert "\n9 of 10 recorded inputs are the same\n" in printed


def test_other_words_of_the_record_are_compared_with_those_of_the_rebuild(project, check):
    change(Path("dvc.lock"), "python -m stages.train", "python -m stages.trein")
    project.commit()
    printed = expect(check, "dvc.lock: stages.train.cmd", "not same")
    assert "6 of 6 outputs" in printed


# where it comes from


def test_the_origin_is_the_first_stage_with_the_same_inputs(project, check):
    for name in ("data/models/base.pt", "metrics/train.json"):
        flip(project.finished / name, 100, 0)
    assert "\norigin, rebuilt: train: its inputs are the same, its outputs are not\n" in check()[1]
    flip(project.finished / "data/tensors/part.pt", 100, 0)
    assert "\norigin, rebuilt: preprocess: its inputs are the same" in check()[1]


def test_the_origin_is_the_input_that_has_changed(project, check):
    change(Path("data/raw/two.csv"), "\n7,", "\n8,")
    project.commit()
    for name in ("data/tensors/part.pt", "data/models/base.pt"):
        flip(project.finished / name, 100, 0)
    status, printed = check()
    assert status == 1
    assert "\norigin, rebuilt: data/raw, an input of preprocess\n" in printed
    assert "\n  two.csv: row 7, column id: 7 -> 8\n" in printed
    assert printed.count("part.pt") == 1  # as an output, and not again as an input of train


def test_what_an_output_was_is_found_in_the_cache_of_dvc(project, check):
    name = "data/models/base.pt"
    shutil.rmtree("data/models")
    whole = (project.finished / name).read_bytes()
    flip(project.finished / name, 900, 0)
    assert "not same\n  the recorded one is not here to compare with\n" in check()[1]
    md5 = hashlib.md5(whole).hexdigest()
    place = Path(".dvc/cache/files/md5", md5[:2], md5[2:])
    place.parent.mkdir(parents=True)
    place.write_bytes(whole)
    assert re.search(r"not same\n  .*differ", check()[1])


# what is missing


def test_a_missing_input_is_named(check):
    Path("stages/preprocess.py").unlink()
    expect(check, "stages/preprocess.py", "missing here")


def test_an_output_that_the_rebuild_does_not_make_is_named(project, check):
    (project.finished / "data/models/base.pt").unlink()
    expect(check, "data/models/base.pt", "not same")


def test_an_output_that_is_not_recorded_is_named(project, check):
    text = Path("dvc.lock").read_text()
    cut = re.sub(r"    - path: metrics/train.json\n(      .*\n)+", "", text)
    assert cut != text
    Path("dvc.lock").write_text(cut)
    project.commit()
    expect(check, "dvc.lock: stages.train.outs.2", "not same")


def test_a_rebuild_that_fails_shows_its_end_and_the_inputs_that_differ(project, check):
    change(Path("stages/preprocess.py"), "PARTS", "PART")
    project.commit()
    lines = "".join(f"line {number}\n" for number in range(100))
    status, printed = check(lambda _: lines)
    assert status == 1
    assert "line 79\n" not in printed
    assert "line 99\nerror: the committed state cannot be rebuilt, see above\n" in printed
    assert re.search("stages/preprocess.py .* not same in Git", printed)
    assert "\n8 of 9 recorded inputs are the same\n" in "\n" + printed
    assert " outputs are the same" not in printed


# bytes that are not promised


@pytest.fixture
def fast(project: Project) -> Project:
    """A record of a run with fast arithmetic, and a rebuild that differs in a loss and a weight."""
    change(Path("params.yaml"), "arithmetic: portable", "arithmetic: fast")
    project.record()
    project.commit()
    moved(project, val_loss=0.0436)
    flip(project.finished / "data/models/base.pt", 900, 0)
    return project


def moved(project: Project, **figures: Any) -> None:
    path = project.finished / "metrics/train.json"
    path.write_text(json.dumps(FIGURES | figures))


def test_without_the_promise_figures_are_compared(fast, check):
    status, printed = check()
    assert status == 0, printed
    assert re.search(r"metrics/train.json .* within tolerance\n", printed)
    assert re.search(r"data/models/base.pt .* not compared\n", printed)
    assert re.search(r"data/tensors/part.pt .* same\n", printed)
    assert "\narithmetic is fast: " in printed
    assert re.search(r"\n4 of 6 outputs .*; 1 within tolerance; 1 not compared\n$", printed)


def test_without_the_promise_a_figure_beyond_the_tolerance_is_named(fast, check):
    moved(fast, val_accuracy=0.95)
    printed = expect(check, "metrics/train.json", "not same")
    assert "\n  val_accuracy: 0.98125 -> 0.95, tolerance 0.02\n" in printed


def test_without_the_promise_the_outputs_of_this_machine_may_differ(fast, check):
    flip(Path("data/models/base.pt"), 1000, 0)
    shutil.copy(fast.finished / "metrics/train.json", "metrics/train.json")
    change(Path("dvc.lock"), "cmd: python -m stages.train", "cmd: python  -m stages.train")
    assert check()[0] == 0
    moved(fast, val_accuracy=0.5)
    shutil.copy(fast.finished / "metrics/train.json", "metrics/train.json")
    moved(fast)
    expect(check, "metrics/train.json", "changed here")


@pytest.mark.parametrize("name", ["metrics/plots/curve.csv", "metrics/train.json"])
def test_without_the_promise_committed_outputs_must_be_the_recorded_ones(fast, check, name):
    with open(name, "a") as stream:
        stream.write("\n")
    fast.commit()
    expect(check, name, "not same in Git")


def test_without_the_promise_inputs_must_be_the_same(fast, check):
    flip(Path("stages/preprocess.py"), 5, 0)
    expect(check, "stages/preprocess.py", "changed here")


# the user's errors


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("rm -r .git", r"no Git repository with a commit in this folder \(.*not a git repository"),
        ("rm dvc.lock", r"dvc\.lock: not in this folder; `git checkout dvc\.lock` restores it"),
        (
            "git rm -q --cached dvc.lock; git commit -qm -",
            r"dvc\.lock: not in the last commit; commit it with `git",
        ),
        ("git checkout -q --orphan none", r"no Git repository with a commit in this folder"),
        ("echo 'a: [' > dvc.lock", r"dvc\.lock, line 2: not valid YAML: .*--mend` restores it"),
        ("echo 'a: b' > dvc.lock", r"dvc\.lock: not what DVC writes: .*--mend` restores it"),
        ("echo 'a: b' > dvc.lock; git commit -qam -", r"in the last commit: dvc\.lock: not what "),
        (": > dvc.lock; git commit -qam -", r"in the last commit: dvc\.lock: not what "),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_status_2(project, check, command, message):
    run(project.folder, "bash", "-c", command)
    status, printed = check()
    assert status == 2
    assert re.match(f"error: {message}", printed)
    assert printed.count("\n") == 1


def test_without_git_it_is_one_line_and_status_2(check, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    status, printed = check()
    assert (status, printed.count("\n")) == (2, 1)
    assert "git: no such program on PATH; install Git" in printed


# with DVC


@pytest.fixture
def pipeline(tmp_path) -> Path:
    """A fresh clone of the first two stages with small settings, without what they have made."""
    folder: Path = tmp_path / "first stages"
    for name in ("stages", "data/raw", ".dvc"):
        ignored = shutil.ignore_patterns("__pycache__", "cache", "tmp", "config.local")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("params.yaml", "requirements.txt", ".gitignore", ".gitattributes", ".dvcignore"):
        shutil.copy(ROOT / name, folder / name)
    graph = content(ROOT / "dvc.yaml")
    stages = {stage: graph["stages"][stage] for stage in ("preprocess", "train")}
    (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    params = folder / "params.yaml"
    for key in ("train.epochs", "train.patience"):
        params.write_text(keys.change(params.read_text(), key, "3"))
    run(folder, "git", "init", "--quiet")
    commit(folder)
    dvc(folder, "repro")
    commit(folder)
    run(tmp_path, "git", "clone", "--quiet", str(folder), "fresh clone")
    return Path(tmp_path, "fresh clone")


def test_stages_that_dvc_runs_are_verified_on_a_fresh_clone(pipeline, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    printed = run(pipeline, "env", f"TMPDIR={temporary}", "python", "-m", "stages.verify")
    assert printed.startswith("rebuilding preprocess ...\nrebuilding train ...\nstage ")
    assert "\n14 of 14 outputs are the same bytes as dvc.lock records, on " in printed
    assert list(temporary.iterdir()) == []
    assert run(pipeline, "git", "status", "--short", "--ignored", "data", "metrics") == ""
