"""The order of rows, and dropout, noise and mixing as members of a stack see them."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from stages.common.batches import Augmentation, shuffled
from stages.common.partition import Partition


def rows(count: int, features: int, seed: int = 0) -> Tensor:
    return torch.randn(count, features, generator=torch.Generator().manual_seed(seed))


def loaded(count: int, size: int, seed: int, epochs: int) -> list[list[list[int]]]:
    """The row numbers of each batch of each epoch, as torch's own loader delivers them."""
    loader = DataLoader(
        TensorDataset(torch.arange(count)),
        batch_size=size,
        shuffle=True,
        generator=torch.Generator().manual_seed(seed),
    )
    return [[batch.tolist() for (batch,) in loader] for _ in range(epochs)]


@pytest.mark.parametrize("block", range(6))
def test_batches_come_in_the_order_of_a_data_loader(block):
    chance = random.Random(block)
    for _ in range(20):
        count, size = chance.randint(1, 90), chance.randint(1, 40)
        seed = chance.randrange(2**31)
        order = torch.Generator().manual_seed(seed)
        part = Partition(torch.zeros(count, 1), torch.arange(count), torch.arange(count))
        ours = [
            [y.tolist() for _, y in part.take(shuffled(count, order)).batches(size)]
            for _ in range(3)
        ]
        assert ours == loaded(count, size, seed, 3), (count, size, seed)


def test_an_order_holds_every_row_once_and_changes_with_epoch_and_seed():
    order = torch.Generator().manual_seed(0)
    first, second = shuffled(50, order), shuffled(50, order)
    other = shuffled(50, torch.Generator().manual_seed(1))
    assert sorted(first.tolist()) == list(range(50))
    assert len({tuple(found.tolist()) for found in (first, second, other)}) == 3


def test_kept_units_are_scaled_so_that_their_expectation_stays(make_recipe):
    rates = [0.2, 0.5, 0.8]
    masks = Augmentation(make_recipe(3, 3, dropout=rates)).masks(2000, [30, 20])
    assert masks is not None
    assert [tuple(mask.shape) for mask in masks] == [(3, 2000, 30), (3, 2000, 20)]
    for mask in masks:
        for factors, p in zip(mask, rates, strict=True):
            kept = factors[factors != 0]
            torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - p)))
            assert (factors == 0).float().mean().item() == pytest.approx(p, abs=0.01)
            assert factors.mean().item() == pytest.approx(1, abs=0.04)


def test_dropout_of_80_percent_on_3072_to_16_relu_keeps_shape_and_expectation(make_recipe):
    torch.manual_seed(0)
    layer, x = nn.Sequential(nn.Linear(3072, 16), nn.ReLU()), rows(1, 3072)
    activated = layer(x).detach()
    augmentation = Augmentation(make_recipe(1, 2, dropout=0.8))
    total = torch.zeros(16)
    for _ in range(2000):
        masks = augmentation.masks(1, [16])
        assert masks is not None
        dropped = activated * masks[0][0]
        assert dropped.shape == (1, 16)
        assert set((dropped / activated)[activated > 0].round(decimals=4).tolist()) <= {0.0, 5.0}
        total += dropped[0]
    # 2000 draws of 0 or 5: the standard error of the mean factor is 2 / sqrt(2000) = 0.045
    kept = activated[0] > 0
    assert kept.any()
    torch.testing.assert_close(
        total[kept] / 2000 / activated[0, kept], torch.ones(kept.sum()), atol=0.18, rtol=0
    )


def test_members_share_the_draws_and_threshold_them_with_their_own_rate(make_recipe):
    (mask,) = Augmentation(make_recipe(3, 2, dropout=[0.0, 0.3, 0.6])).masks(40, [25]) or []
    assert torch.equal(mask[0], torch.ones(40, 25))
    dropped = mask == 0
    assert (dropped[2] | ~dropped[1]).all()
    assert dropped[2].sum() > dropped[1].sum() > 0
    (alone,) = Augmentation(make_recipe(1, 2, dropout=0.3)).masks(40, [25]) or []
    assert torch.equal(alone[0], mask[1])


def test_units_and_rows_and_layers_and_steps_are_dropped_independently(make_recipe):
    augmentation = Augmentation(make_recipe(1, 3, dropout=0.5))
    steps = [augmentation.masks(30, [30, 30]) or [] for _ in range(2)]
    drawn = [mask[0] for masks in steps for mask in masks]
    drawn.append(drawn[0].T)
    flat = torch.stack([mask.flatten() for mask in drawn])
    assert torch.corrcoef(flat).triu(1).abs().max() < 0.15
    assert drawn[0].std(dim=0).min() > 0.5
    assert drawn[0].std(dim=1).min() > 0.5


def test_frozen_layers_have_no_dropout(make_recipe):
    frozen = [[True, False, False], [False, False, False]]
    first, second = Augmentation(make_recipe(2, 3, frozen, dropout=0.5)).masks(9, [8, 8]) or []
    assert torch.equal(first[0], torch.ones(9, 8))
    assert not first[1].all()
    assert not second[0].all()


