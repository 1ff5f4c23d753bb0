"""What the promises cost: portable arithmetic against fast, and resume states against none.

Both sides of a ratio are measured in turn in one run; the least time of each counts, since
what else the machine does can only add to it.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from pathlib import Path

import stages  # noqa: F401  isort: skip
from stages.common import dataset, ensemble, outputs, params, resume
from stages.common.graph import Declared
from stages.common.resume import Saves
from stages.common.settings import Settings
from tests.columns import partition
from tests.project import copy_project, run

STAGES = ("preprocess", "train", "finetune", "evaluate", "search")
MODES = ("fast", "portable")
ROUNDS = 3


def stage_seconds(folder: Path) -> dict[tuple[str, str], float]:
    """Return the least wall-clock seconds of each stage and mode, imports and all."""
    text = params.read(folder / "params.yaml")
    found: dict[tuple[str, str], float] = {}
    for _ in range(ROUNDS):
        for mode in MODES:
            chosen = re.sub(r"(?m)^arithmetic: .*$", f"arithmetic: {mode}", text)
            params.save(chosen, folder / "params.yaml")
            for stage in STAGES:
                start = time.perf_counter()
                run(folder, "python", "-m", f"stages.{stage}")
                taken = time.perf_counter() - start
                found[stage, mode] = min(taken, found.get((stage, mode), taken))
    return found


def training_seconds(settings: Settings, saves: Saves | None) -> float:
    """Return the seconds of training the base model, with or without resume states."""
    built = dataset.read(settings.preprocess, Path(tempfile.gettempdir()))
    rows, val = partition(built, "train"), partition(built, "val")
    slot = saves.slot("base") if saves else None
    start = time.perf_counter()
    ensemble.train(built.schema, rows, val, settings.model, settings.train, slot)
    return time.perf_counter() - start


def resume_seconds() -> tuple[float, float]:
    """Return the least seconds of training without and with saves."""
    settings = params.load()
    settings = settings.model_copy(
        update={"train": settings.train.model_copy(update={"patience": settings.train.epochs})}
    )
    without, with_saves = [], []
    for _ in range(ROUNDS):
        without.append(training_seconds(settings, None))
        saves = Saves(outputs.begin(Declared.read("train")), settings)
        with_saves.append(training_seconds(settings, saves))
        assert saves.spent > 0, "nothing was saved"
        resume.clear("train")
    return min(without), min(with_saves)


def main() -> None:
    """Print the seconds of each stage in both modes, and of training with resume states."""
    with tempfile.TemporaryDirectory(prefix="tabline-") as name:
        folder = Path(name) / "tabline"
        copy_project(folder)
        found = stage_seconds(folder)
        print("stage           fast   portable   ratio")
        for stage in STAGES:
            fast, portable = (found[stage, mode] for mode in MODES)
            print(f"{stage:10} {fast:7.2f} s {portable:8.2f} s {portable / fast:7.2f}")
        fast, portable = (sum(found[stage, mode] for stage in STAGES) for mode in MODES)
        print(f"{'together':10} {fast:7.2f} s {portable:8.2f} s {portable / fast:7.2f}")
        os.chdir(folder)
        without, with_saves = resume_seconds()
        print(
            f"training of the base model: {without:.2f} s without resume states, "
            f"{with_saves:.2f} s with them: ratio {with_saves / without:.3f}"
        )


if __name__ == "__main__":
    main()
