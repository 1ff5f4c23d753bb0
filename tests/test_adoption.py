"""adoption: the best trial's settings get into params.yaml, and nothing else changes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from stages.common import adoption, params, ranking
from stages.common.errors import UserError
from stages.common.record import Record
from stages.common.settings import Space
from stages.common.trials import Trial
from tests.imports import ROOT

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
WINNER: dict[tuple[str, str], Any] = {
    ("model", "activation"): "leaky_relu",
    ("model", "dropout"): 0.25,
    ("model", "hidden"): [48, 24, 12],
    ("train", "batch_size"): 17,
    ("train", "decay_bias"): True,
    ("train", "lr"): 1.234e-07,
    ("train", "optimizer"): "adamw",
}
LOSER = WINNER | {("train", "lr"): 0.5}


def space_of(*points: dict[tuple[str, str], Any]) -> Space:
    """Return a space whose axes are the settings of some points."""
    axes: dict[str, dict[str, Any]] = {"model": {}, "train": {}}
    for section, key in sorted(set().union(*points)):
        axes[section][key] = [None]
    return Space.model_validate(axes)


def write(folder: Path, *points: dict[tuple[str, str], Any], best: object = 1) -> None:
    """Write a params file, the table of some trials and the figures that name the best."""
    record = Record(3, 0, 0.5, 0.5, 0.5, 0.5, 0.5)
    trials = [Trial(point, 100, record) for point in points]
    ranking.write_table(folder / "trials.csv", trials, space_of(*points))
    (folder / "search.json").write_text(json.dumps({"search_best_trial": best}))
    (folder / "params.yaml").write_text(TEXT, encoding="utf-8")


def adopt(folder: Path) -> str:
    return adoption.adopt(folder / "trials.csv", folder / "search.json", folder / "params.yaml")


def refusal(folder: Path) -> str:
    """Return the error of adopting; the params file is still the same."""
    with pytest.raises(UserError) as caught:
        adopt(folder)
    assert (folder / "params.yaml").read_text(encoding="utf-8") == TEXT
    return str(caught.value)


def test_every_setting_of_the_winner_is_adopted_with_its_type(tmp_path):
    write(tmp_path, LOSER, WINNER, LOSER)
    adopt(tmp_path)
    before = params.load(ROOT / "params.yaml").model_dump()
    after = params.load(tmp_path / "params.yaml").model_dump()
    for (section, key), value in WINNER.items():
        assert (after[section][key], type(after[section][key])) == (value, type(value))
        before[section][key] = value
    assert after == before


def test_only_the_lines_of_the_settings_change_and_comments_stay(tmp_path):
    write(tmp_path, {("train", "lr"): 0.0123, ("train", "epochs"): 7}, best=0)
    adopt(tmp_path)
    rows = (tmp_path / "params.yaml").read_text(encoding="utf-8").splitlines()
    changed = [
        (old.split()[0], new.split()[1])
        for old, new in zip(TEXT.splitlines(), rows, strict=True)
        if old != new
    ]
    assert changed == [("lr:", "0.0123"), ("epochs:", "7")]


def test_the_change_is_returned_as_a_diff(tmp_path):
    write(tmp_path, {("train", "lr"): 0.0123}, best=0)
    old = params.load(ROOT / "params.yaml").train.lr
    name = tmp_path / "params.yaml"
    number = TEXT[: TEXT.index(f"\n  lr: {old}")].count("\n") + 2
    assert adopt(tmp_path).splitlines() == [
        f"--- {name}",
        f"+++ {name}",
        f"@@ -{number} +{number} @@",
        f"-  lr: {old}",
        "+  lr: 0.0123",
    ]


def test_adopting_twice_changes_nothing_the_second_time(tmp_path):
    write(tmp_path, LOSER, WINNER)
    adopt(tmp_path)
    first = (tmp_path / "params.yaml").read_bytes()
    assert adopt(tmp_path) == f"{tmp_path / 'params.yaml'}: already has the settings of trial 1"
    assert (tmp_path / "params.yaml").read_bytes() == first


@pytest.mark.parametrize("widths", [[1], [64, 32], [5, 4, 3, 2, 1]])
def test_hidden_layers_of_any_number_are_adopted(tmp_path, widths):
    write(tmp_path, {("model", "hidden"): widths}, best=0)
    adopt(tmp_path)
    assert params.load(tmp_path / "params.yaml").model.hidden == widths


def test_a_linear_winner_is_adopted(tmp_path):
    write(tmp_path, {("model", "hidden"): []}, best=0)
    adopt(tmp_path)
    assert params.load(tmp_path / "params.yaml").model.hidden == []


@pytest.mark.parametrize("value", [0.1 + 0.2, 1e-12, math.pi / 10, 1.0])
def test_a_number_is_adopted_to_its_last_digit(tmp_path, value):
    write(tmp_path, {("train", "weight_decay"): value}, best=0)
    adopt(tmp_path)
    assert params.load(tmp_path / "params.yaml").train.weight_decay == value


@pytest.mark.parametrize("best", [2, -1, "1", None])
def test_a_winner_that_is_not_in_the_table_is_the_users_error(tmp_path, best):
    write(tmp_path, LOSER, WINNER, best=best)
    assert refusal(tmp_path) == (
        f"{tmp_path / 'trials.csv'}: no trial {best} in it; run `dvc repro search`"
    )


@pytest.mark.parametrize("content", [None, "", "other\n1\n", "trial,train.lr\nfirst,0.1\n"])
def test_a_missing_or_foreign_table_is_the_users_error(tmp_path, content):
    write(tmp_path, LOSER, WINNER)
    (tmp_path / "trials.csv").unlink()
    if content is not None:
        (tmp_path / "trials.csv").write_text(content)
    assert "trials.csv: no trial 1 in it; run `dvc repro search`" in refusal(tmp_path)


def test_missing_figures_are_the_users_error(tmp_path):
    write(tmp_path, LOSER, WINNER)
    (tmp_path / "search.json").unlink()
    assert "search.json: no such file" in refusal(tmp_path)


@pytest.mark.parametrize("content", ["{}", "[]"])
def test_foreign_figures_are_the_users_error(tmp_path, content):
    write(tmp_path, LOSER, WINNER)
    (tmp_path / "search.json").write_text(content)
    assert "search.json" in refusal(tmp_path)


def test_a_missing_params_file_is_the_users_error(tmp_path):
    write(tmp_path, LOSER, WINNER)
    (tmp_path / "params.yaml").unlink()
    with pytest.raises(UserError, match=r"params\.yaml: not in this folder"):
        adopt(tmp_path)


@pytest.mark.parametrize(
    ("name", "cell"), [("train.lr", "7"), ("train.speed", "7"), ("model.lr", "1")]
)
def test_a_table_with_a_setting_that_params_yaml_cannot_have_is_the_users_error(
    tmp_path, name, cell
):
    write(tmp_path, LOSER, WINNER)
    (tmp_path / "trials.csv").write_text(f"trial,{name}\n1,{cell}\n")
    assert name in refusal(tmp_path)


def test_a_setting_that_made_no_difference_to_the_winner_stays_as_it_is(tmp_path):
    slope = {("model", "activation"): "leaky_relu", ("model", "negative_slope"): 0.3}
    write(tmp_path, slope, {("model", "activation"): "tanh"})
    assert "1,tanh,," in (tmp_path / "trials.csv").read_text()
    adopt(tmp_path)
    before = params.load(ROOT / "params.yaml").model
    after = params.load(tmp_path / "params.yaml").model
    assert after == before.model_copy(update={"activation": "tanh"})
    assert before.negative_slope != 0.3


def test_an_invalid_setting_never_reaches_the_params_file(tmp_path):
    write(tmp_path, LOSER, WINNER)
    (tmp_path / "trials.csv").write_text("trial,train.lr\n1,7\n")
    with pytest.raises((UserError, ValueError)):
        adopt(tmp_path)
    assert (tmp_path / "params.yaml").read_text(encoding="utf-8") == TEXT


def test_the_line_ends_of_the_params_file_stay(tmp_path):
    write(tmp_path, {("train", "lr"): 0.0123}, best=0)
    path = tmp_path / "params.yaml"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode())
    adopt(tmp_path)
    assert path.read_bytes().count(b"\r\n") == TEXT.count("\n")
