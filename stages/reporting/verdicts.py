"""A model against its baselines, and validation against test rows, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.common.names import counted
from stages.reporting import alarms, spread
from stages.reporting.models import MODELS
from stages.reporting.spread import Difference
from stages.reporting.tracked import Tracked

# baselines in the keys of a model's test figures: their names
ALWAYS = {"majority": "the most frequent class", "mean": "the mean of the training rows"}
BASELINES = {
    "": {"linear": "the linear model"} | ALWAYS,
    "finetuned_": {"base": "the base model as it is"} | ALWAYS,
}


def of_model(state: Tracked, prefix: str) -> list[str]:
    """Return a model's test figure, what makes it too good, a sentence per baseline.

    Without a test figure of the base model, one sentence says so.
    """
    figures = state.figures
    rows = figures.get(f"{prefix}test_rows")
    if not rows:
        none = ["No test rows: how good the model is cannot be told."]
        return [] if prefix else state.missing("evaluate.json") or none
    unit = "accuracy" if f"{prefix}test_accuracy" in figures else "rmse"
    found = spread.interval(figures, f"{prefix}test_{unit}")
    interval = f" (95 % interval {found.shown()})" if found else ""
    measure = "an accuracy" if unit == "accuracy" else "an RMSE"
    first = (
        f"The {MODELS[prefix].name} has {measure} of {figures[f'{prefix}test_{unit}']:.3f}"
        f"{interval} on {counted(rows, 'test row')}."
    )
    against = [
        _against(figures, f"{prefix}test", short, unit, name)
        for short, name in BASELINES[prefix].items()
        if f"{prefix}test_{short}_{unit}" in figures
    ]
    return [first, *alarms.leaks(state, prefix), *against]


def _against(figures: Mapping[str, Any], test: str, short: str, unit: str, name: str) -> str:
    """Return how a model compares with a baseline, in words.

    test: how the keys of the model's test figures begin; short: the baseline in them.
    """
    said = f"{name} ({figures[f'{test}_{short}_{unit}']:.3f})"
    found = _gain(figures, test, short, unit)
    if found.value == 0:
        return f"It is as good as {said}."
    word = "better" if found.value > 0 else "worse"
    if found.clear is None:
        return f"It is {word} than {said}; by more than chance or not cannot be told."
    gain = f"gain {found.value:+.3f}, {found.basis}"
    if found.clear:
        return f"It is {word} than {said}, by more than chance: {gain}."
    return f"No difference to {said} is shown, it is within noise: {gain}."


def _gain(figures: Mapping[str, Any], test: str, short: str, unit: str) -> Difference:
    """Return a model's gain over a baseline, above 0 when it is better: row by row if measured."""
    paired = spread.interval(figures, f"{test}_{short}_gain")
    if paired:
        basis = f"95 % interval {paired.low:+.3f} to {paired.high:+.3f}, row by row"
        return Difference(paired.value, paired.low > 0 or paired.high < 0, basis)
    one, two = (
        spread.interval(figures, key) for key in (f"{test}_{unit}", f"{test}_{short}_{unit}")
    )
    if one and two and unit == "accuracy":
        return spread.of_intervals(one, two)
    more = figures[f"{test}_{unit}"] - figures[f"{test}_{short}_{unit}"]
    return Difference(more if unit == "accuracy" else -more, None, "")


def of_validation(figures: Mapping[str, Any]) -> list[str]:
    """Return what the validation figure says, beside the test figure."""
    score = "accuracy" if "ensemble_val_accuracy" in figures else "r2"
    val, test = (figures.get(f"{name}_{score}") for name in ("ensemble_val", "test"))
    if val is None:
        return []
    measure = "an accuracy" if score == "accuracy" else "an R2"
    said = (
        f"On the validation rows, which chose the epoch, the base model has {measure} of {val:.3f}"
    )
    if test is None:
        return [f"{said}: a figure that is kind to the model."]
    one, two = (spread.interval(figures, f"{name}_{score}") for name in ("ensemble_val", "test"))
    if one is None or two is None:
        return [
            f"{said}, on the test rows {test:.3f}; whether they differ by more than chance cannot "
            "be told."
        ]
    found = spread.of_intervals(one, two)
    if found.clear:
        way = "higher" if found.value > 0 else "lower"
        return [f"{said}: {way} than on the test rows by more than chance ({found.basis})."]
    return [f"{said}: the difference to the test rows is within noise ({found.basis})."]
