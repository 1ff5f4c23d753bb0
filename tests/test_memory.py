"""Freed memory is used again: the system clears no new pages for it."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.imports import ROOT

ROUNDS, PAGES = 100, 512  # of 4 KiB: a block of 2 MiB is made and freed in each round
COUNT = f"""
import ctypes, resource, sys
import numpy as np
from stages.common import memory
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: each page is of 4 KiB
if sys.argv[1] == "keep":
    memory.keep()
np.ones({PAGES} * 512)  # the first block is new in any case
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({ROUNDS}):
    blocks = [np.ones({PAGES} * 512) for _ in range(3)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
# Left to itself the C library raises the threshold with what is freed, and the number of pages
# depends on what else lies on the heap; at its first value each block of 2 MiB is given back.
OTHERS = ("GLIBC_TUNABLES", "MALLOC_TOP_PAD_", "MALLOC_TRIM_THRESHOLD_")
FIRST = {name: value for name, value in os.environ.items() if name not in OTHERS}
FIRST["MALLOC_MMAP_THRESHOLD_"] = str(128 << 10)


def faults(how: str) -> int:
    """Return how many pages the system had to provide."""
    ended = subprocess.run(
        [sys.executable, "-c", COUNT, how],
        cwd=ROOT,
        env=FIRST,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(ended.stdout)


def test_memory_that_is_freed_is_kept_for_the_next_block():
    assert faults("keep") < 4 * PAGES
    assert faults("release") > ROUNDS * PAGES
