"""settings: every key has one type and a range; nothing is converted, assumed or changed."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pydantic import ValidationError

from stages.common import params, space
from stages.common.settings import FIXED_IN_SEARCH, Range, Settings
from tests.imports import ROOT

REAL = params.load(ROOT / "params.yaml").model_dump()
EMPTY: dict[str, Any] = {"model": {}, "train": {}}


def with_values(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of params.yaml with some dotted keys replaced."""
    content = copy.deepcopy(REAL)
    for key, value in changes.items():
        section = content
        *above, last = key.split(".")
        for name in above:
            section = section[name]
        section[last] = value
    return content


def valid(changes: dict[str, Any]) -> Settings:
    return Settings.model_validate(with_values(changes))


def reason(changes: dict[str, Any]) -> str:
    """Return what the check says about the settings with some keys replaced."""
    with pytest.raises(ValidationError) as caught:
        valid(changes)
    return str(caught.value)


def searching(section: str, axes: dict[str, Any], method: str = "random") -> dict[str, Any]:
    """Return the changes that make a search over some axes of a section."""
    return {"search.space": EMPTY | {section: axes}, "search.method": method}


def band(low: float, high: float, scale: str = "linear") -> dict[str, Any]:
    return {"low": low, "high": high, "scale": scale}


SEED = ([0, 1, 2**31 - 1], [-1, 2**31, 1.0, True, "0", None])
COUNT = ([1, 10_000], [0, -1, 2.0, 1.5, True, "3", None])
RATE = ([1e-12, 0.5, 1, 1.0], [0, 0.0, -0.1, 1.0000001, 5, float("nan"), "0.1", True, None])
SHARE = ([0, 0.0, 0.5, 0.999999], [1, 1.0, -1e-9, float("nan"), "0.5", False, None])
TRUTH = ([True, False], [0, 1, "true", "yes", None])
CSV = (
    ["data/raw/a.csv", "data/raw/deep/a.csv", "./data/raw/a.csv", "data/raw/with blank.csv"],
    ["a.csv", "/data/raw/a.csv", "data/raw", "data/raw/../a.csv", "data/rawer/a.csv", 3, None],
)
RANGES: dict[str, tuple[list[Any], list[Any]]] = {
    "arithmetic": (["portable", "fast"], ["exact", "Fast", "", True, None]),
    "device": (["auto", "cpu", "cuda"], ["gpu", "cuda:0", 0, None]),
    "preprocess.csv": (CSV[0], [*CSV[1], ""]),
    "preprocess.encoding": (["auto", "utf-8", "cp1252"], ["", 8, None]),
    "preprocess.decimal": (["auto", ".", ","], ["", ";", "point", None]),
    "preprocess.header": (["auto", "first", "none"], ["", True, 0, None]),
    "preprocess.missing_values": ([[], ["unknown", "-999"]], ["unknown", [-999], None]),
    "preprocess.categorical": ([[], ["code", 3, -1]], ["code", [1.5], [None], None]),
    "preprocess.split.group": (["", "patient"], [0, None]),
    "preprocess.split.time": (["", "day"], [0, None]),
    "preprocess.duplicates": (["keep", "drop"], ["", False, None]),
    "preprocess.audit": (["warn", "stop", "off"], ["", False, None]),
    "preprocess.separator": ([",", ";", "\t", "|", "auto"], ["", ",,", 1, None]),
    "preprocess.features": (
        ["1:-1", ":", "2:", ":-3", "-5:-1", "a:b", "a:", ["a"], [0, "b", -1, "2:5", "a:b"]],
        ["", "1", "1:2:3", "1;2", "a", [], [1.5], [None], 3, None],
    ),
    "preprocess.target": ([-1, 0, 7, "digit", "1"], [1.5, True, ["a"], None]),
    "preprocess.task": (["auto", "classification", "regression"], ["class", None]),
    "preprocess.split.stratify": TRUTH,
    "preprocess.split.column": (["", "part"], [0, None]),
    "preprocess.missing": (["fill", "drop", "error"], ["median", None]),
    "preprocess.scale": (["standard", "robust", "quantile", "minmax", "none"], ["None", None]),
    "preprocess.seed": SEED,
    "model.hidden": ([[], [1], [8, 4], [2] * 20], [[0], [8, -1], [8.0], ["8"], [True], 8, None]),
    "model.activation": (
        ["relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "elu", "softplus", "identity"],
        ["ReLU", "softmax", "", None],
    ),
    "model.negative_slope": ([1e-9, 0.01, 0.999], [0, 1, -0.1, "0.1", None]),
    "model.dropout": SHARE,
    "model.init": (["default", "uniform", "xavier", "kaiming"], ["normal", None]),
    "model.init_low": ([-5, -0.2, 0], [100, float("-inf"), "0", None]),
    "model.init_high": ([100, 0.3], [-100, float("inf"), True, None]),
    "model.max_parameters": ([0, 52, 10**9], [-1, 1.0, False, None]),
    "train.members": COUNT,
    "train.optimizer": (["sgd", "adamw"], ["adam", "SGD", None]),
    "train.lr": RATE,
    "train.momentum": SHARE,
    "train.weight_decay": ([0, 1e-4, 1], [-1e-9, 1.001, "0", None]),
    "train.decay_bias": TRUTH,
    "train.batch_size": COUNT,
    "train.epochs": COUNT,
    "train.patience": COUNT,
    "train.noise": ([0, 0.1, 10], [-0.1, float("inf"), "0", None]),
    "train.mixup": ([0, 0.5, 1], [-0.1, 1.1, None]),
    "train.class_balance": ([0, 0.5, 1], [-0.1, 1.1, "0", True, None]),
    "train.seed": SEED,
    "evaluate.calibration_bins": ([2, 1000], [1, 1001, 10.0, None]),
    "finetune.csv": ([*CSV[0], ""], CSV[1]),
    "finetune.freeze": (
        [0, 3, ["layer0"], ["layer*", "layer1"]],
        [-1, 1.0, True, "layer0", [], [0], None],
    ),
    "finetune.lr": RATE,
    "finetune.epochs": COUNT,
    "finetune.members": COUNT,
    "finetune.seed": SEED,
    "search.method": (["random", "sobol"], ["halving", "Grid", "Sobol", None]),
    "search.trials": COUNT,
    "search.epochs": COUNT,
    "search.halving": COUNT,
    "search.engine": (["local", "ray"], ["", "dask", None]),
    "search.address": (["auto", "127.0.0.1:6379"], ["", None, 6379]),
    "search.workers": ([0, 1, 64], [-1, 1.0, True, "2", None]),
    "search.seed": SEED,
}
# Tested apart: the shares depend on each other, the space has a form of its own.
APART = {"preprocess.split.train", "preprocess.split.val", "preprocess.split.test", "search.space"}


def keys(content: dict[str, Any], prefix: str = "") -> set[str]:
    found = set()
    for name, value in content.items():
        deeper = isinstance(value, dict) and name != "space"
        found |= keys(value, f"{prefix}{name}.") if deeper else {prefix + name}
    return found


def test_the_table_of_ranges_has_every_key_of_params_yaml():
    assert set(RANGES) | APART == keys(REAL)


@pytest.mark.parametrize("key", RANGES)
def test_a_value_in_range_is_taken_as_it_is(key):
    for value in RANGES[key][0]:
        found: Any = valid({"search.space": EMPTY, key: value})
        for name in key.split("."):
            found = getattr(found, name)
        assert found == value
        assert isinstance(found, float) or type(found) is type(value), value


@pytest.mark.parametrize("key", RANGES)
def test_a_value_out_of_range_or_of_another_type_is_refused(key):
    # The order of the two bounds of starting weights is a matter of the whole section.
    named = "model" if key.startswith("model.init_") else key
    for value in RANGES[key][1]:
        assert named in reason({"search.space": EMPTY, key: value}), value


@pytest.mark.parametrize("key", sorted(keys(REAL) | set(REAL) - {"arithmetic", "device"}))
def test_every_key_is_required(key):
    content = copy.deepcopy(REAL)
    section = content
    *above, last = key.split(".")
    for name in above:
        section = section[name]
    del section[last]
    with pytest.raises(ValidationError, match="Field required"):
        Settings.model_validate(content)


PARTS = ["preprocess", "preprocess.split", "model", "train", "evaluate", "finetune", "search"]


@pytest.mark.parametrize("section", ["", *(f"{part}." for part in PARTS), "search.space."])
def test_an_unknown_key_is_refused_everywhere(section):
    assert "Extra inputs are not permitted" in reason({f"{section}extra": 1})


def test_settings_cannot_be_changed_after_the_check(settings):
    with pytest.raises(ValidationError, match="frozen"):
        settings.train.lr = 0.5
    with pytest.raises(ValidationError, match="frozen"):
        settings.device = "cpu"


@pytest.mark.parametrize(
    "shares", [(0.8, 0.1, 0.1), (0.7, 0.2, 0.1), (1 / 3, 1 / 3, 1 / 3), (0.98, 0.01, 0.01)]
)
def test_shares_that_sum_to_one_are_taken(shares):
    names = ["preprocess.split.train", "preprocess.split.val", "preprocess.split.test"]
    assert valid(dict(zip(names, shares, strict=True))).preprocess.split.val == shares[1]


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ((0.8, 0.1, 0.2), "sum to 1.1, they must sum to 1"),
        ((0.8, 0.1, 0.09999), "they must sum to 1"),
        ((0.9, 0.1, 0.0), "greater than 0"),
        ((1.0, 0.1, 0.1), "less than 1"),
        ((1.1, -0.2, 0.1), "greater than 0"),
    ],
)
def test_shares_that_do_not_sum_to_one_are_refused(shares, said):
    names = ["preprocess.split.train", "preprocess.split.val", "preprocess.split.test"]
    assert said in reason(dict(zip(names, shares, strict=True)))


