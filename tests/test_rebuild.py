"""rebuild: DVC runs all stages in a folder from nothing, and leaves nothing behind."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from stages.verification.rebuild import rebuild
from tests.imports import ROOT
from tests.project import commit, dvc, environment, run
from tests.recorded import write

GRAPH = """stages:
  make:
    cmd: {}
    outs:
    - made.txt
"""


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A project of DVC whose one stage has been recorded."""
    path: Path = tmp_path_factory.mktemp("original") / "a project"
    write(path, {"dvc.yaml": GRAPH.format("echo made > made.txt")})
    run(path, "git", "init", "--quiet")
    dvc(path, "init", "--quiet")
    dvc(path, "repro", "--quiet")
    commit(path)
    return path


@pytest.fixture
def folder(original, tmp_path) -> Path:
    """A copy for one test."""
    path: Path = tmp_path / "a project"
    shutil.copytree(original, path)
    return path


def test_each_stage_is_announced_and_runs_though_all_is_up_to_date(folder, capsys):
    (folder / "dvc.yaml").write_text(GRAPH.format("echo $$ > made.txt"))
    assert rebuild(folder) == ""
    first = (folder / "made.txt").read_text()
    assert rebuild(folder) == ""
    assert (folder / "made.txt").read_text() != first
    assert capsys.readouterr().out == "rebuilding make ...\n" * 2
    assert (folder / ".dvc/tmp/site").is_dir()  # else in a folder of the system, and left there


def test_what_a_run_that_fails_has_printed_is_returned(folder, capsys):
    (folder / "dvc.yaml").write_text(GRAPH.format("echo the reason; exit 7"))
    printed = rebuild(folder)
    assert "\nthe reason\n" in printed
    assert "exited with 7" in printed
    assert capsys.readouterr().out == "rebuilding make ...\n"


def test_a_stage_has_this_python_and_not_the_one_on_path(folder, monkeypatch):
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    write(folder, {"python": "#!/bin/sh\nexit 1\n"})
    (folder / "python").chmod(0o755)
    code = "import sys; print(sys.prefix)"
    (folder / "dvc.yaml").write_text(GRAPH.format(f"python -c '{code}' > made.txt"))
    assert rebuild(folder) == ""
    assert "venv" in (folder / "made.txt").read_text()


def test_a_damaged_cache_elsewhere_does_not_get_into_the_result(folder, tmp_path):
    md5 = hashlib.md5(b"made\n").hexdigest()
    cached = tmp_path / "shared" / "files" / "md5" / md5[:2] / md5[2:]
    cached.parent.mkdir(parents=True)
    cached.write_text("damaged\n")
    cached.chmod(0o444)
    (folder / ".dvc/config").write_text(f"[cache]\n    dir = {tmp_path}/shared\n")
    assert rebuild(folder) == ""
    assert (folder / "made.txt").read_text() == "made\n"


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_check_leaves_no_process_and_no_file(folder, tmp_path, sent, status):
    note, temporary = tmp_path / "note", tmp_path / "temporary"
    temporary.mkdir()
    slow = f"echo $$ > '{note}'; sleep 100; echo made > made.txt"
    (folder / "dvc.yaml").write_text(GRAPH.format(slow))
    commit(folder)
    python = ROOT / ".venv" / "bin" / "python"
    process = subprocess.Popen(
        [str(python), "-m", "stages.verify"],
        cwd=folder,
        env=environment() | {"PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 60
    while not (note.exists() and note.read_text().endswith("\n")):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert len(list(temporary.glob("verify-*"))) == 2
    process.send_signal(sent)
    _, printed = process.communicate(timeout=30)
    assert process.returncode == status
    assert "Traceback" not in printed
    assert list(temporary.iterdir()) == []
    assert not alive(int(note.read_text()))


def alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended but was not asked for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return not re.search(r"\) Z ", state)
