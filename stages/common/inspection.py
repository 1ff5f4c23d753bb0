"""The audit of one table: what is examined, what is said of it, and when the stage stops."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.common import audit, duplicates, encoding
from stages.common.cells import Cells
from stages.common.dataset import Dataset, Rows
from stages.common.errors import UserError
from stages.common.evidence import Finding

HEADER = ("table", "check", "column", "strength", "finding", "remedy")
MOST_EXAMINED = 100_000  # rows in which single columns are examined, in evenly spaced runs
MOST_COMPARED = 1_000_000  # rows, about, in which repeats are looked for, chosen by content
PREFIX = {"source": "", "target": "second_"}  # of the figures of a table


@dataclass
class Inspector:
    """Watches the rows of a table as they are written, and says what is wrong with them."""

    name: str  # source or target
    table: Dataset
    policy: str  # warn, stop, off
    findings: list[Finding] = field(default_factory=list)
    _seen: list[tuple[NDArray[Any], ...]] = field(default_factory=list)

    def add(self, rows: Rows) -> None:
        """Keep what finds rows that are alike: hashes, target and part of a chunk of rows."""
        if self.policy != "off":
            hashes = duplicates.row_hashes(rows.features)
            chosen = hashes % np.uint64(self._share) == 0  # rows that are equal stay together
            near = duplicates.near_hashes(rows.features[chosen])
            self._seen.append((hashes[chosen], near, rows.target[chosen], rows.part[chosen]))

    @cached_property
    def _share(self) -> int:
        """Return of how many rows one is compared with others."""
        return -(-int((self.table.parts >= 0).sum()) // MOST_COMPARED)

    def inspect(self) -> Inspector:
        """Find and print what is wrong; UserError when the policy is to stop at it."""
        if self.policy == "off":
            return self
        marks = [np.concatenate(each) for each in zip(*self._seen, strict=True)]
        self._seen.clear()
        repeats = duplicates.findings(*marks)
        if self._share > 1:
            part = f" (among {len(marks[0])} rows that were compared)"
            repeats = [replace(each, message=each.message + part) for each in repeats]
        self.findings = [*self._examine(), *repeats]
        csv = self.table.csv
        if self.findings and self.policy == "stop":
            first = self.findings[0]
            more = (
                f" (and {len(self.findings) - 1} more findings)" if len(self.findings) > 1 else ""
            )
            raise UserError(f"{csv}: {first.line}, or set preprocess.audit to warn{more}")
        for finding in self.findings:
            print(f"{csv}: {finding.line}")
        return self

    def _examine(self) -> list[Finding]:
        """Examine the columns in a sample of the rows that are kept."""
        spool, roles = self.table.spool, self.table.roles
        kept = np.flatnonzero(self.table.parts >= 0)
        sample = np.zeros(len(self.table.parts), dtype=np.bool_)
        sample[kept[audit.sample(len(kept), MOST_EXAMINED)]] = True
        schema = self.table.schema
        fitted = {column.name: column for column in (*schema.features, *schema.dropped)}
        features = [
            encoding.as_encoded(spool.column(name, sample), fitted[name]) for name in roles.features
        ]
        left_out = [spool.column(name, sample) for name in roles.left_out]
        target: Cells = spool.column(roles.target, sample)
        if schema.task == "classification":
            target = target.as_texts()
        found: list[Finding] = audit.examine(features, left_out, target, self.table.parts[sample])
        return found


def rows(inspected: Iterable[Inspector]) -> Iterator[tuple[object, ...]]:
    """Yield the findings of all tables as rows under HEADER."""
    for each in inspected:
        for finding in each.findings:
            place = (each.name, finding.check, finding.column, finding.strength)
            yield *place, finding.message, finding.remedy


def figures(inspected: Iterable[Inspector]) -> dict[str, int]:
    """Return the sizes of the tables and the number of findings, for metrics/preprocess.json."""
    found: dict[str, int] = {}
    for each in inspected:
        prefix, table = PREFIX[each.name], each.table
        found |= {f"{prefix}rows_{part}": count for part, count in table.sizes().items()}
        found[f"{prefix}classes"] = sum(count > 0 for count in table.schema.target.counts)
        if each.policy != "off":
            found[f"{prefix}audit_findings"] = len(each.findings)
        if each.name == "source":
            found["features"] = table.schema.n_features
            found["columns_dropped"] = len(table.schema.dropped)
    return found
