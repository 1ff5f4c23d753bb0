"""Figures of predictions that come in batches: sums are kept, not rows."""

from __future__ import annotations

import math

import torch
import torchmetrics.classification as metrics
from torch import Tensor

from stages.common import intervals

SMALLEST = 1e-12  # probability that enters the loss


class ClassTally:
    """Accuracy with its 95 % interval, balanced accuracy, macro F1, loss of probabilities.

    Balanced accuracy is the mean recall of the classes that the rows have.
    """

    def __init__(self, classes: int) -> None:
        self.rows, self.correct, self._loss = 0, 0, 0.0
        self._f1 = metrics.MulticlassF1Score(classes, average="macro")
        self._recall = metrics.MulticlassRecall(classes, average="none")
        self._of_class = torch.zeros(classes, dtype=torch.int64)

    def add(self, predicted: Tensor, target: Tensor) -> None:
        """Count rows: probabilities float32 (B, C) and classes int64 (B,)."""
        self.rows += len(target)
        self.correct += int((predicted.argmax(dim=1) == target).sum())
        self._loss += loss(predicted, target).sum().item()
        if len(target):
            self._f1.update(predicted, target)
            self._recall.update(predicted, target)
            self._of_class += torch.bincount(target, minlength=len(self._of_class))

    def figures(self) -> dict[str, float | int | None]:
        """Return the figures by name; there must be rows."""
        low, high = intervals.wilson(self.correct, self.rows)
        return {
            "accuracy": self.correct / self.rows,
            "accuracy_low": low,
            "accuracy_high": high,
            "balanced_accuracy": self._recall.compute()[self._of_class > 0].mean().item(),
            "macro_f1": self._f1.compute().item(),
            "loss": self._loss / self.rows,
            "rows": self.rows,
        }


class ValueTally:
    """RMSE with its 95 % interval, MAE and R2 of values."""

    def __init__(self) -> None:
        self.rows = 0
        self._squared, self._fourth, self._absolute = 0.0, 0.0, 0.0
        self._mean, self._spread = 0.0, 0.0

    def add(self, predicted: Tensor, target: Tensor) -> None:
        """Count rows: predicted and true values, float32 (B,).

        Mean and spread are joined as Chan, Golub and LeVeque (1979) do, without cancellation.
        """
        if len(target) == 0:
            return
        residual = predicted.double() - target.double()
        self._squared += residual.square().sum().item()
        self._fourth += residual.square().square().sum().item()
        self._absolute += residual.abs().sum().item()
        mean, count = target.double().mean().item(), len(target)
        spread = target.double().var(correction=0).item() * count
        shift, rows = mean - self._mean, self.rows + count
        self._spread += spread + shift * shift * self.rows * count / rows
        self._mean += shift * count / rows
        self.rows = rows

    def figures(self) -> dict[str, float | int | None]:
        """Return the figures by name; there must be rows."""
        rmse = math.sqrt(self._squared / self.rows)
        low, high = intervals.error(rmse, self._fourth / self.rows, self.rows)
        return {
            "rmse": rmse,
            "rmse_low": low,
            "rmse_high": high,
            "mae": self._absolute / self.rows,
            "r2": 1 - self._squared / self._spread if self._spread > 0 else None,
            "rows": self.rows,
        }


def loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the negative log likelihood of each row, float64 (B,)."""
    likelihood = predicted.gather(1, target[:, None]).double().clamp_min(SMALLEST)
    return -likelihood.log()[:, 0]
