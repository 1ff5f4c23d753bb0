"""A model as a program that runs without its source: for torch.export, for ONNX Runtime.

Both take `cells`, float64 (rows, columns) as `load.cells` returns them, any number of rows from
1 up, and give what the model gives. The bytes depend on the model alone: no path, no clock.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

import torch
from torch.export import Dim, ExportedProgram

from stages.common.errors import UserError
from stages.exporting.load import Model

SHAPES = ({0: Dim("rows", min=1)},)
SOURCE = ("stack_trace", "nn_module_stack")  # what a node says of the code that it comes from


def traced(model: Model) -> ExportedProgram:
    """Return the model as a graph of tensor operations."""
    example = torch.zeros(2, len(model.encoder.fill), dtype=torch.float64)
    program = torch.export.export(model, (example,), dynamic_shapes=SHAPES)
    for node in program.graph.nodes:
        for key in SOURCE:  # has absolute paths
            node.meta.pop(key, None)
    return program


def torch_bytes(program: ExportedProgram) -> bytes:
    """Return the file that `torch.export.load` reads."""
    stream = io.BytesIO()
    torch.export.save(program, stream)
    return stream.getvalue()


def onnx_bytes(program: ExportedProgram) -> bytes:
    """Return the ONNX file; its output is `answers`. UserError when the extra is missing."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            "--onnx needs the packages onnx and onnxscript; run: python -m pip install '.[onnx]', "
            "or leave --onnx out"
        ) from error
    with _quiet():
        found = torch.onnx.export(
            program,
            dynamic_shapes=SHAPES,
            input_names=["cells"],
            output_names=["answers"],
            external_data=False,
            verbose=False,
        )
    assert found is not None
    content: bytes = found.model_proto.SerializeToString(deterministic=True)
    return content


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide what torch.onnx says of torch's own code and of packages that are not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # torchvision is not installed
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
            yield
    finally:
        logger.setLevel(level)
