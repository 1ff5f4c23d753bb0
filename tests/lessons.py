"""The lessons: ideas of a first course, each shown by a few experiments and one picture.

`python -m tests.lessons` runs them in a copy of the project and writes docs/lessons.md and its
pictures; the tests run them again. The settings were chosen by validation figures.
"""

from __future__ import annotations

import json
import re
import tempfile
import textwrap
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.common import files
from stages.reporting import drawing, plots
from tests.project import commit, copy_project, dvc, run

PAGE = Path("docs/lessons.md")
PICTURES = Path("docs/lessons")
WIDTH = 720  # pixels of a picture
COLUMNS = 100  # characters of a line of the page
BREAK = "\\"  # ends a line of a command that goes on
BASE = "HEAD"  # the last commit, as DVC calls it
CURVES = {"train": "metrics/plots/training.csv", "finetune": "metrics/plots/freezing.csv"}

Figures = Mapping[str, Mapping[str, Any]]  # revision -> name of a figure -> its value


@dataclass(frozen=True)
class Lesson:
    """One idea.

    name: of the picture's file; experiments: name -> settings; stage: the last that they run;
    plot: of dvc.yaml; shown: its revisions; seen: what to see in it, with figures in braces;
    claim: whether the figures say so, False where all revisions are alike; mend: the remedy.
    """

    name: str
    title: str
    idea: str
    experiments: Mapping[str, str]
    plot: str
    shown: tuple[str, ...]
    seen: str
    claim: Callable[[Figures], bool]
    mend: str
    stage: str = "train"

    def commands(self) -> list[str]:
        """Return the experiments, then what shows them."""
        runs = [
            f"dvc exp run --temp --name {name} {_options(settings)} {self.stage}"
            for name, settings in self.experiments.items()
        ]
        return [*runs, f"dvc plots diff {' '.join(self.shown)} --targets {self.plot}"]

    def picture(self) -> Path:
        return PICTURES / f"{self.name}.svg"


@dataclass(frozen=True)
class Learnt:
    """What came out of a lesson.

    picture: an SVG image; alt: what is drawn in it; printed: by the commands; plots: the page
    that `dvc plots` wrote.
    """

    figures: Figures
    picture: str
    alt: str
    printed: str
    plots: str


DEEP = "model.hidden=[64,64,64,64,64] train.epochs=20"
FEW = (
    "preprocess.split.train=0.1 preprocess.split.test=0.8 "
    "train.optimizer=adamw train.lr=0.02 train.patience=60"
)

