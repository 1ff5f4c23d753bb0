"""Finalists: the best trials from new starts, the best mean first."""

from __future__ import annotations

import csv
import statistics
from dataclasses import replace

import pytest

from stages.common import finalists
from stages.common import race as racing
from stages.common.trials import Common
from tests.columns import numbers_schema
from tests.test_race import MODEL, TRAIN

RATES = (0.001, 0.01, 0.03, 0.05, 0.1, 0.2)
WILD = {"activation": "identity", "hidden": [8, 8, 8]}


@pytest.fixture
def race(settings, blobs):
    """Search over learning rates on blobs; return the trials and the finalists."""

    def build(*rates: float, momentum: float = 0.9, **model):
        points = [{("train", "lr"): rate, ("train", "momentum"): momentum} for rate in rates]
        search = settings.search.model_copy(update={"epochs": 10, "halving": 1, "workers": 1})
        common = Common(
            numbers_schema(),
            blobs(60, spread=2.0),
            blobs(40, seed=1, spread=2.0),
            settings.model.model_copy(update=MODEL | model),
            settings.train.model_copy(update=TRAIN),
            search,
        )
        found = racing.run(common, points)
        return found, finalists.run(common, found)

    return build


def test_the_best_trials_are_trained_again_the_best_mean_first(race):
    found, best = race(*RATES)
    ranked = sorted(range(len(found)), key=lambda at: (*found[at].rank, at))
    assert sorted(each.trial for each in best) == sorted(ranked[: finalists.MOST])
    means = [(-each.mean, each.loss) for each in best]
    assert means == sorted(means)
    for each in best:
        assert len(each.starts) == finalists.STARTS
        assert {start.point[("train", "lr")] for start in each.starts} == {RATES[each.trial]}
        assert each.mean == statistics.fmean(each.scores)


def test_of_equal_means_the_lower_loss_comes_first(race):
    start = race(0.05)[1][0].starts[0]
    ties = [
        finalists.Finalist(trial, [replace(start, best=replace(start.best, val_loss=loss))])
        for trial, loss in ((0, 0.3), (1, 0.1), (2, 0.2))
    ]
    assert [each.trial for each in sorted(ties, key=finalists.order)] == [1, 2, 0]


def test_every_start_has_weights_of_its_own(race):
    found, best = race(*RATES)
    losses = [start.best.val_loss for each in best for start in each.starts]
    losses += [trial.best.val_loss for trial in found]
    assert len(set(losses)) == len(losses)


def test_fewer_trials_than_places(race):
    _, best = race(0.01, 0.05)
    assert sorted(each.trial for each in best) == [0, 1]


def test_what_has_learnt_nothing_is_no_finalist(race):
    found, best = race(1.0, 0.99, momentum=0.999, **WILD)
    assert [trial.status for trial in found] == ["diverged", "diverged"]
    assert best == []


def test_the_table_has_a_row_per_finalist(race, tmp_path):
    _, best = race(*RATES)
    finalists.write(tmp_path / "finalists.csv", best)
    with open(tmp_path / "finalists.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["trial"]) for row in rows] == [each.trial for each in best]
    for row, each in zip(rows, best, strict=True):
        assert float(row["mean_val_score"]) == pytest.approx(each.mean, abs=1e-6)
        assert float(row["sd_val_score"]) == pytest.approx(each.deviation, abs=1e-6)
        assert float(row["lowest"]) <= float(row["mean_val_score"]) <= float(row["highest"])
