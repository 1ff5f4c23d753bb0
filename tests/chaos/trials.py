"""A small project, its uninterrupted results, and runs of it that are killed."""

from __future__ import annotations

import hashlib
import random
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from stages.common import params
from tests.chaos import kills
from tests.chaos.kills import Kill, Measured
from tests.project import commit, copy_project, dvc, override
from tests.project import run as run_whole

WORKERS = 2
STAGES = ("preprocess", "train", "finetune", "evaluate", "search")
SMALL = (
    "model.hidden=[16]",
    "train.epochs=100",
    "train.patience=100",
    "train.members=2",
    "finetune.epochs=20",
    "finetune.members=2",
    "search.trials=9",
    "search.epochs=30",
    "search.workers=2",
)
LONG = ("train", "finetune", "search")
ORDER = (*STAGES, *LONG)  # of the runs: those that keep resume states come twice as often
# What changes a stage's outputs: the settings that another variant of it has.
OTHER = {
    "preprocess": ("preprocess.seed", 0, 1),
    "train": ("train.seed", 0, 1),
    "finetune": ("finetune.seed", 0, 1),
    "evaluate": ("evaluate.calibration_bins", 10, 3),
    "search": ("search.seed", 0, 1),
}


@dataclass(frozen=True)
class Trial:
    """A sequence of kills of one stage, then the run that must finish.

    variants: before each kill and before the end, which of the two settings is in place;
    torn: after each kill, how the resume states are damaged (empty: not at all).
    """

    number: int
    stage: str
    kills: tuple[Kill, ...]
    variants: tuple[int, ...]
    torn: tuple[str, ...]


@dataclass
class Result:
    """What a trial came to; `wrong` is empty when the bytes are the same."""

    trial: Trial
    wrong: str = ""
    resumed: bool = False
    ignored: bool = False

    def __str__(self) -> str:
        steps = []
        for kill, torn in zip(self.trial.kills, self.trial.torn, strict=True):
            steps.append(f"{kill}{f', states {torn}' if torn else ''}")
        went_on = ", went on from a saved state" if self.resumed else ""
        return (
            f"{self.trial.number:4} {self.trial.stage:10} {'; '.join(steps)}: "
            f"{self.wrong or f'same{went_on}'}"
        )


@dataclass
class Project:
    """A finished project and, for each stage and variant, what an uninterrupted run gives."""

    folder: Path
    measured: dict[str, Measured] = field(default_factory=dict)
    expected: dict[tuple[str, int], dict[str, str]] = field(default_factory=dict)

    def measure(self, stage: str, variant: int) -> Measured:
        """Run a stage alone in a copy; note what it gives."""
        copy = self.folder.parent / f"{stage}{variant}"
        shutil.copytree(self.folder, copy, symlinks=True)
        choose(copy, stage, variant)
        counts = self.folder.parent / f"{stage}{variant}-operations"
        counts.mkdir()
        start = time.monotonic()
        status, printed = finish(copy, stage, count=str(counts))
        assert status == 0, printed
        seconds = time.monotonic() - start
        self.expected[stage, variant] = contents(copy)
        operations = {target.name: int(target.read_text()) for target in counts.iterdir()}
        return Measured(seconds, operations)

    def plan(self, number: int, generator: random.Random) -> Trial:
        """Return a random trial."""
        stage = ORDER[number % len(ORDER)]
        count = generator.choice([1, 1, 2, 3])
        drawn = tuple(kills.draw(generator, stage, self.measured[stage]) for _ in range(count))
        variants = [1]
        for _ in range(count):
            variants.append(variants[-1] if generator.random() < 0.75 else 1 - variants[-1])
        tears = ["", "", "", "", "", "", "cut", "flipped", "zeroed"] if stage in LONG else [""]
        torn = tuple(generator.choice(tears) for _ in drawn)
        return Trial(number, stage, drawn, tuple(variants), torn)


def prepare(folder: Path) -> Project:
    """Make the project in `folder`, run it uninterrupted, and measure each stage alone."""
    project = Project(folder / "whole")
    copy_project(project.folder)
    dvc(project.folder, "exp", "run", *override(*SMALL))
    commit(project.folder)
    with ThreadPoolExecutor(WORKERS) as pool:
        cases = [(stage, variant) for stage in STAGES for variant in (0, 1)]
        for (stage, _), measured in zip(
            cases, pool.map(lambda c: project.measure(*c), cases), strict=True
        ):
            project.measured[stage] = measured
    return project


def command(stage: str) -> list[str]:
    """Return the command that is killed and given again."""
    single = ["--single-item", stage] if stage else []
    return ["python", "-m", "dvc", "repro", "--force", "--no-run-cache", *single]


def finish(folder: Path, stage: str, **plan: object) -> tuple[int, str]:
    """Run the command to its end; return its exit status and what it printed."""
    process = kills.start(folder, command(stage), plan)
    printed, _ = process.communicate(timeout=kills.PATIENCE)
    return process.returncode, printed.decode()


def choose(folder: Path, stage: str, variant: int) -> None:
    """Put one of the two settings of a stage into params.yaml, as an editor would."""
    setting, *values = OTHER[stage]
    section, key = setting.split(".")
    path = folder / "params.yaml"
    params.save(params.edit(params.read(path), section, {key: values[variant]}), path)


def contents(folder: Path) -> dict[str, str]:
    """Return the md5 of everything that must be the same: outputs, dvc.lock; and what is left."""
    places = [folder / "dvc.lock"]
    for name in ("data", "metrics"):
        places += [path for path in (folder / name).rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest()
        for path in places
        if path.suffix != ".run"
    }


def run(project: Project, trial: Trial) -> Result:
    """Carry out a trial in a copy of the project."""
    result = Result(trial)
    folder = project.folder.parent / f"run{trial.number}"
    shutil.copytree(project.folder, folder, symlinks=True)
    killed = []
    try:
        for kill, variant, torn in zip(trial.kills, trial.variants, trial.torn, strict=False):
            choose(folder, trial.stage, variant)
            killed.append(kills.run_killed(folder, command(trial.stage), kill))
            tear(folder, torn, trial.number)
        choose(folder, trial.stage, trial.variants[-1])
        run_whole(folder, "python", "-m", "stages.verify", "--mend")  # as `make` does
        status, printed = finish(folder, trial.stage)
        result.resumed = "goes on " in printed
        result.ignored = ": ignored" in printed
        kills.wait_for_orphans(folder)
        if status != 0:
            result.wrong = f"status {status}: {' '.join(printed.split())[-600:]}"
        else:
            expected = project.expected[trial.stage, trial.variants[-1]]
            result.wrong = difference(contents(folder), expected)
    except AssertionError as error:
        result.wrong = str(error)
    if not result.wrong:
        shutil.rmtree(folder)
    return result


def tear(folder: Path, how: str, seed: int) -> None:
    """Damage the resume states as a power failure or a bad disk would."""
    generator = random.Random(seed)
    for path in sorted((folder / "data/resume").rglob("*.pt")) if how else ():
        content = bytearray(path.read_bytes())
        place = generator.randrange(len(content))
        if how == "cut":
            content = content[:place]
        elif how == "zeroed":
            content[place:] = bytes(len(content) - place)
        else:
            content[place] ^= 1 << generator.randrange(8)
        path.write_bytes(content)


def difference(found: dict[str, str], expected: dict[str, str]) -> str:
    """Return which files are not the same, more or missing."""
    names = sorted(name for name in found | expected if found.get(name) != expected.get(name))
    return f"not same: {', '.join(names)}" if names else ""
