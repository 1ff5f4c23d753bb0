"""proposal, tuning: what a search's figures are, and what to do with what it proposes."""

from __future__ import annotations

from stages.reporting import proposal, tuning
from tests import reported
from tests.imports import ROOT

PARAMS = (ROOT / "params.yaml").read_text()
TRIALS = (
    "trial,model.hidden,train.lr,train.noise,best_epoch,val_loss,val_score,rung,status\n"
    '7,"[64]",0.0999,0.3,5,0.1,0.9,3,done\n'
)
EFFECTS = "setting,value,trials,mean_val_score,best_val_score\n"


def test_settings_that_are_set_already_need_no_change():
    trials = TRIALS.replace("[64]", "[128, 64]").replace("0.0999", "0.0825")
    said = [*proposal.sentences(reported.state({"trials.csv": trials}, search_best_trial=7))]
    assert said[0] == "Proposed is trial 7: the settings of params.yaml as they are."
    assert not any(proposal.ADOPT in each for each in said)


def test_settings_that_differ_are_named_compared_and_can_be_adopted():
    state = reported.state(
        {"trials.csv": TRIALS}, search_best_trial=7, search_best_val_accuracy=0.9,
        search_best_val_accuracy_sd=0.01, val_accuracy=0.8, val_accuracy_deviation=0.01,
    )  # fmt: skip
    differs, better, edge = proposal.sentences(state)
    assert "model.hidden [64] (now [128, 64]), train.lr 0.0999 (now 0.0825). This" in differs
    assert "noise" not in differs
    assert proposal.ADOPT in differs
    assert "scores 0.900 on validation rows, one of the base model 0.800" in better
    assert "+0.100, larger than the spread" in better
    assert edge.startswith("At the edge of the space: train.lr 0.0999 (the high end is 0.1); ")


def test_nothing_is_proposed_when_no_trial_learnt():
    assert [*proposal.sentences(reported.state(search_best_trial=None))] == []


def test_the_direction_of_the_setting_that_mattered_most_is_told():
    importance = "setting,trials,importance\ntrain.lr,9,0.7\nmodel.hidden,9,0.001\n"

    def first(*rows: str) -> str:
        tables = {"plots/importance.csv": importance, "plots/effects.csv": EFFECTS + "".join(rows)}
        return tuning.section(reported.state(tables)).sentences[0]

    low, high = "train.lr,0.1 to 0.2,3,{},1\n", "train.lr,0.3 to 0.4,3,{},1\n"
    assert ": higher is better here; no other" in first(low.format(0.5), high.format(0.6))
    assert ": lower is better here" in first(low.format(0.6), high.format(0.5))
    middle = "train.lr,0.2 to 0.3,3,0.9,1\n"
    assert ": 0.2 to 0.3 is best here" in first(low.format(0.6), middle, high.format(0.5))
    lists = first("train.lr,[64],3,0.9,1\n", 'train.lr,"[128, 64]",3,0.5,1\n')
    assert ": [64] is best here" in lists


def test_each_figure_says_what_it_is_of_and_how_exact():
    state = reported.state(search_corrected_val_accuracy=1.0, rows_val=120)
    said = " ".join(tuning.section(state).sentences)
    assert "it has 1.000; with 120 rows that means 0.969 to 1.000 on others (95 %)." in said
    assert "from 4 new starting weights each and scored on the same validation rows: " in said
    assert "(the places of the trials, the best first; 1 is all)" in said


def test_the_best_trials_stand_in_the_order_of_the_search():
    rows = {  # best_epoch, val_loss, val_score, rung, status
        "high": "3,0.5,0.9,0,stopped",
        "loss": "3,0.4,0.8,1,done",
        "low": "3,0.6,0.8,3,done",
        "none": "3,,,3,done",
        "start": "0,0.1,0.99,3,done",
        "diverged": "3,0.1,0.95,3,diverged",
    }
    order = ["low", "diverged", "none", "high", "start", "loss"]
    text = "trial,best_epoch,val_loss,val_score,rung,status\n"
    text += "".join(f"{name},{rows[name]}\n" for name in order)
    best = tuning.section(reported.state({"trials.csv": text})).tables[-1]
    assert best.caption == "Best trials"
    assert [row[0] for row in best.rows] == ["high", "loss", "low", "none", "start", "diverged"]


def test_of_equal_trials_the_first_is_the_best():
    text = "trial,best_epoch,val_loss,val_score,rung,status\n" + "".join(
        f"{trial},1,0.5,0.9,{trial},done\n" for trial in range(3)
    )
    best = tuning.section(reported.state({"trials.csv": text})).tables[-1]
    assert [row[0] for row in best.rows] == ["0", "1", "2"]
