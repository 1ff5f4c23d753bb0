"""card: what it says comes from the tracked files, as Markdown that shows every name as it is."""

from __future__ import annotations

from stages.reporting import card, tracked
from stages.reporting.section import Table
from tests import reported


def test_it_has_its_parts_in_order_and_the_figures_by_test(tmp_path, monkeypatch):
    monkeypatch.chdir(reported.make(tmp_path / "project"))
    written = card.write(tracked.here())
    headings = [line[3:] for line in written.splitlines() if line.startswith("## ")]
    assert headings[0] == "Intended use"
    assert headings[-1] == "Limits"
    assert "It answers the column digit of rows like those of digits.csv: one of 10" in written
    assert "| base model, test rows | 0.992 | 0.954 to 0.999 |" in written
    assert "| data/raw/digits.csv | 957 | 120 | 120 | 10 |" in written
    assert "The audit of the data has 4 findings." in written
    assert "Classes of fewer than" not in written
    reported.schema(tmp_path / "project", {"counts": [96] * 9 + [3]})
    assert "Classes of fewer than 30 training rows: 9 (3)." in card.write(tracked.here())


def test_a_name_cannot_break_out_of_its_cell():
    table = Table("a | b", ("x",), [["<b>|\n# `c`"]])
    assert [*card._rows(table)][-1] == r"| \<b\>\| \# \`c\` |"
    assert card.escaped("*a*\n\n- b") == r"\*a\* - b"