def test_bounds_of_uniform_weights_are_ordered():
    assert "init_low 0.5 must be below init_high 0.5" in reason(
        {"model.init_low": 0.5, "model.init_high": 0.5}
    )


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ({"group": "a", "time": "b"}, "group and time"),
        ({"time": "a", "column": "b"}, "time and column"),
        ({"group": "a", "time": "b", "column": "c"}, "group and time and column"),
    ],
)
def test_one_rule_deals_the_rows(rules, named):
    changes = {f"preprocess.split.{key}": value for key, value in rules.items()}
    assert f"{named} cannot both deal the rows" in reason(changes)


def test_the_parts_that_a_column_names_may_be_checked_for_groups():
    found = valid({"preprocess.split.group": "a", "preprocess.split.column": "b"})
    assert (found.preprocess.split.group, found.preprocess.split.column) == ("a", "b")


# the search space


def test_axes_come_in_the_order_of_their_names():
    axes = {"train": {"noise": [0.1], "lr": band(0.1, 0.2)}, "model": {"hidden": [[1]]}}
    found = list(valid({"search.space": axes}).search.space.axes())
    assert found == [
        ("model", "hidden", [[1]]),
        ("train", "lr", Range(low=0.1, high=0.2, scale="linear")),
        ("train", "noise", [0.1]),
    ]


