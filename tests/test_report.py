"""report: the table it prints, the files it writes, whatever pieces are missing."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stages import report
from stages.common.errors import UserError
from stages.common.launch import guard
from stages.reporting import comparison, headline, layers, tracked
from tests import keys, reported
from tests.project import run

BARE = (
    reported.regression,
    reported.no_second_table,
    reported.no_test_rows,
    reported.no_search,
    reported.no_lock,
    reported.no_git,
    reported.no_schema,
    reported.diverged,
)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    return reported.entered(tmp_path, monkeypatch)


def test_the_table_is_printed_and_the_last_line_names_the_page(folder, capsys):
    report.report()
    *table, last = capsys.readouterr().out.splitlines()
    assert table == [*headline.lines(tracked.here())]
    assert table[0].startswith("base model, test rows   ")
    assert last == "the whole report: report.html"
    assert run(folder, "git", "status", "--porcelain") == ""


@pytest.mark.parametrize("write", [report.report, report.card])
def test_the_same_state_gives_the_same_bytes(folder, monkeypatch, write: Callable[[str], None]):
    monkeypatch.undo()  # plots are drawn
    monkeypatch.chdir(folder)
    write("one")
    write("other")
    assert (folder / "one").read_bytes() == (folder / "other").read_bytes()
    assert (folder / "one").stat().st_size > 5000


@pytest.mark.parametrize("take", BARE, ids=[take.__name__ for take in BARE])
def test_a_missing_piece_does_not_break_page_or_card(folder, take: Callable[[Path], None]):
    take(folder)
    report.report("page.html")
    report.card("card.md")
    page = (folder / "page.html").read_text()
    assert page.rstrip().endswith("</html>")
    for text in (page, (folder / "card.md").read_text()):
        assert re.findall(r"(?:>|\| )(?:None|nan)(?:<| \|)", text) == []


@pytest.mark.parametrize(
    ("take", "said"),
    [
        (reported.regression, "has an RMSE of 1.500 on 3 test rows."),
        (reported.no_second_table, "There is no second table: nothing was fine-tuned."),
        (reported.no_test_rows, "No test rows: how good the model is cannot be told."),
        (reported.no_search, "There was no search yet."),
        (reported.no_lock, "There is no dvc.lock"),
        (reported.no_git, "(no Git repository with a commit)"),
        (reported.diverged, "No: the training diverged; lower train.lr."),
    ],
)
def test_the_page_says_what_is_missing(folder, take: Callable[[Path], None], said: str):
    report.report("whole.html")
    take(folder)
    report.report("page.html")
    assert said in (folder / "page.html").read_text()
    assert said not in (folder / "whole.html").read_text()


@pytest.mark.parametrize(
    ("name", "said", "fact"),
    [
        ("evaluate.json", "evaluate has not run: ", "No test rows"),
        ("finetune.json", "finetune has not run: ", "There is no second table"),
        ("preprocess.json", "preprocess has not run: ", "There was no audit"),
        ("audit.csv", "The audit has 4 findings.", "The remedies are below."),
        ("errors.csv", "most confused", ""),
        ("plots/classes.csv", "most confused", ""),
        ("plots/predicted.csv", "Calibration of the fine-tuned model", ""),
        ("plots/finetuned_predicted.csv", "Calibration of the base model", ""),
        ("plots/importance.csv", "Proposed is trial", "No setting mattered more than chance"),
        ("plots/effects.csv", "mattered most", ""),
        ("finalists.csv", "mattered most", ""),
        ("trials.csv", "mattered most", ""),
        ("plots/freezing.csv", "Yes: fine-tuning is better", "Freeze depths"),
        ("plots/training.csv", "It does not overfit", ""),
        ("plots/health.csv", "It does not overfit", ""),
    ],
)
def test_a_file_that_is_not_there_is_no_fact(folder, name: str, said: str, fact: str):
    (folder / "metrics" / name).unlink()
    report.report("page.html")
    page = (folder / "page.html").read_text()
    assert f"metrics/{name} is not there; `dvc repro` writes it." in page
    assert said in page
    assert not fact or fact not in page


@pytest.mark.parametrize("content", ["{", "[1]", b"\xff"])
def test_a_damaged_file_is_one_line(folder, content: str | bytes):
    damaged = content if isinstance(content, bytes) else content.encode()
    (folder / "metrics/train.json").write_bytes(damaged)
    with pytest.raises(UserError, match=r"metrics/train\.json of this folder: damaged"):
        report.report()


def test_a_bad_revision_is_one_line_and_writes_nothing(folder, capsys):
    assert guard(lambda: report.report("page.html", "HEAD~99")) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "HEAD~99: Git knows no such revision" in said.err
    assert said.out == ""
    assert not (folder / "page.html").exists()


def test_a_comparison_leaves_the_report_and_prints_both_states(folder, capsys):
    report.report(against="HEAD")
    out = capsys.readouterr().out.splitlines()
    assert out[:-1] == [*comparison.lines(tracked.at("HEAD"), tracked.here())]
    assert out[-1] == "the whole comparison: comparison.html"
    assert not (folder / "report.html").exists()
    assert run(folder, "git", "status", "--porcelain") == ""


def test_settings_changed_since_are_told(folder):
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("momentum: 0.8", "momentum: 0.7", 1))
    report.report("page.html")
    page = (folder / "page.html").read_text()
    assert "Settings changed since these figures were made" in page
    assert "This page shows a state that no commit has: commit it" in page
    assert "git checkout" not in page
    run(folder, "git", "checkout", "--quiet", ".")
    report.report("page.html")
    assert "git checkout" in (folder / "page.html").read_text()


def test_the_command_line_chooses_page_card_and_revision(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", "--card", "--output", "c.md"])
    report.main()
    assert (folder / "c.md").read_text().startswith("# Model card\n")
    reported.figures(folder, "evaluate", test_macro_f1=0.5)
    monkeypatch.setattr(sys, "argv", ["report", "--against", "HEAD", "--output", "p.html"])
    report.main()
    assert "Against HEAD" in (folder / "p.html").read_text()
    assert capsys.readouterr().out.splitlines()[-1] == "the whole comparison: p.html"
    assert json.loads((folder / "metrics/evaluate.json").read_text())["test_macro_f1"] == 0.5


def test_a_file_that_git_does_not_know_is_a_change(folder):
    assert tracked.here().changed is False
    (folder / "stages").mkdir()
    (folder / "stages/more.py").write_text("")
    assert tracked.here().changed is True
    run(folder, "git", "clean", "--quiet", "--force", "-d")
    (folder / "notes.txt").write_text("")
    assert tracked.here().changed is False


def test_a_card_is_of_one_state(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", "--card", "--against", "HEAD"])
    with pytest.raises(SystemExit) as ended:
        report.main()
    assert ended.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err


def test_the_model_is_told_with_the_settings_that_it_was_trained_with(folder):
    told = layers.section(tracked.here())
    path = folder / "params.yaml"
    text = path.read_text()
    for key, value in (("train.members", "3"), ("model.activation", "tanh"),
                       ("model.dropout", "0.5"), ("model.hidden", "[7]")):  # fmt: skip
        text = keys.change(text, key, value)
    path.write_text(text)
    assert layers.section(tracked.here()) == told
    assert told.sentences[0].startswith("8 networks of one shape, 16,714 parameters each")
    assert told.tables[0].rows[0][-1] == "relu, dropout 0.0"
    reported.no_lock(folder)
    assert layers.section(tracked.here()).sentences[0].startswith("3 networks of one shape")
