"""The data: the tables, rows per part, columns dropped, what the audit found."""

from __future__ import annotations

from stages.common.names import counted
from stages.reporting.models import MODELS
from stages.reporting.section import Cell, Section, Table
from stages.reporting.tracked import Tracked

MOST = 50  # rows of a table
PARTS = ("train", "val", "test")


def section(state: Tracked) -> Section:
    """Return the tables, the columns that were dropped, the findings with their remedies."""
    tables = [_parts(state), *_classes(state), *_dropped(state), *_findings(state)]
    return Section("data", "What was it trained on?", sentences(state), tables)


def sentences(state: Tracked) -> list[str]:
    """Return the encoded width and how many findings the audit has."""
    figures = state.figures
    if "features" not in figures:
        return state.missing("preprocess.json")
    width, dropped = figures["features"], figures.get("columns_dropped", 0)
    said = [f"The network sees {counted(width, 'encoded column')}."]
    if dropped:
        said.append(f"{counted(dropped, 'column')} carried nothing and went.")
    if "audit_findings" not in figures:
        return [*said, "There was no audit (preprocess.audit is off)."]
    found = figures["audit_findings"] + figures.get("second_audit_findings", 0)
    if not found:
        return [*said, "The audit found nothing that makes the figures dishonest."]
    remedies = state.missing("audit.csv") or ["The remedies are below."]
    return [*said, f"The audit has {counted(found, 'finding')}.", *remedies]


def _parts(state: Tracked) -> Table:
    rows: list[list[Cell]] = []
    for model in MODELS.values():
        sizes = [state.figures.get(f"{model.counts}rows_{part}") for part in PARTS]
        if None not in sizes:
            classes = state.figures.get(f"{model.counts}classes") or "a number"
            rows.append([str(state.settings.get(model.setting, "")), *sizes, classes])
    header = ("table", "rows that train", "rows of validation", "rows of the test", "classes")
    return Table("Rows per part", header, rows)


def _classes(state: Tracked) -> list[Table]:
    """Return the training rows of each class, the rarest first."""
    target = state.schemas.get("source", {}).get("target", {})
    counts = target.get("counts", [])
    rows = sorted(zip(target.get("classes", []), counts, strict=False), key=lambda row: row[1])
    table = Table.first(MOST, "Training rows per class, the rarest first", ("class", "rows"), rows)
    return [table] if rows else []


def _dropped(state: Tracked) -> list[Table]:
    rows = [
        [column["name"], column["position"], column["reason"]]
        for column in state.schemas.get("source", {}).get("dropped", [])
    ]
    table = Table.first(MOST, "Columns dropped", ("column", "position", "reason"), rows)
    return [table] if rows else []


def _findings(state: Tracked) -> list[Table]:
    rows = [
        [row["table"], row["column"], row["finding"], row["remedy"]]
        for row in state.rows("audit.csv")
    ]
    header = ("table", "column", "finding", "remedy")
    return [Table.first(MOST, "What the audit found", header, rows)] if rows else []
