"""likeness: the same tables and test rows or not, by dvc.lock, answers and settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stages.reporting import likeness, tracked
from stages.reporting.tracked import Tracked
from tests import keys, reported


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    path = reported.make(tmp_path / "project")
    monkeypatch.chdir(path)
    return path


def other_rows(folder: Path, of: str) -> None:
    """Let dvc.lock record other test tensors of a table for evaluate."""
    lock = (folder / "dvc.lock").read_text()
    place = lock.index(f"{of}/test.pt", lock.index("  evaluate:"))
    other = re.sub(r"md5: \w{4}", "md5: 0000", lock[place:], count=1)
    (folder / "dvc.lock").write_text(lock[:place] + other)


def other_setting(folder: Path, key: str, value: str) -> None:
    path = folder / "params.yaml"
    path.write_text(keys.change(path.read_text(), key, value))


def states() -> tuple[Tracked, Tracked]:
    return tracked.at("HEAD"), tracked.here()


@pytest.mark.parametrize("of", likeness.TABLES)
def test_the_lock_tells_whether_test_rows_are_the_same(folder, of):
    assert likeness.same_rows(*states(), of)
    assert "the same, compared one by one" in likeness.sentence(*states(), of)
    other_rows(folder, of)
    assert not likeness.same_rows(*states(), of)
    assert "not the same (other rows, split or encoding)" in likeness.sentence(*states(), of)
    assert likeness.different(*states(), of) == []


def test_other_answers_are_other_rows(folder):
    path = folder / "metrics/plots/predicted.csv"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *reversed(rows)]))
    assert not likeness.same_rows(*states(), "source")


@pytest.mark.parametrize(
    ("key", "value", "target"),
    [
        ("preprocess.csv", "data/raw/animals.csv", True),
        ("preprocess.target", "0", True),
        ("preprocess.task", "regression", True),
        ("finetune.csv", "data/raw/other.csv", True),
        ("preprocess.seed", "1", False),
    ],
)
def test_a_setting_that_chooses_the_table_makes_it_another_one(folder, key, value, target):
    other_rows(folder, "source")
    other_rows(folder, "target")
    other_setting(folder, key, value)
    source = target and key.startswith("preprocess")
    assert likeness.different(*states(), "source") == ([key] if source else [])
    assert likeness.different(*states(), "target") == ([key] if target else [])


def test_the_same_test_rows_are_of_the_same_table_whatever_it_is_called(folder):
    other_setting(folder, "preprocess.target", "digit")
    assert likeness.different(*states(), "source") == []
