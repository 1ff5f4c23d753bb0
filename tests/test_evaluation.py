"""Evaluation: figures against hand-made cases, torchmetrics' own cycle and scikit-learn.

Most stacks here are linear with the identity as weight, so the features are the logits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy

from stages.common import dataset, evaluation, initialize, intervals, measurement, objective, tally
from stages.common.checkpoint import Checkpoint
from stages.common.network import Stack
from stages.common.partition import Partition
from stages.common.schema import Numeric, Schema, Target
from tests.columns import partition

BINS = 10


def schema_of(classes, features=3, counts=None, shift=0.0, scale=1.0) -> Schema:
    """Return the schema of plain numbers; no classes is a regression."""
    plain: Any = {"kind": "numeric", "shift": 0, "scale": 1, "low": None, "high": None, "fill": 0}
    plain |= {"knots": [], "scores": [], "date_format": ""}
    columns: list[Any] = [
        Numeric(name=f"x{at}", position=at, indicator=False, **plain) for at in range(features)
    ]
    target = Target(
        name="y",
        position=features,
        classes=[f"c{at}" for at in range(classes)],
        counts=counts or [1] * classes,
        shift=shift,
        scale=scale,
    )
    return Schema(
        task="classification" if classes else "regression",
        missing="fill",
        scale="none",
        features=columns,
        dropped=[],
        target=target,
    )


def figures(stack, schema, part, bins=BINS) -> evaluation.Figures:
    """Return the figures of a stack on a part."""
    return evaluation.figures(evaluation.predict(stack, schema, part.features), schema, part, bins)


def errors(stack, schema, part) -> Iterator[list[object]]:
    """Yield the rows that a stack gets wrong."""
    return evaluation.errors(stack, schema, part, evaluation.predict(stack, schema, part.features))


def linear(*weights, bias=0.0) -> Stack:
    """Return a stack of linear models with these weights (in, out)."""
    weight = torch.tensor(weights)
    return Stack(
        [weight],
        [torch.full((len(weight), 1, weight.shape[2]), bias)],
        "relu",
        torch.full((len(weight),), 0.01),
    )


def through(classes) -> Stack:
    """Return one model whose outputs are its features."""
    return linear(torch.eye(classes).tolist())


def shares(*rows, target, first_row=0) -> Partition:
    """Return rows whose features are the logits of these probabilities."""
    return Partition(
        torch.tensor(rows).log(), torch.tensor(target), first_row + torch.arange(len(rows))
    )


def values(predicted, target) -> Partition:
    """Return rows of a regression whose feature is the prediction."""
    x = torch.tensor(predicted)[:, None]
    return Partition(x, torch.tensor(target), torch.arange(len(x)))


def drawn(classes, features, members=3) -> Stack:
    keys = [(0, member) for member in range(members)]
    plain = ["default"] * members, [(0.0, 1.0)] * members, [0.01] * members
    return initialize.stack([features, 8, classes], "relu", keys, *plain)


def noise(rows, classes, features=4, seed=0) -> Partition:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, features, generator=generator)
    return Partition(x, torch.randint(classes, (rows,), generator=generator), torch.arange(rows))


THREE = shares(
    [0.7, 0.2, 0.1],
    [0.1, 0.8, 0.1],
    [0.5, 0.3, 0.2],  # wrong
    [0.2, 0.2, 0.6],
    [0.1, 0.3, 0.6],
    [0.45, 0.35, 0.2],  # wrong
    target=[0, 1, 1, 2, 2, 2],
)


def test_figures_of_classes_are_those_worked_out_by_hand():
    found = figures(through(3), schema_of(3), THREE)
    # recall of the classes: 1 of 1, 1 of 2, 2 of 3
    # F1 of the classes: 2/(2+2), 2/(2+1), 4/(4+1)
    # AUROC: class 0: 5 of 5 pairs; class 1: 1 + 6 of 8 (0.8 beats 4; 0.3 beats 2, ties 1,
    # loses to 0.35); class 2: 2 of the three beat all 3 others, 0.2 beats 2 and ties 1
    # calibration: each row is alone in its bin, but 0.6 twice
    loss = -sum(math.log(p) for p in (0.7, 0.8, 0.3, 0.6, 0.6, 0.2)) / 6
    assert found == pytest.approx(
        {
            "accuracy": 4 / 6,
            "accuracy_low": intervals.wilson(4, 6)[0],
            "accuracy_high": intervals.wilson(4, 6)[1],
            "balanced_accuracy": (1 + 1 / 2 + 2 / 3) / 3,
            "macro_f1": (1 / 2 + 2 / 3 + 4 / 5) / 3,
            "auroc": (1 + (4 + 2.5) / 8 + (3 + 3 + 2.5) / 9) / 3,
            "calibration_error": (0.3 + 0.2 + 0.5 + 2 * 0.4 + 0.45) / 6,
            "loss": loss,
            "rows": 6,
        },
        abs=1e-6,
    )


def test_the_calibration_error_is_the_gap_between_confidence_and_accuracy():
    rows = [[0.8, 0.2]] * 4
    half = shares(*rows, target=[0, 0, 1, 1])
    right = shares(*rows, target=[0, 0, 0, 0])
    schema, stack = schema_of(2), through(2)
    assert figures(stack, schema, half)["calibration_error"] == pytest.approx(0.3)
    assert figures(stack, schema, right)["calibration_error"] == pytest.approx(0.2)


@pytest.mark.parametrize(("rows", "classes"), [(200, 2), (200, 5), (15, 10)])
def test_figures_are_those_of_scikit_learn(rows, classes):
    metrics = pytest.importorskip("sklearn.metrics")
    part, stack = noise(rows, classes), drawn(classes, 4)
    found = figures(stack, schema_of(classes, 4), part)
    predicted = evaluation.predict(stack, schema_of(classes, 4), part.features)
    truth, guess = part.target.numpy(), predicted.argmax(dim=1).numpy()
    present = sorted(set(truth.tolist()))
    auroc = [metrics.roc_auc_score(truth == label, predicted[:, label]) for label in present]
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, guess))
    balanced = sum(float((guess[truth == label] == label).mean()) for label in present)
    assert found["balanced_accuracy"] == pytest.approx(balanced / len(present))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(truth, guess, average="macro"))
    assert found["auroc"] == pytest.approx(sum(auroc) / len(auroc), abs=1e-6)
    exact = predicted.double() / predicted.double().sum(dim=1, keepdim=True)
    loss = metrics.log_loss(truth, exact.numpy(), labels=range(classes))
    assert found["loss"] == pytest.approx(loss, abs=1e-5)
    if classes > 2 and len(present) == classes:
        assert found["auroc"] == pytest.approx(
            metrics.roc_auc_score(truth, exact.numpy(), multi_class="ovr", average="macro"),
            abs=1e-6,
        )


def test_torchmetrics_batch_by_batch_is_the_same_as_at_once_also_after_a_reset():
    part, stack, schema = noise(70, 5), drawn(5, 4), schema_of(5, 4)
    at_once = figures(stack, schema, part)["accuracy"]
    metric = MulticlassAccuracy(5, average="micro")
    for _ in range(2):
        for x, y in part.batches(16):
            metric.update(evaluation.predict(stack, schema, x), y)
        assert metric.compute().item() == pytest.approx(at_once)
        metric.reset()


def test_a_class_without_rows_is_left_out_of_auroc_and_of_f1():
    # class 2 is neither there nor predicted: all is as if there were two classes
    three = shares([0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1], target=[0, 1, 1])
    two = shares([0.6, 0.3], [0.5, 0.4], [0.2, 0.7], target=[0, 1, 1])
    found = figures(through(3), schema_of(3), three)
    expected = figures(through(2), schema_of(2), two)
    assert found["accuracy"] == expected["accuracy"] == pytest.approx(2 / 3)
    assert found["macro_f1"] == expected["macro_f1"] == pytest.approx(2 / 3)
    assert found["auroc"] == expected["auroc"] == 1


def test_a_class_that_is_only_predicted_counts_in_f1_and_not_in_balanced_accuracy():
    part = shares([0.6, 0.3, 0.1], [0.1, 0.3, 0.6], target=[0, 1])
    found = figures(through(3), schema_of(3), part)
    assert found["macro_f1"] == pytest.approx(1 / 3)
    assert found["balanced_accuracy"] == pytest.approx(1 / 2)


def test_the_balanced_accuracy_of_the_most_frequent_class_is_1_over_the_classes():
    part = shares(*[[0.8, 0.1, 0.1]] * 10, target=[0] * 8 + [1, 2])
    found = figures(through(3), schema_of(3), part)
    assert found["accuracy"] == pytest.approx(0.8)
    assert found["balanced_accuracy"] == pytest.approx(1 / 3)


def test_one_row_has_no_auroc_and_a_wide_interval():
    part = shares([0.6, 0.4], target=[0])
    found = figures(through(2), schema_of(2), part)
    assert found["auroc"] is None
    assert (found["accuracy"], found["rows"]) == (1, 1)
    assert (found["accuracy_low"], found["accuracy_high"]) == intervals.wilson(1, 1)


def test_a_wrong_answer_of_full_confidence_has_a_finite_loss():
    part = Partition(torch.tensor([[0.0, 1000.0]]), torch.tensor([0]), torch.arange(1))
    loss = figures(through(2), schema_of(2), part)["loss"]
    assert loss == pytest.approx(-math.log(tally.SMALLEST))


def test_loss_and_accuracy_are_those_that_are_measured_in_training():
    part, stack = noise(50, 3), drawn(3, 4)
    found = figures(stack, schema_of(3, 4), part)
    together = measurement.measure_together("classification", stack, part)
    assert (found["loss"], found["accuracy"]) == pytest.approx(together, rel=1e-5)


def test_figures_of_values_are_those_worked_out_by_hand():
    part = values([1.0, 2.0, 4.0, 3.0], [1.0, 3.0, 2.0, 6.0])
    found = figures(linear([[1.0]]), schema_of(0, 1), part)
    # residuals 0, -1, 2, -3; mean of the targets 3, squares around it 4, 0, 1, 9
    expected = {"rmse": math.sqrt(14 / 4), "mae": 6 / 4, "r2": 1 - 14 / 14, "rows": 4}
    few = {"rmse_low": None, "rmse_high": None}
    assert found == pytest.approx(expected | few)


def test_figures_of_values_are_in_the_unit_of_the_table():
    schema = schema_of(0, 1, shift=100.0, scale=10.0)
    part = values([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
    found = figures(linear([[1.0]]), schema, part)
    assert found["mae"] == pytest.approx(10)
    assert found["rmse"] == pytest.approx(10 * math.sqrt(5 / 3))
    assert found["r2"] == pytest.approx(1 - 5 / 2)
    assert evaluation.actual(schema, part).tolist() == [110, 130, 120]
    predicted = evaluation.predict(linear([[1.0]]), schema, part.features)
    assert predicted.tolist() == [110, 120, 140]


def test_r2_of_a_target_that_does_not_vary_is_not_defined():
    part = values([1.0, 2.0], [3.0, 3.0])
    assert figures(linear([[1.0]]), schema_of(0, 1), part)["r2"] is None


def test_the_baseline_is_the_most_frequent_class_of_the_training_rows():
    schema = schema_of(3, counts=[5, 9, 2])
    part = noise(40, 3)
    expected = (part.target == 1).float().mean().item()
    own = torch.eye(3)[part.target]  # all are right
    found = evaluation.baseline(schema, part, own)
    assert found["majority_accuracy"] == pytest.approx(expected)
    assert found["majority_gain"] == pytest.approx(1 - expected)


def test_the_baseline_of_values_is_the_mean_of_the_training_rows():
    schema = schema_of(0, 1, shift=100.0, scale=10.0)
    part = values([0.0, 0.0], [1.0, 2.0])
    found = evaluation.baseline(schema, part, evaluation.actual(schema, part))
    expected = math.sqrt((10**2 + 20**2) / 2)
    assert (found["mean_rmse"], found["mean_gain"]) == pytest.approx((expected, expected))


def test_members_are_averaged_as_probabilities():
    part, stack = noise(20, 3), drawn(3, 4)
    each = [stack.member(index)(part.features).softmax(dim=1) for index in range(3)]
    found = evaluation.predict(stack, schema_of(3, 4), part.features)
    assert torch.allclose(found, torch.stack(each).mean(dim=0), atol=1e-6)
    assert torch.allclose(found.sum(dim=1), torch.ones(20))
    assert not torch.allclose(found, each[0], atol=1e-3)


def test_members_of_a_regression_are_averaged_as_values():
    found = evaluation.predict(linear([[1.0]], [[3.0]]), schema_of(0, 1), torch.ones(2, 1))
    assert found.tolist() == [2, 2]


def test_prediction_does_not_depend_on_how_rows_are_cut(monkeypatch):
    part, stack = noise(23, 3), drawn(3, 4)
    whole = evaluation.predict(stack, schema_of(3, 4), part.features)
    monkeypatch.setattr(evaluation, "CHUNK", 5)
    cut = evaluation.predict(stack, schema_of(3, 4), part.features)
    assert torch.allclose(cut, whole, atol=1e-6)


@pytest.mark.parametrize(("classes", "shape"), [(3, (0, 3)), (0, (0,))])
def test_no_rows_give_no_predictions(classes, shape):
    stack = drawn(classes or 1, 4)
    assert evaluation.predict(stack, schema_of(classes, 4), torch.empty(0, 4)).shape == shape


def test_an_evaluation_draws_no_random_number_and_keeps_no_graph():
    part, stack, schema = noise(20, 3), drawn(3, 4), schema_of(3, 4)
    before, state = stack.take(torch.arange(3)), torch.get_rng_state()
    one, again = (figures(stack, schema, part) for _ in range(2))
    list(errors(stack, schema, part))
    assert one == again
    assert torch.equal(torch.get_rng_state(), state)
    assert not evaluation.predict(stack, schema, part.features).requires_grad
    for mine, theirs in zip(stack.parameters(), before.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        assert mine.grad is None


def test_errors_are_exactly_the_wrong_rows_most_confident_first():
    part = replace(THREE, row=torch.tensor([90, 81, 72, 63, 54, 45]))
    found = list(errors(through(3), schema_of(3), part))
    assert [error[:3] for error in found] == [[72, "c1", "c0"], [45, "c2", "c0"]]
    assert [error[3] for error in found] == pytest.approx([0.5, 0.45])


def test_errors_agree_with_the_accuracy_on_any_rows():
    part, stack, schema = noise(60, 4), drawn(4, 4), schema_of(4, 4)
    found = list(errors(stack, schema, part))
    accuracy = figures(stack, schema, part)["accuracy"]
    assert accuracy is not None
    assert 0 < len(found) == round(60 * (1 - accuracy))
    assert len({error[0] for error in found}) == len(found)
    assert all(error[1] != error[2] for error in found)
    confidence: list[Any] = [error[3] for error in found]
    assert confidence == sorted(confidence, reverse=True)


def test_a_model_without_errors_has_none_to_list():
    part = shares([0.7, 0.3], [0.2, 0.8], target=[0, 1])
    assert list(errors(through(2), schema_of(2), part)) == []


def test_errors_of_values_are_the_rows_by_absolute_residual():
    schema = schema_of(0, 1, shift=100.0, scale=10.0)
    part = values([1.0, 2.0, 4.0], [1.5, 3.0, 2.0])
    found = list(errors(linear([[1.0]]), schema, part))
    assert [error[:4] for error in found] == [
        [2, 120, 140, 20],
        [1, 130, 120, -10],
        [0, 115, 110, -5],
    ]


def test_top_features_are_those_with_the_largest_gradient_times_input():
    weight = [[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [-3.0, 0.0], [0.5, 0.0]]
    x = torch.tensor([[1.0, 1.0, 1.0, 1.0, 5.0], [1.0, 1.0, 1.0, -1.0, 0.0]])
    part = Partition(x, torch.tensor([1, 1]), torch.arange(2))
    # row 0, class 0: 1, 0, 2, -3, 2.5; row 1, class 0: 1, 0, 2, 3, 0
    found = list(errors(linear(weight), schema_of(2, 5), part))
    reasons = {error[0]: error[4] for error in found}
    assert reasons == {0: "x4 x2 x0", 1: "x3 x2 x0"}


@pytest.mark.parametrize("activation", ["relu", "tanh", "leaky_relu"])
@pytest.mark.parametrize("classes", [0, 3])
def test_top_features_are_those_of_automatic_differentiation(activation, classes):
    keys, bounds = [(0, member) for member in range(4)], [(0.0, 1.0)] * 4
    widths = [7, 9, 5, classes or 1]
    stack = initialize.stack(widths, activation, keys, ["default"] * 4, bounds, [0.1] * 4)
    x = torch.randn(20, 7, generator=torch.Generator().manual_seed(0)).requires_grad_()
    schema = schema_of(classes, 7)
    outputs = torch.stack([stack.member(member)(x) for member in range(4)])
    answer = objective.join(schema.task, outputs)[0].max(dim=1).values
    (gradient,) = torch.autograd.grad(answer.sum(), x)
    order = (gradient * x).argsort(dim=1, descending=True)[:, : evaluation.TOP_FEATURES]
    wanted = [[schema.feature_names[index] for index in row] for row in order.tolist()]
    assert evaluation.top_features(stack, schema, x.detach()) == wanted


def test_rows_with_the_same_features_have_the_same_answer():
    three = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    x = three[torch.arange(600) % 3]
    keys = [(0, member) for member in range(4)]
    stack = initialize.stack(
        [64, 128, 64, 10], "relu", keys, ["default"] * 4, [(0.0, 1.0)] * 4, [0.1] * 4
    )
    found = evaluation.predict(stack, schema_of(10, 64), x)
    for row in range(3):
        assert len(found[row::3].unique(dim=0)) == 1


def test_top_features_speak_for_the_answer_of_all_members():
    # one member is sure of class 0, two lean to class 1: the mean probability says 1,
    # the mean logit says 0
    sure, lean = [[20.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 2.0]]
    part = Partition(torch.ones(1, 2), torch.tensor([0]), torch.arange(1))
    (error,) = errors(linear(sure, lean, lean), schema_of(2, 2), part)
    assert error[2] == "c1"
    assert str(error[4]).split()[0] == "x1"


def test_answers_are_pairs_of_class_names_or_of_values():
    schema = schema_of(3)
    predicted = evaluation.predict(through(3), schema, THREE.features)
    pairs = evaluation.answers(schema, THREE, predicted)
    assert pairs[:3] == [("c0", "c0"), ("c1", "c1"), ("c1", "c0")]
    schema = schema_of(0, 1, shift=100.0, scale=10.0)
    pairs = evaluation.answers(schema, values([1.0], [2.0]), torch.tensor([110.0]))
    assert pairs == [(120, 110)]


def test_a_class_is_named_with_a_probability_per_class():
    predicted = torch.tensor([[0.25, 0.75], [0.5, 0.5]])
    found = list(evaluation.named(schema_of(2), predicted))
    assert found == [["c1", 0.25, 0.75], ["c0", 0.5, 0.5]]


def test_a_value_is_named_by_itself():
    values = torch.tensor([1.5, -2.5e-9, 123456.7])
    found = list(evaluation.named(schema_of(0), values))
    assert found == [["1.5"], ["-2.5e-09"], ["123456.7"]]


def test_another_model_is_compared_only_when_it_answers_the_same():
    schema, part = schema_of(3), THREE
    same = Checkpoint(through(3), schema, {})
    other = Checkpoint(through(2), schema_of(2), {})
    own = torch.eye(3)[part.target]  # all are right, of the other model's answers four
    found = evaluation.reference(same, "linear", schema, part, own)
    low, high = intervals.paired_shares(2, 0, 6)
    assert found == pytest.approx(
        {
            "linear_accuracy": 4 / 6,
            "linear_gain": 2 / 6,
            "linear_gain_low": low,
            "linear_gain_high": high,
        }
    )
    assert evaluation.reference(other, "base", schema, part, own) == {}


def test_what_the_other_model_alone_has_right_counts_against_the_gain():
    schema, part = schema_of(3), THREE
    other = Checkpoint(through(3), schema, {})
    own = torch.eye(3)[(part.target + 1) % 3]  # all are wrong
    found = evaluation.reference(other, "linear", schema, part, own)
    assert found["linear_gain"] == pytest.approx(-4 / 6)
    expected = intervals.paired_shares(0, 4, 6)
    assert (found["linear_gain_low"], found["linear_gain_high"]) == pytest.approx(expected)


def test_another_regression_is_compared_by_its_rmse():
    schema = schema_of(0, 1)
    other = Checkpoint(linear([[1.0]]), schema, {})
    part = values([1.0, 2.0], [4.0, 2.0])
    own = torch.tensor([3.0, 2.0])
    found = evaluation.reference(other, "linear", schema, part, own)
    assert found["linear_rmse"] == pytest.approx(math.sqrt(9 / 2))
    assert found["linear_gain"] == pytest.approx(math.sqrt(9 / 2) - math.sqrt(1 / 2))


def test_the_sentence_has_every_figure_that_there_is():
    found: Any = {"accuracy": 0.95, "auroc": None, "majority_accuracy": 0.1, "rows": 60}
    found |= {"accuracy_low": 0.863, "accuracy_high": 0.983}
    expected = "base on 60 test rows: accuracy 0.950 (0.863 to 0.983), majority_accuracy 0.100"
    assert evaluation.sentence("base", found) == expected
    assert evaluation.sentence("base", found, "rows") == expected.replace("test rows", "rows")


def test_probabilities_are_no_logits():
    # torchmetrics takes anything outside 0..1 for logits and would apply softmax again
    part = Partition(torch.eye(3) * 200, torch.arange(3), torch.arange(3))
    predicted = evaluation.predict(through(3), schema_of(3), part.features)
    assert predicted.min() >= 0
    assert predicted.max() <= 1


def test_the_baseline_of_a_second_table_is_the_mean_of_its_own_training_rows(
    settings, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/raw").mkdir(parents=True)
    for name, offset in (("one", 0.5), ("two", 1000.5)):
        lines = ["a,b,y", *(f"{at % 7},{at % 5},{at + offset}" for at in range(60))]
        (tmp_path / f"data/raw/{name}.csv").write_text("\n".join(lines) + "\n")
    chosen = settings.preprocess.model_copy(
        update={"csv": "data/raw/one.csv", "features": ":-1", "task": "regression"}
    )
    first = dataset.read(chosen, tmp_path / "spool")
    second = dataset.read_second(chosen, "data/raw/two.csv", first.schema, tmp_path / "spool")
    assert second is not None
    parts = [partition(second, name) for name in ("train", "test")]
    train, test = (evaluation.actual(second.schema, part) for part in parts)
    expected = (test - train.mean()).square().mean().sqrt().item()
    found = evaluation.baseline(second.schema, parts[1], test)
    assert found["mean_rmse"] == pytest.approx(expected, rel=1e-3)
