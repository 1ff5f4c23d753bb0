"""Column statistics and classes of the training rows: all that is needed to encode a row.

The schema is written as JSON, kept in every checkpoint, and never changes with a
validation or test row. Encoded columns, in order:

numeric   one column, scaled and held within limits; a missing value becomes the training
          median, and a second column marks it when training rows have missing values
boolean   one column, 0 or 1; missing as for numbers
category  one column per level, one for any level that training rows do not have
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from stages.common.cells import TRUTH, numbers, truth
from stages.common.errors import UserError
from stages.common.table import Columns

NUMERIC_SHARE = 0.8  # of the values: from here on a column is numeric, and the rest is junk
DECIMAL_COMMA = r"[-+]?\d+(,\d+)?"
MOST_LEVELS = 64  # of a category; rarer ones share the column of unknown levels
# An encoded number far outside what training rows have says "far out", not how far: the
# network has learnt nothing there, and a huge input would drown all others.
HELD = {"standard": (-5.0, 5.0), "minmax": (-1.0, 2.0), "none": (None, None)}
NO_VALUE = "(missing)"  # the level of a category's missing values

Frozen = ConfigDict(extra="forbid", frozen=True)


class Numeric(BaseModel):
    """A column of numbers: encoded as (value - shift) / scale, held between low and high."""

    model_config = Frozen
    kind: Literal["numeric", "boolean"]
    name: str
    position: int
    shift: float
    scale: float
    low: float | None  # None: not held
    high: float | None
    fill: float  # the training median, unscaled
    indicator: bool

    @property
    def width(self) -> int:
        return 2 if self.indicator else 1


class Category(BaseModel):
    """A column of levels: one-hot, the last column for unknown levels."""

    model_config = Frozen
    kind: Literal["category"]
    name: str
    position: int
    levels: list[str]

    @property
    def width(self) -> int:
        return len(self.levels) + 1


class Dropped(BaseModel):
    """A column that was asked for but carries nothing."""

    model_config = Frozen
    name: str
    position: int
    reason: str


class Target(BaseModel):
    """Class names in the order of the network's outputs, or mean and scale of a number.

    counts: training rows of each class.
    """

    model_config = Frozen
    name: str
    position: int
    classes: list[str]
    counts: list[int]
    shift: float = 0.0
    scale: float = 1.0


class Schema(BaseModel):
    """What encodes a row and names a prediction."""

    model_config = Frozen
    task: Literal["classification", "regression"]
    missing: Literal["fill", "drop", "error"]
    scale: Literal["standard", "minmax", "none"]
    features: list[Annotated[Numeric | Category, Field(discriminator="kind")]]
    dropped: list[Dropped]
    target: Target

    @property
    def n_features(self) -> int:
        """Width of an encoded row."""
        return sum(column.width for column in self.features)

    @property
    def n_outputs(self) -> int:
        """Width of the network's output: one logit per class, or one value."""
        return len(self.target.classes) if self.task == "classification" else 1

    @property
    def feature_names(self) -> list[str]:
        """Names of the encoded columns, `n_features` of them."""
        names = []
        for column in self.features:
            if isinstance(column, Category):
                names += [f"{column.name}={level}" for level in [*column.levels, "(unknown)"]]
            else:
                names += [column.name, f"{column.name} missing"][: column.width]
        return names


def fit(
    train: pd.DataFrame,
    columns: Columns,
    positions: dict[str, int],
    task: Literal["auto", "classification", "regression"],
    missing: Literal["fill", "drop", "error"],
    scale: Literal["standard", "minmax", "none"],
) -> Schema:
    """Return the schema of training rows (text cells, NA where there is no value)."""
    features: list[Numeric | Category] = []
    dropped: list[Dropped] = []
    for name in columns.features:
        column = _fit_column(train[name], positions[name], scale)
        (dropped if isinstance(column, Dropped) else features).append(column)  # type: ignore[arg-type]
    if not features:
        raise UserError("preprocess.features: no chosen column varies over the training rows")
    target, found = fit_target(train[columns.target], positions[columns.target], task)
    return Schema(
        task=found, missing=missing, scale=scale, features=features, dropped=dropped, target=target
    )


