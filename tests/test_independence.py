"""The same bytes whatever surrounds a run: variables, cores, locale, folder, other runs."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.emulation import processors
from tests.emulation.comparison import Result


@dataclass(frozen=True)
class Surroundings:
    """What a run may find: variables of the shell, its folder, its cores, who may read files."""

    variables: dict[str, str] = field(default_factory=dict)
    folder: str = "."
    cores: int = 2
    umask: int = 0o022


PLAIN = Surroundings({"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0"})
OTHERS = {
    "another user": Surroundings(
        {
            "OMP_NUM_THREADS": "4",
            "MKL_NUM_THREADS": "4",
            "PYTHONHASHSEED": "1",
            "LC_ALL": "C",
            "TZ": "Asia/Kathmandu",
        },
        folder="with spaces/größer 表/" + "deep/" * 20,
        cores=1,
        umask=0o077,
    ),
    "settings of the libraries": Surroundings(
        {
            "MKL_CBWR": "AVX2",
            "MKL_DYNAMIC": "FALSE",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
            "MKL_DOMAIN_NUM_THREADS": "MKL_DOMAIN_ALL=2",
            "ATEN_CPU_CAPABILITY": "default",
            "ONEDNN_MAX_CPU_ISA": "ALL",
            "DNNL_MAX_CPU_ISA": "ALL",
            "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
            "KMP_AFFINITY": "compact",
            "OMP_DYNAMIC": "TRUE",
            "OMP_PROC_BIND": "TRUE",
            "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1",
            "OPENBLAS_CORETYPE": "Nehalem",
            "OPENBLAS_L2_SIZE": "64",
            "OPENBLAS_BLOCK_FACTOR": "50",
            "LC_ALL": "de_DE.UTF-8",
            "PYTHONHASHSEED": "random",
            "PYTHONOPTIMIZE": "2",
        }
    ),
    "other code for the same functions": Surroundings(
        {
            # what the C library's and NumPy's functions use on an older processor, and
            # memory that is never zero by chance
            "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4:glibc.malloc.perturb=165",
            "NPY_DISABLE_CPU_FEATURES": "X86_V3",
            "THP_MEM_ALLOC_ENABLE": "1",
            "LC_ALL": "tr_TR.UTF-8",
        }
    ),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, Result]:
    """The outputs of all scenarios in each of the surroundings, two runs at a time."""
    folder = tmp_path_factory.mktemp("runs")
    with ThreadPoolExecutor(2) as pool:
        running = {
            name: pool.submit(run, folder / str(number), surroundings)
            for number, (name, surroundings) in enumerate({"plain": PLAIN, **OTHERS}.items())
        }
        return {name: future.result() for name, future in running.items()}


def run(folder: Path, surroundings: Surroundings) -> Result:
    place = folder / surroundings.folder
    place.mkdir(parents=True)
    # Of this thread; the process it starts inherits them.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(os.getpid()))[: surroundings.cores])
    return processors.run(
        processors.NATIVE,
        ["--untraced"],
        surroundings.variables | {"TMPDIR": str(place)},
        umask=surroundings.umask,
    )


@pytest.mark.parametrize("name", OTHERS)
def test_all_outputs_are_the_same_bytes_in_other_surroundings(results, name):
    plain = results["plain"].outputs
    assert sum(map(len, plain.values())) > 80
    assert results[name].outputs == plain
