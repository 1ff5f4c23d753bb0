"""Which arithmetic torch uses, chosen before torch is imported, and on which device.

`portable` gives the same bytes on any x86-64 processor with AVX2: MKL keeps one code
path for all processors, ATen and oneDNN one instruction set, and one thread fixes the
order of every sum. `fast` lets each library pick what is quickest here.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Mode = Literal["portable", "fast"]

PORTABLE = {
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def prepare(mode: Mode = "portable") -> None:
    """Set the environment that torch reads when it is imported.

    Called with the default by `import stages`, and again by `launch` with the mode of
    params.yaml. Once torch is imported its arithmetic is fixed: nothing is changed then.
    """
    if "torch" in sys.modules:
        return
    os.environ.update(ONE_THREAD)
    for name, value in PORTABLE.items():
        if mode == "portable":
            os.environ[name] = value
        else:
            os.environ.pop(name, None)


def check(mode: Mode) -> None:
    """Raise RuntimeError when torch was imported before `prepare` could set `mode`."""
    wanted = PORTABLE | ONE_THREAD
    wrong = [name for name, value in wanted.items() if os.environ.get(name) != value]
    if mode == "portable" and wrong:
        raise RuntimeError(
            f"torch was imported before its arithmetic was set ({', '.join(wrong)}): "
            "import stages before torch"
        )


def device(name: str, mode: Mode) -> torch.device:
    """Return the device of a run.

    `auto` is the GPU when there is one and the arithmetic is fast: a GPU sums in an
    order of its own, so portable bytes need the CPU. A GPU asked for by name is used,
    with a line that says what it costs.
    """
    import torch

    if name == "auto":
        name = "cuda" if mode == "fast" and torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        from stages.common.errors import UserError

        raise UserError("params.yaml: device is cuda, but torch finds no GPU; set device to auto")
    if name == "cuda" and mode == "portable":
        print("device: cuda: the same bytes on another machine are not promised on a GPU")
    return torch.device(name)
