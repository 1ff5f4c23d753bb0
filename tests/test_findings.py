"""findings: the printed table, and what counts as all the same."""

from __future__ import annotations

import re

import pytest

from stages.verification.findings import NOT_COMPARED, NOT_SAME, SAME, WITHIN, Findings, Row, table


def row(verdict: str, name: str = "data/a.pt", detail: str = "") -> Row:
    return Row("train", name, "0cc175b9c0f1", "92eb5ffee6ae", verdict, detail)


def findings(*outputs: Row, others: tuple[Row, ...] = ()) -> Findings:
    return Findings(list(outputs), list(others), "7 of 8 recorded inputs are the same", ["why"])


def test_columns_are_as_wide_as_their_widest_text_and_details_stand_below():
    rows = [row(SAME), row(NOT_SAME, "metrics/train.json", "loss: 1 -> 2")]
    assert table(rows).splitlines() == [
        "train  data/a.pt           0cc175b9c0f1  92eb5ffee6ae  same",
        "train  metrics/train.json  0cc175b9c0f1  92eb5ffee6ae  not same",
        "  loss: 1 -> 2",
    ]


@pytest.mark.parametrize(
    ("found", "good"),
    [
        (findings(row(SAME)), True),
        (findings(row(SAME), row(WITHIN), row(NOT_COMPARED)), True),
        (findings(row(SAME), row(NOT_SAME)), False),
        (findings(row(SAME), others=(row("changed here"),)), False),
        (findings(row(SAME), others=(row("not same in Git"),)), False),
        (findings(), False),  # nothing was rebuilt
    ],
)
def test_all_is_the_same_only_when_every_row_says_so(found, good):
    assert found.good is good


def test_the_last_line_counts(monkeypatch):
    found = findings(row(SAME), row(SAME), row(NOT_SAME), others=(row("changed here"),))
    lines = found.text().splitlines()
    assert lines[0].split() == ["stage", "output", "recorded", "rebuilt"]
    assert lines[4:6] == ["why", "7 of 8 recorded inputs are the same"]
    line = r"2 of 3 outputs are the same bytes as dvc.lock records, on .+; 1 other difference"
    assert re.fullmatch(line, lines[-1])
    doubtful = findings(row(SAME), row(WITHIN), row(NOT_COMPARED), row(NOT_COMPARED))
    assert doubtful.text().endswith("; 1 within tolerance; 2 not compared")


def test_without_outputs_the_rest_is_still_told():
    found = findings(others=(row("changed here"), row("missing here")))
    lines = found.text().splitlines()
    assert lines[:2] == ["why", "7 of 8 recorded inputs are the same"]
    assert lines[-1] == "no output was rebuilt; 2 other differences"
