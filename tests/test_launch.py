"""launch and errors: one line and an exit status for what a user can mend, before torch comes."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from stages.common import files
from stages.common.errors import UserError, located
from stages.common.graph import Declared
from stages.common.launch import command, guard, launch
from stages.common.settings import Settings
from tests.imports import ROOT

STAGES = ["preprocess", "train", "finetune", "evaluate", "search"]
COMMANDS = [*([stage] for stage in STAGES), ["search", "--adopt"]]
COMMANDS += [["predict", "new.csv", "--output", "out.csv"], ["export"]]


@pytest.fixture(autouse=True)
def _own_handler() -> Iterator[None]:
    """Put back what `guard` changes in the process."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def mistyped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A copy of the project whose params.yaml has a typing mistake, and the mistake's line."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "stages", folder / "stages")
    shutil.copy(ROOT / "dvc.yaml", folder)
    text = (ROOT / "params.yaml").read_text()
    wrong = text.replace("\n  momentum:", "\n  momentun:", 1)
    assert wrong != text
    (folder / "params.yaml").write_text(wrong)
    return folder, wrong[: wrong.index("momentun")].count("\n") + 1


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=60
    )


def fails(error: BaseException) -> Callable[..., None]:
    def run(*_: object) -> None:
        raise error

    return run


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_mistyped_key_stops_every_command_before_torch_is_imported(mistyped, command):
    folder, line = mistyped
    before = sorted(folder.rglob("*.*"))
    name, *arguments = command
    ended = python(folder, "-B", "-X", "importtime", "-m", f"stages.{name}", *arguments)
    report = [text for text in ended.stderr.splitlines() if text.startswith("import time:")]
    said = [text for text in ended.stderr.splitlines() if not text.startswith("import time:")]
    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(said) == 1
    expected = (
        f"error: params.yaml, line {line}: train.momentun: unknown key; did you mean momentum?"
    )
    assert said[0].startswith(expected)
    imported = {text.rsplit("|", 1)[1].strip().split(".")[0] for text in report}
    assert "pydantic" in imported
    assert not imported & {"torch", "torchmetrics", "pandas", "numpy"}
    assert sorted(folder.rglob("*.*")) == before


@pytest.fixture(autouse=True)
def no_arguments(monkeypatch):
    """A stage is started without arguments; pytest's own are none of its."""
    monkeypatch.setattr(sys, "argv", ["stage"])


def test_a_stage_takes_no_arguments(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["stage", "--help"])
    with pytest.raises(SystemExit) as left:
        launch("train", fails(AssertionError("called")))
    assert left.value.code == 2
    assert "python -m stages.train takes no arguments" in capsys.readouterr().err


def test_a_command_outside_the_projects_folder_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        launch("train", fails(AssertionError("called")))
    assert left.value.code == 2
    shown = capsys.readouterr().err
    assert re.fullmatch(r"error: params\.yaml: not in this folder; run .*\n", shown)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the project's graph and settings, nothing else; the working directory."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_stage_gets_the_checked_settings_and_its_declared_files(folder):
    given = []
    state = folder / "data/resume/train/base.pt"
    files.write_bytes(state, b"of a killed run")

    def run(settings, paths):
        given.append((settings, paths))
        assert state.exists()
        for output in paths.outputs:
            files.write_bytes(paths(str(output)), output.name.encode())
            assert not output.exists()

    with pytest.raises(SystemExit) as left:
        launch("train", run)
    assert left.value.code == 0
    ((settings, paths),) = given
    assert isinstance(settings, Settings)
    declared = Declared.read("train")
    assert (paths.inputs, paths.outputs) == (declared.inputs, declared.outputs)
    assert all(output.read_bytes() == output.name.encode() for output in declared.outputs)
    assert not state.exists()


def test_a_command_reads_the_finished_files_and_puts_nothing_in_place(folder):
    before = sorted(folder.rglob("*"))
    given = []
    with pytest.raises(SystemExit) as left:
        command("train", lambda settings, paths: given.append(paths))
    assert left.value.code == 0
    assert given == [Declared.read("train")]
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(("mode", "shown"), [("portable", "COMPATIBLE"), ("fast", "None")])
def test_the_arithmetic_of_params_yaml_is_set_before_the_stage_runs(tmp_path, mode, shown):
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    text = (ROOT / "params.yaml").read_text()
    chosen = re.sub("^arithmetic: .*$", f"arithmetic: {mode}", text, flags=re.MULTILINE)
    (tmp_path / "params.yaml").write_text(chosen)
    code = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from stages.common.launch import command\n"
        "command('train', lambda settings, paths: print(os.environ.get('MKL_CBWR')))\n"
    )
    ended = python(tmp_path, "-B", "-c", code)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{shown}\n", "")


