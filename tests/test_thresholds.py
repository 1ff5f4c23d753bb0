"""ROC and precision-recall curves against hand-made cases and torchmetrics."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from stages.common import thresholds

STEP = [0.9, 0.8, 0.7, 0.3]
RIGHT = [True, False, True, False]


def traced(score, positive):
    return thresholds.trace("c", torch.tensor(score), torch.tensor(positive))


def scores(rows, classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    predicted = torch.randn(rows, classes, generator=generator).softmax(dim=1)
    return predicted, torch.randint(classes, (rows,), generator=generator)


def test_the_curves_are_those_drawn_by_hand():
    roc, precision = traced(STEP, RIGHT)
    # thresholds from high to low: a hit, a false alarm, a hit, a false alarm
    assert roc.points == [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]
    assert roc.area == 0.75
    assert precision.points[:3] == [(0, 1), (0.5, 1), (0.5, 0.5)]
    assert precision.points[3] == (1, pytest.approx(2 / 3))
    assert precision.points[4] == (1, 0.5)
    assert precision.area == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_precision_begins_with_that_of_the_first_answer():
    _, precision = traced([0.9, 0.8], [False, True])
    assert precision.points == [(0, 0), (1, 0.5)]


def test_equal_scores_are_one_threshold():
    roc, _ = traced([0.5, 0.5, 0.5, 0.5], RIGHT)
    assert roc.points == [(0, 0), (1, 1)]


@pytest.mark.parametrize("rows", [50, 20_000])
def test_areas_are_those_of_torchmetrics_however_few_points_are_kept(rows):
    predicted, target = scores(rows, 3)
    for at in range(3):
        roc, precision = thresholds.trace("c", predicted[:, at], target == at)
        given = predicted[:, at], (target == at).long()
        assert roc.area == pytest.approx(binary_auroc(*given).item(), abs=1e-5)
        assert precision.area == pytest.approx(binary_average_precision(*given).item(), abs=1e-5)
        for curve in (roc, precision):
            assert len(curve.points) <= thresholds.MOST
            ends = [x for x, _ in curve.points]
            assert (ends[0], ends[-1]) == (0, 1)
            assert ends == sorted(ends)


def test_a_thinned_curve_is_near_all_points_of_it():
    drawn = random.Random(0)
    heights = sorted(drawn.random() for _ in range(1000))
    points = [(at / 999, height) for at, height in enumerate(heights)]
    kept = thresholds.thin(points)
    assert len(kept) == thresholds.MOST
    away = [abs(thresholds.height(kept, x) - y) for x, y in points]
    assert 0 < max(away) < 0.02


def test_thinning_keeps_corners_and_leaves_out_what_lies_on_a_line():
    flat = [(at / 1000, 0.0) for at in range(501)]
    steep = [(0.5, at / 1000) for at in range(1, 1001)]
    assert thresholds.thin([*flat, *steep]) == [(0, 0), (0.5, 0), (0.5, 1)]


def test_the_height_of_a_curve_is_the_upper_one_where_it_is_vertical():
    points = [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0)]
    assert [thresholds.height(points, x) for x in (0, 0.25, 0.5, 1)] == [0.5, 0.5, 1, 1]
    assert thresholds.height([(0.0, 0.0), (1.0, 1.0)], 0.3) == pytest.approx(0.3)


def test_the_best_precision_of_a_recall_is_that_of_any_higher_recall():
    points = [(0.0, 1.0), (0.5, 0.4), (1.0, 0.6)]
    assert [thresholds.best_beyond(points, x) for x in (0, 0.2, 0.5, 1)] == [1, 0.6, 0.6, 0.6]


def test_the_classes_drawn_are_the_most_frequent_in_their_order():
    target = torch.tensor([3, 3, 0, 2, 2, 2, 3])
    assert thresholds.frequent(target, 5, 2) == [2, 3]
    assert thresholds.frequent(target, 5, 3) == [0, 2, 3]
    assert thresholds.frequent(target, 5, 9) == [0, 1, 2, 3, 4]


def test_a_class_without_rows_or_with_all_rows_has_no_curve():
    predicted, _ = scores(4, 3)
    assert thresholds.curves(predicted, torch.ones(4, dtype=torch.int64), ["a", "b", "c"]) == (
        [],
        [],
    )
    roc, _ = thresholds.curves(predicted, torch.tensor([0, 1, 0, 1]), ["a", "b", "c"])
    assert {row[0] for row in roc} == {"a", "b", ""}


def test_many_classes_have_a_few_curves_and_their_mean():
    names = [f"c{at}" for at in range(150)]
    predicted, target = scores(3000, 150)
    for rows in thresholds.curves(predicted, target, names):
        by_class: dict[Any, list[Any]] = {}
        for row in rows:
            by_class.setdefault(row[0], []).append(tuple(row[1:]))
        assert len(by_class) == thresholds.DRAWN + 1
        assert len(rows) <= (thresholds.DRAWN + 1) * (thresholds.MOST + 1)
        areas = {name: found[0][2] for name, found in by_class.items()}
        mean = areas.pop("")
        assert mean == pytest.approx(sum(areas.values()) / len(areas))


def test_the_mean_of_one_curve_is_the_curve():
    curve = thresholds.Curve("c", [(0.0, 0.0), (1.0, 1.0)], 0.5)
    rows = list(thresholds._rows([curve], thresholds.height))
    means = [row[1:3] for row in rows if row[0] == ""]
    assert len(means) == thresholds.MOST + 1
    assert all(x == pytest.approx(y) for x, y in means)
