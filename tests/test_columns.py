"""columns: a damaged CSV file in metrics/ is one line, whichever the report reads."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from stages import report
from stages.common.launch import guard
from stages.reporting import columns
from stages.reporting.plots import listed
from tests import reported
from tests.imports import ROOT

DRAWN = {file.removeprefix("metrics/") for plot in listed(ROOT) for file in plot.files}
READ = sorted(DRAWN | columns.NEEDED.keys())


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    reported.sketched(monkeypatch)
    path = reported.make(tmp_path / "project")
    residuals = path / "metrics/plots/residuals.csv"  # of a regression: the digits have none
    residuals.write_text("model,actual,predicted,residual\nbase,1.5,1.6,0.1\nbase,2,3,1\n")
    monkeypatch.chdir(path)
    return path


def said(path: Path, lines: list[str], capsys) -> str:
    """Return the line that a report ends with when a file has these lines."""
    path.write_text("".join(lines))
    assert guard(report.report) == 2
    found: str = capsys.readouterr().err
    assert found.count("\n") == 1
    assert f"{path} of this folder: damaged (" in found
    assert "); delete it and run `dvc repro`, or name another revision" in found
    return found


@pytest.mark.parametrize("name", READ)
def test_a_mark_of_a_merge_and_a_row_cut_off_are_damage(folder, name, capsys):
    path = Path("metrics") / name
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) > 1
    marked = said(path, [*lines[:1], "<<<<<<< HEAD\n", *lines[1:]], capsys)
    assert f"(line 2 has 1 cell, not {len(next(csv.reader(lines)))})" in marked
    said(path, ["<<<<<<< HEAD\n", *lines], capsys)
    said(path, [*lines[:-1], lines[-1].split(",")[0]], capsys)


@pytest.mark.parametrize(
    ("name", "column"), [(name, column) for name, each in columns.NEEDED.items() for column in each]
)
def test_a_column_that_is_not_there_is_damage(folder, name, column, capsys):
    path = Path("metrics") / name
    header, *rows = path.read_text().splitlines(keepends=True)
    other = [f"{each}_" if each == column else each for each in header.strip().split(",")]
    assert f"damaged (no column {column})" in said(path, [",".join(other) + "\n", *rows], capsys)


def test_a_number_that_is_none_and_a_quote_without_end_are_damage(folder, capsys):
    path = Path("metrics/plots/importance.csv")
    header = "setting,trials,importance\n"
    assert "(line 2: importance is no number)" in said(path, [header, "a,9,0.7x\n"], capsys)
    said(path, [header, 'a,9,"0.7\n'], capsys)
    path.write_text(f"{header}a,9,\n")
    assert guard(report.report) != 2
