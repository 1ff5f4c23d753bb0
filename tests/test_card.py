"""card: what it says comes from the tracked files, as Markdown that shows every name as it is."""

from __future__ import annotations

from stages.reporting import card, tracked
from stages.reporting.section import Table
from tests import reported
from tests.imports import ROOT


def test_it_has_its_parts_in_order_and_the_figures_by_test(tmp_path, monkeypatch):
    monkeypatch.chdir(reported.make(tmp_path / "project"))
    written = card.write(tracked.here())
    headings = [line[3:] for line in written.splitlines() if line.startswith("## ")]
    assert headings[0] == "Intended use"
    assert headings[-1] == "Limits"
    assert "It answers the column digit of rows like those of digits.csv: one of 10" in written
    ends = ("test_accuracy", "test_accuracy_low", "test_accuracy_high")
    shown = "{:.3f} | {:.3f} to {:.3f}".format(*map(reported.recorded("evaluate").get, ends))
    assert f"| base model, test rows | {shown} |" in written
    assert "| data/raw/digits.csv | 957 | 120 | 120 | 10 |" in written
    assert "The audit of the data has 4 findings." in written
    assert "Classes of fewer than" not in written
    reported.schema(tmp_path / "project", {"counts": [96] * 9 + [3]})
    assert "Classes of fewer than 30 training rows: 9 (3)." in card.write(tracked.here())


def test_a_name_cannot_break_out_of_its_cell():
    table = Table("a | b", ("x",), [["<b>|\n# `c`"]])
    assert [*card._rows(table)][-1] == r"| \<b\>\| \# \`c\` |"
    assert card.escaped("*a*\n\n- b") == r"\*a\* - b"


def test_it_is_short_and_its_limits_name_the_test_rows_that_are_no_test():
    errors = "model,row,actual,predicted,confidence,top_features\n"
    errors += "".join(f"base,{row},1,2,0.5,a\n" for row in range(60))
    finding = "9 rows repeat; 3 of 120 val rows and 25 of 120 test rows are equal to a training row"
    audit = "table,check,column,strength,finding,remedy\n"
    tables = {"errors.csv": errors, "audit.csv": f"{audit}source,duplicates,,0.1,{finding},drop\n"}
    written = card.write(reported.state(tables))
    assert written.count("| 1 | 2 | 0.500 | a |") == card.WORST
    assert "and 50 more" in written
    limits = written[written.index("## Limits") :]
    assert "may be too good: 25 of 120 test rows are equal to a training row" in limits
    assert "| finetune.lr |" in written
    alone = (ROOT / "params.yaml").read_text().replace("csv: data/raw/digits_tilted.csv", "csv: ''")
    assert "| finetune." not in card.write(reported.state(settings=alone))
