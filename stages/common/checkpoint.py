"""A stack with everything needed to use it, in one file.

The file is a mapping: one tensor per weight (`layer0.weight`, (K, in, out), ...) and plain
values: architecture, schema and the settings used. Loading needs no other file.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from stages.common import files
from stages.common.activations import MODULES
from stages.common.errors import UserError
from stages.common.network import Stack
from stages.common.schema import Schema
from stages.common.settings import Model, Train

FORMAT = 1  # of the file; a change of the layout raises it


@dataclass(frozen=True)
class Checkpoint:
    """A trained stack, the schema its rows were encoded with, and the settings used."""

    stack: Stack
    schema: Schema
    settings: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write the file atomically; UserError when there is no room."""
        weights = dict(self.stack.named_parameters())
        content = {
            "format": FORMAT,
            "activation": self.stack.activation,
            "widths": self.stack.widths,
            "negative_slope": self.stack.negative_slope,
            "schema": self.schema.model_dump(),
            "settings": self.settings,
        }
        files.write_tensors(path, {**weights, **content})

    def to(self, device: torch.device) -> Checkpoint:
        return Checkpoint(self.stack.to(device), self.schema, self.settings)

    def check_settings(self, path: Path) -> None:
        """Raise UserError unless the settings used are complete sections of params.yaml."""
        try:
            Model.model_validate(self.settings["model"])
            Train.model_validate(self.settings["train"])
        except (ValidationError, KeyError) as error:
            raise UserError(f"{path}: its settings are damaged; {files.remedy(path)}") from error

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint; UserError when the file is missing, damaged or foreign."""
        keys = ("format", "activation", "widths", "negative_slope", "schema", "settings")
        content = files.read_tensors(path, keys)
        remedy = files.remedy(path)
        if content["format"] != FORMAT:
            raise UserError(f"{path}: has format {content['format']}, not {FORMAT}; {remedy}")
        try:
            schema = Schema.model_validate(content["schema"])
            widths, slope = content["widths"], content["negative_slope"]
            weights, biases = _weights(content, widths, len(slope))
            if content["activation"] not in MODULES or not isinstance(content["settings"], dict):
                raise ValueError("activation or settings")
            stack = Stack(weights, biases, content["activation"], slope.clone())
        except (ValidationError, KeyError, AttributeError, TypeError, ValueError) as error:
            raise UserError(f"{path}: its weights and description differ; {remedy}") from error
        if (schema.n_features, schema.n_outputs) != (widths[0], widths[-1]):
            raise UserError(
                f"{path}: the network takes {widths[0]} features and gives {widths[-1]} outputs, "
                f"its schema has {schema.n_features} and {schema.n_outputs}; {remedy}"
            )
        return cls(stack, schema, content["settings"])


def named(path: Path, model: str) -> Checkpoint:
    """Return the model of a name, base or finetuned; UserError when nothing was fine-tuned."""
    found = Checkpoint.load(path)
    if model == "finetuned" and "finetune" not in found.settings:
        raise UserError(
            f"{path}: there was no second table, so this is the base model; take --model base, or "
            "name a second table in finetune.csv"
        )
    return found


def _weights(
    content: dict[str, Any], widths: list[int], members: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Return weights and biases of every layer; ValueError when a shape is not as described."""
    shapes = {}
    for index, (before, after) in enumerate(itertools.pairwise(widths)):
        shapes[f"layer{index}.weight"] = (members, before, after)
        shapes[f"layer{index}.bias"] = (members, 1, after)
    found = {name: value for name, value in content.items() if name.startswith("layer")}
    if not shapes or {name: tuple(value.shape) for name, value in found.items()} != shapes:
        raise ValueError("shapes")
    if any(value.dtype != torch.float32 for value in found.values()):
        raise ValueError("not float32")
    if not all(bool(value.isfinite().all()) for value in found.values()):
        raise ValueError("not finite")
    copies = {name: found[name].clone() for name in shapes}
    return (
        [copy for name, copy in copies.items() if name.endswith("weight")],
        [copy for name, copy in copies.items() if name.endswith("bias")],
    )


def read_schema(path: Path) -> dict[str, Schema]:
    """Return the schemas of the `source` table and, if there is one, the `target` table."""
    content = files.read_json(path)
    try:
        found = {table: Schema.model_validate(content[table]) for table in content}
        return {"source": found.pop("source"), **found}
    except (ValidationError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a schema of this project; {files.remedy(path)}") from error
