"""Which arithmetic torch and NumPy use, chosen before they are imported, and on which device.

`portable` gives the same bytes on any x86-64 processor with AVX2: OpenBLAS and MKL keep one
code path for all processors, ATen and oneDNN one instruction set, and one thread fixes the
order of every sum. `fast` lets each library pick what is quickest here.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Mode = Literal["portable", "fast"]

ISA = "ATEN_CPU_CAPABILITY"
BLAS = "OPENBLAS_CORETYPE"
PORTABLE = {
    BLAS: "Haswell",  # the first processors with AVX2
    "MKL_CBWR": "COMPATIBLE",
    ISA: "avx2",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
LIBRARIES = ("torch", "numpy")
NEEDED = {"avx2", "fma"}  # by that code
CPUINFO = Path("/proc/cpuinfo")
PRODUCT = "306a12841000fe6ee55aa9affea23473"  # of `_product`, by OpenBLAS's code for Haswell


def prepare(mode: Mode = "portable") -> None:
    """Set the environment that torch and NumPy read when they are imported.

    Called with the default by `import stages`, and again by `launch` with the mode of
    params.yaml. Once one of them is imported its arithmetic is fixed: nothing is changed then.
    """
    if any(library in sys.modules for library in LIBRARIES):
        return
    os.environ.update(ONE_THREAD)
    for name in PORTABLE:
        os.environ.pop(name, None)
    if mode == "portable":
        os.environ.update(_portable())


def _portable() -> dict[str, str]:
    """Return the portable settings that this processor can have.

    OpenBLAS does as it is told even where the processor lacks the instructions, which ends the
    process.
    """
    if _flags() >= NEEDED:
        return PORTABLE
    return {name: value for name, value in PORTABLE.items() if name != BLAS}


def _flags() -> set[str]:
    """Return the names of what the processor can do, as Linux gives them for x86-64."""
    try:
        with CPUINFO.open() as lines:
            return next((set(line.split()) for line in lines if line.startswith("flags")), set())
    except OSError:
        return set()


def current() -> Mode:
    """Return the mode that `prepare` has set."""
    wanted = _portable()
    portable = all(os.environ.get(name) == value for name, value in wanted.items())
    return "portable" if portable else "fast"


def check(mode: Mode) -> None:
    """Import torch and say in a line when the bytes are not promised on this processor.

    Raises RuntimeError when torch or NumPy was imported before `prepare` could set `mode`.
    """
    settings = _portable()
    wanted = (settings | ONE_THREAD) if mode == "portable" else {}
    wrong = [name for name, value in wanted.items() if os.environ.get(name) != value]
    if wrong:
        raise RuntimeError(
            "torch or numpy was imported before its arithmetic was set "
            f"({', '.join(wrong)}): import stages first"
        )
    doubt = machine_doubt()
    if doubt and mode == "portable":
        if BLAS not in settings:
            # ATen reads this at its first operation; code that the processor lacks would kill us
            os.environ[ISA] = "default"
        print(f"arithmetic: {doubt}: other bytes than in dvc.lock, figures agree roughly")


def machine_doubt() -> str:
    """Return why the bytes are not promised with this processor and NumPy, or nothing."""
    import torch

    found = torch.cpu.get_capabilities()
    if found["architecture"] != "x86_64":
        return f"the processor is {found['architecture']}, not x86-64"
    if not found["avx2"]:
        return f"the processor ({found['cpu_name']}) has no AVX2"
    return "" if _product() == PRODUCT else "NumPy's products are rounded in another way"


def _product() -> str:
    """Return a digest of a matrix product whose bytes tell by which code it was summed."""
    import numpy

    left = numpy.arange(40 * 90).reshape(40, 90) % 101 / numpy.float32(7)
    right = numpy.arange(90 * 30).reshape(90, 30) % 89 / numpy.float32(9)
    product = left.astype(numpy.float32) @ right.astype(numpy.float32)
    return hashlib.md5(product.tobytes()).hexdigest()


def versions() -> str:
    """Return the versions of the packages that compute, in words."""
    from importlib.metadata import version

    return f"torch {version('torch').partition('+')[0]} and NumPy {version('numpy')}"


def doubt(mode: Mode, name: str) -> str:
    """Return why the bytes of a run are not promised to be those of other machines, or nothing.

    mode, name: `arithmetic` and `device` of params.yaml.
    """
    if mode == "fast":
        return "arithmetic is fast"
    return "device is cuda" if name == "cuda" else machine_doubt()


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