LESSONS = [
    Lesson(
        name="gradients",
        title="Vanishing gradients",
        idea="""\
Backpropagation multiplies the gradient by the slope of the activation at every layer. The slope
of a sigmoid is at most 0.25, and next to 0 where it saturates: in a deep network little arrives
at the first layers. The slope of ReLU is 1 for every positive input; leaky ReLU has a small one
for negative inputs, too.""",
        experiments={
            "sigmoid": f"{DEEP} model.activation=sigmoid",
            "relu": f"{DEEP} model.activation=relu",
            "leaky_relu": f"{DEEP} model.activation=leaky_relu",
        },
        plot="gradients",
        shown=("sigmoid", "relu", "leaky_relu"),
        seen="""\
Each line is a layer, `layer0` the first. With sigmoid every layer further back gets less: the
gradient of the first is {sigmoid[gradient_first_to_last]:.4f} times that of the last, with ReLU
{relu[gradient_first_to_last]:.1f} times, with leaky ReLU {leaky_relu[gradient_first_to_last]:.1f}
times. The sigmoid network guesses: validation accuracy {sigmoid[val_accuracy]:.3f}, against
{relu[val_accuracy]:.3f} and {leaky_relu[val_accuracy]:.3f}.""",
        claim=lambda of: (
            of["sigmoid"]["gradient_first_to_last"] < 0.1 * of["relu"]["gradient_first_to_last"]
            and of["sigmoid"]["gradient_first_to_last"]
            < 0.1 * of["leaky_relu"]["gradient_first_to_last"]
            and of["sigmoid"]["val_accuracy"] < 0.5 * of["relu"]["val_accuracy"]
            and of["sigmoid"]["val_accuracy"] < 0.5 * of["leaky_relu"]["val_accuracy"]
        ),
        mend="`model.activation: relu` or `leaky_relu`; the run that suffers says so itself.",
    ),
    Lesson(
        name="starting_weights",
        title="Exploding outputs",
        idea="""\
`nn.init.uniform_` draws weights between 0 and 1. All are positive, so the sums that a layer
computes grow from layer to layer. PyTorch's own starting weights are small, and the smaller the
more inputs a layer has.""",
        experiments={"uniform": "model.init=uniform model.init_low=0 model.init_high=1"},
        plot="loss",
        shown=("uniform", BASE),
        seen="""\
Before training the outputs spread by {uniform[starting_spread]:,.0f}, and the loss is
{uniform[starting_loss]:.0f}; with PyTorch's starting weights no layer spreads by more than
{HEAD[starting_spread]:.2f}, and the loss is {HEAD[starting_loss]:.2f}. The first steps are so
large that hidden units die: they are 0 on every row. The loss stays at that of a guess among ten
classes, {uniform[val_loss]:.2f}; `HEAD` gets to {HEAD[val_loss]:.3f}.""",
        claim=lambda of: (
            of["uniform"]["starting_spread"] > 1000 * of[BASE]["starting_spread"]
            and of["uniform"]["starting_loss"] > 50 * of[BASE]["starting_loss"]
            and of["uniform"]["val_loss"] > 100 * of[BASE]["val_loss"]
            and of["uniform"]["dead_share"] > 10 * of[BASE]["dead_share"]
        ),
        mend="`model.init: default`, `xavier` or `kaiming`; or narrow bounds, as -0.1 and 0.1.",
    ),
    Lesson(
        name="overfitting",
        title="Overfitting, and what helps",
        idea="""\
A network overfits when it learns its training rows by heart: the training loss goes to 0 while
the validation loss stays high or rises. It happens with few rows, much capacity and large
weights. More rows help most. Dropout leaves out hidden units at random, weight decay keeps
weights small, and noise makes new rows out of old ones.""",
        experiments={
            "few": f"{FEW} train.noise=0",
            "dropout": f"{FEW} train.noise=0 model.dropout=0.5",
            "decay": f"{FEW} train.noise=0 train.weight_decay=0.3",
            "noise": f"{FEW} train.noise=1",
        },
        plot="gap",
        shown=("few", "dropout", "decay", "noise", BASE),
        seen="""\
The first four learn from an eighth of the training rows. At its best `few` has an accuracy of
{few[train_accuracy]:.3f} on them and of {few[val_accuracy]:.3f} on validation rows; from epoch
{few[overfit_epoch]} on it gets worse there, and the gap stays wide. Dropout brings
{dropout[val_accuracy]:.3f}, weight decay {decay[val_accuracy]:.3f}, noise
{noise[val_accuracy]:.3f}. `HEAD` has all rows: {HEAD[val_accuracy]:.3f}.""",
        claim=lambda of: (
            of["few"]["train_accuracy"] > 1.05 * of["few"]["val_accuracy"]
            and all(
                of[remedy]["val_accuracy"] > 1.03 * of["few"]["val_accuracy"]
                and of[remedy]["overfit_gap"] < 0.8 * of["few"]["overfit_gap"]
                for remedy in ("dropout", "decay", "noise")
            )
            and of[BASE]["overfit_gap"] < 0.1 * of["few"]["overfit_gap"]
            and of[BASE]["val_accuracy"]
            > max(of[name]["val_accuracy"] for name in ("dropout", "decay", "noise"))
        ),
        mend="""\
more rows; else `model.dropout`, `train.weight_decay`, `train.noise`, or a smaller `model.hidden`.
`train.patience` ends a training that gets worse, and the best epoch is kept.""",
    ),
    Lesson(
        name="learning_rate",
        title="The learning rate",
        idea="""\
The learning rate is the size of a step against the gradient. Small steps need many epochs; large
ones jump over the valley. Usual values with SGD lie between 0.001 and 0.1.""",
        experiments={"small": "train.lr=0.001", "large": "train.lr=0.5"},
        plot="loss",
        shown=("small", BASE, "large"),
        seen="""\
`small` falls smoothly, but after all its epochs it is only at a validation loss of
{small[val_loss]:.3f}, and still falling; `HEAD` reaches {HEAD[val_loss]:.3f}. `large` stays near
the {large[starting_loss]:.3f} where it starts: {large[val_loss]:.3f}. Validation accuracy:
{small[val_accuracy]:.3f}, {HEAD[val_accuracy]:.3f}, {large[val_accuracy]:.3f}.""",
        claim=lambda of: (
            of["small"]["val_loss"] > 10 * of[BASE]["val_loss"]
            and of["large"]["val_loss"] > 5 * of["small"]["val_loss"]
            and of["large"]["val_loss"] > 0.9 * of["large"]["starting_loss"]
            and of[BASE]["val_accuracy"] > 1.02 * of["small"]["val_accuracy"]
            and of["small"]["val_accuracy"] > 2 * of["large"]["val_accuracy"]
        ),
        mend="`train.lr`, on a log scale; `dvc repro search` tries many.",
    ),
    Lesson(
        name="momentum",
        title="Momentum",
        idea="""\
Momentum keeps a part of the last step: 0 none, 0.9 nine tenths. Steps in the same direction add
up, with 0.9 to ten times one step, with 0.99 to a hundred times; steps to and fro cancel out.""",
        experiments={"momentum": "train.lr=0.001 train.momentum=0.99"},
        plot="loss",
        shown=("small", "momentum"),
        seen="""\
The learning rate is the small one of the lesson before. With more momentum as many epochs bring a
validation loss of {momentum[val_loss]:.3f} instead of {small[val_loss]:.3f}, and an accuracy of
{momentum[val_accuracy]:.3f} instead of {small[val_accuracy]:.3f}.""",
        claim=lambda of: (
            of["momentum"]["val_loss"] < 0.2 * of["small"]["val_loss"]
            and of["momentum"]["val_accuracy"] > 1.02 * of["small"]["val_accuracy"]
        ),
        mend="""\
`train.momentum`, usually 0.85 to 0.99. A larger one wants a smaller `train.lr`: tune them
together.""",
    ),
    Lesson(
        name="freezing",
        title="Fine-tuning and freezing",
        idea="""\
A network that has learnt one table starts ahead on a similar one. The rule of thumb is to freeze
the early layers and to train the later ones at a small learning rate. Freezing is right as far as
what the early layers see is the same.""",
        experiments={"longer": "finetune.epochs=10"},
        stage="finetune",
        plot="freezing",
        shown=(BASE, "longer"),
        seen="""\
One run trains all ways: 0, 1 or 2 frozen layers, and from scratch at several learning rates. The
second table's digits are crooked, so the early layers have to learn, too: after three epochs
(`HEAD`) freezing none gives {HEAD[freeze 0]:.3f}, one layer {HEAD[freeze 1]:.3f}, two
{HEAD[freeze 2]:.3f}, the best from scratch {HEAD[control_val_accuracy]:.3f}. After ten (`longer`)
it is {longer[freeze 0]:.3f}, {longer[freeze 1]:.3f}, {longer[freeze 2]:.3f} and
{longer[control_val_accuracy]:.3f}: two frozen layers now hold it back, and the head start has
shrunk from {HEAD[transfer_gain]:.3f} to {longer[transfer_gain]:.3f} (95 % interval
{longer[transfer_gain_low]:.3f} to {longer[transfer_gain_high]:.3f}).""",
        claim=lambda of: (
            all(of[name]["freeze 0"] > 1.02 * of[name]["freeze 1"] for name in (BASE, "longer"))
            and all(of[name]["freeze 1"] > 1.1 * of[name]["freeze 2"] for name in (BASE, "longer"))
            and of["longer"]["control_val_accuracy"] > 1.1 * of["longer"]["freeze 2"]
            and of["longer"]["transfer_gain"] < 0.5 * of[BASE]["transfer_gain"]
        ),
        mend="`finetune.freeze: 0` here; the picture tells it for your tables.",
    ),
]

