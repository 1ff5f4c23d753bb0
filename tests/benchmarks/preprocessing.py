"""Time and peak memory of preprocess and predict on generated tables, beside pandas.read_csv.

Each run is a process of its own; its peak memory is what the system counted for it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages.common import params
from tests.imports import ROOT

SIZES = (0.2, 1.0, 2.0)  # gigabytes
ROWS_PER_GB = 4_700_000
NUMBERS, LEVELS, CLASSES = 20, 3, ("no", "yes")
CHUNK = 200_000  # rows that are generated at once
READ = "import sys, pandas; pandas.read_csv(sys.argv[1])"


@dataclass(frozen=True)
class Cost:
    """Wall-clock seconds and peak memory in megabytes of a process."""

    seconds: float
    memory: float


def generate(path: Path, rows: int) -> None:
    """Write a table of numbers and categories whose target depends on two numbers."""
    draw = np.random.default_rng(0)
    levels = np.array([f"level{at}" for at in range(8)])
    for start in range(0, rows, CHUNK):
        count = min(CHUNK, rows - start)
        numbers = draw.standard_normal((count, NUMBERS)).round(6)
        columns = {f"x{at}": numbers[:, at] for at in range(NUMBERS)}
        columns |= {f"c{at}": levels[draw.integers(0, 8, count)] for at in range(LEVELS)}
        columns["y"] = np.array(CLASSES)[(numbers[:, 0] + numbers[:, 1] > 0).astype(int)]
        frame = pd.DataFrame(columns)
        frame.to_csv(path, index=False, mode="a" if start else "w", header=not start)


def cost(folder: Path, *arguments: str) -> Cost:
    """Run Python with arguments in a folder and return what it took."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, env=os.environ, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with status {process.returncode}")
    return Cost(time.perf_counter() - start, usage.ru_maxrss / 1024)


def project(folder: Path) -> None:
    """Put the stages, dvc.yaml and settings for the generated table into a folder."""
    shutil.copytree(ROOT / "stages", folder / "stages")
    shutil.copy(ROOT / "dvc.yaml", folder)
    shutil.copy(ROOT / "requirements.txt", folder)
    (folder / "data" / "raw").mkdir(parents=True)
    text = params.edit(
        params.read(ROOT / "params.yaml"),
        "preprocess",
        {"csv": "data/raw/big.csv", "features": ":-1"},
    )
    params.save(params.edit(text, "finetune", {"csv": ""}), folder / "params.yaml")


def main() -> None:
    """Print a row per size: seconds, ratio to pandas.read_csv, peak memory."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.preprocessing")
    parser.add_argument("--gigabytes", type=float, nargs="+", default=SIZES)
    sizes = parser.parse_args().gigabytes
    print("size      read_csv   preprocess   ratio   seconds per GB   peak memory   of read_csv")
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            project(folder)
            table = folder / "data" / "raw" / "big.csv"
            generate(table, int(size * ROWS_PER_GB))
            read = cost(folder, "-c", READ, str(table))
            work = cost(folder, "-m", "stages.preprocess")
            gigabytes = table.stat().st_size / 1e9
            print(
                f"{gigabytes:.2f} GB   {read.seconds:6.1f} s   {work.seconds:8.1f} s   "
                f"{work.seconds / read.seconds:5.2f}   {work.seconds / gigabytes:14.1f}   "
                f"{work.memory:8.0f} MB   {read.memory:8.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
