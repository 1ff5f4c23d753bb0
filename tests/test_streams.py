"""The named random streams: repeatable, independent of each other and of torch's own."""

from __future__ import annotations

import itertools

import torch

from stages.common.streams import stream


def test_a_name_gives_the_same_draws_again():
    one, two = stream("noise", 3), stream("noise", 3)
    assert torch.equal(torch.randn(50, generator=one), torch.randn(50, generator=two))


def test_drawing_from_one_stream_does_not_shift_another():
    alone = torch.rand(5, generator=stream("dropout", 0))
    other, mine = stream("noise", 0), stream("dropout", 0)
    torch.rand(99, generator=other)
    assert torch.equal(torch.rand(5, generator=mine), alone)


def test_torch_own_random_numbers_are_neither_used_nor_moved():
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    drawn = torch.rand(5, generator=stream("noise", 0))
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(torch.rand(5, generator=stream("noise", 0)), drawn)


def test_every_key_names_a_stream_of_its_own():
    keys = [
        *itertools.product(["weights", "noise"], range(20), range(20)),
        ("weights",),
        ("weights", "1"),
        ("weights", 1),
        ("weights", 11),
        ("weights", 1, 1, 1),
        ("weights1",),
    ]
    seeds = {stream(*key).initial_seed() for key in keys}
    assert len(seeds) == len(keys)


def test_neighbouring_seeds_share_nothing():
    drawn = torch.stack([torch.randn(4000, generator=stream("noise", seed)) for seed in range(6)])
    correlation = torch.corrcoef(drawn) - torch.eye(6)
    assert correlation.abs().max() < 0.07  # over 4 standard errors of independent draws


def test_the_stream_of_a_key_never_changes():
    # A change here changes every starting weight, split and mask of every user.
    assert stream("weights", 0, 0, 0).initial_seed() == 2_404_174_934