INTRODUCTION = """\
# Lessons

Six ideas of a first PyTorch course, each with the commands, the picture that comes out, and what
to see in it. You need a clone in which `make` has run, and in the terminal
`source .venv/bin/activate`.

`dvc exp run --temp` trains with some settings changed, beside your folder: `params.yaml` and your
results stay as they are. It takes some seconds. `HEAD` is the last commit; in the pictures here it
has the settings that come along. `dvc plots diff` writes a page, `dvc_plots/index.html`; open it in
a browser that has internet. Without `--targets ...` it has all plots.

All figures are of training and validation rows, and means of eight networks, each at its best
epoch. [Where each idea lives](ideas.md) has many more.
"""

CLOSING = """\
## Afterwards

```
{commands}
```
"""

AFTERWARDS = {
    "make experiments": "all of them side by side",
    "dvc exp apply momentum": "the settings and results of one, in your folder",
    "git checkout . && dvc checkout": "back to the last commit",
    "dvc exp remove momentum": "forget one; its name can be used again",
}


def prepare(folder: Path) -> None:
    """Make a copy of the project whose pipeline has run as far as the lessons need it."""
    copy_project(folder)
    dvc(folder, "repro", "train", "finetune")
    commit(folder)


def study(folder: Path) -> list[Learnt]:
    """Run the commands of all lessons in a prepared copy, two lessons at a time."""
    with ThreadPoolExecutor(2) as pool:
        printed = list(pool.map(lambda lesson: _run(folder, lesson.commands()[:-1]), LESSONS))
    return [_learnt(folder, *each) for each in zip(LESSONS, printed, strict=True)]


