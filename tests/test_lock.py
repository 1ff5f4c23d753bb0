"""lock: what is cut off is restored from the last commit, and DVC always runs then."""

from __future__ import annotations

import hashlib
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stages.common.errors import UserError
from stages.verification import lock
from tests.imports import ROOT
from tests.project import commit, dvc, environment, run
from tests.recorded import write

# An md5 that starts with digits only: cut off there, it is a number for YAML.
MD5, NUMBER = next(
    (md5, text)
    for text in map(str, range(1000))
    if (md5 := hashlib.md5(text.encode()).hexdigest())[:6].isdigit()
)
GRAPH = """stages:
  copy:
    cmd: cp number.txt copied.txt
    deps:
    - folder
    - number.txt
    - tool
    params:
    - lr
    outs:
    - copied.txt
"""

OUTPUT = b"schema: '2.0'\nstages:\n  copy:\n    cmd: cp\n    outs:\n    - path: a\n"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed project whose one stage DVC has run."""
    folder = tmp_path_factory.mktemp("original")
    write(folder, {"number.txt": NUMBER, "params.yaml": "lr: 0.125\n", "dvc.yaml": GRAPH})
    write(folder, {"folder/a.txt": "a", "folder/b.txt": "b", "tool": "#!/bin/sh\n"})
    (folder / "tool").chmod(0o755)
    run(folder, "git", "init", "--quiet")
    dvc(folder, "init", "--quiet")
    dvc(folder, "repro", "--quiet")
    commit(folder)
    return folder


@pytest.fixture
def record(original: Path, monkeypatch):
    """The dvc.lock of the current folder, whole again at the end."""
    monkeypatch.chdir(original)
    monkeypatch.setattr(lock, "PAUSE", 0)
    path = Path("dvc.lock")
    whole = path.read_bytes()
    yield path
    path.write_bytes(whole)


def test_dvc_runs_after_a_cut_at_any_place_has_been_mended(record):
    """The cuts that DVC's own check lets through, and then stops at, are among them."""
    text = record.read_text()
    digits = text.index(MD5)
    values = (
        "hash:",
        "hash: m",
        "md5: ",
        "size:",
        "size: ",
        "nfiles:",
        "isexec:",
        "isexec: t",
        "params:",
    )
    special = [0, 1, digits + 4, digits + 5, *(text.index(value) + len(value) for value in values)]
    cuts = [*special, *random.Random(0).sample(range(len(text)), 40), len(text) - 1, len(text)]
    code = f"""
from pathlib import Path
from dvc.repo import Repo
from stages.verification import lock
lock.PAUSE = 0
whole = Path("dvc.lock").read_text()
for cut in {cuts}:
    Path("dvc.lock").write_text(whole[:cut])
    lock.mend()
    mended = Path("dvc.lock").read_text()
    assert mended in (whole, whole[:cut])
    repo = Repo(".")
    changed = repo.status()
    assert changed or mended.count("{MD5}") == 2, cut  # never taken for the whole record
    repo.close()
    print("whole" if mended == whole else "cut")
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command,
        env=environment() | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ends = [line for line in done.stdout.splitlines() if line in ("whole", "cut")]
    assert len(ends) == len(cuts)
    assert ends[: len(special)].count("cut") == 0
    assert ends[-2] == "cut"  # only the line end


def test_a_stage_behind_a_cut_is_named_and_restored(record, capsys):
    whole = record.read_text()
    without_outputs, without_md5 = whole.index("    outs:"), whole.rindex("      md5:")
    for part in ("schema: '2.0'\nstages: {}\n", whole[:without_outputs], whole[:without_md5]):
        record.write_text(part)
        lock.mend()
        assert record.read_text() == whole
        assert capsys.readouterr().out == (
            "dvc.lock: had lost outputs of 'copy', as DVC was killed while it wrote; the committed "
            "one is back\n"
        )


@pytest.mark.parametrize("graph", ["stages: {}\n", GRAPH.replace("- copied.txt", "- other.txt")])
def test_what_dvc_yaml_no_longer_has_is_not_missed(record, capsys, graph):
    shorter = record.read_text()[: record.read_text().index("    outs:")]
    record.write_text(shorter)
    Path("dvc.yaml").write_text(graph)
    try:
        lock.mend()
    finally:
        Path("dvc.yaml").write_text(GRAPH)
    assert record.read_text() == shorter
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\n",
        b"\0" * 100,
        b"\xff\xfe",
        b"schema: '2.0'\nstages: [",
        b"schema: '1.0'\n",
        b"stages: {}\n",
        b"- a\n",
        b"schema: '2.0'\nstages:\n  copy:\n    deps: []\n",
        b"schema: '2.0'\nstages:\n  copy:\n    cmd: cp\n    deps:\n    - hash: md5\n",
        OUTPUT + b"      hash: m\n",
        OUTPUT + b"      md5: 1234\n",
        OUTPUT + b"      size:\n",
        OUTPUT + b"      nfiles: a\n",
        OUTPUT + b"      isexec: tr\n",
        OUTPUT + b"      md5: 12ab\n",
        b"schema: '2.0'\nstages:\n  copy:\n    cmd: cp\n    params:\n      params.yaml:\n",
    ],
)
def test_what_cannot_be_read_is_restored_and_a_line_says_so(record, capsys, damage):
    whole = record.read_bytes()
    record.write_bytes(damage)
    lock.mend()
    assert record.read_bytes() == whole
    printed = capsys.readouterr().out
    assert re.fullmatch(r"dvc\.lock: could not be read.*the committed one is back\n", printed)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.125", "0.5"),
        ("cp number.txt", "cp -p number.txt"),
        (MD5, "a" * 32),
        ("      hash: md5\n", ""),
        ("stages:", "datasets: []\nstages:"),
        ("    outs:", "    # mine\n    outs:"),
    ],
)
def test_what_can_be_read_is_left_alone(record, capsys, old, new):
    changed = record.read_text().replace(old, new)
    assert changed != record.read_text()
    record.write_text(changed)
    lock.mend()
    assert record.read_text() == changed
    assert capsys.readouterr().out == ""


def test_a_missing_one_is_for_dvc_to_make(record):
    record.unlink()
    lock.mend()
    assert not record.exists()


def test_one_that_is_being_written_is_left_to_the_writer(record, monkeypatch, capsys):
    written = record.read_text().replace(MD5, "a" * 32)
    record.write_text("schema:")
    monkeypatch.setattr("time.sleep", lambda _: record.write_text(written))
    lock.mend()
    assert record.read_text() == written
    assert capsys.readouterr().out == ""


def test_without_a_committed_one_it_is_the_users_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lock, "PAUSE", 0)
    run(tmp_path, "git", "init", "--quiet")
    write(tmp_path, {"a.txt": ""})
    commit(tmp_path)
    Path("dvc.lock").write_text("schema:")
    with pytest.raises(
        UserError, match=r"dvc\.lock: cannot be read, and none is committed; delete"
    ):
        lock.mend()
    assert Path("dvc.lock").read_text() == "schema:"


def test_make_mends_before_dvc_reads_it_and_without_torch():
    planned = run(ROOT, "make", "--dry-run", "all")
    mended = planned.index("-m stages.verify --mend\n")
    assert mended < planned.index("-m dvc repro")
    imported = run(ROOT, "python", "-X", "importtime", "-m", "stages.verify", "--mend")
    assert "ruamel.yaml" in imported
    assert "torch" not in imported


def test_a_committed_record_is_read_as_it_is(record):
    found = lock.committed().stages["copy"]
    assert found.cmd == "cp number.txt copied.txt"
    assert [file.path for file in found.outs] == ["copied.txt"]
    assert found.params == {"params.yaml": {"lr": 0.125}}
    assert found.deps[1].md5 == MD5
    assert found.deps[1].whole


@pytest.mark.parametrize("content", ["", "{", '{"read": {', "[]", "\0\0\0"])
def test_a_list_of_busy_files_that_was_cut_off_is_removed(record, capsys, content):
    lock.BUSY.parent.mkdir(parents=True, exist_ok=True)
    lock.BUSY.write_text(content)
    lock.mend()
    assert not lock.BUSY.exists()
    assert capsys.readouterr().out.startswith(".dvc/tmp/rwlock: could not be read")


def test_a_list_of_busy_files_that_can_be_read_is_left_alone(record, capsys):
    lock.BUSY.parent.mkdir(parents=True, exist_ok=True)
    lock.BUSY.write_text('{"read": {}, "write": {}}')
    lock.mend()
    assert lock.BUSY.exists()
    assert capsys.readouterr().out == ""
