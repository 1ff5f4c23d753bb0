"""Column statistics and classes of the training rows: all that is needed to encode a row.

The schema is written as JSON, kept in every checkpoint, and never changes with a
validation or test row. Encoded columns, in order:

numeric   one column, scaled and held within limits; a missing value becomes the training
          median, and a second column marks it when training rows have missing values
boolean   one column, 0 or 1; missing as for numbers
date      one column, days since 1970, as for numbers
category  one column per level, one for any other level: rare in the training rows, or unseen
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

NO_VALUE = "(missing)"  # the level of a category's missing values

Frozen = ConfigDict(extra="forbid", frozen=True)
Scale = Literal["standard", "robust", "quantile", "minmax", "none"]
Missing = Literal["fill", "drop", "error"]
Task = Literal["classification", "regression"]


class Numeric(BaseModel):
    """A column of numbers: encoded as (value - shift) / scale, held between low and high.

    With knots, which rise, the encoded number is interpolated between the scores of the
    knots instead.
    """

    model_config = Frozen
    kind: Literal["numeric", "boolean", "date"]
    name: str
    position: int
    shift: float
    scale: float
    low: float | None  # None: not held
    high: float | None
    knots: list[float] = []  # empty: not used
    scores: list[float] = []
    date_format: str = ""  # empty: no date
    fill: float  # the training median, unscaled
    indicator: bool

    @property
    def width(self) -> int:
        return 2 if self.indicator else 1


class Category(BaseModel):
    """A column of levels: one-hot, the last column for every other level."""

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
    """What encodes a row and names a prediction.

    csv: the table that it was fitted to; missing_values: cells that have no value, beside
    those that never have one.
    """

    model_config = Frozen
    csv: str = ""
    missing_values: list[str] = []
    task: Task
    missing: Missing
    scale: Scale
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
                names += [f"{column.name}={level}" for level in [*column.levels, "(other)"]]
            else:
                names += [column.name, f"{column.name} missing"][: column.width]
        return names
