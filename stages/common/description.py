"""A CSV file in words: how it is written, what each column is, which settings it needs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from stages.common import audit, cells, fitting
from stages.common.errors import UserError
from stages.common.names import listed
from stages.common.schema import Category, Dropped, Numeric
from stages.common.settings import RAW, Preprocess
from stages.common.spool import Spool
from stages.common.table import Table, pick

MOST_ROWS = 500_000  # of a long file
EXAMINED = 20_000  # rows in which leaks and ids are looked for
TARGETS = ("target", "label", "class", "y")  # names that say so themselves


def describe(settings: Preprocess, target: str | None) -> Iterator[str]:
    """Yield the lines that describe the file `settings.csv`.

    target: the column to predict; None: one with a telling name, or the last one.
    """
    table = Table.open(Path(settings.csv), settings)
    with tempfile.TemporaryDirectory() as folder:
        spool = table.spool(Path(folder), MOST_ROWS)
    wanted = pick(table.names, target or _guessed(table.names), "--target")
    yield _opening(table, spool)
    yield from _columns(spool, wanted, settings)
    found, ids = _findings(spool, wanted)
    yield from found
    yield ""
    yield from _proposal(table, wanted, ids)


def _guessed(names: Sequence[str]) -> str:
    telling = [name for name in names if name.lower() in TARGETS]
    return telling[0] if len(telling) == 1 else names[-1]


def _opening(table: Table, spool: Spool) -> str:
    dialect = table.dialect
    first = f"the first {len(spool)}" if len(spool) >= MOST_ROWS else str(len(spool))
    header = "names in the first line" if dialect.header else "no line of names"
    title = f", {dialect.title_lines} title line(s) skipped" if dialect.title_lines else ""
    return (
        f"{table.path}: {first} rows, {len(table.names)} columns; {dialect.encoding}, separator "
        f"{dialect.separator!r}, decimal {dialect.decimal!r}, {header}{title}"
    )


def _columns(spool: Spool, target: str, settings: Preprocess) -> Iterator[str]:
    """Yield a line per column: position, name, cells without a value, what is done with it."""
    every = np.ones(len(spool), dtype=np.bool_)
    width = min(40, max(len(name) for name in spool.names))
    yield f"{'':>4}  {'column':{width}}  {'missing':>8}  what it is"
    for position, name in enumerate(spool.names):
        missing = sum(int(block.missing.sum()) for block in spool.blocks(name))
        try:
            if name == target:
                what = _target(spool, name, settings)
            else:
                what = _what(fitting.fit_column(spool, name, every, settings.scale, False))
        except UserError as error:
            what = f"to mend: {error}"
        yield f"{position:4}  {name:{width}}  {missing:8}  {what}"


def _what(column: Numeric | Category | Dropped) -> str:
    if isinstance(column, Dropped):
        return f"dropped: {column.reason}"
    if isinstance(column, Category):
        return f"category: {len(column.levels)} levels, {listed(column.levels)}"
    if column.kind == "date":
        form = "2024-12-31" if column.date_format == cells.ISO else column.date_format
        return f"date, written as {form}"
    gaps = ", which fills the gaps, and a column marks them" if column.indicator else ""
    return f"{column.kind}, median {column.fill:g}{gaps}"


def _target(spool: Spool, name: str, settings: Preprocess) -> str:
    known = ~np.concatenate([block.missing for block in spool.blocks(name)])
    task = fitting.detect_task(spool.blocks(name), settings.task)
    found = fitting.fit_target(spool, name, known, task)
    if task == "regression":
        return f"target: a number, mean {found.shift:g}, deviation {found.scale:g}"
    counts = dict(zip(found.classes, found.counts, strict=True))
    return f"target: {len(counts)} classes, rows: " + ", ".join(
        f"{label} {count}" for label, count in list(counts.items())[:8]
    )


def _findings(spool: Spool, target: str) -> tuple[list[str], set[str]]:
    """Return a line per finding that needs no split, and the columns that are ids."""
    rows = np.zeros(len(spool), dtype=np.bool_)
    rows[:: -(-len(spool) // EXAMINED)] = True
    rows &= ~np.concatenate([block.missing for block in spool.blocks(target)])
    answers = spool.column(target, rows)
    if fitting.detect_task([answers], "auto") == "classification":
        answers = answers.as_texts()
    features = [spool.column(name, rows) for name in spool.names if name != target]
    parts = np.zeros(len(answers), dtype=np.int8)
    found = audit.examine(features, [], answers, parts)
    lines = [f"look at: {each.message}; {each.remedy}" for each in found]
    return lines, {each.column for each in found if each.check == "id"}


def _proposal(table: Table, target: str, ids: set[str]) -> Iterator[str]:
    """Yield the lines for params.yaml, and the command that tries them."""
    chosen = [name for name in table.names if name != target and name not in ids]
    place = [table.names.index(name) for name in chosen]
    features = "[" + ", ".join(chosen) + "]"
    if chosen and place == list(range(place[0], place[-1] + 1)):
        end = place[-1] + 1 - len(table.names)
        features = f"{place[0]}:{end or ''}"
    csv = f"{RAW}/{table.path.name}"
    copy = "" if table.path.as_posix() == csv else f"copy the file to {RAW} and "
    yield f"To use it, {copy}set in params.yaml:"
    yield f"  preprocess.csv: {csv}"
    yield f"  preprocess.features: {features}"
    yield f"  preprocess.target: {target}"
    yield "  finetune.csv: ''"
    yield "or try it without changing a file, after `git add` of the table:"
    yield (
        f"  dvc exp run --temp -S preprocess.csv={csv} -S 'preprocess.features={features}' "
        f"-S 'preprocess.target={target}' -S finetune.csv="
    )
