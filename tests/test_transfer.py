"""Transfer: what stays frozen, which control is taken, and what the gain says."""

from __future__ import annotations

import csv
import dataclasses
import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from stages.common import arms as ways
from stages.common import initialize, measurement, training, transfer
from stages.common.checkpoint import Checkpoint
from stages.common.partition import Partition
from stages.common.record import Record
from stages.common.schema import Numeric, Schema, Target
from stages.common.transfer import Gain, Transfer
from tests import plain


@pytest.fixture(autouse=True)
def one_rate(monkeypatch):
    """Controls at the base model's rate and at the fine-tuning rate only: fewer arms."""
    monkeypatch.setattr(ways, "LADDER", (1.0,))


MODEL = plain.MODEL | {"hidden": [8, 4]}
TRAIN = plain.TRAIN | {"members": 3, "weight_decay": 0.001, "epochs": 20, "patience": 20}
FINETUNE = {"freeze": 0, "lr": 0.01, "epochs": 3, "members": 3, "seed": 0}


def schema_of(*classes, features=6) -> Schema:
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


ABC = schema_of("a", "b", "c")


def similar(part: Partition) -> Partition:
    """Return rows of a second task like the first: all features moved a little."""
    return replace(part, features=part.features + 0.4)


@pytest.fixture
def make_base(make_recipe, blobs):
    """Make a base model of three members; it is trained, or has random weights."""

    def build(trained=True, **changes) -> Checkpoint:
        stack = initialize.stack(
            [6, 8, 4, 3],
            "relu",
            [(7, member) for member in range(3)],
            ["default"] * 3,
            [(-0.1, 0.1)] * 3,
            [0.01] * 3,
        )
        if trained:
            recipe = make_recipe(3, 3, epochs=20)
            fitted = training.fit("classification", stack, recipe, blobs(120), blobs(60, seed=1))
            stack = fitted.stack
        return Checkpoint(stack, ABC, {"model": MODEL, "train": TRAIN | changes})

    return build


@pytest.fixture
def run(settings, make_base, blobs):
    """Fine-tune a base model on few rows of a similar task."""

    def build(base=None, schema=ABC, rows=None, val=None, **changes) -> Transfer:
        assert set(changes) <= set(FINETUNE)
        return transfer.run(
            base or make_base(),
            schema,
            rows or similar(blobs(30, seed=2)),
            val or similar(blobs(60, seed=3)),
            settings.finetune.model_copy(update=FINETUNE | changes),
        )

    return build


def layers(stack, members) -> list[list[Any]]:
    """Return weights and biases layer by layer."""
    return [
        [layer.weight[:members].tolist(), layer.bias[:members].tolist()] for layer in stack.layers
    ]


@pytest.mark.parametrize(
    ("freeze", "still"),
    [
        (0, [False, False, False]),
        (1, [True, False, False]),
        (2, [True, True, False]),
        (["layer1"], [False, True, False]),
    ],
)
def test_frozen_layers_are_the_bytes_of_the_base_and_the_others_have_moved(
    freeze, still, run, make_base
):
    base = make_base()
    tuned = run(base, freeze=freeze).checkpoint.stack
    same = [
        mine == theirs for mine, theirs in zip(layers(tuned, 3), layers(base.stack, 3), strict=True)
    ]
    assert same == still


@pytest.mark.parametrize(
    ("freeze", "frozen"), [(0, 0), (1, 7 * 8), (2, 7 * 8 + 9 * 4), (["layer1"], 9 * 4)]
)
def test_parameters_are_counted_as_frozen_or_trainable(freeze, frozen, run):
    found = transfer.figures(run(freeze=freeze, epochs=1))
    assert found["frozen_parameters"] == frozen
    assert found["trainable_parameters"] == 7 * 8 + 9 * 4 + 5 * 3 - frozen


def test_a_frozen_layer_has_no_dropout(make_base, settings):
    base = make_base(trained=False)
    base.settings["model"] = MODEL | {"dropout": 0.5}
    arms = ways.plan(1, 3, 0.01, 0.05)
    recipe = transfer._recipe(base, arms, settings.finetune.model_copy(update=FINETUNE))
    assert recipe.dropout[0].tolist() == [0.0, 0.5]
    assert recipe.dropout[-1].tolist() == [0.5, 0.5]


