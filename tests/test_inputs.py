"""inputs: what a stage is made from; a change while it runs is noticed."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from stages.common import params
from stages.common.errors import UserError
from stages.common.graph import Declared
from stages.common.inputs import Inputs
from tests.imports import ROOT


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A stage `bake` that reads two files, a folder and some settings."""
    stage = {
        "cmd": "python -m stages.bake",
        "deps": ["raw", "code.py", "flour.pt"],
        "params": ["arithmetic", "preprocess.split", "train", "finetune.csv", "search.space"],
        "outs": ["bread.pt"],
    }
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"bake": stage}}))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "raw" / "deep").mkdir(parents=True)
    for name in ("raw/a.csv", "raw/deep/b.csv", "code.py", "flour.pt", "bread.pt"):
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def taken() -> Inputs:
    return Inputs.now(Declared.read("bake"), params.load())


def edit_params(folder, section, **values):
    text = params.edit((folder / "params.yaml").read_text(), section, values)
    (folder / "params.yaml").write_text(text)


def test_inputs_that_stay_are_no_error_whatever_else_changes(folder):
    inputs = taken()
    (folder / "bread.pt").write_text("an output")
    (folder / "other.csv").write_text("not declared")
    edit_params(folder, "search", trials=3)
    edit_params(folder, "finetune", lr=0.5)
    inputs.check()


@pytest.mark.parametrize("name", ["raw/a.csv", "raw/deep/b.csv", "code.py", "flour.pt"])
@pytest.mark.parametrize("change", ["write", "append", "replace", "remove"])
def test_a_file_that_changes_is_named(folder, name, change):
    inputs, path = taken(), folder / name
    before = os.stat(path)
    if change == "write":
        path.write_text(name[::-1])
    elif change == "append":
        path.write_text(f"{name} ")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "replace":  # by a file of the same size and time
        other = folder / "other"
        other.write_text(name[::-1])
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        os.replace(other, path)
    else:
        path.unlink()
    with pytest.raises(UserError) as caught:
        inputs.check()
    assert str(caught.value) == (
        f"{name} changed while bake ran: nothing was recorded, run `dvc repro`"
    )


def test_a_file_that_comes_into_a_declared_folder_is_named(folder):
    inputs = taken()
    (folder / "raw/c.csv").write_text("new")
    with pytest.raises(UserError, match=r"^raw/c\.csv changed while bake ran"):
        inputs.check()


@pytest.mark.parametrize(
    ("section", "values", "named"),
    [
        ("train", {"lr": 0.5}, "'train.lr'"),
        ("train", {"epochs": 3, "lr": 0.5}, "'train.lr', 'train.epochs'"),
        ("finetune", {"csv": "", "lr": 0.5}, "'finetune.csv'"),  # lr is not declared
    ],
)
def test_the_settings_that_change_are_named(folder, section, values, named):
    inputs = taken()
    edit_params(folder, section, **values)
    with pytest.raises(UserError, match=rf"^params\.yaml: {named} changed while bake ran"):
        inputs.check()


@pytest.mark.parametrize(
    ("line", "instead", "named"),
    [
        ("    stratify: true\n", "    stratify: false\n", r"preprocess\.split\.stratify"),
        ("      noise:\n", "      mixup:\n", r"search\.space\.train\.noise', '.*\.mixup"),
    ],
)
def test_a_setting_deep_down_that_changes_comes_or_goes_is_named(folder, line, instead, named):
    inputs, text = taken(), (folder / "params.yaml").read_text()
    assert text.count(line) == 1
    (folder / "params.yaml").write_text(text.replace(line, instead))
    with pytest.raises(UserError, match=rf"^params\.yaml: '{named}' changed while bake ran"):
        inputs.check()


def test_the_fingerprint_is_that_of_names_contents_and_declared_settings(folder):
    first = taken().fingerprint()
    assert len(first) == 64
    (folder / "flour.pt").write_text("flour.pt")  # written again, the same
    edit_params(folder, "search", trials=3)
    (folder / "bread.pt").write_text("an output")
    assert taken().fingerprint() == first
    seen = {first}
    for change in (
        lambda: (folder / "flour.pt").write_text("flour.pT"),
        lambda: edit_params(folder, "train", lr=0.5),
        lambda: (folder / "raw/a.csv").rename(folder / "raw/c.csv"),
        lambda: (folder / "code.py").write_text(""),
        lambda: edit_params(folder, "finetune", csv=""),
        lambda: (folder / "raw/deep/b.csv").unlink(),
    ):
        change()
        seen.add(taken().fingerprint())
    assert len(seen) == 7


def test_where_a_search_is_done_is_no_part_of_its_fingerprint(folder):
    graph = json.loads((folder / "dvc.yaml").read_text())
    graph["stages"]["bake"]["params"] = ["search"]
    (folder / "dvc.yaml").write_text(json.dumps(graph))
    before = taken().fingerprint()
    edit_params(folder, "search", workers=3, engine="ray", address="127.0.0.1:1")
    assert taken().fingerprint() == before
    edit_params(folder, "search", halving=7)
    assert taken().fingerprint() != before


def test_bytes_that_move_from_one_file_to_the_next_change_the_fingerprint(folder):
    (folder / "code.py").write_text("ab")
    (folder / "flour.pt").write_text("c")
    first = taken().fingerprint()
    (folder / "code.py").write_text("a")
    (folder / "flour.pt").write_text("bc")
    assert taken().fingerprint() != first
