"""Advice: a line for each thing that went wrong, with the settings that help."""

from __future__ import annotations

import pytest

from stages.common import advice, health
from stages.common.record import Record
from stages.common.training import Fitted

RELU = {"activation": "relu", "init": "default"}
HEALTHY = {
    "diverged_members": 0,
    "gradient_first_to_last": 1.0,
    "starting_spread": 1.0,
    "overfit_gap": 0.1,
    "train_loss": 0.2,
    "val_loss": 0.3,
    "parameters_per_row": 0.5,
    "weight_norm": 7.0,
}


def fitted(*best: int, diverged: tuple[int, ...] = (), losses=(2.0, 1.0), running=(2.0, 1.5)):
    """A training of members with these best epochs, whose losses took this course."""
    pairs = enumerate(zip(losses, running, strict=True))
    history = [
        Record(epoch, member, moving, loss, 0.5, loss, 0.5)
        for epoch, (loss, moving) in pairs
        for member in range(len(best))
    ]
    records = [Record(epoch, member, *[1.0] * 5) for member, epoch in enumerate(best)]
    lost = [member in diverged for member in range(len(best))]
    return Fitted(None, records, lost, history)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"diverged_members": 2}, ["diverged: 2 members; lower train.lr"]),
        ({"diverged_members": 1}, ["diverged: 1 member; lower train.lr"]),
        (
            {"gradient_first_to_last": 1e-5},
            ["the gradient vanishes (first to last layer 1.0e-05, relu): set model.init"],
        ),
        ({"gradient_first_to_last": float("nan")}, []),
        ({"starting_spread": 5000.0}, ["outputs explode: they spread by 5000 before training"]),
        (
            {"overfit_gap": 0.3, "parameters_per_row": 17.0},
            ["17.0 parameters per row: smaller model.hidden, higher model.dropout"],
        ),
        ({"overfit_gap": 0.3}, ["weight norm 7.0: raise train.weight_decay"]),
        ({"overfit_gap": 0.19}, []),  # not above the training loss
        ({"overfit_gap": 0.04, "train_loss": 0.001}, []),  # a gap of nearly nothing
    ],
)
def test_what_went_wrong_is_said_with_a_remedy(changes, expected):
    lines = advice.lines(HEALTHY | changes, fitted(1, 1), RELU)
    assert len(lines) == len(expected)
    for line, part in zip(lines, expected, strict=True):
        assert part in line


@pytest.mark.parametrize(
    ("losses", "running", "change"),
    [
        ((2.0, 1.0), (2.0, 1.5), "lower"),
        ((2.0, 4.0), (2.0, 3.0), "lower"),
        ((2.0, 2.01, 1.99), (2.0, 2.3, 2.31), "raise"),  # epoch 0 has no noise in its loss
        ((2.0, 2.01, 1.99), (2.0, 2.3, 2.9), "lower"),  # back where it began
    ],
)
def test_members_that_never_got_better_need_larger_steps_if_no_loss_moved(losses, running, change):
    (line,) = advice.lines(HEALTHY, fitted(0, 1, 0, losses=losses, running=running), RELU)
    assert line == f"2 members never got better than the starting weights; {change} train.lr"


def test_a_member_that_stood_still_is_told_beside_those_that_diverged():
    given = fitted(0, 0, 1, 0, diverged=(0, 3))
    assert advice.lines(HEALTHY | {"diverged_members": 2}, given, RELU) == [
        "diverged: 2 members; lower train.lr",
        "1 member never got better than the starting weights; lower train.lr",
    ]


@pytest.mark.parametrize("model", [("sigmoid", "kaiming"), ("tanh", "default")])
def test_the_remedy_for_a_vanishing_gradient_is_that_of_the_settings(model):
    settings = dict(zip(("activation", "init"), model, strict=True))
    (line,) = advice.lines(HEALTHY | {"gradient_first_to_last": 0.01}, fitted(1), settings)
    assert line == health.vanishing(0.01, *model)


def test_weights_that_training_never_bettered_do_not_overfit():
    (line,) = advice.lines(HEALTHY | {"overfit_gap": 0.3}, fitted(0, 0), RELU)
    assert "never got better" in line