def page(learnt: list[Learnt]) -> str:
    """Return the text of the page."""
    parts = [INTRODUCTION]
    for number, (lesson, found) in enumerate(zip(LESSONS, learnt, strict=True), 1):
        commands = "\n".join(map(_wrapped, lesson.commands()))
        image = f"![{found.alt}]({lesson.picture().relative_to(PAGE.parent)})"
        parts += [
            f"## {number}. {lesson.title}\n",
            f"{_filled(lesson.idea)}\n",
            f"```\n{commands}\n```\n",
            f"{image}\n",
            f"{_filled(lesson.seen.format_map(found.figures))}\n",
            _filled(f"**The setting:** {lesson.mend}") + "\n",
        ]
    width = max(map(len, AFTERWARDS))
    commands = "\n".join(f"{line:{width}}  # {what}" for line, what in AFTERWARDS.items())
    return "\n".join([*parts, CLOSING.format(commands=commands)])


def _learnt(folder: Path, lesson: Lesson, printed: str) -> Learnt:
    """Show what the experiments of a lesson left in the copy's repository."""
    printed += _run(folder, lesson.commands()[-1:])
    plot = next(plot for plot in plots.listed(folder) if plot.name == lesson.plot)
    tables = {
        name: {path: _show(folder, name, path) for path in plot.files} for name in lesson.shown
    }
    picture = drawing.draw(plot, tables, WIDTH)
    assert picture is not None
    figures = {name: _figures(folder, lesson.stage, name) for name in lesson.shown}
    shown = (folder / "dvc_plots/index.html").read_text(encoding="utf-8")
    return Learnt(figures, on_white(picture), plot.alt, printed, shown)


def _figures(folder: Path, stage: str, revision: str) -> dict[str, Any]:
    """Return the figures of a stage, and of its curves what a lesson speaks of."""
    found: dict[str, Any] = json.loads(_show(folder, revision, f"metrics/{stage}.json"))
    rows = drawing.read(_show(folder, revision, CURVES[stage]))
    if stage == "train":
        return found | {"starting_loss": float(rows[0]["val_loss"])}
    return found | {row["arm"]: float(row["val_score"]) for row in rows}


def _show(folder: Path, revision: str, path: str) -> str:
    """Return the text of a file of HEAD or of an experiment."""
    pattern = f"refs/exps/*/*/{revision}"
    found = run(folder, "git", "for-each-ref", "--format=%(refname)", pattern).strip()
    return run(folder, "git", "show", f"{found or revision}:{path}")


def on_white(svg: str) -> str:
    """Return an image that is legible on any page: its text is black where nothing colours it."""
    return svg.replace(">", '><rect width="100%" height="100%" fill="white"/>', 1)


def _run(folder: Path, commands: list[str]) -> str:
    """Run commands of the page as a reader does; return what they printed."""
    return "".join(
        run(folder, "bash", "-c", _wrapped(command).replace("dvc ", "python -m dvc ", 1))
        for command in commands
    )


def _options(settings: str) -> str:
    """Return settings as options; brackets are quoted, as shells take them for patterns."""
    words = (f"'{word}'" if "[" in word else word for word in settings.split())
    return " ".join(f"-S {word}" for word in words)


def _wrapped(command: str) -> str:
    """Return a command on lines of at most COLUMNS characters, broken before an option."""
    lines = [""]
    for part in re.split(" (?=-S )", command):
        if len(lines[-1]) + len(part) > COLUMNS - len(" " + BREAK):
            lines.append("   ")
        lines[-1] += f" {part}"
    return f" {BREAK}\n".join(lines).strip()


def _filled(text: str) -> str:
    """Return a paragraph on lines of at most COLUMNS characters."""
    return textwrap.fill(text, COLUMNS, break_long_words=False, break_on_hyphens=False)


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "tabline"
        prepare(folder)
        learnt = study(folder)
    PICTURES.mkdir(exist_ok=True)
    for lesson, found in zip(LESSONS, learnt, strict=True):
        files.write_bytes(lesson.picture(), found.picture.encode())
    files.write_bytes(PAGE, page(learnt).encode())


if __name__ == "__main__":
    main()
