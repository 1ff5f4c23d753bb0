"""Loss and score per row against torch's own functions and values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stages.common import objective


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels(count: int, classes: int) -> Tensor:
    return torch.randint(classes, (count,), generator=torch.Generator().manual_seed(1))


def test_the_loss_of_classes_is_torch_cross_entropy_of_each_row_and_member():
    outputs, target = draw(3, 7, 4), labels(7, 4)
    found = objective.losses("classification", outputs, target)
    assert found.shape == (3, 7)
    for member in range(3):
        expected = F.cross_entropy(outputs[member], target, reduction="none")
        torch.testing.assert_close(found[member], expected)


def test_the_loss_of_classes_works_on_logits():
    """A softmax in the network would give at least log(e + 1) - 1 for two classes."""
    outputs = torch.tensor([[[20.0, 0.0]]])
    assert objective.losses("classification", outputs, torch.tensor([0])).item() < 1e-6
    even = objective.losses("classification", torch.zeros(1, 1, 8), torch.tensor([3]))
    assert even.item() == pytest.approx(math.log(8))


def test_the_loss_of_values_is_the_squared_error_of_each_row_and_member():
    outputs, target = draw(3, 7, 1), draw(7, seed=1)
    found = objective.losses("regression", outputs, target)
    assert found.shape == (3, 7)
    for member in range(3):
        expected = F.mse_loss(outputs[member, :, 0], target, reduction="none")
        torch.testing.assert_close(found[member], expected)


def test_the_loss_of_extreme_logits_stays_finite():
    outputs = torch.tensor([[[1e4, -1e4]]])
    assert objective.losses("classification", outputs, torch.tensor([1])).item() == 2e4


@pytest.mark.parametrize(
    ("task", "outputs", "target"),
    [
        ("classification", torch.zeros(1, 3, 2), torch.zeros(3)),
        ("classification", torch.zeros(1, 3, 2), torch.zeros(3, dtype=torch.int32)),
        ("regression", torch.zeros(1, 3, 1), torch.zeros(3, dtype=torch.int64)),
        ("regression", torch.zeros(1, 3, 1), torch.zeros(3, dtype=torch.float64)),
        ("regression", torch.zeros(1, 3, 2), torch.zeros(3)),
    ],
)
def test_a_target_of_the_wrong_type_and_an_output_of_the_wrong_width_are_refused(
    task, outputs, target
):
    with pytest.raises(AssertionError):
        objective.losses(task, outputs, target)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_targets_of_shape_rows_by_1_are_not_broadcast(task):
    width, kind = (2, torch.int64) if task == "classification" else (1, torch.float32)
    with pytest.raises((ValueError, RuntimeError, AssertionError)):
        objective.losses(task, draw(2, 3, width), torch.zeros(3, 1, dtype=kind))


def test_the_score_of_classes_is_1_where_the_largest_logit_is_the_class():
    outputs = torch.tensor(
        [[[3.0, 1.0, 2.0], [0.0, 0.0, 9.0]], [[-3.0, -1.0, -2.0], [5.0, 6.0, 7.0]]]
    )
    found = objective.scores("classification", outputs, torch.tensor([0, 2]))
    assert found.tolist() == [[1, 1], [0, 1]]


def test_the_first_of_equal_logits_is_the_answer():
    outputs = torch.tensor([[[2.0, 5.0, 5.0], [1.0, 1.0, 0.0]]])
    assert objective.scores("classification", outputs, torch.tensor([1, 0])).tolist() == [[1, 1]]
    assert objective.scores("classification", outputs, torch.tensor([2, 1])).tolist() == [[0, 0]]


def test_the_mean_score_of_standardised_values_is_r2():
    target = draw(50, seed=1)
    target = (target - target.mean()) / target.std(correction=0)
    outputs = (target + 0.5 * draw(50, seed=2))[None, :, None]
    residual = (outputs[0, :, 0] - target).square().sum()
    r2 = 1 - residual / (target - target.mean()).square().sum()
    found = objective.scores("regression", outputs, target).mean()
    torch.testing.assert_close(found, r2)
    mean = torch.full((1, 50, 1), target.mean().item())
    assert objective.scores("regression", mean, target).mean().item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("strength", [0.0, 0.3, 0.5])
def test_the_mixed_loss_of_classes_is_the_loss_against_soft_labels(strength):
    outputs, target = draw(2, 6, 4), labels(6, 4)
    partner = torch.tensor([3, 0, 5, 1, 2, 4])
    weight = torch.stack([torch.zeros(6), draw(6).sigmoid() * strength])
    found, _ = objective.training_losses("classification", outputs, target, (partner, weight))
    own, other = F.one_hot(target, 4).float(), F.one_hot(target[partner], 4).float()
    for member in range(2):
        share = weight[member, :, None]
        soft = own * (1 - share) + other * share
        expected = F.cross_entropy(outputs[member], soft, reduction="none")
        torch.testing.assert_close(found[member], expected)


def test_the_mixed_loss_of_values_has_the_gradient_of_the_loss_against_the_mixed_value():
    outputs, target = draw(2, 6, 1), draw(6, seed=1)
    partner, weight = torch.tensor([3, 0, 5, 1, 2, 4]), draw(2, 6, seed=2).sigmoid() / 2
    _, ours = objective.training_losses("regression", outputs, target, (partner, weight))
    mixed = target * (1 - weight) + target[partner] * weight
    torch.testing.assert_close(ours[..., 0], 2 * (outputs[..., 0] - mixed))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_mixing_of_strength_0_changes_nothing(task):
    outputs = draw(2, 6, 3 if task == "classification" else 1)
    target = labels(6, 3) if task == "classification" else draw(6, seed=1)
    mixing = torch.arange(5, -1, -1), torch.zeros(2, 6)
    losses, gradient = objective.training_losses(task, outputs, target)
    mixed_losses, mixed_gradient = objective.training_losses(task, outputs, target, mixing)
    assert torch.equal(losses, objective.losses(task, outputs, target))
    assert torch.equal(mixed_losses, losses)
    assert torch.equal(mixed_gradient, gradient)


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("rows", [1, 6, 32])
def test_gradients_are_those_of_automatic_differentiation(task, mixed, weighed, rows):
    outputs = draw(3, rows, 4 if task == "classification" else 1).requires_grad_()
    target = labels(rows, 4) if task == "classification" else draw(rows, seed=1)
    mixing = (torch.arange(rows - 1, -1, -1), draw(3, rows, seed=2).sigmoid() / 2)
    weights = draw(3, 4, seed=3).exp() if weighed and task == "classification" else None
    losses, gradient = objective.training_losses(
        task, outputs, target, mixing if mixed else None, weights
    )
    (true,) = torch.autograd.grad(losses.sum(), outputs)
    torch.testing.assert_close(gradient, true)


@pytest.mark.parametrize("rows", [1, 5, 29])
def test_losses_and_gradients_have_the_same_bytes_alone_and_in_any_stack(rows):
    outputs, target = draw(20, rows, 7) * 5, labels(rows, 7)
    whole = objective.training_losses("classification", outputs, target)
    for member in range(20):
        alone = objective.training_losses("classification", outputs[[member]], target)
        for ours, theirs in zip(alone, whole, strict=True):
            assert ours[0].numpy().tobytes() == theirs[member].numpy().tobytes()


def test_mixing_of_strength_0_does_not_read_a_partners_infinite_loss():
    outputs, target = torch.tensor([[[1e15], [1e15]]]), torch.tensor([0.0, -3e38])
    plain = objective.losses("regression", outputs, target)
    assert plain.isinf().tolist() == [[False, True]]
    mixing = torch.tensor([1, 0]), torch.zeros(1, 2)
    losses, gradient = objective.training_losses("regression", outputs, target, mixing)
    assert torch.equal(losses, plain)
    assert torch.equal(gradient, objective.training_losses("regression", outputs, target)[1])


def test_class_weights_are_those_worked_out_by_hand():
    """Six rows of class 0, two of class 1, none of class 2, four of class 3."""
    target = torch.tensor([0] * 6 + [1] * 2 + [3] * 4)
    found = objective.class_weights("classification", target, 4, torch.tensor([0.0, 0.5, 1.0]))
    assert found is not None
    assert found.dtype == torch.float32
    even = [12 / (3 * 6), 12 / (3 * 2), 1, 12 / (3 * 4)]
    assert found[0].tolist() == [1, 1, 1, 1]
    assert found[1].tolist() == pytest.approx([(1 + weight) / 2 for weight in even])
    assert found[2].tolist() == pytest.approx(even)
    torch.testing.assert_close(found[:, target].mean(dim=1), torch.ones(3))


def test_without_balance_and_for_values_there_are_no_class_weights():
    assert objective.class_weights("classification", labels(9, 3), 3, torch.zeros(2)) is None
    assert objective.class_weights("regression", draw(9), 1, torch.ones(2)) is None


def test_the_weighted_loss_is_torch_cross_entropy_with_weights_of_each_row_and_member():
    outputs, target, weights = draw(3, 7, 4), labels(7, 4), draw(3, 4, seed=2).exp()
    found, _ = objective.training_losses("classification", outputs, target, None, weights)
    for member in range(3):
        expected = F.cross_entropy(outputs[member], target, weights[member], reduction="none")
        torch.testing.assert_close(found[member], expected)


def test_under_mixing_each_of_the_two_losses_has_the_weight_of_its_own_class():
    outputs, target, weights = draw(2, 6, 4), labels(6, 4), draw(2, 4, seed=2).exp()
    partner, share = torch.tensor([3, 0, 5, 1, 2, 4]), draw(2, 6, seed=3).sigmoid() / 2
    mixing = partner, share
    found, _ = objective.training_losses("classification", outputs, target, mixing, weights)
    assert len(set(target.tolist())) > 2
    for member in range(2):
        own, other = (
            F.cross_entropy(outputs[member], classes, weights[member], reduction="none")
            for classes in (target, target[partner])
        )
        expected = own * (1 - share[member]) + other * share[member]
        torch.testing.assert_close(found[member], expected)


def test_the_joint_prediction_of_classes_is_the_mean_probability():
    outputs, target = draw(3, 5, 4), labels(5, 4)
    joint = objective.join("classification", outputs)
    assert joint.shape == (1, 5, 4)
    mean = outputs.softmax(dim=-1).mean(dim=0)
    torch.testing.assert_close(joint[0].softmax(dim=-1), mean)
    loss = objective.losses("classification", joint, target)[0]
    torch.testing.assert_close(loss, -mean[torch.arange(5), target].log())
    hits = objective.scores("classification", joint, target)[0]
    assert torch.equal(hits, (mean.argmax(dim=1) == target).float())


def test_the_joint_prediction_of_values_is_their_mean():
    outputs = torch.tensor([[[1.0], [2.0]], [[3.0], [6.0]]])
    assert objective.join("regression", outputs).tolist() == [[[2.0], [4.0]]]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_joint_prediction_of_one_member_is_its_own(task):
    outputs = draw(1, 6, 3 if task == "classification" else 1)
    target = labels(6, 3) if task == "classification" else draw(6, seed=1)
    joint = objective.join(task, outputs)
    for figure in (objective.losses, objective.scores):
        torch.testing.assert_close(figure(task, joint, target), figure(task, outputs, target))


def test_a_class_that_every_member_rules_out_has_a_large_but_finite_loss():
    joint = objective.join("classification", torch.tensor([[[1000.0, 0.0]], [[900.0, 0.0]]]))
    loss = objective.losses("classification", joint, torch.tensor([1])).item()
    assert 80 < loss < 100
