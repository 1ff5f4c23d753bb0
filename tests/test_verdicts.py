"""verdicts: a model against its baselines, row by row where that was measured."""

from __future__ import annotations

from typing import Any

from stages.reporting import headline, verdicts
from tests import reported

VALUES: dict[str, Any] = {
    "test_accuracy": None,
    "test_balanced_accuracy": None,
    "test_majority_accuracy": None,
    "test_linear_accuracy": None,
    "ensemble_val_accuracy": None,
    "test_linear_gain": None,
    "test_rmse": 1.5,
    "test_linear_rmse": 1.7,
    "test_mean_rmse": 3.0,
    "ensemble_val_r2": 0.7,
    "test_r2": 0.8,
}


def gain(name: str, value: float, low: float, high: float) -> dict[str, Any]:
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def test_a_gain_measured_row_by_row_decides():
    small = reported.state(**gain("test_linear_gain", -0.01, -0.05, 0.02))
    assert (
        "is shown, it is within noise: gain -0.010, 95 % interval -0.050 to +0.020, row by row."
        in " ".join(verdicts.of_model(small, ""))
    )
    untuned = reported.recorded("evaluate")["finetuned_test_base_accuracy"]
    sure = reported.state(**gain("finetuned_test_base_gain", 0.3, 0.2, 0.4))
    assert (
        f"than the base model as it is ({untuned:.3f}), by more than chance: gain +0.300, 95 % "
        "interval +0.200 to +0.400, row by row." in " ".join(verdicts.of_model(sure, "finetuned_"))
    )


def test_a_regression_is_compared_in_the_direction_of_its_error():
    first, linear, mean = verdicts.of_model(reported.state(**VALUES), "")
    assert first == "The base model has an RMSE of 1.500 on 120 test rows."
    assert linear.startswith("It is better than the linear model (1.700); by more than chance or")
    paired = VALUES | gain("test_mean_gain", 1.5, 1.2, 1.8) | gain("test_rmse", 1.5, 1.3, 1.7)
    first, _, mean = verdicts.of_model(reported.state(**paired), "")
    assert "(95 % interval 1.300 to 1.700)" in first
    assert mean.startswith(
        "It is better than the mean of the training rows (3.000), by more than chance: gain +1.500"
    )


def test_validation_stands_beside_test_also_for_r2():
    (said,) = verdicts.of_validation(reported.state(**VALUES).figures)
    assert "an R2 of 0.700, on the test rows 0.800; whether they differ" in said


def test_the_figures_of_a_regression_stand_in_the_order_of_a_classification():
    lines = [*headline.lines(reported.state(**VALUES))]
    labels = [line[:54].strip() for line in lines]
    assert labels[:4] == [
        "base model, test rows, RMSE",
        "R2",
        "linear model, RMSE",
        "mean of the training rows, RMSE",
    ]
    assert labels.index("base model, validation rows, R2") < labels.index(
        "gain over training from scratch as long, validation"
    )


def test_one_finding_is_one():
    one = [*headline.lines(reported.state(audit_findings=1))]
    assert "audit of the table: 1 finding, in metrics/audit.csv" in one


def test_a_regression_worse_than_its_baseline_is_worse():
    _, linear, _ = verdicts.of_model(reported.state(**VALUES | {"test_linear_rmse": 1.2}), "")
    assert linear.startswith("It is worse than the linear model (1.200); by more than chance or")
