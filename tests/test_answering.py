"""A model's answers chunk by chunk: what is counted, what is told, what is compared.

The models are linear with the identity as weight: the features are the logits, or the value.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.common import evaluation, params, table
from stages.common.answering import Answers
from stages.common.checkpoint import Checkpoint
from stages.common.errors import UserError
from stages.common.network import Stack
from stages.common.schema import Category, Dropped, Numeric, Schema, Target
from stages.common.table import Table
from tests.imports import ROOT

CPU = torch.device("cpu")
PLAIN: dict[str, Any] = {"shift": 0, "scale": 1, "low": None, "high": None, "fill": 7}
PLAIN |= {"knots": [], "scores": [], "date_format": "", "indicator": False}


def number(name: str) -> Numeric:
    return Numeric(kind="numeric", name=name, position=0, **PLAIN)


def model_of(features, classes=(), missing="fill", dropped=(), **target) -> Checkpoint:
    """Return a model of these columns; no classes is a regression."""
    classes = list(classes)
    answer = Target(name="y", position=9, classes=classes, counts=[1] * len(classes), **target)
    schema = Schema(
        task="classification" if classes else "regression",
        missing=missing,
        scale="none",
        features=features,
        dropped=[Dropped(name=name, position=8, reason="") for name in dropped],
        target=answer,
    )
    width = schema.n_features
    weight = torch.eye(width)[None] if classes else torch.ones(1, width, 1)
    stack = Stack([weight], [torch.zeros(1, 1, weight.shape[2])], "relu", torch.tensor([0.01]))
    return Checkpoint(stack, schema, {})


TWO = model_of([number("a"), number("b")], ["no", "yes"])


@pytest.fixture
def answers(tmp_path):
    """Write a table and return what answers for it."""

    def made(model: Checkpoint, content: str) -> Answers:
        path = Path(tmp_path, "t.csv")
        path.write_text(content)
        settings = params.load(ROOT / "params.yaml").preprocess
        return Answers(model, Table.open(path, settings), CPU)

    return made


def test_classes_are_answered_with_their_probabilities(answers):
    found = answers(TWO, "a,b\n1,3\n2,0\n")
    assert found.header() == ["row", "y", "probability no", "probability yes"]
    first, second = found.rows()
    assert first[:2] == [0, "yes"]
    assert first[2:] == pytest.approx([1 / (1 + 2.718281828**2), 1 / (1 + 2.718281828**-2)])
    assert second[:2] == [1, "no"]
    assert found.count == 2
    assert list(found.remarks()) == []


def test_values_are_answered_in_the_unit_of_the_table(answers):
    model = model_of([number("a")], shift=100.0, scale=10.0)
    found = answers(model, "a\n1\n-2.5\n")
    assert found.header() == ["row", "y"]
    assert list(found.rows()) == [[0, "110"], [1, "75"]]


def test_columns_may_stand_in_any_order_and_others_are_named(answers):
    usual = list(answers(TWO, "a,b\n1,3\n2,0\n").rows())
    found = answers(TWO, "b,id,a,note\n3,7,1,x\n0,8,2,\n")
    assert list(found.rows()) == usual
    assert list(found.remarks()) == ["not used by the model: 'id', 'note'"]


def test_columns_that_training_dropped_are_not_called_extra(answers):
    model = model_of([number("a"), number("b")], ["no", "yes"], dropped=["same"])
    found = answers(model, "a,b,same\n1,3,5\n")
    assert len(list(found.rows())) == 1
    assert list(found.remarks()) == []


def test_missing_columns_are_named_before_a_row_is_read(answers):
    with pytest.raises(UserError, match=r"t\.csv: feature columns missing: 'a', 'b'; add them"):
        answers(TWO, "c,y\n1,no\n")


@pytest.mark.parametrize("size", [1, 3, 100])
def test_cells_without_a_value_are_filled_and_counted(answers, monkeypatch, size):
    monkeypatch.setattr(table, "CHUNK", size)
    found = answers(model_of([number("a"), number("b")]), "a,b\n1,\n?,2\n,NA\n1,1\n")
    assert [row[1] for row in found.rows()] == ["8", "9", "14", "2"]
    assert list(found.remarks()) == ["4 cells without a value filled as in training"]


def test_cells_without_a_value_are_an_error_when_training_allowed_none(answers):
    found = answers(model_of([number("a")], missing="error"), "a,b\n1,\n,2\n")
    expected = r"t\.csv: column 'a' has 1 cells without a value; .* so fill them first"
    with pytest.raises(UserError, match=expected):
        list(found.rows())


def test_with_the_target_there_the_figures_are_those_of_evaluation(answers, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30, 2, generator=generator)
    truth = torch.randint(2, (30,), generator=generator)
    names = TWO.schema.target.classes
    lines = [f"{a},{b},{names[y]}" for (a, b), y in zip(x.tolist(), truth.tolist(), strict=True)]
    predicted = evaluation.predict(TWO.stack, TWO.schema, x)
    for size in (100, 7):
        monkeypatch.setattr(table, "CHUNK", size)
        found = answers(TWO, "\n".join(["a,b,y", *lines]))
        assert len(list(found.rows())) == 30
        figures = found.tally.figures()
        expected: Any = {"accuracy": (predicted.argmax(1) == truth).double().mean().item()}
        assert 0 < expected["accuracy"] < 1
        assert figures["accuracy"] == pytest.approx(expected["accuracy"])
        assert figures["rows"] == 30
        (line,) = found.remarks()
        assert line == evaluation.sentence("against 'y'", figures, "rows")
        assert line.startswith("against 'y' on 30 rows: accuracy 0.")


def test_figures_of_values_are_in_the_unit_of_the_table(answers):
    model = model_of([number("a")], shift=100.0, scale=10.0)
    found = answers(model, "y,a\n110,1\n140,2\n,3\n")
    assert len(list(found.rows())) == 3
    assert found.tally.figures() == pytest.approx(
        {"rmse": (400 / 2) ** 0.5, "mae": 10, "r2": 1 - 400 / 450, "rows": 2}
        | {"rmse_low": None, "rmse_high": None}
    )
    assert next(found.remarks()) == "1 row without a 'y' that the model knows"


@pytest.mark.parametrize("size", [1, 2, 100])
def test_rows_of_an_unknown_class_are_answered_and_left_out_of_the_figures(
    answers, monkeypatch, size
):
    monkeypatch.setattr(table, "CHUNK", size)
    text = "word " * 20_000  # and no memory for each row of it
    found = answers(TWO, f"a,b,y\n1,3,yes\n1,3,maybe\n1,3,\n3,1,{text}\n3,1,NO\n3,1,no\n")
    assert [row[1] for row in found.rows()] == ["yes"] * 3 + ["no"] * 3
    assert (found.left_out, found.tally.rows, found.tally.figures()["accuracy"]) == (4, 2, 1)
    told = list(found.remarks())
    assert told[0] == "4 rows without a 'y' that the model knows"
    assert told[1].startswith("against 'y' on 2 rows: accuracy 1.000")


def test_without_a_class_that_the_model_knows_there_are_no_figures(answers):
    found = answers(TWO, "a,b,y\n1,3,maybe\n1,3,1\n")
    assert len(list(found.rows())) == 2
    assert list(found.remarks()) == ["2 rows without a 'y' that the model knows"]


@pytest.mark.parametrize(
    ("classes", "cells"),
    [
        (("FALSE", "TRUE"), ("FALSE", "TRUE")),
        (("false", "true"), ("false", "true")),
        (("0", "1"), ("0.0", "01")),
        (("0.5", "1.5"), (".5", "1.50")),
    ],
)
@pytest.mark.parametrize("size", [1, 100])
def test_classes_are_read_as_training_has_read_them(answers, monkeypatch, classes, cells, size):
    monkeypatch.setattr(table, "CHUNK", size)
    model = model_of([number("a"), number("b")], classes)
    found = answers(model, f"a,b,y\n3,1,{cells[0]}\n1,3,{cells[1]}\n")
    assert [row[1] for row in found.rows()] == list(classes)
    assert (found.left_out, found.tally.figures()["accuracy"]) == (0, 1)


@pytest.mark.parametrize("size", [1, 3, 100])
def test_levels_are_one_hot_also_where_a_chunk_has_only_numbers(answers, monkeypatch, size):
    monkeypatch.setattr(table, "CHUNK", size)
    code = Category(kind="category", name="code", position=0, levels=["1", "TRUE", "x"])
    model = model_of([code], ["one", "truth", "letter", "other"])
    found = answers(model, "code\n1\n01\nTRUE\nx\n1.0\nnew\n?\n")
    assert [row[1] for row in found.rows()] == [
        "one", "one", "truth", "letter", "one", "other", "other"
    ]  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 100])
def test_junk_is_named_with_its_row_in_any_chunk(answers, monkeypatch, size):
    monkeypatch.setattr(table, "CHUNK", size)
    found, rows = answers(TWO, "a,b\n1,2\n1,2\n1,2\nlow,2\n"), list[object]()
    with pytest.raises(UserError, match=r"t\.csv: row 3, column 'a': 'low' is not a number"):
        rows.extend(row[0] for row in found.rows())
    assert rows == [0, 1, 2][: 3 // size * size]


def test_rows_are_answered_one_chunk_after_another(answers, monkeypatch):
    monkeypatch.setattr(table, "CHUNK", 10)
    found = answers(TWO, "a,b\n" + "1,2\n" * 95)
    rows = found.rows()
    next(rows)
    assert found.count == 10
    assert [row[0] for row in rows] == list(range(1, 95))
    assert found.count == 95


def test_a_quoted_name_is_told_as_it_is(answers, tmp_path):
    with open(tmp_path / "t.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([["a", "b", 'say "x", y'], [1, 2, 3]])
    found = answers(TWO, (tmp_path / "t.csv").read_text())
    assert len(list(found.rows())) == 1
    assert list(found.remarks()) == ["not used by the model: 'say \"x\", y'"]


def test_cells_that_say_little_to_the_model_are_counted_by_column(answers, monkeypatch):
    monkeypatch.setattr(table, "CHUNK", 2)
    held = number("a").model_copy(update={"low": -5.0, "high": 5.0})
    level = Category(kind="category", name="b", position=1, levels=["x", "y"])
    found = answers(model_of([held, level]), "a,b\n1,x\n9,new\n-9,y\n2,newer\n5.5,x\n")
    list(found.rows())
    (line,) = found.remarks()
    assert line.endswith("numbers far from the mean of the training rows: 'a' (3), 'b' (2)")


@pytest.mark.parametrize("same", [True, False])
def test_figures_of_the_table_that_the_model_was_trained_on_are_marked(answers, tmp_path, same):
    trained = str(tmp_path / ("t.csv" if same else "other.csv"))
    schema = TWO.schema.model_copy(update={"csv": trained})
    found = answers(Checkpoint(TWO.stack, schema, {}), "a,b,y\n1,3,yes\n2,0,no\n")
    list(found.rows())
    said = list(found.remarks())
    warning = f"{trained} has the training rows: for honest figures see metrics/evaluate.json"
    assert (warning in said) == same
    assert said[-1].startswith("against 'y' on 2 rows")
