"""The search space: grids, random draws, and points that are valid sections."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st
from pydantic import ValidationError

from stages.common import initialize, params, space
from stages.common.errors import UserError
from stages.common.settings import Model, Search, Settings, Space, Train
from tests.imports import ROOT

MODEL = params.load(ROOT / "params.yaml").model


def search_of(method="random", trials=10, seed=0, model=None, train=None) -> Search:
    axes = {"model": model or {}, "train": train or {}}
    return Search.model_validate(
        {
            "method": method,
            "trials": trials,
            "epochs": 1,
            "halving": 1,
            "workers": 1,
            "engine": "local",
            "address": "auto",
            "seed": seed,
            "space": axes,
        }
    )


def draw(search, **model) -> list[space.Point]:
    """Return the points of a search; model: settings in place of those of params.yaml."""
    return space.draw(search, MODEL.model_copy(update=model))


def ranged(low, high, scale) -> dict[str, Any]:
    return {"low": low, "high": high, "scale": scale}


def drawn(axis, trials=1000, seed=0, method="random") -> list[Any]:
    """Return the values drawn for one setting."""
    search = search_of(method, trials, seed, train={"lr": axis})
    return [point["train", "lr"] for point in draw(search)]


GRID: dict[str, Any] = {
    "model": {"hidden": [[8], [8, 4], []], "dropout": [0.0, 0.5]},
    "train": {"momentum": [0.85, 0.99], "lr": [0.01, 0.001, 0.0001]},
}
NAMES = [("model", "dropout"), ("model", "hidden"), ("train", "lr"), ("train", "momentum")]


def test_a_grid_is_the_product_over_the_sorted_names():
    points = draw(search_of("grid", 36, **GRID))
    values = [GRID[section][key] for section, key in NAMES]
    assert [tuple(point) for point in points] == [tuple(NAMES)] * 36
    assert [tuple(point.values()) for point in points] == list(itertools.product(*values))


def test_a_grid_with_room_to_spare_is_not_filled_up():
    assert draw(search_of("grid", 1000, **GRID)) == draw(search_of("grid", 36, **GRID))


def test_a_cut_grid_is_a_shuffled_part_of_the_whole():
    whole = draw(search_of("grid", 36, **GRID))
    cut = draw(search_of("grid", 12, **GRID))
    places = [whole.index(point) for point in cut]
    assert len(set(places)) == 12
    assert places != sorted(places)
    assert max(places) > 23  # spread over the grid, not its beginning
    assert draw(search_of("grid", 12, seed=1, **GRID)) != cut
    assert draw(search_of("grid", 12, **GRID)) == cut


def test_more_trials_of_a_cut_grid_keep_the_first_ones():
    few, more = (draw(search_of("grid", trials, **GRID)) for trials in (5, 20))
    assert more[:5] == few


def test_a_grid_too_large_to_list_is_refused():
    axis = list(range(1, 102))
    train: dict[str, Any] = {"batch_size": axis, "patience": axis}
    with pytest.raises(
        UserError, match=r"search.space: a grid of 1030301 points, more than 1000000; "
    ):
        draw(search_of("grid", 10, model={"hidden": [[width] for width in axis]}, train=train))


@pytest.mark.parametrize(("method", "expected"), [("grid", 1), ("random", 4), ("sobol", 4)])
def test_an_empty_space_tries_the_settings_as_they_are(method, expected, settings):
    points = draw(search_of(method, 4))
    assert points == [{}] * expected
    assert space.apply({}, settings.model, settings.train) == (settings.model, settings.train)


DRAWN = pytest.mark.parametrize("method", ["random", "sobol"])


@DRAWN
def test_the_same_seed_draws_the_same_points_and_another_seed_others(method):
    axis = ranged(0.001, 0.1, "log")
    one, again, other = (drawn(axis, 20, seed, method) for seed in (0, 0, 1))
    assert one == again != other


@DRAWN
def test_more_drawn_trials_keep_the_first_ones(method):
    axis = ranged(0.001, 0.1, "log")
    assert drawn(axis, 50, method=method)[:20] == drawn(axis, 20, method=method)


@DRAWN
def test_a_draw_leaves_the_random_numbers_of_torch_alone(method):
    before = torch.random.get_rng_state()
    drawn(ranged(0.001, 0.1, "log"), 20, method=method)
    assert torch.equal(torch.random.get_rng_state(), before)


@DRAWN
def test_settings_are_drawn_independently(method):
    axis = ranged(0.0, 1.0, "linear")
    points = draw(search_of(method, 1000, train={"noise": axis, "mixup": axis}))
    noise, mixup = ([point["train", key] for point in points] for key in ("noise", "mixup"))
    assert abs(statistics.correlation(noise, mixup)) < 0.1


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_sobol_points_fill_every_cell_of_a_space_once(axes, seed):
    """64 points: one in each 64th of one axis, in each 8 by 8 cell of two, in each 4 x 4 x 4."""
    cells = list(range(round(64 ** (1 / axes))))
    train = dict.fromkeys(("class_balance", "mixup", "noise")[:axes], cells)
    points = draw(search_of("sobol", 64, seed, train=train))
    assert len({tuple(point.values()) for point in points}) == 64


@DRAWN
def test_a_linear_range_is_drawn_evenly(method):
    values = drawn(ranged(0.85, 0.99, "linear"), method=method)
    assert 0.85 <= min(values) < 0.851
    assert 0.989 < max(values) <= 0.99
    assert statistics.quantiles(values, n=4) == pytest.approx([0.885, 0.92, 0.955], abs=0.006)


@DRAWN
def test_a_log_range_is_drawn_evenly_by_its_exponent(method):
    values = drawn(ranged(1e-6, 1e-2, "log"), method=method)
    assert 1e-6 <= min(values) < max(values) <= 1e-2
    exponents = [math.log10(value) for value in values]
    assert statistics.quantiles(exponents, n=4) == pytest.approx([-5, -4, -3], abs=0.15)


@DRAWN
def test_an_integer_range_has_both_ends_and_whole_numbers(method):
    values = drawn(ranged(2, 6, "integer"), 2000, method=method)
    assert {type(value) for value in values} == {int}
    counts = [values.count(number) for number in range(2, 7)]
    assert sum(counts) == 2000
    assert min(counts) > 330


def test_an_integer_range_with_fractions_stays_inside_them():
    assert set(drawn(ranged(1.5, 4.5, "integer"), 100)) == {2, 3, 4}


def test_an_integer_range_without_a_whole_number_is_refused():
    with pytest.raises(ValidationError, match=r"no whole number lies between 1\.2 and 1\.8"):
        drawn(ranged(1.2, 1.8, "integer"))


@DRAWN
def test_a_list_is_drawn_evenly_and_its_values_are_as_written(method):
    values = drawn(["a", [8, 4], 1e-3], 900, method=method)
    counts = [values.count(value) for value in ("a", [8, 4], 1e-3)]
    assert sum(counts) == 900
    assert min(counts) > 250


@configure(deadline=None, max_examples=60, derandomize=True)
@given(
    low=st.floats(1e-8, 1.0),
    factor=st.floats(1.0001, 1e6),
    scale=st.sampled_from(["linear", "log"]),
    seed=st.integers(0, 1000),
    method=st.sampled_from(["random", "sobol"]),
)
def test_drawn_numbers_have_four_digits_and_stay_in_range(low, factor, scale, seed, method):
    for value in drawn(ranged(low, low * factor, scale), 5, seed, method):
        assert low <= value <= low * factor
        if low < value < low * factor:
            assert value == float(f"{value:.4g}")


AXES: dict[str, Any] = {
    "model": {
        "activation": ["relu", "leaky_relu", "sigmoid"],
        "dropout": ranged(0.0, 0.9999, "linear"),
        "hidden": [[], [1], [64, 32]],
        "negative_slope": ranged(0.001, 0.9, "log"),
        "init": ["default", "xavier", "kaiming", "uniform"],
    },
    "train": {
        "optimizer": ["sgd", "adamw"],
        "lr": ranged(1e-5, 1.0, "log"),
        "momentum": ranged(0.0, 0.99999, "linear"),
        "weight_decay": ranged(1e-7, 1.0, "log"),
        "decay_bias": [True, False],
        "batch_size": ranged(1, 512, "integer"),
        "patience": ranged(1, 3, "integer"),
        "noise": ranged(0.0, 2.0, "linear"),
        "mixup": ranged(0.0, 1.0, "linear"),
        "class_balance": ranged(0.0, 1.0, "linear"),
    },
}


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_every_drawn_point_is_a_valid_pair_of_sections(method, settings):
    whole = settings.model_dump()
    whole["search"] |= {"method": method, "trials": 300, "space": AXES}
    checked = Settings.model_validate(whole)
    for point in space.draw(checked.search, checked.model):
        model, train = space.apply(point, checked.model, checked.train)
        Model.model_validate(model.model_dump())
        Train.model_validate(train.model_dump())
        found = {("model", key): value for key, value in model.model_dump().items()}
        found |= {("train", key): value for key, value in train.model_dump().items()}
        assert {name: found[name] for name in point} == point


NEEDED: dict[str, Any] = {
    "activation": ["relu", "leaky_relu"],
    "init": ["default", "uniform"],
    "init_low": ranged(-0.2, -0.1, "linear"),
    "init_high": ranged(0.1, 0.2, "linear"),
    "negative_slope": ranged(0.1, 0.2, "linear"),
}


@DRAWN
def test_a_point_leaves_out_what_its_other_settings_make_void(method):
    points = draw(search_of(method, 60, model=NEEDED))
    kinds = set()
    for point in points:
        model = {key: value for (_, key), value in point.items()}
        kinds.add((model["activation"], model["init"]))
        assert ("negative_slope" in model) == (model["activation"] == "leaky_relu")
        assert ("init_low" in model) == ("init_high" in model) == (model["init"] == "uniform")
    assert len(kinds) == 4


def test_what_the_space_does_not_vary_makes_settings_void_too():
    search = search_of(trials=4, model={"negative_slope": NEEDED["negative_slope"]})
    for activation in ("relu", "leaky_relu"):
        found = [len(point) for point in draw(search, activation=activation)]
        assert found == [activation == "leaky_relu"] * 4


def test_void_settings_do_not_shift_what_else_is_drawn():
    axes = {"dropout": ranged(0.0, 0.5, "linear")} | NEEDED
    relu, leaky = (
        draw(search_of(trials=20, model=axes | {"activation": [name]}))
        for name in ("relu", "leaky_relu")
    )
    assert [point["model", "dropout"] for point in relu] == [
        point["model", "dropout"] for point in leaky
    ]


@pytest.mark.parametrize(("name", "need"), space.NEEDS.items())
def test_a_void_setting_changes_nothing_and_one_that_is_not_void_does(name, need):
    for chosen in (getattr(MODEL, need[0]), need[1]):
        base = MODEL.model_copy(update={need[0]: chosen, "hidden": [8]})
        other = base.model_copy(update={name[1]: getattr(base, name[1]) + 0.05})
        assert (outputs(base) != outputs(other)) == (chosen == need[1])


def outputs(model: Model) -> list[float]:
    """Return what a network with a model's settings computes before it is trained."""
    stack = initialize.stack(
        [4, *model.hidden, 2],
        model.activation,
        [(0, 0)],
        [model.init],
        [(model.init_low, model.init_high)],
        [model.negative_slope],
    )
    rows = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    found: list[float] = stack(rows).flatten().tolist()
    return found