def test_class_weights_are_those_of_the_second_tables_rows(make_base, run, blobs):
    """Rows that are even have weights of 1; in the uneven ones class 2 is rare."""
    rows = similar(blobs(30, seed=2))
    uneven = rows.take(((rows.target < 2) | (rows.row % 9 == 2)).nonzero()[:, 0])
    plain, balanced = make_base(), make_base(class_balance=1.0)
    for second, same in ((rows, True), (uneven, False)):
        one, other = (run(base, rows=second) for base in (plain, balanced))
        assert (one.gains == other.gains) is same
        assert (one.best == other.best) is same


def test_every_arm_and_seed_is_there(run):
    found = run(freeze=1)
    assert [arm.name for arm in found.arms] == [
        "freeze 1",
        "freeze 0",
        "freeze 2",
        "from scratch, lr 0.05",
        "from scratch, lr 0.01",
    ]
    members = [[record.member for record in best] for best in found.best]
    assert members == [list(range(at, at + 3)) for at in range(0, 15, 3)]
    assert [gain.epoch for gain in found.gains] == [0, 1, 2, 3]


def test_every_arm_trains_for_all_epochs_also_when_it_does_not_improve(run, blobs, monkeypatch):
    real, found = training.fit, []

    def fit(*given):
        found.append(real(*given))
        return found[-1]

    monkeypatch.setattr(training, "fit", fit)
    val = similar(blobs(60, seed=3))
    nothing_to_learn = replace(val, target=val.target.flip(0))
    result = run(val=nothing_to_learn, epochs=5)
    assert min(record.epoch for record in found[-1].best) < 3
    assert [record.epoch for record in found[-1].history] == sorted(list(range(6)) * 15)
    # the curve is that of every epoch, the final gain that of every member's best epoch
    best = [record.val_score for record in result.best[0]]
    assert result.final.tuned == pytest.approx(sum(best) / 3)
    assert result.gains[-1].tuned != result.final.tuned


def test_the_fine_tuned_model_is_the_arm_that_was_asked_for(run, blobs):
    found, val = run(freeze=2), similar(blobs(60, seed=3))
    assert len(found.checkpoint.stack) == 3
    loss = measurement.measure("classification", found.checkpoint.stack, val)[0]
    assert loss.tolist() == pytest.approx([record.val_loss for record in found.best[0]])


def test_the_control_is_the_arm_from_scratch_with_the_best_score_of_its_epoch(run):
    for lr, expected in ((0.001, "from scratch, lr 0.05"), (0.2, "from scratch, lr 0.2")):
        found = run(lr=lr)
        scores = {
            arm.name: sum(record.val_score for record in best) / 3
            for arm, best in zip(found.arms, found.best, strict=True)
            if arm.scratch
        }
        assert len(scores) == 2
        assert found.final.name == max(scores, key=lambda name: scores[name]) == expected
        assert found.final.control == pytest.approx(max(scores.values()))


def test_members_that_never_get_better_are_counted_and_said(run, tmp_path, capsys):
    found = run(lr=1.0, epochs=2)
    assert found.stuck == sum(record.epoch == 0 for record in found.best[0])
    found = dataclasses.replace(found, stuck=2)
    transfer.write(found, *(tmp_path / name for name in ("c.csv", "d.csv", "m.json")))
    assert "2 members never got better than the base model" in capsys.readouterr().out


def test_the_gain_is_positive_on_a_similar_task(run):
    found = run()
    assert transfer.verdict(found.final) == "positive"
    assert found.final.gain > 0.2
    assert transfer.figures(found)["transfer"] == "positive"


def test_the_gain_is_not_positive_when_the_base_model_is_random(run, make_base):
    found = run(make_base(trained=False), epochs=5, lr=0.05)
    assert transfer.verdict(found.final) != "positive"
    assert abs(found.final.gain) < 0.2


