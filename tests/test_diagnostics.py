"""Tables for plots of test rows, worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_precision

from stages.common import diagnostics
from tests.test_evaluation import BINS, schema_of, values
from tests.test_thresholds import scores

NAMES = ["a", "b", "c"]
PREDICTED = torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.35, 0.65, 0.0], [0.97, 0.0, 0.03]])
TARGET = torch.tensor([0, 1, 0, 1])


def test_confusion_has_a_row_per_pair_of_classes():
    found = list(diagnostics.confusion(PREDICTED, TARGET, NAMES))
    assert found == [
        ("a", "a", 1, 0.5),
        ("a", "b", 1, 0.5),
        ("a", "c", 0, 0.0),
        ("b", "a", 1, 0.5),
        ("b", "b", 1, 0.5),
        ("b", "c", 0, 0.0),
        ("c", "a", 0, None),
        ("c", "b", 0, None),
        ("c", "c", 0, None),
    ]


def test_rare_classes_of_a_large_confusion_are_one():
    predicted, target = scores(2000, 150)
    found = list(diagnostics.confusion(predicted, target, [f"c{at}" for at in range(150)]))
    assert len(found) == (diagnostics.CELLS + 1) * (diagnostics.CELLS + 2)
    assert sum(int(str(row[2])) for row in found) == 2000
    others = [row for row in found if row[0] == diagnostics.OTHER]
    assert sum(int(str(row[2])) for row in others) > 1000
    assert len({row[0] for row in found}) == diagnostics.CELLS + 1
    diagonal = sum(int(str(row[2])) for row in found if row[0] == row[1])
    assert diagonal == (predicted.argmax(dim=1) == target).sum()


def test_reliability_has_a_row_per_bin_with_rows():
    found = list(diagnostics.reliability(PREDICTED, TARGET, BINS))
    # confidences 0.6 and 0.65 (right, wrong), 0.7 (right), 0.97 (wrong)
    expected = [(6, 0.625, 0.5, 2), (7, 0.7, 1.0, 1), (9, 0.97, 0.0, 1)]
    assert found == [pytest.approx(row) for row in expected]


def test_a_sure_answer_is_in_the_last_bin():
    found = list(diagnostics.reliability(torch.eye(2), torch.tensor([0, 1]), 4))
    assert found == [(3, 1.0, 1.0, 2)]


def test_figures_of_classes_are_those_of_torchmetrics():
    predicted, target = scores(300, 3)
    found = list(diagnostics.classes(predicted, target, NAMES))
    given = predicted, target, 3
    precision = multiclass_precision(*given, average="none").tolist()
    f1 = multiclass_f1_score(*given, average="none").tolist()
    assert [row[2] for row in found] == pytest.approx(precision)
    assert [row[4] for row in found] == pytest.approx(f1)
    assert [row[1] for row in found] == torch.bincount(target).tolist()


def test_a_class_that_is_never_the_answer_has_no_precision_and_one_without_rows_no_row():
    found = list(diagnostics.classes(PREDICTED[:, [0, 2, 1]], TARGET, NAMES))
    assert found == [("a", 2, 0.5, 0.5, 0.5), ("b", 2, None, 0.0, 0.0)]


def test_residuals_are_predicted_less_actual():
    found = list(diagnostics.residuals(torch.tensor([1.0, 5.0]), torch.tensor([2.0, 3.0])))
    assert found == [(2, 1, -1), (3, 5, 2)]


def test_of_many_residuals_evenly_spread_ones_are_kept():
    actual = torch.arange(4 * diagnostics.VALUES).float()
    found = list(diagnostics.residuals(actual + 1, actual))
    assert len(found) == diagnostics.VALUES
    assert [row[0] for row in found[:3]] == [0, 4, 8]


def test_a_task_has_only_its_own_tables_and_no_rows_have_no_rows():
    part = values([1.0, 2.0], [1.0, 3.0])
    found = diagnostics.tables(schema_of(0), torch.tensor([1.0, 2.0]), part, BINS)
    assert list(found) == ["residuals.csv"]
    classes = diagnostics.tables(
        schema_of(3), PREDICTED, part.__class__(PREDICTED, TARGET, TARGET), BINS
    )
    assert {*classes, *found} == set(diagnostics.COLUMNS)
    for name, rows in {**classes, **found}.items():
        lengths = {len(row) for row in rows}
        assert lengths == {len(diagnostics.COLUMNS[name])}
    assert list(diagnostics.residuals(torch.empty(0), torch.empty(0))) == []
