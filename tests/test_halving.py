"""Halving: which share of the trials goes on at each rung, and how far the rungs lie apart."""

from __future__ import annotations

import itertools

import pytest

from stages.common.halving import Rung, rungs


@pytest.mark.parametrize(
    ("trials", "epochs", "share", "expected"),
    [
        (64, 20, 3, [(2, 64), (6, 21), (20, 7)]),
        (27, 27, 3, [(1, 27), (3, 9), (9, 3), (27, 1)]),
        (16, 8, 2, [(1, 16), (2, 8), (4, 4), (8, 2)]),
        (9, 100, 3, [(11, 9), (33, 3), (100, 1)]),
        (100, 9, 3, [(1, 100), (3, 33), (9, 11)]),
        (10, 10, 10, [(1, 10), (10, 1)]),
    ],
)
def test_one_of_so_many_trials_goes_on_and_trains_so_many_times_as_long(
    trials, epochs, share, expected
):
    assert rungs(trials, epochs, share) == [Rung(*pair) for pair in expected]


@pytest.mark.parametrize(
    ("trials", "epochs", "share"), [(64, 20, 1), (1, 20, 3), (64, 1, 3), (2, 9, 3), (9, 9, 10)]
)
def test_there_is_one_rung_without_halving_and_when_there_is_nothing_to_halve(
    trials, epochs, share
):
    assert rungs(trials, epochs, share) == [Rung(epochs, trials)]


def test_rungs_rise_to_the_last_epoch_with_fewer_trials_on_each_and_one_at_least():
    for trials, epochs, share in itertools.product(range(1, 41), range(1, 41), range(1, 7)):
        found = rungs(trials, epochs, share)
        assert (found[0].trials, found[-1].epoch) == (trials, epochs)
        assert found[0].epoch >= 1
        assert found[-1].trials >= 1
        for low, high in itertools.pairwise(found):
            assert low.epoch < high.epoch
            assert low.trials > high.trials == low.trials // share


def test_each_rung_costs_about_as_much_as_the_first_from_its_start():
    found = rungs(3**6, 3**6, 3)
    assert len(found) == 7
    assert {rung.epoch * rung.trials for rung in found} == {3**6}