def test_a_gain_is_the_difference_of_mean_scores_with_its_paired_interval(run, blobs):
    found, val = run(), similar(blobs(60, seed=3))
    names = [arm.name for arm in found.arms]
    control = names.index(found.final.name)
    assert found.arms[control].scratch
    tuned = torch.stack(
        [
            found.checkpoint.stack.member(member)(val.features).argmax(dim=1) == val.target
            for member in range(3)
        ]
    ).float()
    scores = [record.val_score for record in found.best[control]]
    assert found.final.tuned == pytest.approx(tuned.mean().item())
    assert found.final.control == pytest.approx(sum(scores) / 3)
    assert found.final.gain == pytest.approx(found.final.tuned - found.final.control)
    assert found.final.low <= found.final.gain <= found.final.high


def test_before_the_first_epoch_the_base_model_is_scored_as_it_is(run, make_base, blobs):
    base, val = make_base(), similar(blobs(60, seed=3))
    score = measurement.measure("classification", base.stack, val)[1].mean().item()
    found = run(base)
    assert found.gains[0].tuned == pytest.approx(score)
    assert transfer.figures(found)["untuned_val_accuracy"] == pytest.approx(score)


def test_other_classes_give_a_new_head_and_no_untuned_score(run, blobs):
    found = run(schema=schema_of("d", "e"), rows=blobs(30, classes=2), val=blobs(40, classes=2))
    assert found.checkpoint.stack.widths == [6, 8, 4, 2]
    assert found.checkpoint.schema.target.classes == ["d", "e"]
    assert not found.keeps_head
    assert transfer.figures(found)["untuned_val_accuracy"] is None


def test_the_checkpoint_has_the_settings_of_both_trainings(run):
    used = run(epochs=1).checkpoint.settings
    assert (used["model"], used["train"]) == (MODEL, TRAIN)
    assert {key: used["finetune"][key] for key in FINETUNE} == FINETUNE | {"epochs": 1}


def test_two_runs_are_the_same_and_another_seed_is_another(run):
    one, again, other = run(epochs=1), run(epochs=1), run(epochs=1, seed=1)
    assert one.gains == again.gains
    assert layers(one.checkpoint.stack, 3) == layers(again.checkpoint.stack, 3)
    assert layers(one.checkpoint.stack, 3) != layers(other.checkpoint.stack, 3)


def test_an_arm_does_not_depend_on_the_other_arms(run, make_base):
    base = make_base()
    one, other = run(base, freeze=0), run(base, freeze=["layer1"])  # one arm more
    place = [arm.name for arm in other.arms].index("freeze 0")
    assert place == 1
    for mine, theirs in zip(one.best[0], other.best[place], strict=True):
        assert replace(mine, member=0) == replace(theirs, member=0)


def test_a_regression_is_fine_tuned_by_r2(run, make_base, blobs):
    def values(part: Partition) -> Partition:
        return replace(part, target=part.features[:, 0].clone())

    schema = schema_of()
    stack = initialize.stack(
        [6, 8, 1], "tanh", [(7, m) for m in range(3)], ["default"] * 3, [(0.0, 1.0)] * 3, [0.1] * 3
    )
    base = Checkpoint(stack, schema, {"model": MODEL, "train": TRAIN})
    rows, val = values(blobs(30)), values(blobs(40, seed=1))
    found = transfer.figures(run(base, schema, rows, val))
    assert {"finetune_val_r2", "control_val_r2", "untuned_val_r2"} <= set(found)


CONTROL = "from scratch, lr 0.05"


def gain(epoch=0, tuned=0.5, control=0.5, low=-0.1, high=0.1) -> Gain:
    return Gain(epoch, tuned, control, tuned - control, low, high, CONTROL)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.01, 0.2, "positive"),
        (-0.2, -0.01, "negative"),
        (-0.1, 0.1, "unclear"),
        (0.0, 0.1, "unclear"),
        (-0.1, 0.0, "unclear"),
        (0.0, 0.0, "unclear"),
    ],
)
def test_the_verdict_is_clear_only_when_the_interval_excludes_0(low, high, expected):
    assert transfer.verdict(gain(low=low, high=high)) == expected


