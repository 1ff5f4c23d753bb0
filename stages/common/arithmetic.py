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

ISA = "ATEN_CPU_CAPABILITY"
PORTABLE = {
    "MKL_CBWR": "COMPATIBLE",
    ISA: "avx2",
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


def current() -> Mode:
    """Return the mode that `prepare` has set."""
    portable = all(os.environ.get(name) == value for name, value in PORTABLE.items())
    return "portable" if portable else "fast"


def check(mode: Mode) -> None:
    """Import torch and say in a line when the bytes are not promised on this processor.

    Raises RuntimeError when torch was imported before `prepare` could set `mode`.
    """
    wanted = PORTABLE | ONE_THREAD if mode == "portable" else {}
    wrong = [name for name, value in wanted.items() if os.environ.get(name) != value]
    if wrong:
        raise RuntimeError(
            f"torch was imported before its arithmetic was set ({', '.join(wrong)}): "
            "import stages before torch"
        )
    doubt = processor_doubt()
    if doubt and mode == "portable":
        # ATen reads this at its first operation; code that the processor lacks would kill us
        os.environ[ISA] = "default"
        print(f"arithmetic: {doubt}: other bytes than in dvc.lock, figures agree roughly")


def processor_doubt() -> str:
    """Return why this processor cannot give the promised bytes, or nothing."""
    import torch

    found = torch.cpu.get_capabilities()
    if found["architecture"] != "x86_64":
        return f"the processor is {found['architecture']}, not x86-64"
    if not found["avx2"]:
        return f"the processor ({found['cpu_name']}) has no AVX2"
    return ""


def doubt(mode: Mode, name: str) -> str:
    """Return why the bytes of a run are not promised to be those of other machines, or nothing.

    mode, name: `arithmetic` and `device` of params.yaml.
    """
    if mode == "fast":
        return "arithmetic is fast"
    return "device is cuda" if name == "cuda" else processor_doubt()


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
