"""The recipe: one value per member of every setting, frozen layers, parts of a recipe."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest
import torch

from stages.common.recipe import PER_MEMBER, SHARED, Recipe


def test_every_setting_has_one_value_per_member_in_their_order(make_recipe):
    recipe = make_recipe(3, 2, lr=[0.1, 0.2, 0.3], momentum=[0.9, 0, 0.5], weight_decay=0.01)
    assert recipe.lr.tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert recipe.momentum.tolist() == pytest.approx([0.9, 0.0, 0.5])
    assert recipe.weight_decay.tolist() == pytest.approx([0.01] * 3)
    for name in PER_MEMBER:
        assert getattr(recipe, name).dtype == torch.float32


def test_settings_of_the_whole_stack_are_taken_as_they_are(make_recipe):
    recipe = make_recipe(
        2, 2, optimizer="adamw", decay_bias=True, batch_size=7, epochs=3, patience=2, seed=11
    )
    found = tuple(getattr(recipe, name) for name in SHARED)
    assert found == ("adamw", True, 7, 3, 2, 11)


def test_the_two_lists_of_settings_cover_the_recipe():
    names = {field.name for field in fields(Recipe)}
    assert names == {*PER_MEMBER, *SHARED, "frozen"}


def test_a_whole_params_section_can_be_given_and_its_other_keys_are_ignored(settings):
    section = settings.train.model_dump()
    recipe = Recipe.of([section | {"dropout": 0.1}] * 2, 3, section)
    assert recipe.lr.tolist() == pytest.approx([settings.train.lr] * 2)
    assert recipe.batch_size == settings.train.batch_size


@pytest.mark.parametrize("missing", PER_MEMBER)
def test_a_member_without_a_setting_is_refused_by_its_name(missing):
    member = {name: 0.1 for name in PER_MEMBER if name != missing}
    with pytest.raises(KeyError, match=missing):
        Recipe.of([member], 2, dict.fromkeys(SHARED))


@pytest.mark.parametrize("missing", SHARED)
def test_a_stack_without_a_setting_is_refused_by_its_name(missing):
    shared = {name: 1 for name in SHARED if name != missing}
    with pytest.raises(KeyError, match=missing):
        Recipe.of([dict.fromkeys(PER_MEMBER, 0.1)], 2, shared)


def test_nothing_is_frozen_unless_said(make_recipe):
    assert make_recipe(2, 3).frozen.tolist() == [[False] * 3] * 2


def test_a_frozen_hidden_layer_has_no_dropout_and_others_keep_theirs(make_recipe):
    frozen = [[True, False, False], [False, True, False], [False, False, False]]
    recipe = make_recipe(3, 3, frozen, dropout=[0.5, 0.25, 0.125])
    assert recipe.frozen.tolist() == frozen
    assert recipe.dropout.tolist() == [[0, 0.5], [0.25, 0], [0.125, 0.125]]


def test_a_linear_network_has_no_dropout_at_all(make_recipe):
    assert make_recipe(2, 1, dropout=0.5).dropout.shape == (2, 0)


def test_part_of_a_recipe_holds_the_chosen_members_in_their_order(make_recipe):
    frozen = [[True, False], [False, False], [False, True]]
    values = [0.1, 0.2, 0.3]
    whole = make_recipe(3, 2, frozen, **dict.fromkeys(PER_MEMBER, values), epochs=9)
    part = whole.take(torch.tensor([2, 0]))
    for name in PER_MEMBER:
        assert torch.equal(getattr(part, name), getattr(whole, name)[[2, 0]]), name
    assert part.frozen.tolist() == [frozen[2], frozen[0]]
    assert part.epochs == 9
    assert whole.lr.tolist() == pytest.approx(values)


def test_a_recipe_cannot_be_changed(make_recipe):
    with pytest.raises(FrozenInstanceError):
        make_recipe(1, 2).lr = torch.ones(1)


def test_every_tensor_of_a_recipe_moves_to_a_device(make_recipe):
    moved = make_recipe(2, 2, dropout=0.5).to(torch.device("meta"))
    assert {getattr(moved, name).device.type for name in (*PER_MEMBER, "frozen")} == {"meta"}
    assert moved.optimizer == "sgd"
