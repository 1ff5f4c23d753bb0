"""The model card in Markdown: intended use, data, training, figures, limits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from stages.common.names import counted
from stages.reporting import alarms, failures, headline, layers, origin, remedies
from stages.reporting.models import MODELS
from stages.reporting.section import Section, Table, shown
from stages.reporting.spread import interval
from stages.reporting.tracked import Tracked

SETTINGS = ("preprocess.split", "model.", "train.", "finetune.")  # that the card shows
SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")
WORST = 10  # wrong rows of a model
FEW = 30  # training rows of a class, below which its figures are weak


def write(state: Tracked) -> str:
    """Return the model card."""
    told = [use(state), origin.section(state), training(state), layers.section(state),
            headline.section(state), failures.section(state, WORST), limits(state)]  # fmt: skip
    lines = ["# Model card", ""]
    for section in told:
        lines += [f"## {escaped(section.title)}", ""]
        lines += [f"{escaped(sentence)}\n" for sentence in section.sentences]
        for table in section.tables:
            lines += [*_rows(table), ""]
    return "\n".join(lines)


def use(state: Tracked) -> Section:
    """Return what the model answers, from what, and what it is not for."""
    target = state.schemas.get("source", {}).get("target", {})
    table = Path(str(state.settings.get("preprocess.csv", "")))
    classes = [str(name) for name in target.get("classes", [])]
    named = f"the column {target['name']}" if target else "the target column"
    count = len(classes) or state.figures.get("classes", 0)
    answer = f"one of {count} classes" if count else "a number"
    if classes and len(classes) <= failures.MOST:
        answer += f" ({', '.join(classes)})"
    return Section("use", "Intended use", [
        f"It answers {named} of rows like those of {table.name}: {answer}.",
        "It is meant for rows from the same source, measured in the same way. It was not tested on "
        "others, and its answers are no ground for decisions on people without a person's check.",
    ])  # fmt: skip


def training(state: Tracked) -> Section:
    """Return the settings and how the training went."""
    second = bool(state.settings.get("finetune.csv"))
    used = tuple(name for name in SETTINGS if second or name != "finetune.")
    rows = [[key, str(value)] for key, value in state.settings.items() if key.startswith(used)]
    told = remedies.sentences(state)
    return Section("training", "Training", told, [Table("Settings", ("setting", "value"), rows)])


def limits(state: Tracked) -> Section:
    """Return what the figures do not say, from what was measured."""
    return Section("limits", "Limits", list(_limits(state)))


def _limits(state: Tracked) -> Iterator[str]:
    figures = state.figures
    for key, figure in (("test_accuracy", "share that is right"), ("test_rmse", "RMSE")):
        if found := interval(figures, key):
            yield (
                f"{counted(figures['test_rows'], 'test row')}: the {figure} on other rows may lie "
                f"anywhere from {found.shown()}, if they are like these."
            )
    yield from (said for prefix in MODELS for said in alarms.leaks(state, prefix))
    target = state.schemas.get("source", {}).get("target", {})
    counts = zip(target.get("classes", []), target.get("counts", []), strict=False)
    if rare := [f"{name} ({count})" for name, count in counts if count < FEW]:
        yield f"Classes of fewer than {FEW} training rows: {', '.join(rare[: failures.MOST])}."
    if "audit_findings" in figures:
        count = figures["audit_findings"] + figures.get("second_audit_findings", 0)
        yield f"The audit of the data has {counted(count, 'finding')}."
    yield "The settings were chosen by validation rows; figures of those are kind to the model."
    yield "Rows from another time, place or instrument may be answered worse, with no warning."


def _rows(table: Table) -> Iterator[str]:
    """Yield a table's caption and lines."""
    yield f"**{escaped(table.caption)}**"
    yield ""
    yield _line(table.header)
    yield _line("---" for _ in table.header)
    for row in table.rows:
        yield _line(escaped(shown(cell).strip()) for cell in row)
    if table.left_out:
        yield f"\nand {table.left_out:,} more"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escaped(text: str) -> str:
    """Return a text on one line that Markdown shows as it is."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))