def test_a_grid_has_each_point_once():
    model = {"activation": ["relu", "leaky_relu"], "negative_slope": [0.1, 0.2]}
    points = draw(search_of("grid", 10, model=model))
    assert [list(point.values()) for point in points] == [
        ["relu"],
        ["leaky_relu", 0.1],
        ["leaky_relu", 0.2],
    ]
    cut = draw(search_of("grid", 2, model=model))
    assert len(cut) == 2
    assert all(point in points for point in cut)


def test_a_point_replaces_its_settings_and_no_other(settings):
    point = {("model", "hidden"): [3], ("train", "lr"): 0.5}
    model, train = space.apply(point, settings.model, settings.train)
    assert model == settings.model.model_copy(update={"hidden": [3]})
    assert train == settings.train.model_copy(update={"lr": 0.5})
    assert settings.train.lr != 0.5


def test_a_point_that_is_not_valid_is_one_line(settings):
    point = {("model", "init_low"): 0.5, ("model", "init_high"): 0.1}
    with pytest.raises(UserError, match=r"search\.space: .*init_low 0\.5 must be below init_high"):
        space.apply(point, settings.model, settings.train)


@pytest.mark.parametrize("method", ["grid", "random", "sobol"])
def test_values_that_are_valid_alone_but_not_together_are_refused(method, settings):
    whole = settings.model_dump()
    whole["model"] |= {"init_low": -1.0, "init_high": 1.0}
    axes = {"model": {"init_low": [-0.5, 0.5], "init_high": [0.0, 0.9]}, "train": {}}
    whole["search"] |= {"method": method, "trials": 4, "space": axes}
    with pytest.raises(
        ValidationError, match=r"init_low 0\.5 is not valid there: init_low 0\.5 must"
    ):
        Settings.model_validate(whole)


def test_axes_are_in_the_order_of_the_names():
    axes = Space.model_validate({"model": {"hidden": [[]], "dropout": [0.0]}, "train": {"lr": [1]}})
    assert [(section, key) for section, key, _ in axes.axes()] == [
        ("model", "dropout"),
        ("model", "hidden"),
        ("train", "lr"),
    ]