@pytest.mark.parametrize("method", ["grid", "random", "sobol"])
def test_a_space_of_lists_suits_every_method(method):
    axes = {"activation": ["relu", "tanh"], "hidden": [[], [8, 4]]}
    assert valid(searching("model", axes, method)).search.space.model == axes


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_a_range_suits_draws_only(scale):
    axes = {"lr": band(0.001, 0.1, scale)}
    for method in ("random", "sobol"):
        found = valid(searching("train", axes, method)).search.space.train
        assert found == {"lr": Range(**axes["lr"])}
    said = reason(searching("train", axes, "grid"))
    assert "a grid needs a list of values, not a range" in said


@pytest.mark.parametrize(
    ("section", "key", "axis", "said"),
    [
        ("model", "dropout", [0.1, 1.0], "1.0 is not valid there: input should be less than 1"),
        ("model", "dropout", [], "at least 1 item"),
        ("model", "dropout", 0.1, "valid list"),
        ("model", "hidden", [[8], 8], "8 is not valid there: input should be a valid list"),
        ("model", "hidden", [[8, 0]], "is not valid there: input should be greater than"),
        ("model", "hidden", band(1, 2, "integer"), "1 is not valid there"),
        ("model", "activation", ["relu", "ReLU"], "'ReLU' is not valid there: input should be"),
        ("train", "lr", band(0.1, 2), "2.0 is not valid there: input should be less than"),
        ("train", "lr", band(-0.1, 0.2), "-0.1 is not valid there: input should be greater"),
        ("train", "lr", band(0.2, 0.1), "low 0.2 must be below high 0.1"),
        ("train", "lr", band(0.2, 0.2), "low 0.2 must be below high 0.2"),
        ("train", "noise", band(0, 1, "log"), "a log scale needs low above 0, not 0"),
        ("train", "lr", band(0.1, 0.2, "sqrt"), "'linear', 'log' or 'integer'"),
        ("train", "lr", {"low": 0.1, "high": 0.2}, "Field required"),
        ("train", "lr", band(0.1, 0.2) | {"step": 1}, "Extra inputs"),
        ("train", "batch_size", band(8, 64), "8.0 is not valid there: input should be a valid int"),
        ("train", "batch_size", band(8, 64, "log"), "8.0 is not valid there"),
        ("train", "decay_bias", ["true"], "'true' is not valid there"),
        ("train", "hidden", [[8]], "not a setting that a search can vary"),
        ("model", "lr", [0.1], "not a setting that a search can vary"),
        ("model", "dropuot", [0.1], "not a setting that a search can vary"),
    ],
)
def test_an_axis_that_would_make_an_invalid_trial_is_refused(section, key, axis, said):
    text = reason(searching(section, {key: axis}))
    assert said in text


@pytest.mark.parametrize("key", sorted(FIXED_IN_SEARCH))
def test_what_is_fixed_in_a_search_is_no_axis(key):
    section = "model" if key == "max_parameters" else "train"
    assert key in REAL[section]
    assert "not a setting that a search can vary" in reason(searching(section, {key: [1, 2]}))


def test_whole_numbers_are_drawn_for_whole_number_settings():
    axes = {"batch_size": band(8, 64, "integer"), "patience": [3, 5]}
    found = valid({**searching("train", axes), "search.trials": 50})
    drawn = {point["train", "batch_size"] for point in space.draw(found.search, found.model)}
    assert drawn <= set(range(8, 65))
    assert len(drawn) > 10


def test_a_range_without_a_whole_number_is_refused():
    said = reason(searching("train", {"batch_size": band(8.2, 8.8, "integer")}))
    assert "whole number" in said


def test_axes_that_are_valid_alone_but_not_together_are_refused():
    axes = {"init_low": [0.05], "init_high": [0.02]}
    base = {"model.init_low": -0.1, "model.init_high": 0.1}
    assert "init_low" in reason({**base, **searching("model", axes)})
