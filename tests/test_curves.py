"""Curves: tables of means per epoch, and the epoch at which a member overfits."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import pytest

from stages.common import curves
from stages.common.health import Health
from stages.common.record import Record


def record(epoch, member=0, val_loss=1.0, **changes) -> Record:
    return replace(Record(epoch, member, 0.5, 0.4, 0.8, val_loss, 0.7), **changes)


def table(path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_row_is_the_mean_and_range_over_the_members_still_training(tmp_path):
    history = [
        Record(0, 0, 3.0, 2.0, 0.25, 4.0, 0.5),
        Record(0, 1, 5.0, 4.0, 0.75, 8.0, 1.0),
        Record(1, 1, 1.0, 0.5, 0.9, 2.0, 0.6),
    ]
    curves.write_history(tmp_path / "h.csv", history, [history[2], replace(history[2], member=0)])
    assert (tmp_path / "h.csv").read_text() == (
        "epoch,members,running_loss,train_loss,val_loss,train_score,val_score,"
        "train_loss_lowest,train_loss_highest,val_loss_lowest,val_loss_highest,"
        "train_score_lowest,train_score_highest,val_score_lowest,val_score_highest,best_members\n"
        "0,2,4.0,3.0,6.0,0.5,0.75,2.0,4.0,4.0,8.0,0.25,0.75,0.5,1.0,0\n"
        "1,1,1.0,0.5,2.0,0.9,0.6,0.5,0.5,2.0,2.0,0.9,0.9,0.6,0.6,2\n"
    )


def test_epochs_are_in_order_whatever_the_order_of_the_records(tmp_path):
    curves.write_history(tmp_path / "h.csv", [record(10), record(2), record(0)], [])
    assert [row["epoch"] for row in table(tmp_path / "h.csv")] == ["0", "2", "10"]


def test_a_loss_that_is_no_number_is_an_empty_cell(tmp_path):
    curves.write_history(tmp_path / "h.csv", [record(0, val_loss=math.nan)], [])
    row = table(tmp_path / "h.csv")[0]
    assert [row[name] for name in ("val_loss", "val_loss_lowest", "val_loss_highest")] == [""] * 3


def test_a_member_that_diverges_does_not_blank_the_curve_of_the_others(tmp_path):
    history = [record(1), record(1, member=1, val_loss=math.inf)]
    curves.write_history(tmp_path / "h.csv", history, history[:1])
    row = table(tmp_path / "h.csv")[0]
    assert (row["val_loss"], row["val_loss_highest"], row["best_members"]) == ("1.0", "1.0", "1")


def test_health_is_a_row_per_epoch_and_layer(tmp_path):
    found = [
        (0, Health(1, 0, 0.1, 0.2, 1.0, 2.0, -1.0, 1.0, 0.5)),
        (0, Health(0, 0, 0.5, 0.0, 1.0, 2.0, -1.0, 1.0, 0.5)),
        (0, Health(0, 1, 0.7, 0.5, 3.0, 4.0, -3.0, 2.0, 1.5)),
        (1, Health(0, 1, 1.0, 1.0, 9.0, 8.0, -7.0, 6.0, 5.0)),
    ]
    curves.write_health(tmp_path / "h.csv", found)
    assert (tmp_path / "h.csv").read_text() == (
        "epoch,layer,saturated,dead,gradient,spread,weight_low,weight_high,weight_deviation\n"
        "0,layer0,0.6,0.25,2.0,3.0,-2.0,1.5,1.0\n"
        "0,layer1,0.1,0.2,1.0,2.0,-1.0,1.0,0.5\n"
        "1,layer0,1.0,1.0,9.0,8.0,-7.0,6.0,5.0\n"
    )


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([3.0, 2.0, 1.0], None),  # falls to the end
        ([3.0, 1.0, 1.05, 1.09], None),  # rises by less than the margin
        ([3.0, 1.0, 1.05, 1.2, 1.5], 3),  # the first epoch above it
        ([3.0, 1.0, 1.2, 1.0], 2),  # falling back does not undo it
        ([1.0, 1.2], 1),  # best before training
    ],
)
def test_a_member_overfits_at_the_first_epoch_above_its_best_by_the_margin(losses, expected):
    history = [record(epoch, val_loss=loss) for epoch, loss in enumerate(losses)]
    best = min(history, key=lambda each: each.val_loss)
    assert curves.overfit_epoch(history, best) == expected


def test_a_loss_is_above_the_best_only_beyond_the_margin():
    best = record(0, val_loss=1.0)
    at, above = record(1, val_loss=curves.MARGIN), record(2, val_loss=curves.MARGIN + 1e-6)
    assert curves.overfit_epoch([best, at, above], best) == 2


def test_the_history_of_other_members_does_not_count():
    best = record(0, member=1, val_loss=1.0)
    history = [best, record(1, member=0, val_loss=9.0), record(2, member=1, val_loss=9.0)]
    assert curves.overfit_epoch(history, best) == 2


def test_members_that_are_best_before_training_are_counted_there(tmp_path):
    history = [record(epoch, member) for epoch in (0, 1) for member in (0, 1, 2)]
    curves.write_history(tmp_path / "h.csv", history, [history[0], history[1], history[5]])
    assert [row["best_members"] for row in table(tmp_path / "h.csv")] == ["2", "1"]
