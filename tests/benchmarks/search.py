"""The search as one program beside its peers, side by side in one run, as ratios.

All train networks with hidden layers of 64 and 32 units on the default table, with batches
of 32, for 20 epochs, on two processors. Programs
run in turn, each in processes of its own, so that its arithmetic and threads are its own; the
best rate of each counts, since what else the machine does can only lower it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from typing import Any

import psutil

ROUNDS = 3
TRIALS = 64
EPOCHS = 20
START = (
    "from stages.common import arithmetic, memory; memory.keep(); "
    "arithmetic.prepare({mode!r}); from tests.benchmarks import jobs; jobs.main()"
)
MODES = ("fast", "portable")
PEERS: dict[
    str, tuple[str, tuple[int, int]]
] = {  # name of a program: its row, and how many times faster ours shall be, by mode; 0: no goal
    "sequential": ("PyTorch loop, one trial after another", (0, 0)),
    "loop": ("PyTorch loop", (25, 14)),
    "optuna": ("Optuna, that loop", (35, 20)),
    "sklearn": ("scikit-learn, without dropout", (10, 6)),
    "skorch": ("skorch", (0, 0)),
    "tune": ("Ray Tune, that loop", (0, 0)),
}
WIDTH = max(len(row) for row, _ in PEERS.values())
HALVED, SHARE, TIMES, WITHIN = 256, 3, 60, 0.005
STACKS, RATIO = (8, 16, 32, 64), 1.8
COSTS, COST_EPOCHS = (16, 64, 256, 1024), 5
EQUAL_STACKS, EQUAL_EPOCHS = (1, 8, 64), 2
SEEDS, NOISE_TRIALS, NOISE_EPOCHS, HONEST = 40, 32, 10, 0.01
LOOK = 0.2  # seconds between two looks at the memory of a process


def output(*arguments: str, memory: list[float] | None = None) -> dict[str, Any]:
    """Run Python with arguments; return the JSON object in its last line.

    memory: is given the megabytes of the process and its children, every LOOK seconds.
    """
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while memory is not None and process.poll() is None:
        memory.append(_megabytes(process.pid))
        time.sleep(LOOK)
    printed = process.stdout.read()
    if process.wait():
        raise SystemExit(f"{' '.join(arguments)} ended with status {process.returncode}")
    return json.loads(printed.splitlines()[-1])  # type: ignore[no-any-return]


def _megabytes(pid: int) -> float:
    """Return the memory of a process and its children; what they share is counted once."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            total += process.memory_full_info().pss
    except psutil.NoSuchProcess:
        pass
    return total / 2**20


def ours(job: str, *arguments: object, mode: str = "portable", **options: Any) -> dict[str, Any]:
    """Do a job of tests.benchmarks.jobs in the given arithmetic."""
    return output("-c", START.format(mode=mode), job, *map(str, arguments), **options)


def reached(ok: bool) -> str:
    """Return a word for a goal."""
    return "reached" if ok else "missed"


def peers() -> float:
    """Print a row per program; return the trial-epochs per second of the sequential loop."""
    rates: dict[str, float] = {}
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="tabline-") as folder:
        ours("prepare", folder, TRIALS)
        for _ in range(ROUNDS):
            found = {mode: ours("rate", TRIALS, mode=mode) for mode in MODES}
            for name in PEERS:
                found[name] = output("-m", "tests.benchmarks.peers", name, folder)
            for name, figures in found.items():
                rates[name] = max(rates.get(name, 0.0), figures["rate"])
                best[name] = figures["best"]
    print(f"{'':{WIDTH}}  trial-epochs/s  best val  ours, fast  goal        ours, portable  goal")
    for mode in MODES:
        print(f"{'ours, ' + mode:{WIDTH}}  {rates[mode]:14.0f}  {best[mode]:8.3f}")
    for name, (row, goals) in PEERS.items():
        times = [rates[mode] / rates[name] for mode in MODES]
        told = [
            f"{goal} {reached(each >= goal)}" if goal else ""
            for each, goal in zip(times, goals, strict=True)
        ]
        print(
            f"{row:{WIDTH}}  {rates[name]:14.0f}  {best[name]:8.3f}  {times[0]:8.1f} x  "
            f"{told[0]:10}  {times[1]:12.1f} x  {told[1]}".rstrip()
        )
    return rates["sequential"]


def halving(rate: float) -> None:
    """Print the time of a search with halving beside that of all trials one after another."""
    for mode in MODES:
        found = ours("halving", HALVED, SHARE, ROUNDS, mode=mode)
        sequential = HALVED * EPOCHS / rate
        times = sequential / found["seconds"]
        lost = found["full_best"] - found["best"]
        print(
            f"{HALVED} trials, {mode}: {found['full_seconds']:.1f} s, with halving "
            f"{found['seconds']:.1f} s, one after another in PyTorch {sequential:.0f} s: "
            f"{times:.0f} times (goal {TIMES}, {reached(times >= TIMES)}); best val accuracy "
            f"{found['full_best']:.4f}, with halving {found['best']:.4f} "
            f"(goal within {WITHIN}, {reached(lost <= WITHIN)})"
        )


def steps() -> None:
    """Print the time of a training step beside that of its matrix products alone."""
    for mode in MODES:
        for size, (step, products) in ours("steps", *STACKS, mode=mode).items():
            goal = f" (goal {RATIO}, {reached(step / products <= RATIO)})" if size == "64" else ""
            print(
                f"step of a stack of {size:>2}, {mode}: {step:.0f} us, its products "
                f"{products:.0f} us: {step / products:.2f} times{goal}"
            )


def costs() -> None:
    """Print the seconds and the memory of searches of several sizes."""
    for count in COSTS:
        memory: list[float] = []
        seconds = ours("cost", count, COST_EPOCHS, memory=memory)["seconds"]
        print(
            f"{count:4} trials of {COST_EPOCHS} epochs: {seconds / count:.4f} s per trial, "
            f"at most {max(memory):.0f} MB in 3 processes"
        )


def equality() -> None:
    """Print the one md5 of all trials' figures; end with an error when there are several."""
    sums = ours("equal", TRIALS, EQUAL_EPOCHS, *EQUAL_STACKS)
    if len(set(sums.values())) > 1:
        raise SystemExit(f"trials differ by their stacks or workers: {sums}")
    print(
        f"{TRIALS} trials alone, in stacks of 8 and of 64, by 1 and 2 workers: {sums.popitem()[1]}"
    )


def honesty() -> None:
    """Print what a search reports on labels that say nothing."""
    found = ours("honest", SEEDS, NOISE_TRIALS, NOISE_EPOCHS)
    away = abs(found["corrected"] - found["chance"])
    print(
        f"shuffled labels, {SEEDS} searches of {NOISE_TRIALS} trials: best val accuracy "
        f"{found['raw']:.4f}, corrected {found['corrected']:.4f} (standard error "
        f"{found['error']:.4f}), chance {found['chance']:.4f} (goal within {HONEST}, "
        f"{reached(away <= HONEST)})"
    )


def main() -> None:
    """Print all blocks."""
    halving(peers())
    steps()
    costs()
    equality()
    honesty()


if __name__ == "__main__":
    main()
