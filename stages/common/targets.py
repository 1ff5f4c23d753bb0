"""The target: its task, and its classes or its mean and spread in the training rows."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from stages.common import cells
from stages.common.cells import Cells
from stages.common.errors import UserError
from stages.common.schema import Target, Task
from stages.common.spool import Spool


def detect_task(blocks: Iterable[Cells], task: str) -> Task:
    """Return the task: `auto` is regression when all targets are numbers, one a fraction."""
    if task != "auto":
        return "regression" if task == "regression" else "classification"
    fraction = False
    for block in blocks:
        values = block.values[~block.missing]
        if block.texts is not None:
            values = cells.parsed(block.texts)[np.unique(values)]
        if not np.isfinite(values).all():
            return "classification"
        fraction = fraction or bool((values % 1 != 0).any())
    return "regression" if fraction else "classification"


def fit(spool: Spool, name: str, train: NDArray[np.bool_], task: Task) -> Target:
    """Return the target of the training rows, which `train` marks, bool (rows,).

    Raises UserError for a constant target and for one with nearly as many classes as rows.
    """
    position = spool.names.index(name)
    if task == "regression":
        parts = [cells.numbers(block)[Spool.part(train, block)] for block in spool.blocks(name)]
        values = np.concatenate(parts)
        first = cells.written(float(values[0]))
        _check_varies(name, float(values.min()) != float(values.max()), first)
        shift, unit = float(values.mean()), float(values.std()) or 1.0  # of tiny values it is 0
        return Target(name=name, position=position, classes=[], counts=[], shift=shift, scale=unit)
    column = spool.column(name, train).as_texts()
    texts = column.texts or ()
    count = dict(zip(texts, np.bincount(column.values, minlength=len(texts)).tolist(), strict=True))
    _check_varies(name, len(count) > 1, texts[0])
    if len(count) > len(column) / 2:
        raise UserError(
            f"target '{name}': {len(count)} classes in {len(column)} training rows; choose another "
            "target, or set preprocess.task to regression"
        )
    classes = sorted(count, key=_natural)
    counts = [count[label] for label in classes]
    return Target(name=name, position=position, classes=classes, counts=counts)


def _check_varies(name: str, varies: bool, value: object) -> None:
    if not varies:
        raise UserError(
            f"target '{name}': every training row has the value '{value}'; there is "
            "nothing to learn, choose another target"
        )


def _natural(text: str) -> tuple[float, str]:
    """Sort numbers by size, before text."""
    try:
        number = float(text)
    except ValueError:
        number = math.inf
    return (number if math.isfinite(number) else math.inf), text
