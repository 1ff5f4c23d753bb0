"""Which rule of the split deals the rows of a table, and on which column."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stages.common import cells, dates, split, targets
from stages.common.cells import Cells
from stages.common.errors import UserError
from stages.common.settings import PARTS, Preprocess
from stages.common.spool import Spool
from stages.common.table import Roles, Table, pick

KEYS = ("column", "group", "time")


def aside(table: Table, settings: Preprocess) -> list[str]:
    """Return the columns that the split needs; UserError when the table lacks one."""
    chosen = {key: getattr(settings.split, key) for key in KEYS}
    return [
        pick(table.names, name, f"preprocess.split.{key}") for key, name in chosen.items() if name
    ]


def deal(
    spool: Spool, kept: NDArray[np.bool_], roles: Roles, settings: Preprocess
) -> NDArray[np.int8]:
    """Return the part of every row, int8 (rows,), -1 for a row that is not kept."""
    parts = np.full(len(spool), -1, dtype=np.int8)
    parts[kept] = _deal_kept(spool, kept, roles, settings)
    return parts


def _deal_kept(
    spool: Spool, kept: NDArray[np.bool_], roles: Roles, settings: Preprocess
) -> split.Parts:
    chosen = settings.split
    if chosen.column:
        return split.from_column(spool.column(chosen.column, kept), np.flatnonzero(kept))
    if chosen.time:
        return split.by_time(_moments(spool, chosen.time, kept), chosen.val, chosen.test)
    if chosen.group:
        groups = spool.column(chosen.group, kept).as_texts()
        _check_full(groups, kept, "group")
        parts = split.by_group(_sorted(groups), chosen.val, chosen.test, settings.seed)
        _say_groups(groups, parts)
        return parts
    target = spool.column(roles.target, kept)
    if not chosen.stratify or targets.detect_task([target], settings.task) == "regression":
        same = np.zeros(len(target), dtype=np.int32)
        return split.deal(same, chosen.val, chosen.test, settings.seed)
    return split.deal(_sorted(target.as_texts()), chosen.val, chosen.test, settings.seed)


def _say_groups(groups: Cells, parts: split.Parts) -> None:
    """Print how many groups each part has, and what that means for the intervals."""
    count = {name: len(np.unique(groups.values[parts == at])) for at, name in enumerate(PARTS)}
    sizes = ", ".join(f"{number} {name}" for name, number in count.items())
    print(
        f"preprocess.split.group '{groups.name}': {sizes} groups; intervals count rows: with few "
        "groups they are too narrow"
    )


def _sorted(column: Cells) -> NDArray[np.int32]:
    """Return each row's place among the sorted texts: no order of the file is left in it."""
    texts = column.texts or ()
    order = sorted(range(len(texts)), key=texts.__getitem__)
    place = np.empty(len(texts), dtype=np.int32)
    place[order] = np.arange(len(texts), dtype=np.int32)
    found: NDArray[np.int32] = place[column.values]
    return found


def _moments(spool: Spool, name: str, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the time of each kept row, float64 (rows,): numbers, or dates as days."""
    kind, form = "numeric", ""
    if spool.is_text(name):
        forms = [
            form
            for form in dates.FORMATS
            if all(dates.all_fit(block.texts or (), form) for block in spool.blocks(name))
        ]
        if len(forms) != 1:
            raise UserError(
                f"preprocess.split.time '{name}': not numbers and not dates of one clear form; "
                "write dates as 2024-12-31"
            )
        kind, form = "date", forms[0]
    moments = np.concatenate([cells.read(block, kind, form) for block in spool.blocks(name)])
    if (gaps := np.isnan(moments) & kept).any():
        raise UserError(f"preprocess.split.time '{name}', row {gaps.argmax()}: no value; fill it")
    return moments[kept]


def _check_full(column: Cells, kept: NDArray[np.bool_], key: str) -> None:
    if column.missing.any():
        row = int(np.flatnonzero(kept)[np.argmax(column.missing)])
        raise UserError(f"preprocess.split.{key} '{column.name}', row {row}: no value; fill it")
