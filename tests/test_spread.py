"""spread: differences and their verdicts, against published and hand-computed values."""

from __future__ import annotations

import math

import pytest

from stages.common.intervals import wilson
from stages.reporting import spread
from stages.reporting.spread import Interval


def share(right: int, rows: int) -> Interval:
    return Interval(right / rows, *wilson(right, rows))


def test_the_interval_of_a_difference_is_that_of_the_paper():
    """Newcombe (1998), Statistics in Medicine 17, table II, example (a), method 10."""
    found = spread.apart(share(56, 70), share(48, 80))
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert spread.of_intervals(share(56, 70), share(48, 80)).clear


def test_a_small_difference_is_within_noise():
    assert spread.of_intervals(share(119, 120), share(114, 120)).word().startswith("within noise")


@pytest.mark.parametrize(("gained", "lost", "clear"), [(5, 0, False), (6, 0, True), (9, 8, False)])
def test_pairs_are_judged_by_the_rows_that_changed(gained, lost, clear):
    one = [True] * gained + [False] * lost + [True] * 30
    other = [False] * gained + [True] * lost + [True] * 30
    found = spread.of_pairs(one, other)
    assert found.clear is clear  # two-sided: 2 / 2**5 = 0.0625, 2 / 2**6 = 0.031
    assert found.value == (gained - lost) / len(one)


def test_deviations_that_are_0_tell_nothing():
    assert spread.of_deviations(0.1, 0.0, 0.0).clear is None
    assert spread.of_deviations(0.1, 0.03, 0.04).clear is True
    assert spread.of_deviations(0.09, 0.03, 0.04).clear is False


def test_a_difference_must_be_larger_than_every_kind_of_chance():
    one, two, three = (spread.Difference(0.1, clear, "") for clear in (True, False, None))
    assert spread.strictest([one, two, three]) is two
    assert spread.strictest([three, one]) is one


def test_no_difference_is_no_matter_of_chance():
    assert spread.of_pairs([True, False], [True, False]).word() == "the same"


def test_pairs_of_a_large_table_are_judged_at_once():
    one = [True] * 2100 + [False] * 7900
    other = [False] * 2100 + [True] * 1900 + [False] * 6000
    found = spread.of_pairs(one, other)
    tail = sum(math.comb(4000, count) for count in range(1901))
    assert found.clear is True
    assert found.basis.endswith(f"p = {2 * tail / 2**4000:.2g}")


def test_a_share_of_rows_gets_the_interval_of_its_rows():
    figures = {"test_linear_accuracy": 0.95, "test_rows": 120, "gain": 1, "gain_low": 0.5}
    found = spread.interval(figures, "test_linear_accuracy")
    assert found == Interval(0.95, *wilson(114, 120))
    assert spread.interval(figures, "gain") is None
    assert spread.interval(figures, "test_accuracy") is None


def test_losses_of_the_same_rows_are_compared_in_pairs():
    base = [1.0, 9.0, 25.0, 4.0, 16.0, 36.0, 2.0, 5.0, 8.0, 3.0]
    better = [loss - 0.5 - 0.01 * row for row, loss in enumerate(base)]  # a small, steady gain
    assert spread.of_losses(-0.1, better, base).clear is True
    assert spread.of_losses(-0.1, sorted(base), base).clear is False
    assert spread.of_losses(-0.1, better[:9], base[:9]).clear is None
