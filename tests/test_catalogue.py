"""Every example of the catalogue prints its line; every error of the stages has an example."""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import os
import runpy
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from stages.common import partition, resume, settings
from stages.common.errors import UserError
from stages.verification import lock
from tests import catalogue
from tests.example import NEW, SECOND, TABLE, Example, table
from tests.imports import ROOT
from tests.project import run
from tests.recorded import write

EXAMPLES = [example for group in catalogue.GROUPS.values() for example in group]
# What becomes a line for the user beside UserError, and where.
ALSO = {settings: ("ValueError", "_misplaced"), partition: ("ValueError",)}

Site = tuple[str, int]  # file, line


@dataclass(frozen=True)
class Outcome:
    """How an example ended: status, both streams, files that it changed, errors it made."""

    status: object
    out: str
    err: str
    changed: list[str]
    sites: set[Site]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Iterator[Path]:
    """The small project, committed, all its stages run; Git looks no further up than there."""
    folder: Path = tmp_path_factory.mktemp("catalogue") / "finished"
    ignored = "data/tensors/\ndata/models/\ndata/resume/\nmetrics/\n"
    tables = {
        TABLE: table({}),
        SECOND: table({"colour": ["red", "grey"]}),
        NEW: table({"kind": []}),
    }
    lock_file = "schema: '2.0'\nstages: {}\n"
    write(folder, {**tables, ".gitignore": ignored, "dvc.lock": lock_file})
    shutil.copy(ROOT / "dvc.yaml", folder)
    (folder / "params.yaml").write_text(Example("", "").params())
    term = signal.getsignal(signal.SIGTERM)
    git = {"LC_ALL": "C", "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    with mock.patch.dict(os.environ, git), contextlib.chdir(folder):
        run(folder, "git", "init", "--quiet", "--template=")
        run(folder, "git", "add", "--all")
        run(folder, "git", "commit", "--quiet", "--message", "state")
        for stage in ("preprocess", "train", "finetune", "evaluate", "search"):
            status, out, err = _call(stage)
            assert status == 0, err or out
        yield folder
    signal.signal(signal.SIGTERM, term)


@pytest.fixture(scope="module")
def outcome(finished: Path) -> Callable[[Example], Outcome]:
    """Return how an example ends, in a copy of the small project; each is run once."""

    @functools.cache
    def of(number: int) -> Outcome:
        example, folder = EXAMPLES[number], finished.parent / str(number)
        shutil.copytree(finished, folder, symlinks=True)
        with contextlib.chdir(folder):
            example.prepare()
            before = _state()
            with _sites() as sites, (example.during or contextlib.nullcontext)():
                status, out, err = _call(example.command)
            after = _state()
        changed = [path for path in before | after if before.get(path) != after.get(path)]
        shutil.rmtree(folder)
        return Outcome(status, out, err, changed, sites)

    return lambda example: of(EXAMPLES.index(example))


def _call(command: str) -> tuple[object, str, str]:
    """Run a command as `python -m stages.COMMAND` does, in this process."""
    name, *arguments = command.split()
    out, err = io.StringIO(), io.StringIO()
    status: object = 0
    with (
        mock.patch.object(sys, "argv", [name, *arguments]),
        mock.patch.object(resume, "SHARE", 0.0),
        mock.patch.object(lock, "PAUSE", 0.0),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            runpy.run_path(str(ROOT / f"stages/{name}.py"), run_name="__main__")
        except SystemExit as end:
            status = end.code
    return status, out.getvalue(), err.getvalue()


def _state() -> dict[str, bytes]:
    """Return every file with its bytes, but Git's and the name of the newest run of a stage."""
    return {
        str(path): path.read_bytes()
        for path in Path().rglob("*")
        if path.is_file() and ".git" not in path.parts and path.suffix != ".run"
    }


@contextlib.contextmanager
def _sites() -> Iterator[set[Site]]:
    """Note where errors are made."""
    found: set[Site] = set()

    def note() -> None:
        frame = sys._getframe(2)
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT):
            found.add((str(path.relative_to(ROOT)), frame.f_lineno))

    def made(error: UserError, *_: object) -> None:
        note()

    class NotedError(ValueError):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)
            note()

    def misplaced(*arguments: str) -> Exception:
        note()
        return original(*arguments)

    original = settings._misplaced
    with (
        mock.patch.object(UserError, "__init__", made),
        mock.patch.object(settings, "ValueError", NotedError, create=True),
        mock.patch.object(partition, "ValueError", NotedError, create=True),
        mock.patch.object(settings, "_misplaced", misplaced),
    ):
        yield found


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.name for example in EXAMPLES])
def test_the_example_prints_its_line_and_leaves_the_files_alone(outcome, example):
    found = outcome(example)
    assert found.err == example.printed() + "\n", found.out
    assert found.status == 2
    assert found.changed == []


def test_every_error_of_the_stages_has_an_example(outcome):
    sites = _in_the_source()
    assert len(sites) > 100
    reached = set[Site]().union(*(outcome(example).sites for example in EXAMPLES))
    missing = sorted(f"{path}:{line}" for path, line in sites - reached)
    assert missing == [], "add an example to tests/catalogue.py"


def _in_the_source() -> set[Site]:
    """Return where the stages make errors for the user, read from their source."""
    also = {Path(str(module.__file__)): names for module, names in ALSO.items()}
    return {
        (str(path.relative_to(ROOT)), node.lineno)
        for path in (ROOT / "stages").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id in ("UserError", *also.get(path, ()))
    }


def test_names_and_lines_are_unlike_each_other():
    assert len({example.name for example in EXAMPLES}) == len(EXAMPLES) > 90
    assert len({example.printed() for example in EXAMPLES}) == len(EXAMPLES)


def test_the_page_is_what_the_command_writes():
    written = (ROOT / catalogue.PAGE).read_text(encoding="utf-8")
    assert written == catalogue.page(), "run `make errors`"
