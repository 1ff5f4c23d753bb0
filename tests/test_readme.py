"""The README: its figures are those of the tracked metrics, its files exist."""

from __future__ import annotations

import contextlib
import io
import re

import pytest
from ruamel.yaml import YAML

from stages import report
from stages.common import params
from stages.common.errors import UserError
from stages.verification.comparison import WIDTH
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_the_headline_table_is_what_make_prints(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.chdir(ROOT)
    printed, page = io.StringIO(), tmp_path / report.PAGE
    with contextlib.redirect_stdout(printed):
        report.report(str(page))
    block = re.search(r"<!-- report -->\n```\n(.*?)```", README, re.DOTALL)
    assert block
    assert block[1] == printed.getvalue().replace(str(page), report.PAGE)


def test_the_error_that_is_shown_is_the_one_that_is_printed(tmp_path) -> None:
    shown = re.search(r"error: (params.yaml, .*)", README)
    assert shown
    text = (ROOT / "params.yaml").read_text()
    wrong = re.sub(r"^  lr:(.*\n  # of sgd)", r"  lrr:\1", text, count=1, flags=re.MULTILINE)
    assert wrong != text
    with pytest.raises(UserError) as caught:
        params.parse(wrong)
    assert str(caught.value) == shown[1]


def test_every_make_target_that_is_named_exists() -> None:
    named = set(re.findall(r"`?make ([a-z]+)", README)) - {"creates", "ends"}
    defined = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"test", "bench", "help"} <= named <= defined


@pytest.mark.parametrize("page", ["README.md", "docs/ideas.md", "docs/lessons.md"])
def test_every_file_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    names = re.findall(r"`((?:stages|tests|data/raw|docs|metrics)/[\w./]*\.\w+)`", text)
    names += [name for name in re.findall(r"\]\(([\w./]+)\)", text) if ":" not in name]
    assert names
    for name in names:
        assert (ROOT / name).exists() or (ROOT / page).parent.joinpath(name).exists(), name


def test_every_row_of_the_ideas_is_there() -> None:
    rows = re.findall(r"^\| (E?\d+) \|", (ROOT / "docs/ideas.md").read_text(), re.MULTILINE)
    assert rows == [*map(str, range(1, 66)), *(f"E{number}" for number in range(1, 32))]


def test_the_table_of_verify_has_what_dvc_lock_records() -> None:
    block = re.search(r"<!-- verify -->\n```\n(.*?)```", README, re.DOTALL)
    assert block
    header, *rows, inputs, closing = block[1].splitlines()
    assert header.split() == ["stage", "output", "recorded", "rebuilt"]
    stages = YAML(typ="safe").load(ROOT / "dvc.lock")["stages"]
    recorded = {
        (stage, out["path"], out["md5"][:WIDTH])
        for stage, content in stages.items()
        for out in content["outs"]
    }
    cells = [row.split() for row in rows]
    assert {(stage, path, md5) for stage, path, md5, _, _ in cells} == recorded
    assert all((rebuilt, verdict) == (md5, "same") for _, _, md5, rebuilt, verdict in cells)
    count = sum(len(content["deps"]) for content in stages.values())
    count += sum(len(keys) for content in stages.values() for keys in content["params"].values())
    assert inputs == f"{count} of {count} recorded inputs are the same"
    assert closing.startswith(f"{len(rows)} of {len(rows)} outputs are the same bytes")