def _fit_column(cells: pd.Series, position: int, scale: str) -> Numeric | Category | Dropped:
    name = str(cells.name)
    values = cells.dropna()
    if values.empty:
        return Dropped(name=name, position=position, reason="no value in the training rows")
    distinct = set(values)
    if len(distinct) == 1 and len(values) == len(cells):
        return Dropped(name=name, position=position, reason="the same in every training row")
    boolean = {value.lower() for value in distinct} <= set(TRUTH) and not distinct <= {"0", "1"}
    readable = truth(values) if boolean else pd.to_numeric(values, errors="coerce")
    if readable.notna().mean() < NUMERIC_SHARE:
        if values.str.fullmatch(DECIMAL_COMMA).mean() >= NUMERIC_SHARE:
            raise UserError(
                f"row {values.index[0]}, column '{name}': numbers with a decimal comma, such as "
                f"'{values.iloc[0]}'; write them with a point"
            )
        counts = Counter(cells.fillna(NO_VALUE))
        levels = sorted(counts, key=lambda level: (-counts[level], level))[:MOST_LEVELS]
        return Category(kind="category", name=name, position=position, levels=sorted(levels))
    found = (truth(values) if boolean else numbers(values)).to_numpy()
    if (found == found[0]).all() and len(values) == len(cells):
        return Dropped(name=name, position=position, reason="the same in every training row")
    shift, unit = (0.0, 1.0) if boolean else _scaling(found, scale)
    low, high = (None, None) if boolean else HELD[scale]
    return Numeric(
        kind="boolean" if boolean else "numeric",
        name=name,
        position=position,
        shift=shift,
        scale=unit,
        low=low,
        high=high,
        fill=float(np.median(found)),
        indicator=len(values) < len(cells),
    )


def _scaling(values: NDArray[np.float64], scale: str) -> tuple[float, float]:
    if scale == "none":
        return 0.0, 1.0
    if scale == "minmax":
        shift, unit = float(values.min()), float(values.max() - values.min())
    else:
        shift, unit = float(values.mean()), float(values.std())
    return shift, unit if unit > 0 else 1.0


def detect_task(cells: pd.Series, task: str) -> Literal["classification", "regression"]:
    """Return the task: `auto` is regression when all targets are numbers, one a fraction."""
    if task == "auto":
        read = pd.to_numeric(cells, errors="coerce")
        task = "regression" if read.notna().all() and (read % 1 != 0).any() else "auto"
    return "regression" if task == "regression" else "classification"


def fit_target(
    cells: pd.Series, position: int, task: str
) -> tuple[Target, Literal["classification", "regression"]]:
    """Return the target of training rows and the task.

    Raises UserError for a constant target and for one with nearly as many classes as rows.
    """
    name, found = str(cells.name), detect_task(cells, task)
    if cells.nunique() < 2:
        raise UserError(
            f"target '{name}': every training row has the value '{cells.iloc[0]}'; there is "
            "nothing to learn, choose another target"
        )
    if found == "regression":
        shift, unit = _scaling(numbers(cells).to_numpy(), "standard")
        target = Target(
            name=name, position=position, classes=[], counts=[], shift=shift, scale=unit
        )
        return target, found
    count = Counter(cells)
    if len(count) > len(cells) / 2:
        raise UserError(
            f"target '{name}': {len(count)} classes in {len(cells)} training rows; choose another "
            "target, or set preprocess.task to regression"
        )
    classes = sorted(count, key=_natural)
    counts = [count[label] for label in classes]
    return Target(name=name, position=position, classes=classes, counts=counts), found


def _natural(text: str) -> tuple[float, str]:
    """Sort numbers by size, before text."""
    try:
        return float(text), text
    except ValueError:
        return float("inf"), text
