"""Measuring: agreement with torch whatever the chunk, nothing drawn, nothing switched."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from stages.common import measurement
from stages.common.objective import Task
from tests.test_training import build, random_rows


@pytest.mark.parametrize("count", [1, 7, 30])
def test_measure_agrees_with_torch_over_the_whole_part_whatever_the_chunk(monkeypatch, count):
    monkeypatch.setattr(measurement, "CHUNK", 7)
    tasks: list[tuple[Task, int]] = [("classification", 4), ("regression", 1)]
    for task, outputs in tasks:
        part, stack = random_rows(task, count, 5, outputs, 0), build([5, 8, outputs], 3, "gelu")
        loss, score = measurement.measure(task, stack, part)
        for member in range(3):
            predicted = stack.member(member)(part.features)
            if task == "classification":
                expected = F.cross_entropy(predicted, part.target)
                hits = (predicted.argmax(dim=1) == part.target).double().mean()
                assert score[member].item() == pytest.approx(hits.item())
            else:
                expected = F.mse_loss(predicted[:, 0], part.target)
                assert score[member].item() == pytest.approx(1 - expected.item(), rel=1e-5)
            assert loss[member].item() == pytest.approx(expected.item(), rel=1e-6)


def test_measure_draws_no_random_number_and_keeps_mode_and_gradients(blobs):
    stack, part = build([6, 8, 3], 2), blobs(30)
    state, mode = torch.random.get_rng_state(), stack.training
    first = measurement.measure("classification", stack, part)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert stack.training == mode
    assert torch.is_grad_enabled()
    assert not any(figure.requires_grad for figure in first)
    assert all(p.grad is None for p in stack.parameters())
    again = measurement.measure("classification", stack, part)
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))


def test_measuring_together_is_the_loss_of_the_mean_probability(monkeypatch, blobs):
    monkeypatch.setattr(measurement, "CHUNK", 7)
    stack, part = build([6, 8, 3], 4), blobs(30)
    mean = stack(part.features).softmax(dim=-1).mean(dim=0).detach()
    loss, score = measurement.measure_together("classification", stack, part)
    assert loss == pytest.approx(F.nll_loss(mean.log(), part.target).item(), rel=1e-6)
    assert score == pytest.approx((mean.argmax(dim=1) == part.target).double().mean().item())


def test_row_scores_are_those_whose_mean_is_measured(monkeypatch, blobs):
    monkeypatch.setattr(measurement, "CHUNK", 7)
    stack, part = build([6, 8, 3], 4), blobs(30)
    found = measurement.row_scores("classification", stack, part)
    hits = stack(part.features).argmax(dim=-1) == part.target
    assert torch.equal(found, hits.float())
    assert not found.requires_grad


def test_weight_norms_leave_biases_out():
    stack = build([2, 2, 1], 2)
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.fill_(1.0)
        stack.layers[0].weight[1] = 2.0
    assert measurement.weight_norms(stack) == pytest.approx([math.sqrt(6), math.sqrt(4 * 4 + 2)])
