"""Intervals: known values, exact and simulated coverage."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from stages.common import intervals


def normal(*shape: int, seed: int = 0, mean: float = 0.0) -> Tensor:
    return mean + torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("correct", "rows", "low", "high"),
    [
        (95, 100, 0.8882, 0.9785),
        (50, 100, 0.4038, 0.5962),
        (1, 10, 0.0179, 0.4042),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (0, 1, 0.0, 0.7935),
        (1, 1, 0.2065, 1.0),
    ],
)
def test_the_interval_of_a_share_has_the_known_values(correct, rows, low, high):
    assert intervals.wilson(correct, rows) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("rows", [1, 3, 10, 40, 77, 1000])
def test_the_interval_of_a_share_holds_it_and_stays_between_0_and_1(rows):
    for correct in range(rows + 1):
        low, high = intervals.wilson(correct, rows)
        assert 0 <= low <= correct / rows + 1e-12
        assert correct / rows - 1e-12 <= high <= 1
        mirrored = intervals.wilson(rows - correct, rows)
        assert mirrored == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9, 0.97])
def test_the_interval_of_a_share_covers_it_in_95_of_100_cases(share):
    rows, covered = 100, 0.0
    for correct in range(rows + 1):
        low, high = intervals.wilson(correct, rows)
        if low <= share <= high:
            chance = math.comb(rows, correct) * share**correct * (1 - share) ** (rows - correct)
            covered += chance
    assert 0.93 < covered < 0.985


def test_the_interval_of_a_share_narrows_with_the_root_of_the_rows():
    few, many = intervals.wilson(900, 1000), intervals.wilson(90000, 100000)
    assert (few[1] - few[0]) / (many[1] - many[0]) == pytest.approx(10, rel=0.02)


@pytest.mark.parametrize(("one", "other"), [(0.9, 0.9), (0.95, 0.9), (0.8, 0.9)])
def test_the_interval_of_paired_shares_covers_their_difference_in_95_of_100_cases(one, other):
    """Rows that both get right come together: half of the errors of the better one are shared."""
    rows, cases, covered = 100, 4000, 0
    both = (1 - max(one, other)) / 2
    draw = torch.rand(cases, rows, generator=torch.Generator().manual_seed(7))
    lost = (draw > both) & (draw < 1 - one)
    start = max(1 - one, both)
    gained = (draw >= start) & (draw < start + (1 - other) - both)
    for more, less in zip(gained.sum(1).tolist(), lost.sum(1).tolist(), strict=True):
        low, high = intervals.paired_shares(more, less, rows)
        covered += low <= one - other <= high
    assert 0.935 < covered / cases < 0.985


def test_the_interval_of_paired_shares_is_the_one_worked_out_by_hand():
    # 8 gained, 2 lost of 98: 8.5 and 2.5 of 100, middle 0.06, variance (0.11 - 0.0036) / 100
    half = intervals.Z95 * math.sqrt(0.1064 / 100)
    assert intervals.paired_shares(8, 2, 98) == pytest.approx((0.06 - half, 0.06 + half))
    assert intervals.paired_shares(2, 8, 98) == pytest.approx((-0.06 - half, -0.06 + half))


def root(errors: Tensor) -> float:
    return math.sqrt(errors.double().square().mean().item())


@pytest.mark.parametrize(("rows", "least"), [(40, 0.91), (120, 0.93), (400, 0.935)])
def test_intervals_of_errors_cover_them_in_about_95_of_100_cases(rows, least):
    cases, of_one, of_pair = 2000, 0, 0
    for seed in range(cases):
        one, more = normal(2, rows, seed=seed)
        other = one + 0.5 * more  # deviations 1 and sqrt(1.25)
        value = root(one)
        low, high = intervals.error(value, one.double().pow(4).mean().item(), rows)
        of_one += (low or 0) <= 1 <= (high or 0)
        low, high = intervals.paired_errors(one, other)
        of_pair += (low or 0) <= math.sqrt(1.25) - 1 <= (high or 0)
    assert least < of_one / cases < 0.975
    assert least < of_pair / cases < 0.975


def test_the_interval_of_a_pair_of_errors_is_around_what_was_gained():
    one, other = normal(50, seed=1), 2 * normal(50, seed=2)
    low, high = intervals.paired_errors(one, other)
    assert low is not None
    assert high is not None
    assert (low + high) / 2 == pytest.approx(root(other) - root(one))
    back = intervals.paired_errors(other, one)
    assert back == pytest.approx((-high, -low))
    assert intervals.paired_errors(one, one) == (0.0, 0.0)


def test_errors_of_nothing_and_of_few_rows():
    none, few = torch.zeros(20), torch.ones(9)
    assert intervals.paired_errors(none, none) == (0.0, 0.0)
    assert intervals.error(0.0, 0.0, 20) == (0.0, 0.0)
    assert intervals.paired_errors(few, few) == intervals.error(1.0, 1.0, 9) == (None, None)


def test_no_difference_gives_an_interval_around_0():
    low, high = intervals.paired_bootstrap(normal(4, 100), 0)
    assert low < 0 < high


def test_a_constant_difference_gives_an_interval_without_width():
    assert intervals.paired_bootstrap(torch.full((3, 20), 0.25), 0) == (0.25, 0.25)


def test_equal_models_give_an_interval_of_0():
    assert intervals.paired_bootstrap(torch.zeros(3, 20), 0) == (0, 0)


def test_one_seed_gives_nearly_the_normal_interval_of_the_mean():
    difference = normal(1, 400, mean=0.3)
    low, high = intervals.paired_bootstrap(difference, 1)
    mean, half = difference.mean().item(), 1.96 * difference.std().item() / 20
    assert low == pytest.approx(mean - half, abs=0.1 * half)
    assert high == pytest.approx(mean + half, abs=0.1 * half)


def test_the_interval_of_a_difference_narrows_with_the_rows():
    width = [
        high - low
        for rows in (25, 100, 400)
        for low, high in [intervals.paired_bootstrap(normal(1, rows), 0)]
    ]
    assert width[0] / width[1] == pytest.approx(2, rel=0.25)
    assert width[1] / width[2] == pytest.approx(2, rel=0.25)


def test_seeds_that_differ_widen_the_interval_however_many_rows_there_are():
    by_seed = torch.tensor([-1.0, 0.0, 1.0, 2.0])[:, None].expand(4, 10_000)
    low, high = intervals.paired_bootstrap(by_seed, 0)
    # mean 0.5, deviation sqrt(1.25), four seeds
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(1.25 / 4), rel=0.15)


def test_rows_that_differ_widen_the_interval_however_many_seeds_there_are():
    by_row = torch.tensor([-1.0, 0.0, 1.0, 2.0])[None].expand(10_000, 4)
    low, high = intervals.paired_bootstrap(by_row, 0)
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(1.25 / 4), rel=0.15)


def test_the_two_ends_are_treated_alike():
    difference = normal(3, 40, mean=0.2)
    low, high = intervals.paired_bootstrap(difference, 0)
    assert intervals.paired_bootstrap(-difference, 0) == (-high, -low)


def test_the_same_seed_gives_the_same_interval_and_another_seed_nearly_the_same():
    difference = normal(4, 100)
    one, again = (intervals.paired_bootstrap(difference, 5) for _ in range(2))
    other = intervals.paired_bootstrap(difference, 6)
    assert one == again
    assert one != other
    assert one == pytest.approx(other, abs=0.03)


def test_no_random_number_of_others_is_used():
    state = torch.get_rng_state()
    intervals.paired_bootstrap(normal(2, 10), 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_interval_of_a_difference_covers_the_true_mean_of_new_seeds_and_rows():
    covered, cases = 0, 150
    for case in range(cases):
        seeds, rows = normal(8, 1, seed=3 * case) / 2, normal(1, 60, seed=3 * case + 1)
        low, high = intervals.paired_bootstrap(
            0.1 + seeds + rows + normal(8, 60, seed=3 * case + 2), case
        )
        covered += low <= 0.1 <= high
    assert 0.90 <= covered / cases <= 0.99


def test_the_best_of_one_is_that_one():
    scores = normal(1, 80, mean=0.5)
    assert intervals.best_of(scores, 0) == pytest.approx(scores.mean().item(), abs=0.01)


def test_the_best_of_equal_candidates_needs_no_correction():
    assert intervals.best_of(torch.full((5, 30), 0.25), 0) == pytest.approx(0.25)


def test_the_best_of_many_that_only_guess_is_no_better_than_a_guess():
    maxima, corrected = [], []
    for seed in range(40):
        scores = (torch.rand(16, 50, generator=torch.Generator().manual_seed(seed)) < 0.5).float()
        maxima.append(scores.mean(dim=1).max().item())
        corrected.append(intervals.best_of(scores, 0))
    assert sum(maxima) / 40 > 0.6
    assert sum(corrected) / 40 == pytest.approx(0.5, abs=0.03)


def test_a_candidate_that_is_clearly_best_keeps_its_score():
    scores = normal(5, 100) / 10
    scores[3] += 1
    assert intervals.best_of(scores, 0) == pytest.approx(scores[3].mean().item(), abs=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_the_correction_is_never_upwards(seed):
    scores = normal(1, 7, mean=0.5)
    assert intervals.best_of(scores, seed) <= scores.double().mean().item()


def test_the_correction_is_the_same_for_the_same_seed():
    scores = normal(5, 30)
    assert intervals.best_of(scores, 1) == intervals.best_of(scores, 1)
    assert intervals.best_of(scores, 1) != intervals.best_of(scores, 2)


def test_a_candidate_without_a_finite_score_is_not_the_best():
    scores = normal(4, 50) / 10
    scores[3] += 1
    expected = intervals.best_of(scores, 0)
    scores[0, 7] = -math.inf
    assert intervals.best_of(scores, 0) == pytest.approx(expected)
