"""Runs scenarios in this process, all stages of each in order, and writes what came out.

usage: python -m tests.emulation.runner RESULT.json [--only NAME ...] [--untraced] [--lines]
                                        [--without NAME ...] [--with NAME=VALUE ...]

RESULT.json holds a `comparison.Result`.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from unittest import mock

from stages import evaluate, finetune, predict, preprocess, search, train
from stages.common import arithmetic, launch, params, resume
from stages.common.graph import Declared
from tests.emulation.comparison import Result
from tests.emulation.lines import Lines
from tests.emulation.project import RAW, Project
from tests.emulation.scenarios import SCENARIOS

STAGES: dict[str, launch.Work] = {
    "preprocess": preprocess.preprocess,
    "train": train.train,
    "finetune": finetune.finetune,
    "evaluate": evaluate.evaluate,
    "search": search.search,
}
ANSWERS = {model: Path(f"answers_{model}.csv") for model in ("base", "finetuned")}


def main() -> None:
    """Run the scenarios that the command line names, with the settings it changes."""
    given = _arguments()
    for settings in (arithmetic.PORTABLE, arithmetic.ONE_THREAD):
        for name in settings.keys() & given.without:
            del settings[name], os.environ[name]
        other = {name: given.other[name] for name in settings.keys() & given.other}
        settings.update(other)
        os.environ.update(other)
    given.result.write_text(json.dumps(asdict(run(given))))


def run(given: argparse.Namespace) -> Result:
    """Run scenarios in temporary folders and return what came out."""
    import torch

    from tests.emulation.trace import Trace

    resume.SHARE = 0.0  # when a state is saved depends on the clock
    result = Result(torch.cpu.get_capabilities()["cpu_name"])
    lines = Lines()
    for scenario in (SCENARIOS[name] for name in given.only or SCENARIOS):
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            scenario.write()
            for step, work, paths in _steps(scenario):
                trace = Trace()
                with (
                    _silent(),
                    contextlib.nullcontext() if given.untraced else trace,
                    lines if given.lines else contextlib.nullcontext(),
                ):
                    work()
                result.calls[step] = trace.calls
                result.outputs[step] = {str(path): _md5(path) for path in paths}
    result.lines.update({path: sorted(numbers) for path, numbers in lines.found.items()})
    return result


def _steps(scenario: Project) -> Iterator[tuple[str, Callable[[], None], tuple[Path, ...]]]:
    """Yield the name, the work and the outputs of each step."""
    for stage, work in STAGES.items():
        if stage == scenario.killed:
            yield f"{scenario.name} {stage} killed", partial(_killed, stage, work), ()
        paths = Declared.read(stage).outputs
        yield f"{scenario.name} {stage}", partial(launch.execute, stage, work), paths
    settings = params.load()
    given = settings, Declared.read("evaluate"), RAW / scenario.new
    models = ANSWERS if settings.finetune.csv else {"base": ANSWERS["base"]}

    def answer() -> None:
        for model, path in models.items():
            predict.predict(*given, path, model)

    yield f"{scenario.name} predict", answer, tuple(models.values())


def _killed(stage: str, work: launch.Work) -> None:
    """Run a stage until its first training has saved its state, so that the next run goes on."""

    def save_and_stop(slot: resume.Slot, state: Callable[[], resume.State]) -> None:
        slot.saves.write(slot.path, state())
        raise KeyboardInterrupt

    with (
        mock.patch.object(resume.Slot, "offer", save_and_stop),
        contextlib.suppress(KeyboardInterrupt),
    ):
        launch.execute(stage, work)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Show what a stage prints only when it fails."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    except BaseException:
        print(printed.getvalue())
        raise


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.emulation.runner")
    parser.add_argument("result", type=Path)
    parser.add_argument("--only", action="append", choices=SCENARIOS)
    parser.add_argument("--untraced", action="store_true")
    parser.add_argument("--lines", action="store_true")
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--with", dest="other", action="append", default=[])
    given = parser.parse_args()
    given.other = dict(pair.split("=", 1) for pair in given.other)
    return given


if __name__ == "__main__":
    main()