@pytest.mark.parametrize("layers", [1, 3])
def test_without_any_dropout_there_is_no_mask(make_recipe, layers):
    widths = [4] * (layers - 1)
    assert Augmentation(make_recipe(2, layers)).masks(5, widths) is None
    assert Augmentation(make_recipe(2, 1, dropout=0.5)).masks(5, []) is None


def test_without_noise_and_mixing_rows_are_given_as_they_are(make_recipe):
    x = rows(5, 3)
    augmentation = Augmentation(make_recipe(2, 2))
    assert augmentation.mixing(5) is None
    assert augmentation.features(x, None) is x


def test_noise_has_the_standard_deviation_of_each_member_and_mean_0(make_recipe):
    x = rows(300, 40)
    noisy = Augmentation(make_recipe(3, 2, noise=[0.0, 0.3, 1.5])).features(x, None)
    assert torch.equal(noisy[0], x)
    for added, deviation in ((noisy[1] - x, 0.3), (noisy[2] - x, 1.5)):
        assert added.std().item() == pytest.approx(deviation, rel=0.03)
        assert added.mean().item() == pytest.approx(0, abs=0.03 * deviation)
    torch.testing.assert_close((noisy[2] - x) / 5, noisy[1] - x, atol=1e-6, rtol=1e-5)


def test_mixing_weights_lie_between_0_and_half_of_mixup(make_recipe):
    strengths = [0.0, 0.4, 1.0]
    augmentation = Augmentation(make_recipe(3, 2, mixup=strengths))
    partner, weight = augmentation.mixing(2000) or (None, None)
    assert partner is not None
    assert weight is not None
    assert sorted(partner.tolist()) == list(range(2000))
    assert weight.shape == (3, 2000)
    for given, strength in zip(weight, strengths, strict=True):
        assert given.min() >= 0
        assert given.max() <= strength / 2
        assert given.max() >= 0.99 * strength / 2
        assert given.mean().item() == pytest.approx(strength / 4, rel=0.05)
    again = augmentation.mixing(2000)
    assert again is not None
    assert not torch.equal(again[0], partner)


def test_a_mixed_row_is_the_weighted_mean_with_its_partner(make_recipe):
    augmentation = Augmentation(make_recipe(2, 2, mixup=[0.0, 1.0]))
    x = rows(6, 4)
    partner, weight = torch.tensor([1, 2, 3, 4, 5, 0]), torch.tensor([[0.0] * 6, [0.25] * 6])
    mixed = augmentation.features(x, (partner, weight))
    assert torch.equal(mixed[0], x)
    torch.testing.assert_close(mixed[1], 0.75 * x + 0.25 * x[partner])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_batch_of_any_size_can_be_augmented(make_recipe, count):
    augmentation = Augmentation(make_recipe(2, 2, mixup=1.0, noise=0.1, dropout=0.5))
    mixing = augmentation.mixing(count)
    assert augmentation.features(rows(count, 3), mixing).shape == (2, count, 3)
    assert [mask.shape for mask in augmentation.masks(count, [7]) or []] == [(2, count, 7)]


@pytest.mark.parametrize("off", ["noise", "mixup", "dropout"])
def test_turning_one_kind_of_draw_off_does_not_shift_the_others(make_recipe, off):
    strengths = {"dropout": 0.5, "noise": 0.5, "mixup": 0.5}

    def draw(**settings: float) -> dict[str, Tensor]:
        augmentation = Augmentation(make_recipe(1, 2, **settings))
        found = {}
        for _ in range(2):
            noise, mixing = augmentation.features(torch.zeros(6, 4), None), augmentation.mixing(6)
            masks = augmentation.masks(6, [5])
            found = {"noise": noise}
            found |= {"mixup": mixing[1]} if mixing else {}
            found |= {"dropout": masks[0]} if masks else {}
        return found

    full, part = draw(**strengths), draw(**strengths | {off: 0.0})
    for name in set(strengths) - {off}:
        assert full[name].any()
        assert torch.equal(part[name], full[name]), name


def test_every_kind_of_draw_has_a_generator_of_its_own(make_recipe):
    generators = Augmentation(make_recipe(1, 2)).generators
    assert len({generator.initial_seed() for generator in generators.values()}) == 3


def test_draws_depend_on_the_seed_alone(make_recipe):
    def draw(seed: int) -> list[Tensor]:
        augmentation = Augmentation(make_recipe(1, 2, mixup=1.0, noise=0.1, dropout=0.5, seed=seed))
        mixing = augmentation.mixing(8)
        assert mixing is not None
        masks = augmentation.masks(8, [9])
        assert masks is not None
        return [*mixing, augmentation.features(torch.zeros(8, 3), None), *masks]

    state = torch.random.get_rng_state()
    first, again, other = draw(3), draw(3), draw(4)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    assert not any(torch.equal(*pair) for pair in zip(first, other, strict=True))
