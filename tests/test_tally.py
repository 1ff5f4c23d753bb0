"""Figures from batches: the same as from all rows at once, and as worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from stages.common import intervals, tally
from stages.common.tally import ClassTally, ValueTally


def guesses(rows, classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    predicted = torch.randn(rows, classes, generator=generator).mul(2).softmax(dim=1)
    return predicted, torch.randint(classes, (rows,), generator=generator)


def in_batches(made, predicted, target, sizes):
    for x, y in zip(predicted.split(sizes), target.split(sizes), strict=True):
        made.add(x, y)
    return made.figures()


def test_figures_of_classes_are_those_worked_out_by_hand():
    counted = ClassTally(3)
    counted.add(torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]]), torch.tensor([0, 1]))
    counted.add(torch.tensor([[0.2, 0.7, 0.1]]), torch.tensor([1]))
    low, high = intervals.wilson(2, 3)
    assert counted.rows == 3
    assert counted.figures() == pytest.approx(
        {
            "accuracy": 2 / 3,
            "accuracy_low": low,
            "accuracy_high": high,
            "balanced_accuracy": (1 + 1 / 2) / 2,
            "macro_f1": (2 / 3 + 2 / 3) / 2,
            "loss": -sum(map(math.log, (0.7, 0.3, 0.7))) / 3,
            "rows": 3,
        }
    )


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("sizes", [[1] * 60, [7, 0, 13, 40], [0, 60], [60, 0]])
def test_batches_of_any_size_give_the_figures_of_all_rows(classes, sizes):
    predicted, target = guesses(60, classes)
    expected = in_batches(ClassTally(classes), predicted, target, [60])
    found = in_batches(ClassTally(classes), predicted, target, sizes)
    assert found == pytest.approx(expected, rel=1e-9)


def test_figures_of_classes_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    predicted, target = guesses(200, 4)
    found = in_batches(ClassTally(4), predicted, target, [50] * 4)
    guess = predicted.argmax(dim=1)
    assert found["accuracy"] == metrics.accuracy_score(target, guess)
    assert found["balanced_accuracy"] == pytest.approx(
        metrics.balanced_accuracy_score(target, guess)
    )
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(target, guess, average="macro"))


def test_a_class_without_rows_has_no_recall():
    counted = ClassTally(3)
    counted.add(torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]), torch.tensor([0, 1]))
    assert counted.figures()["balanced_accuracy"] == 0.5


def test_the_loss_of_a_full_mistake_is_finite():
    found = tally.loss(torch.tensor([[1.0, 0.0], [0.25, 0.75]]), torch.tensor([1, 1]))
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx([-math.log(tally.SMALLEST), -math.log(0.75)])


def test_figures_of_values_are_those_worked_out_by_hand():
    counted = ValueTally()
    counted.add(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0]))
    counted.add(torch.tensor([]), torch.tensor([]))
    counted.add(torch.tensor([4.0, 3.0]), torch.tensor([2.0, 6.0]))
    # residuals 0, -1, 2, -3; mean of the targets 3, squares around it 4, 0, 1, 9
    expected = {"rmse": math.sqrt(14 / 4), "mae": 6 / 4, "r2": 1 - 14 / 14, "rows": 4}
    few = {"rmse_low": None, "rmse_high": None}
    assert counted.figures() == pytest.approx(expected | few)


@pytest.mark.parametrize("sizes", [[1] * 300, [7, 0, 13, 280]])
def test_a_large_mean_beside_a_small_spread_loses_nothing(sizes):
    target = 1e6 + torch.randn(300, generator=torch.Generator().manual_seed(0))
    predicted = target + 0.5
    exact = target.double()
    squared, spread = (predicted.double() - exact).square().mean(), exact.var(correction=0)
    found = in_batches(ValueTally(), predicted, target, sizes)
    assert found["r2"] == pytest.approx(1 - (squared / spread).item(), rel=1e-9)
    assert found["rmse"] == pytest.approx(0.5)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e6])
@pytest.mark.parametrize("sizes", [[1], [30], [1] * 30, [7, 23]])
def test_r2_of_values_that_do_not_vary_is_not_defined(value, sizes):
    rows = sum(sizes)
    found = in_batches(ValueTally(), torch.ones(rows), torch.full((rows,), value), sizes)
    assert found["r2"] is None
    assert found["rows"] == rows
