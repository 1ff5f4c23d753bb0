"""Kill the pipeline at random instants; every rerun must end with the bytes of a whole run.

usage: python -m tests.chaos [--kills 200] [--seed 0] [--only RUN]

A run kills the same command one to three times and then lets it finish. Between kills the
settings may change to others and back, and the resume states may be torn, as a power
failure tears files. Each row can be run again by its number.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.chaos.trials import WORKERS, Trial, prepare, run


def main() -> int:
    """Print a row per run and a closing line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of a run to do again")
    given = parser.parse_args()
    begun = time.monotonic()
    plans: list[Trial] = []
    with tempfile.TemporaryDirectory(prefix="tabline-chaos-") as name:
        project = prepare(Path(name).resolve())
        generator = random.Random(given.seed)
        while sum(len(plan.kills) for plan in plans) < given.kills:
            plans.append(project.plan(len(plans), random.Random(generator.random())))
        chosen = [plan for plan in plans if given.only in (None, plan.number)]
        with ThreadPoolExecutor(WORKERS) as pool:
            done = []
            for result in pool.map(lambda plan: run(project, plan), chosen):
                print(result, flush=True)
                done.append(result)
    kills = sum(len(result.trial.kills) for result in done)
    bad = [result.trial.number for result in done if result.wrong]
    print(
        f"{kills} kills in {len(done)} runs: {len(done) - len(bad)} runs ended with the bytes of "
        f"an uninterrupted one; {sum(result.resumed for result in done)} went on from a saved "
        f"state, {sum(result.ignored for result in done)} ignored one that was torn or stale; "
        f"{time.monotonic() - begun:.0f} s"
    )
    if bad:
        print(f"not the same: {bad}; run one again with --seed {given.seed} --only NUMBER")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
