"""course: the rule of overfitting agrees with what train warns of; dead units are of a layer."""

from __future__ import annotations

import pytest

from stages.common import advice, health
from stages.common.record import Record
from stages.common.training import Fitted
from stages.reporting import course, remedies
from tests import reported


@pytest.mark.parametrize(
    ("train", "gap", "said"),
    [
        (0.4, 0.09, "It does not overfit: "),
        (0.4, 0.11, "It overfits mildly: "),
        (0.4, 0.41, "It overfits strongly: "),
        (0.001, 0.012, "It does not overfit: "),  # the least training loss counts as 0.05
        (0.001, 0.051, "It overfits strongly: "),
    ],
)
def test_the_degree_of_overfitting_follows_its_rule(train: float, gap: float, said: str):
    state = reported.state(train_loss=train, val_loss=train + gap, overfit_gap=gap)
    first, rule = course.overfits(state.figures, failed=False)
    assert first.startswith(said)
    assert "up to 0.25 times the training loss is no overfitting, up to 1 mild" in rule
    fitted = Fitted(None, [Record(1, 0, *[0.1] * 5)], [False])  # type: ignore[arg-type]
    model = {"activation": "relu", "init": "default"}
    warned = advice.lines(dict(state.figures), fitted, model)
    assert any(line.startswith("overfitting") for line in warned) == ("strongly" in first)


def test_failed_training_is_not_praised():
    state = reported.state(diverged_members=7)
    said = " ".join(remedies.section(state).sentences)
    assert said.startswith("Training failed for 7 of 8 networks")
    assert "It does not overfit" not in said
    assert "learning rate work" not in said
    applies = {row[0]: row[1] for row in remedies.section(state).tables[0].rows}
    assert applies["large weights"] == "cannot be told yet"


def test_epochs_after_the_kept_one_are_told_apart():
    assert "of 8 of 8 networks rose again" in course.later(reported.state(overfit_members=8))
    assert course.later(reported.state(overfit_members=0)).startswith("In no network")
    header = "epoch,members,running_loss,train_loss,best_members\n"
    stopped = reported.state({"plots/training.csv": f"{header}0,8,2.3,2.3,0\n9,3,0.1,0.1,1\n"})
    (said,) = course.curves(stopped)
    assert said.endswith("still training: at epoch 9, 3 of 8.")
    whole = {"plots/training.csv": f"{header}0,8,2.3,2.3,0\n9,8,0.1,0.1,1\n"}
    assert course.curves(reported.state(whole)) == []


def test_one_dead_layer_is_not_hidden_by_the_others():
    rows = (
        "epoch,layer,dead\n3,layer0,0.9\n4,layer0,0.0\n4,layer1,0.97\n4,layer2,0.0\n9,layer0,0.99\n"
    )
    state = reported.state({"plots/health.csv": rows}, best_epoch=4.2, dead_share=0.485)
    dead = next(row for row in remedies.section(state).tables[1].rows if row[0] == "dead units")
    assert dead[1] == "yes"
    assert dead[3] == "layer1: a share of 0.970 is 0 on every row, at epoch 4"
    few = reported.state({"plots/health.csv": rows.replace("0.97", "0.1")}, best_epoch=4.2)
    assert course.dead(few) == ("layer1: a share of 0.100 is 0 on every row, at epoch 4", 0.1)


def test_a_gradient_vanishes_below_its_limit_alone():
    def applies(ratio: float | None) -> object:
        rows = remedies.section(reported.state(gradient_first_to_last=ratio)).tables[1].rows
        return next(row[1] for row in rows if row[0] == "the gradient vanishes")

    limit = health.VANISHING
    assert [applies(ratio) for ratio in (limit / 2, limit, 2 * limit, None)] == ["yes", *["no"] * 3]
