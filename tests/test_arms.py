"""Arms: what is frozen in which arm, and which weights each starts from."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from stages.common import arms, initialize
from stages.common.checkpoint import Checkpoint
from stages.common.errors import UserError
from stages.common.network import Stack
from stages.common.schema import Numeric, Schema, Target


@pytest.fixture(autouse=True)
def one_rate(monkeypatch):
    """Controls at the base model's rate and at the fine-tuning rate only: fewer arms."""
    monkeypatch.setattr(arms, "LADDER", (1.0,))


def schema_of(*classes, features=4) -> Schema:
    """Return the schema of plain numbers; no classes is a regression."""
    plain: Any = {"kind": "numeric", "shift": 0, "scale": 1, "low": None, "high": None, "fill": 0}
    columns: list[Any] = [
        Numeric(name=f"x{at}", position=at, indicator=False, **plain) for at in range(features)
    ]
    return Schema(
        task="classification" if classes else "regression",
        missing="fill",
        scale="none",
        features=columns,
        dropped=[],
        target=Target(
            name="y", position=features, classes=list(classes), counts=[1] * len(classes)
        ),
    )


def base_of(schema, members=2, hidden=(5, 3), activation="leaky_relu") -> Checkpoint:
    """Return a base model whose weights are not those of any seed of these tests."""
    stack = initialize.stack(
        [schema.n_features, *hidden, schema.n_outputs],
        activation,
        [(999, member) for member in range(members)],
        ["default"] * members,
        [(0.0, 1.0)] * members,
        [0.3] * members,
    )
    settings = {"init": "default", "init_low": 0.0, "init_high": 1.0, "negative_slope": 0.3}
    return Checkpoint(stack, schema, {"model": settings, "train": {}})


def layer(stack: Stack, index: int, member: int) -> tuple[list[Any], list[Any]]:
    chosen = stack.layers[index]
    return chosen.weight[member].tolist(), chosen.bias[member].tolist()


ABC = schema_of("a", "b", "c")


@pytest.mark.parametrize(
    ("freeze", "expected"),
    [
        (0, (False, False, False, False)),
        (2, (True, True, False, False)),
        (3, (True, True, True, False)),
        (["layer0"], (True, False, False, False)),
        (["layer1"], (False, True, False, False)),
        (["layer0", "layer2"], (True, False, True, False)),
        (["layer[01]"], (True, True, False, False)),
        (["layer[!3]"], (True, True, True, False)),
    ],
)
def test_layers_are_frozen_by_count_or_by_pattern(freeze, expected):
    assert arms.frozen_layers(freeze, 4) == expected


def test_ten_layers_are_told_apart_by_their_whole_name():
    assert [at for at, still in enumerate(arms.frozen_layers(["layer1"], 12)) if still] == [1]


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        (3, "finetune.freeze: 3 layers, but the network has 2 hidden ones"),
        (9, "9 layers, but the network has 2 hidden ones"),
        (["0.weight"], "'0.weight' matches none of layer0, layer1, layer2"),
        (["layer0", "layer7"], "'layer7' matches none of layer0, layer1, layer2"),
        (["layer0.weight"], "'layer0.weight' matches none of"),
        (["layer2"], "'layer2' matches the output layer layer2"),
        (["*"], r"'\*' matches the output layer layer2"),
    ],
)
def test_what_cannot_be_frozen_is_refused(freeze, message):
    with pytest.raises(UserError, match=message):
        arms.frozen_layers(freeze, 3)


def test_a_linear_model_has_nothing_to_freeze():
    assert arms.frozen_layers(0, 1) == (False,)
    with pytest.raises(UserError, match="0 hidden ones"):
        arms.frozen_layers(1, 1)


def test_the_arm_asked_for_comes_first_then_every_other_depth_and_two_controls():
    plan = arms.plan(1, 3, lr=0.01, base_lr=0.1)
    assert [(arm.name, arm.lr, arm.scratch) for arm in plan] == [
        ("freeze 1", 0.01, False),
        ("freeze 0", 0.01, False),
        ("freeze 2", 0.01, False),
        ("from scratch, lr 0.1", 0.1, True),
        ("from scratch, lr 0.01", 0.01, True),
    ]
    assert [arm.frozen for arm in plan] == [
        (True, False, False),
        (False, False, False),
        (True, True, False),
        (False, False, False),
        (False, False, False),
    ]


