"""A trained model as a folder of files that need nothing of tabline, put in place together."""

from __future__ import annotations

import contextlib
import os
import pprint
import textwrap
from pathlib import Path
from string import Template
from typing import Any

from torch import nn

from stages.common import files
from stages.common.checkpoint import Checkpoint
from stages.common.errors import UserError
from stages.common.names import listed
from stages.common.schema import Category, Schema
from stages.exporting import load, programs

HERE = Path(__file__).parent
MARK = "state_dicts.pt"  # a folder that has it is an earlier export
ONNX = "model.onnx"


def write(trained: Checkpoint, folder: Path, onnx: bool) -> list[str]:
    """Write the files of a model and return their names.

    The files of an earlier export are replaced when all new ones are there, and a model.onnx
    that is not asked for is taken away: it would be another model's. UserError when the folder
    holds something else.
    """
    _check(folder)
    contents = _contents(trained, onnx)
    parts = {files.part(folder / name, str(os.getpid())): name for name in contents}
    try:
        for part, name in parts.items():
            content = contents[name]
            if isinstance(content, bytes):
                files.write_bytes(part, content)
            else:
                files.write_json(part, content)
        if not onnx:
            (folder / ONNX).unlink(missing_ok=True)
        for part, name in parts.items():
            os.replace(part, folder / name)
    finally:
        for part in parts:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
    return list(contents)


def _check(folder: Path) -> None:
    """Raise UserError when files that are no export could be overwritten."""
    if not folder.is_dir():
        return
    held = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if held and MARK not in held:
        raise UserError(
            f"{folder}: has {listed(held)} and no exported model; name a new or an empty "
            "folder with --output"
        )


def _contents(trained: Checkpoint, onnx: bool) -> dict[str, Any]:
    """Return name -> content of every file; what cannot be made is told before any is written."""
    members = [_plain(trained, index) for index in range(len(trained.stack))]
    described = _described(trained.schema, members[0])
    states = [
        {name: weight.cpu().contiguous() for name, weight in member.state_dict().items()}
        for member in members
    ]
    program = programs.traced(load.assemble(described, states))
    contents = {
        "README.md": _guide(trained.schema).encode(),
        "schema.json": described,
        MARK: files.tensor_bytes(states),
        "load.py": Path(load.__file__).read_bytes(),
        "model.pt2": programs.torch_bytes(program),
    }
    return contents | ({ONNX: programs.onnx_bytes(program)} if onnx else {})


def _plain(trained: Checkpoint, index: int) -> nn.Sequential:
    """Return a member as it answers: without dropout."""
    layers = trained.stack.member(index)
    return nn.Sequential(*(layer for layer in layers if not isinstance(layer, nn.Dropout)))


def _described(schema: Schema, member: nn.Sequential) -> dict[str, Any]:
    """Return the content of schema.json: the schema, the encoded columns, the layers."""
    return {
        **schema.model_dump(),
        "encoded": schema.feature_names,
        "network": [_layer(layer) for layer in member],
    }


def _layer(layer: nn.Module) -> dict[str, Any]:
    """Return the name of a layer in torch.nn, and its arguments."""
    options: dict[str, Any] = {}
    if isinstance(layer, nn.Linear):
        options = {"in_features": layer.in_features, "out_features": layer.out_features}
    elif isinstance(layer, nn.LeakyReLU):
        options = {"negative_slope": layer.negative_slope}
    return {"type": type(layer).__name__, "options": options}


def _guide(schema: Schema) -> str:
    """Return README.md, with a row of this table: its medians and last levels."""
    row = {
        column.name: column.levels[-1] if isinstance(column, Category) else column.fill
        for column in schema.features
    }
    if schema.task == "classification":
        answers = (
            f"(rows, {schema.n_outputs}), the probabilities of {listed(schema.target.classes)}"
        )
    else:
        answers = "(rows,), in the unit of the table"
    return Template((HERE / "guide.md").read_text(encoding="utf-8")).substitute(
        csv=schema.csv,
        target=schema.target.name,
        answers=answers,
        columns=len(schema.features),
        row=textwrap.indent(pprint.pformat(row, width=96, sort_dicts=False), " " * 4),
    )
