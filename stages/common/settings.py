"""The sections of params.yaml as checked, frozen objects.

Every key is required and every value has one type: what the file does not say, the code
does not assume. The meaning of a key is the comment above it in params.yaml.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

BOUNDS = ("init_low", "init_high")
FIXED_IN_SEARCH = frozenset({"members", "epochs", "seed", "max_parameters"})
LONGEST_NAME = 200  # of a file
MOST_CHECKED = 4096  # combinations of a search space that are checked together
PARTS = ("train", "val", "test")  # of the rows of a table
RAW = "data/raw"  # the folder of tables: DVC tracks it as one dependency of preprocess

Activation = Literal[
    "relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "elu", "softplus", "identity"
]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, le=1)]


class Section(BaseModel):
    """A section: no unknown key, no conversion of types, no change after the check."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Split(Section):
    """Shares of the rows, or the column that names each row's part."""

    train: Annotated[float, Field(gt=0, lt=1)]
    val: Annotated[float, Field(gt=0, lt=1)]
    test: Annotated[float, Field(gt=0, lt=1)]
    stratify: bool
    group: str
    time: str
    column: str

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        chosen = [key for key in ("group", "time", "column") if getattr(self, key)]
        if len(chosen) > 1 and chosen != ["group", "column"]:
            raise ValueError(f"{' and '.join(chosen)} cannot both deal the rows; empty one")
        return self

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"train, val and test sum to {total:g}, they must sum to 1")
        return self


class Preprocess(Section):
    """From a CSV file to tensors."""

    csv: str
    encoding: Annotated[str, Field(min_length=1)]
    separator: Literal["auto"] | Annotated[str, Field(min_length=1, max_length=1)]
    decimal: Literal["auto", ".", ","]
    header: Literal["auto", "first", "none"]
    missing_values: list[str]
    features: str | Annotated[list[str | int], Field(min_length=1)]
    categorical: list[str | int]
    target: int | str
    task: Literal["auto", "classification", "regression"]
    split: Split
    missing: Literal["fill", "drop", "error"]
    duplicates: Literal["keep", "drop"]
    scale: Literal["standard", "robust", "quantile", "minmax", "none"]
    audit: Literal["warn", "stop", "off"]
    seed: Seed

    @field_validator("csv")
    @classmethod
    def _csv_is_tracked(cls, value: str) -> str:
        return _in_raw(value)

    @field_validator("features")
    @classmethod
    def _slice_is_readable(cls, value: str | list[str | int]) -> str | list[str | int]:
        if isinstance(value, str) and value.count(":") != 1:
            raise ValueError(f"'{value}' is no slice such as 1:-1; for names give a list")
        return value


class Model(Section):
    """The network between the input and output widths, which the data fix."""

    hidden: list[Count]
    activation: Activation
    negative_slope: Annotated[float, Field(gt=0, lt=1)]
    dropout: Share
    init: Literal["default", "uniform", "xavier", "kaiming"]
    init_low: float
    init_high: float
    max_parameters: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> Self:
        if self.init_low >= self.init_high:
            raise ValueError(
                f"init_low {self.init_low:g} must be below init_high {self.init_high:g}"
            )
        return self


class Train(Section):
    """How the stack is trained."""

    members: Count
    optimizer: Literal["sgd", "adamw"]
    lr: Rate
    momentum: Share
    weight_decay: Annotated[float, Field(ge=0, le=1)]
    decay_bias: bool
    batch_size: Count
    epochs: Count
    patience: Count
    noise: Annotated[float, Field(ge=0)]
    mixup: Annotated[float, Field(ge=0, le=1)]
    class_balance: Annotated[float, Field(ge=0, le=1)]
    seed: Seed


class Evaluate(Section):
    """Figures on test rows."""

    calibration_bins: Annotated[int, Field(ge=2, le=1000)]


class Finetune(Section):
    """Fine-tuning on a second table."""

    csv: str
    freeze: Annotated[int, Field(ge=0)] | Annotated[list[str], Field(min_length=1)]
    lr: Rate
    epochs: Count
    members: Count
    seed: Seed

    @field_validator("csv")
    @classmethod
    def _csv_is_tracked(cls, value: str) -> str:
        return _in_raw(value) if value else value