def test_a_pattern_that_is_no_depth_is_an_arm_of_its_own():
    names = [arm.name for arm in arms.plan(["layer1"], 3, 0.01, 0.1) if not arm.scratch]
    assert names == ["freeze layer1", "freeze 0", "freeze 1", "freeze 2"]


def test_a_pattern_that_is_a_depth_is_that_depth():
    plan = arms.plan(["layer0"], 3, 0.01, 0.1)
    assert [arm.name for arm in plan if not arm.scratch] == ["freeze 1", "freeze 0", "freeze 2"]


def test_one_learning_rate_gives_one_control():
    plan = arms.plan(0, 2, lr=0.1, base_lr=0.1)
    assert [arm.name for arm in plan if arm.scratch] == ["from scratch, lr 0.1"]


def test_the_head_is_kept_when_both_tables_have_the_same_classes():
    base = base_of(ABC)
    assert arms.keeps_head(base, schema_of("a", "b", "c"))
    assert not arms.keeps_head(base, schema_of("a", "b"))
    assert not arms.keeps_head(base, schema_of("c", "b", "a"))
    assert not arms.keeps_head(base, schema_of("d", "e", "f"))
    assert arms.keeps_head(base_of(schema_of()), schema_of())


def test_tuned_members_start_from_the_base_and_controls_from_weights_of_their_own():
    base, plan = base_of(ABC), arms.plan(0, 3, 0.01, 0.1)
    stack = arms.starting_weights(base, ABC, plan, members=2, seed=0)
    assert len(stack) == 2 * len(plan)
    for place, arm in enumerate(plan):
        for member in range(2):
            at = 2 * place + member
            for index in range(3):
                copied = layer(stack, index, at) == layer(base.stack, index, member)
                assert copied is not arm.scratch
    assert stack.negative_slope.tolist() == pytest.approx([0.3] * len(stack))
    assert stack.activation == "leaky_relu"


def test_a_new_head_has_the_new_width_and_the_weights_of_the_control():
    base, plan = base_of(ABC), arms.plan(0, 3, 0.01, 0.1)
    stack = arms.starting_weights(base, schema_of("d", "e"), plan, members=2, seed=0)
    assert stack.widths == [4, 5, 3, 2]
    control = 2 * next(place for place, arm in enumerate(plan) if arm.scratch)
    for member in range(2):
        for index in (0, 1):
            assert layer(stack, index, member) == layer(base.stack, index, member)
        assert layer(stack, 2, member) == layer(stack, 2, control + member)


def test_both_controls_start_from_the_same_weights_that_the_seed_draws():
    base, plan = base_of(ABC), arms.plan(0, 3, 0.01, 0.1)
    first, second = (2 * place for place, arm in enumerate(plan) if arm.scratch)
    one, other = (arms.starting_weights(base, ABC, plan, 2, seed) for seed in (0, 1))
    assert layer(one, 0, first) == layer(one, 0, second)
    assert layer(one, 0, first) != layer(one, 0, first + 1)
    assert layer(one, 0, first) != layer(other, 0, first)
    assert layer(one, 0, 0) == layer(other, 0, 0)


def test_the_base_model_is_not_changed():
    base = base_of(ABC)
    before = base.stack.take(torch.arange(2))
    stack = arms.starting_weights(base, ABC, arms.plan(0, 3, 0.01, 0.1), 2, 0)
    with torch.no_grad():
        stack.layers[0].weight.add_(1)
    for mine, theirs in zip(base.stack.parameters(), before.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_fewer_members_take_the_first_of_the_base():
    base = base_of(ABC, members=5)
    stack = arms.starting_weights(base, ABC, arms.plan(0, 3, 0.01, 0.1), 2, 0)
    assert [layer(stack, 0, at) for at in (0, 1)] == [layer(base.stack, 0, at) for at in (0, 1)]


def test_more_seeds_than_the_base_has_members_are_refused():
    # the same member twice would count as two seeds and make the interval too narrow
    base, plan = base_of(ABC, members=1), arms.plan(0, 3, 0.01, 0.1)
    with pytest.raises(AssertionError, match="each continues another one"):
        arms.starting_weights(base, ABC, plan, members=2, seed=0)


def test_controls_climb_a_ladder_of_rates_up_to_1(monkeypatch):
    monkeypatch.setattr(arms, "LADDER", (0.5, 1.0, 2.0, 4.0))
    rates = [arm.lr for arm in arms.plan(0, 2, 0.01, 0.4) if arm.scratch]
    assert rates == [0.2, 0.4, 0.8, 1.0, 0.01]
