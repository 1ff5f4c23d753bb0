"""alarms: failed training and leaking test rows are said before a figure is praised."""

from __future__ import annotations

from typing import Any

import pytest

from stages.reporting import alarms, headline, remedies
from stages.reporting.tracked import Tracked
from tests import reported

AUDIT = "table,check,column,strength,finding,remedy\n"
EPOCHS = "epoch,members,running_loss,train_loss,best_members\n"
EQUAL = "9 rows repeat; 3 of 120 val rows and {} of 120 test rows are equal to a training row"


def test_diverged_networks_are_the_first_sentence_and_a_line_of_the_table():
    state = reported.state(diverged_members=7)
    said = "Training failed for 7 of 8 networks: they diverged; lower train.lr (now 0.0825)."
    assert headline.section(state).sentences[0] == said
    assert said in [*headline.lines(state)]
    assert alarms.failed(reported.state()) == []


def test_networks_that_never_got_better_than_they_started_have_failed():
    state = reported.state({"plots/training.csv": f"{EPOCHS}0,8,2.3,2.3,3\n1,8,9.0,8.4,5\n"})
    (said,) = alarms.failed(state)
    assert said.startswith("Training failed for 3 of 8 networks: they never got better than")
    assert "lower train.lr" in said


def steps(*rows: str) -> Tracked:
    """Return a state whose base model went through these epochs."""
    text = EPOCHS + "".join(f"{epoch},8,{row}\n" for epoch, row in enumerate(rows))
    return reported.state({"plots/training.csv": text})


def test_training_that_hardly_began_is_told_first_with_its_remedy():
    state = steps("2.309,2.309,0", "2.3093,2.3084,0", "2.3082,2.3072,8")
    said = (
        "Training has hardly begun: its loss went from 2.309 to 2.307 and the last epoch is the "
        "best; raise train.lr (now 0.0825) or train.epochs (now 60)."
    )
    assert headline.section(state).sentences[0] == said
    assert said in [*headline.lines(state)]
    section = remedies.section(state)
    assert "It does not overfit" not in " ".join(section.sentences)
    rows = {row[0]: list(row[1:]) for row in section.tables[1].rows}
    assert rows["steps too large"][0] == "no"
    assert rows["steps too small"] == [
        "yes",
        "a higher learning rate; more epochs",
        "training loss 2.309 at epoch 0, 2.307 at epoch 2",
        "train.lr 0.0825, train.epochs 60",
    ]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (("2.3,2.3,8", "2.3,2.3,0", "2.3,2.3,0"), "too small"),  # never better, nothing moved
        (("2.3,2.3,8", "90.0,2.3,0", "2.3,2.3,0"), "too large"),  # dead after the first epoch
        (("2.3,2.3,8", "2.3,2.3,0", "2.3,9.0,0"), "too large"),
        (("2.3,2.3,0", "4.6,2.29,0", "4.6,2.28,8"), "too small"),  # weights of classes in one
        (("2.3,2.3,0", "2.3,2.2,8", "2.3,2.2,0"), ""),  # the last epoch is not the best
        (("2.3,2.3,0", "2.3,2.2,0", "2.3,2.0,8"), ""),
        (("2.3,2.3,0", "2.3,2.2,0", "2.0,2.2,8"), ""),
        (("2.3,2.3,0", ",,8"), ""),
    ],
)
def test_steps_are_too_small_where_no_loss_moved(rows: tuple[str, ...], found: str):
    assert alarms.steps(steps(*rows)) == found


def test_a_model_below_the_trivial_answer_is_told_with_what_it_does_better():
    (said,) = alarms.failed(reported.state(test_accuracy=0.09, test_balanced_accuracy=0.05))
    assert said.endswith("the most frequent class: 0.090 against 0.108 on test rows.")
    (said,) = alarms.failed(reported.state(test_accuracy=0.09, test_balanced_accuracy=0.2))
    assert said.endswith("where each class counts alike it does, 0.200 against 0.100.")
    for hardly in (0.100001, 0.149):  # a tenth that was rounded up; luck
        (said,) = alarms.failed(reported.state(test_accuracy=0.09, test_balanced_accuracy=hardly))
        assert said.endswith("0.090 against 0.108 on test rows.")
    values: dict[str, Any] = {"test_accuracy": None, "test_mean_rmse": 2.0}
    (said,) = alarms.failed(reported.state(test_rmse=2.5, **values))
    assert "the mean of the training rows: 2.500 against 2.000" in said
    assert len(alarms.failed(reported.state(test_rmse=2.0, **values))) == 1
    assert alarms.failed(reported.state(test_rmse=1.5, **values)) == []


def test_networks_that_failed_to_train_are_not_said_to_do_anything_better():
    figures: dict[str, Any] = {"test_accuracy": 0.09, "test_balanced_accuracy": 0.2}
    assert not any(
        "it does" in said for said in alarms.failed(reported.state(diverged_members=7, **figures))
    )


def test_repeated_test_rows_stand_under_the_figure_they_spoil():
    audit = f"{AUDIT}source,duplicates,,0.1,{EQUAL.format(25)},drop\n"
    state = reported.state({"audit.csv": audit})
    first, second, *_ = headline.section(state).sentences
    assert first.startswith("The base model has an accuracy")
    assert second == (
        "The figure of the base model may be too good: 25 of 120 test rows are equal to a training "
        "row (metrics/audit.csv)."
    )


@pytest.mark.parametrize(
    ("row", "prefix", "said"),
    [
        (f"source,duplicates,,0.1,{EQUAL.format(0)},drop", "", ""),
        ("source,drift,age,0.3,drifts,see", "", ""),
        ("source,leaking column,code,0.99,alone gives the class,leave", "", "code alone gives"),
        ("target,group overlap,man,0.9,7 of 60 share theirs,group", "", ""),
        ("target,group overlap,man,0.9,7 of 60 share theirs,group", "finetuned_", "man 7 of 60"),
    ],
)
def test_only_what_makes_this_table_s_figure_too_good_is_told(row: str, prefix: str, said: str):
    found = alarms.leaks(reported.state({"audit.csv": f"{AUDIT}{row}\n"}), prefix)
    assert (said in found[0]) if said else (found == [])


def test_of_many_reasons_three_are_told():
    rows = "".join(f"source,target copy,c{at},1,is the target,leave\n" for at in range(5))
    (said,) = alarms.leaks(reported.state({"audit.csv": AUDIT + rows}), "")
    assert "c2 is the target; and 2 more (" in said
    assert "c3" not in said
