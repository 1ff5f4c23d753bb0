"""failures: the wrong rows of each model; of a regression the worst ones."""

from __future__ import annotations

from typing import Any

from stages.reporting import failures
from tests import reported

CLASSES = "model,class,rows,precision,recall,f1\n"


def test_a_class_taken_for_many_says_that_there_are_more():
    def taken(*answers: str) -> object:
        rows = "".join(f"a,{answer}\n" for answer in answers)
        classes = f"{CLASSES}base,a,{len(answers)},,0.0,0.0\n"
        tables = {"plots/predicted.csv": f"actual,predicted\n{rows}", "plots/classes.csv": classes}
        state = reported.state(tables)
        row = next(row for row in failures.section(state).tables[0].rows if row[0] == "a")
        return row[-1]

    assert taken("b", "c", "d") == "b (1), c (1), d (1)"
    assert taken("b", "c", "d", "e") == "b (1), c (1), d (1), …"


def test_wrong_rows_of_one_model_do_not_hide_those_of_the_other():
    rows = "".join(f"base,{row},1,2,0.5,a\n" for row in range(60)) + "finetuned,7,1,2,0.5,a\n"
    errors = "model,row,actual,predicted,confidence,top_features\n" + rows
    *_, base, tuned = failures.section(reported.state({"errors.csv": errors})).tables
    assert (len(base.rows), base.left_out) == (50, 10)
    assert base.caption.startswith("Wrong test rows of the base model, the most confident first")
    assert tuned.rows == [["7", "1", "2", 0.5, "a"]]


def test_a_regression_shows_its_worst_rows_and_r2_has_no_unit():
    rows = "".join(f"base,{row},1.5,2.5,{90 - row},a\n" for row in range(90))
    errors = "model,row,actual,predicted,residual,top_features\n" + rows
    values: dict[str, Any] = {"test_rmse": 1.5, "test_r2": 0.8, "test_accuracy": None}
    section = failures.section(reported.state({"errors.csv": errors}, **values))
    table = section.tables[-1]
    assert table.caption.startswith("Worst test rows of the base model, the largest residuals")
    assert (len(table.rows), table.left_out) == (failures.WORST, 0)
    assert "RMSE 1.5, in the unit of the target; R2 0.800 (1 is" in section.sentences[0]


def test_the_worst_found_class_is_first_and_one_without_rows_last():
    rows = "a,a\na,b\nb,b\nc,a\nb,d\nb,b\nc,c\nc,c\n"
    classes = f"{CLASSES}base,c,3,1.0,0.666667,0.8\n"
    classes += "base,b,3,0.666667,0.7,0.6\nbase,a,2,0.5,0.5,0.5\nfinetuned,a,9,,0.0,0.0\n"
    tables = {"plots/predicted.csv": f"actual,predicted\n{rows}", "plots/classes.csv": classes}
    base, tuned = failures.section(reported.state(tables)).tables[:2]
    assert [[*row] for row in base.rows] == [
        ["a", 2, 0.5, 0.5, "b (1)"],
        ["c", 3, 0.666667, 1.0, "a (1)"],
        ["b", 3, 0.7, 0.666667, "d (1)"],
        ["d", 0, None, 0.0, ""],
    ]
    assert [*tuned.rows[0]][:4] == ["a", 9, 0.0, None]
