"""A CSV file in words: how it is written, what each column is, which settings it needs."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.common import audit, cells, dates, encoding, fitting, targets
from stages.common.errors import UserError
from stages.common.evidence import Finding
from stages.common.names import SHOWN, counted, listed
from stages.common.schema import Category, Dropped, Numeric
from stages.common.settings import RAW, Preprocess
from stages.common.spool import Spool
from stages.common.table import Table, pick

MOST_ROWS = 200_000  # of a long file
EXAMINED = 20_000  # rows in which leaks and ids are looked for
TARGETS = ("target", "label", "class", "y")  # names that say so themselves
NO_FEATURES = ("id", "target copy", "monotone copy")  # checks whose columns are not proposed
MADE = ("encoding", "separator", "decimal", "header", "missing_values", "categorical", "task")
GAPS = {"drop": "; a row with a gap is left out", "error": "; a gap is an error"}


def describe(settings: Preprocess, target: str | None) -> Iterator[str]:
    """Yield the lines that describe the file `settings.csv`.

    target: the column to predict; None: one with a telling name, or the last one.
    """
    table = Table.open(Path(settings.csv), settings)
    with tempfile.TemporaryDirectory() as folder:
        spool = table.spool(Path(folder), MOST_ROWS)
        wanted = _guessed(table.names) if target is None else target
        wanted = pick(table.names, wanted, "--target")
        fitted = {name: _fitted(spool, name, settings) for name in table.names if name != wanted}
        what = {
            name: _what(fitted[name], bool(spool.missing(name).any()), settings)
            if name in fitted
            else _target(spool, name, settings)
            for name in table.names
        }
        unfit = {name for name in what if what[name].startswith("to mend: ")}
        found = [] if wanted in unfit else _findings(spool, wanted, fitted, settings)
    yield _opening(table, spool)
    yield from _used(settings)
    yield from _columns(spool, what)
    if target is None:
        yield f"The target '{wanted}' is guessed; name another one with --target."
    yield from (f"look at: {each.line}" for each in found if each.check != "constant")
    yield ""
    if wanted in unfit:
        yield f"Nothing to propose: mend the target '{wanted}', or name another one with --target."
        return
    unfit |= {each.column for each in found if each.check in NO_FEATURES}
    split = settings.split
    unfit |= {wanted, split.column, split.group, split.time}
    chosen = [name for name in table.names if name not in unfit]
    constant = {each.column for each in found if each.check == "constant"}
    yield from _proposal(table, wanted, chosen if set(chosen) - constant else [])


def _guessed(names: Sequence[str]) -> str:
    telling = [name for name in names if name.lower() in TARGETS]
    return telling[0] if len(telling) == 1 else names[-1]


def _opening(table: Table, spool: Spool) -> str:
    dialect = table.dialect
    rows = f"{'the first ' if len(spool) >= MOST_ROWS else ''}{counted(len(spool), 'row')}"
    header = "names in the first line" if dialect.header else "no line of names"
    title = f", {counted(dialect.title_lines, 'title line')} skipped" if dialect.title_lines else ""
    return (
        f"{table.path}: {rows}, {counted(len(table.names), 'column')}; {dialect.encoding}, "
        f"separator {dialect.separator!r}, decimal {dialect.decimal!r}, {header}{title}"
    )


def _used(settings: Preprocess) -> Iterator[str]:
    """Yield a line on the settings that were made for a table, perhaps another one."""
    used = [
        f"preprocess.{key} {getattr(settings, key)}"
        for key in MADE
        if getattr(settings, key) not in ("auto", [])
    ]
    if used:
        yield f"as params.yaml says: {', '.join(used)}; of another table? set auto or [] there"


def _columns(spool: Spool, what: dict[str, str]) -> Iterator[str]:
    """Yield a line per column: position, name, cells without a value, what is done with it."""
    shown = [name if name.isprintable() else repr(name) for name in spool.names]
    width = min(40, max(map(len, ["column", *shown])))
    yield f"{'':>4}  {'column':{width}}  {'missing':>8}  what it is"
    for position, (name, told) in enumerate(zip(shown, what.values(), strict=True)):
        missing = int(spool.missing(spool.names[position]).sum())
        yield f"{position:4}  {name:{width}}  {missing:8}  {told}"


def _fitted(
    spool: Spool, name: str, settings: Preprocess
) -> Numeric | Category | Dropped | UserError:
    """Return how a feature is encoded, or why it cannot be read."""
    gaps = spool.missing(name)
    rows = np.ones_like(gaps) if settings.missing == "fill" else ~gaps
    try:
        return fitting.fit_column(spool, name, rows, settings.scale, name in settings.categorical)
    except UserError as error:
        return error


def _what(
    column: Numeric | Category | Dropped | UserError, gaps: bool, settings: Preprocess
) -> str:
    """Return what is done with a feature, or `to mend: ` and why it cannot be read."""
    if isinstance(column, UserError):
        return _to_mend(column)
    return _kind(column) + (GAPS.get(settings.missing, "") if gaps else "")


def _to_mend(error: UserError) -> str:
    return f"to mend: {' '.join(str(error).split())}"


def _kind(column: Numeric | Category | Dropped) -> str:
    if isinstance(column, Dropped):
        return f"dropped: {column.reason.replace('training ', '')}"  # here all rows are
    if isinstance(column, Category):
        return f"category: {counted(len(column.levels), 'level')}, {listed(column.levels)}"
    gaps = "; gaps take the median, and a column of their own marks them"
    gaps = gaps if column.indicator else ""
    if column.kind == "date":
        form = "%Y-%m-%d" if column.date_format == dates.ISO else column.date_format
        return f"date, written as {date(2024, 12, 31).strftime(form)}{gaps}"
    median = f", median {column.fill:g}" if column.kind == "numeric" else ""
    return f"{column.kind}{median}{gaps}"


def _target(spool: Spool, name: str, settings: Preprocess) -> str:
    known = ~spool.missing(name)
    if not known.any():
        return f"to mend: target '{name}': no row has a value"
    task = targets.detect_task(spool.blocks(name), settings.task)
    try:
        found = targets.fit(spool, name, known, task)
    except UserError as error:
        return _to_mend(error)
    if task == "regression":
        return f"target: a number, mean {found.shift:g}, standard deviation {found.scale:g}"
    counts = dict(zip(found.classes, found.counts, strict=True))
    rows = ", ".join(f"'{label}' ({count})" for label, count in list(counts.items())[:SHOWN])
    more = ", ..." if len(counts) > SHOWN else ""
    amounts = len(counts) > 2 and bool(np.isfinite(cells.parsed(found.classes)).all())
    hint = "; if they are amounts, set preprocess.task to regression" if amounts else ""
    return f"target: {len(counts)} classes (and rows): {rows}{more}{hint}"


def _findings(
    spool: Spool,
    target: str,
    fitted: Mapping[str, Numeric | Category | Dropped | UserError],
    settings: Preprocess,
) -> list[Finding]:
    """Return what is wrong in a sample of the rows that needs no split to be seen."""
    rows = audit.sample(len(spool), EXAMINED) & ~spool.missing(target)
    answers = spool.column(target, rows)
    if targets.detect_task(spool.blocks(target), settings.task) == "classification":
        answers = answers.as_texts()
    features = []
    for name, column in fitted.items():
        block = spool.column(name, rows)
        if not isinstance(column, UserError):
            block = encoding.as_encoded(block, column)
        features.append(block)
    return audit.examine(features, [], answers, np.zeros(len(answers), dtype=np.int8))


def _proposal(table: Table, target: str, chosen: Sequence[str]) -> Iterator[str]:
    """Yield the lines for params.yaml, and the command that tries them."""
    if not chosen:
        yield "Nothing to propose: no column is left to predict the target from."
        return
    features, csv = _features(table.names, chosen), f"{RAW}/{table.path.name}"
    copy = "" if table.path.as_posix() == csv else f"copy the file to {RAW} and "
    yield f"To use it, {copy}set in params.yaml:"
    yield "  preprocess:"
    yield f"    csv: {_written(csv)}"
    yield f"    features: {_written(features)}"
    yield f"    target: {_written(target)}"
    yield "  finetune:"
    yield "    csv: ''  # no second table"
    texts = [csv, target, *features]
    if any("$" in text or "\\" in text or not text.isprintable() for text in texts):
        return  # the command line would read such a text in another way
    values = {"csv": csv, "features": features, "target": target}
    pairs = [shlex.quote(f"preprocess.{key}={_given(value)}") for key, value in values.items()]
    yield f"or try it with params.yaml left alone, after `git add {shlex.quote(csv)}`:"
    yield "  dvc exp run --temp " + "".join(f"-S {pair} " for pair in pairs) + "-S finetune.csv="


def _features(names: Sequence[str], chosen: Sequence[str]) -> str | list[str]:
    """Return neighbouring columns as a slice, others as a list of names."""
    first, end = names.index(chosen[0]), names.index(chosen[-1]) + 1
    piece = f"{first}:{end - len(names) or ''}"
    return list(chosen) if end - first > len(chosen) or piece in names else piece


def _written(value: str | list[str]) -> str:
    """Return a value as params.yaml has it; texts are quoted where YAML needs it."""
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    for text in (value, "'" + value.replace("'", "''") + "'"):
        try:
            if YAML(typ="safe").load(f"- {text}\n- [{text}]") == [value, [value]]:
                return text
        except YAMLError:
            continue
    plain = (
        char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08x}"
        for char in value
    )
    return f'"{"".join(plain)}"'


def _given(value: str | list[str]) -> str:
    """Return a value as `dvc exp run -S` takes it, whose syntax is Hydra's."""
    if isinstance(value, list):
        return "[" + ",".join(map(_given, value)) + "]"
    plain = re.fullmatch(r"[A-Za-z][\w./-]*|\d+:(-\d+)?", value, re.ASCII)
    return value if plain and _written(value) == value else "'" + value.replace("'", "\\'") + "'"