class Range(Section):
    """An interval of values. `log` draws the exponent uniformly, `integer` whole numbers."""

    low: float
    high: float
    scale: Literal["linear", "log", "integer"]

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}")
        if self.scale == "integer" and math.ceil(self.low) > math.floor(self.high):
            raise ValueError(f"no whole number lies between {self.low:g} and {self.high:g}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"a log scale needs low above 0, not {self.low:g}")
        return self

    def ends(self) -> list[float] | list[int]:
        """Return the lowest and highest value that can be drawn."""
        if self.scale == "integer":
            return [math.ceil(self.low), math.floor(self.high)]
        return [self.low, self.high]


def _tag(axis: Any) -> str:
    return "range" if isinstance(axis, dict | Range) else "values"


Axis = Annotated[
    Annotated[list[Any], Field(min_length=1), Tag("values")] | Annotated[Range, Tag("range")],
    Discriminator(_tag),
]


class Space(Section):
    """Settings of `model` and `train` that a search varies."""

    model: dict[str, Axis]
    train: dict[str, Axis]

    def axes(self) -> Iterator[tuple[str, str, list[Any] | Range]]:
        """Yield (section, key, axis) in the order of the names."""
        for section, axes in (("model", self.model), ("train", self.train)):
            for key in sorted(axes):
                yield section, key, axes[key]


class Search(Section):
    """Which trials are run."""

    method: Literal["grid", "random", "sobol", "tpe"]
    trials: Count
    epochs: Count
    halving: Count
    engine: Literal["local", "ray"]
    workers: Annotated[int, Field(ge=0)]
    address: Annotated[str, Field(min_length=1)]
    space: Space
    seed: Seed


class Settings(Section):
    """All of params.yaml."""

    arithmetic: Literal["portable", "fast"]
    device: Literal["auto", "cpu", "cuda"]
    preprocess: Preprocess
    model: Model
    train: Train
    evaluate: Evaluate
    finetune: Finetune
    search: Search

    @model_validator(mode="after")
    def _every_trial_is_valid(self) -> Self:
        samples: dict[str, dict[str, list[Any]]] = {"model": {}, "train": {}}
        for section, key, axis in self.search.space.axes():
            base: BaseModel = getattr(self, section)
            names = set(type(base).model_fields) - FIXED_IN_SEARCH
            if key not in names:
                close = difflib.get_close_matches(key, names, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise _misplaced(section, key, f"not a setting that a search can vary{hint}")
            if isinstance(axis, Range) and self.search.method == "grid":
                text = "a grid needs a list of values, not a range; or set search.method to random"
                raise _misplaced(section, key, text)
            samples[section][key] = axis.ends() if isinstance(axis, Range) else axis
            for value in () if key in BOUNDS else samples[section][key]:  # checked together
                _check_point(section, base, {key: value})
        for section, axes in samples.items():
            for values in itertools.islice(itertools.product(*axes.values()), MOST_CHECKED):
                point = dict(zip(axes, values, strict=True))
                _check_point(section, getattr(self, section), point)
        return self


def _check_point(section: str, base: BaseModel, point: dict[str, Any]) -> None:
    """Raise the error of a search space when a section is not valid with a point in it."""
    try:
        type(base).model_validate(base.model_dump() | point)
    except ValidationError as error:
        reason = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        key = next(iter(point)) if len(point) == 1 else ""
        values = ", ".join(repr(v) if key else f"{name} {v!r}" for name, v in point.items())
        text = f"{values} is not valid there: {reason[0].lower()}{reason[1:]}"
        raise _misplaced(section, key, text) from error


def _misplaced(section: str, key: str, reason: str) -> PydanticCustomError:
    path = ["search", "space", section, *([key] if key else [])]
    return PydanticCustomError("space", "{reason}", {"reason": reason, "path": path})


def _in_raw(value: str) -> str:
    path = PurePosixPath(value)
    if not value.isprintable() or len(path.name) > LONGEST_NAME:
        raise ValueError(
            f"{value[:60]!r}: a file has a name of at most {LONGEST_NAME} printable characters; "
            "rename the table"
        )
    if ".." in path.parts or PurePosixPath(RAW) not in path.parents:
        raise ValueError(f"'{value}' is not in {RAW}; copy the table there, DVC tracks that folder")
    return value
