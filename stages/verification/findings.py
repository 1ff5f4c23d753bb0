"""What a comparison with dvc.lock has found, as the text that is printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

SAME, NOT_SAME, WITHIN, NOT_COMPARED = "same", "not same", "within tolerance", "not compared"


@dataclass(frozen=True)
class Row:
    """One compared thing. detail: where it first differs."""

    stage: str
    name: str
    recorded: str
    found: str
    verdict: str
    detail: str = ""

    @property
    def good(self) -> bool:
        return self.verdict in (SAME, WITHIN, NOT_COMPARED)


@dataclass(frozen=True)
class Findings:
    """outputs: a row for each rebuilt output, none when the rebuild failed.

    others: a row for each other thing that is not as recorded; inputs: how many of the
    recorded inputs are the same, in words; notes: lines on why bytes differ.
    """

    outputs: list[Row]
    others: list[Row]
    inputs: str
    notes: list[str]

    @property
    def good(self) -> bool:
        return bool(self.outputs) and all(row.good for row in (*self.outputs, *self.others))

    def text(self) -> str:
        """Return all of it; the last line has the counts and the name of this processor."""
        header = Row("stage", "output", "recorded", "rebuilt", "")
        lines = [table([header, *self.outputs])] if self.outputs else []
        lines += [*self.notes, self.inputs]
        lines += [table(self.others)] if self.others else []
        return "\n".join([*lines, self._counts()])

    def _counts(self) -> str:
        count, parts = Counter(row.verdict for row in self.outputs), []
        if not self.outputs:
            parts.append("no output was rebuilt")
        else:
            of = f"{count[SAME]} of {len(self.outputs)} outputs"
            parts.append(f"{of} are the same bytes as dvc.lock records, on {_processor()}")
        parts += [f"{count[word]} {word}" for word in (WITHIN, NOT_COMPARED) if count[word]]
        if self.others:
            plural = "s" if len(self.others) > 1 else ""
            parts.append(f"{len(self.others)} other difference{plural}")
        return "; ".join(parts)


def table(rows: Sequence[Row]) -> str:
    """Return rows as lines of aligned columns, a detail in a line of its own."""
    cells = [(row.stage, row.name, row.recorded, row.found, row.verdict) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row, texts in zip(rows, cells, strict=True):
        padded = [text.ljust(width) for text, width in zip(texts, widths, strict=True)]
        lines += ["  ".join(padded).rstrip(), *([f"  {row.detail}"] if row.detail else [])]
    return "\n".join(lines)


def _processor() -> str:
    import torch

    found = torch.cpu.get_capabilities()
    return str(found.get("cpu_name") or found["architecture"])