def test_a_stage_refuses_to_run_when_torch_has_another_arithmetic(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("MKL_CBWR", "AUTO")
    with pytest.raises(RuntimeError, match="MKL_CBWR"):
        launch("train", fails(AssertionError("called")))


def test_a_run_without_errors_has_status_0_and_says_nothing(capsys):
    assert guard(lambda: None) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UserError("a.csv: row 3:\n  no\tnumber"), 2, "a.csv: row 3: no number"),
        (
            KeyboardInterrupt(),
            130,
            "interrupted: this step recorded nothing, run the same command again",
        ),
        (MemoryError(), 2, "not enough memory: use a smaller table, batch or network"),
        (OSError(errno.ENOSPC, "No space left", "a.pt"), 2, "a.pt: No space left"),
        (OSError(errno.EFBIG, "File too large"), 2, "a file: File too large"),
        (OSError(errno.EDQUOT, "Quota exceeded", "a.pt"), 2, "a.pt: Quota exceeded"),
        (PermissionError(errno.EACCES, "Permission denied", "a"), 2, "a: Permission denied"),
        (OSError(errno.EROFS, "Read-only", "a.pt"), 2, "a.pt: Read-only"),
    ],
    ids=repr,
)
def test_what_a_user_can_mend_is_one_line_and_a_status(capsys, error, status, message):
    assert guard(fails(error)) == status
    assert capsys.readouterr() == ("", f"error: {message}\n")


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), KeyError("a bug"), OSError(errno.EIO, "a bug"), AssertionError()]
)
def test_a_mistake_of_the_program_keeps_its_traceback(capsys, error):
    with pytest.raises(type(error)) as caught:
        guard(fails(error))
    assert caught.value is error
    assert capsys.readouterr().err == ""


def test_a_network_that_does_not_fit_into_memory_is_the_users_error(capsys):

    def allocate() -> None:
        torch.empty(10**15)

    assert guard(allocate) == 2
    assert capsys.readouterr().err.startswith("error: not enough memory")


@pytest.mark.parametrize(
    ("signum", "status", "message"),
    [
        (
            signal.SIGTERM,
            143,
            "error: terminated: this step recorded nothing, run the same command again\n",
        ),
        (
            signal.SIGINT,
            130,
            "error: interrupted: this step recorded nothing, run the same command again\n",
        ),
    ],
)
def test_a_stopped_command_has_a_status_other_than_0_and_leaves_no_half_file(
    tmp_path, signum, status, message
):
    (tmp_path / "a.bin").write_text("old")
    code = (
        "import os, sys, time; from pathlib import Path\n"
        "from stages.common import files; from stages.common.launch import guard\n"
        "def wait(descriptor):\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
        "os.fsync = wait\n"
        f"path = Path({str(tmp_path / 'a.bin')!r})\n"
        "sys.exit(guard(lambda: files.write_bytes(path, b'new')))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs tests in the background makes its children deaf to SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        assert len(list(tmp_path.iterdir())) == 2
        process.send_signal(signum)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (status, message)
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert (tmp_path / "a.bin").read_text() == "old"


def test_a_signal_while_modules_are_imported_is_answered_in_a_line():
    code = (
        "import runpy, sys\n"
        "class Signalled:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'pydantic': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Signalled())\n"
        "sys.argv = ['stages.train']\n"
        "runpy.run_module('stages.train', run_name='__main__')\n"
    )
    ended = python(ROOT, "-B", "-c", code)
    said = "error: interrupted: this step recorded nothing, run the same command again\n"
    assert (ended.returncode, ended.stderr) == (130, said)


def test_importing_any_module_does_nothing_that_can_be_seen(tmp_path):
    modules = sorted(
        str(path.relative_to(ROOT).with_suffix("")).replace(os.sep, ".")
        for path in (ROOT / "stages").rglob("*.py")
        if path.name != "__init__.py"
    )
    assert {"stages.train", "stages.predict", "stages.common.files"} <= set(modules)
    code = (
        "import importlib, signal, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "import stages, torch, pandas\n"
        "before = torch.get_rng_state(), signal.getsignal(signal.SIGTERM)\n"
        f"for name in {modules}: importlib.import_module(name)\n"
        "assert torch.equal(before[0], torch.get_rng_state())\n"
        "assert before[1] == signal.getsignal(signal.SIGTERM)\n"
    )
    ended = python(tmp_path, "-B", "-W", "error", "-c", code)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_a_located_error_says_its_place_first():
    with pytest.raises(UserError, match=r"^a\.csv: row 3: no number$"), located("a.csv"):
        raise UserError("row 3: no number")


def test_located_lets_other_errors_and_results_pass():
    with pytest.raises(KeyError, match=r"^'a bug'$"), located("a.csv"):
        raise KeyError("a bug")
    with located("a.csv"):
        pass