@pytest.fixture
def result(make_base):
    """Make the result of a fine-tune with these gains per epoch."""

    def build(gains) -> Transfer:
        arms = ways.plan(1, 3, 0.01, 0.05)
        best = [
            [Record(2, 2 * place + seed, 0, 0, 0, 0.5 + place, 0.1 * seed) for seed in (1, 2)]
            for place in range(len(arms))
        ]
        final = gains[-1]
        base = make_base(trained=False)
        base.settings["finetune"] = FINETUNE
        return Transfer(base, arms, best, gains, final, keeps_head=True, stuck=0)

    return build


@pytest.mark.parametrize(
    ("tuned", "control", "expected"),
    [
        ([0.1, 0.5, 0.9], [0.1, 0.3, 0.5], 1),
        ([0.6, 0.5, 0.9], [0.1, 0.3, 0.5], 0),
        ([0.1, 0.2, 0.3], [0.1, 0.3, 0.5], None),
        ([0.1, 0.5, 0.9], [0.1, 0.6, 0.5], 2),  # the control at its best, not at its end
    ],
)
def test_epochs_to_control_is_the_first_epoch_that_reaches_its_best(
    tuned, control, expected, result
):
    pairs = enumerate(zip(tuned, control, strict=True))
    gains = [gain(epoch, ours, theirs) for epoch, (ours, theirs) in pairs]
    assert transfer.epochs_to_control(result(gains)) == expected


def test_epochs_with_a_clear_gain_are_counted_from_the_first_on(result):
    gains = [gain(0, low=0.3), gain(1, low=0.0), gain(2, low=0.1), gain(3, low=-0.1)]
    assert transfer.figures(result(gains))["transfer_clear_epochs"] == 1
    assert transfer.figures(result(gains[:2]))["transfer_clear_epochs"] == 0


def rows_of(path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_what_is_written_is_what_was_found(result, tmp_path, capsys):
    found = result([gain(0, 0.2, 0.1), gain(1, 0.8, 0.5, 0.2, 0.4)])
    paths = [tmp_path / name for name in ("curve.csv", "depths.csv", "metrics.json")]
    transfer.write(found, *paths)
    assert [list(row.values()) for row in rows_of(paths[0])] == [
        ["0", "0.2", "0.1", "0.1", "-0.1", "0.1", CONTROL],
        ["1", "0.8", "0.5", "0.3", "0.2", "0.4", CONTROL],
    ]
    depths = rows_of(paths[1])
    assert [row["arm"] for row in depths] == [arm.name for arm in found.arms]
    assert list(depths[0].values()) == ["freeze 1", "0.01", "1", "0.15", "0.1", "0.2", "0.5"]
    written = json.loads(paths[2].read_text())
    assert written["transfer_gain"] == 0.3
    assert written["epochs_to_control"] == 1
    said = capsys.readouterr().out
    assert "freeze 1, 1 epoch: val accuracy 0.800 against 0.500 from scratch, lr 0.05" in said
    assert "gain +0.300 (+0.200 to +0.400): positive transfer" in said


def test_without_a_second_table_the_same_files_have_no_rows(tmp_path):
    paths = [tmp_path / name for name in ("curve.csv", "depths.csv", "metrics.json")]
    transfer.write_nothing(*paths)
    for path, header in zip(paths, (transfer.CURVE, transfer.DEPTHS), strict=False):
        assert path.read_text() == ",".join(header) + "\n"
    assert json.loads(paths[2].read_text()) == {"transfer": "no second table"}


def test_there_are_no_more_seeds_than_the_base_model_has_members(run):
    found = run(members=5, epochs=1)
    assert {len(best) for best in found.best} == {3}
    assert len(found.checkpoint.stack) == found.checkpoint.settings["finetune"]["members"] == 3


def test_a_learning_rate_above_that_of_the_base_model_is_pointed_out(run, tmp_path, capsys):
    found = run(lr=0.2, epochs=1)
    transfer.write(found, *(tmp_path / name for name in ("curve.csv", "depths.csv", "m.json")))
    assert "finetune.lr 0.2 is above train.lr 0.05" in capsys.readouterr().out
    transfer.write(run(lr=0.05, epochs=1), *(tmp_path / name for name in ("c", "d", "m")))
    assert "is above" not in capsys.readouterr().out
