"""A trained model's answers for the rows of a new table, a chunk at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from stages.common import encoding, evaluation
from stages.common.cells import Cells
from stages.common.checkpoint import Checkpoint
from stages.common.errors import located
from stages.common.names import counted, listed
from stages.common.schema import Category
from stages.common.table import Table
from stages.common.tally import ClassTally, ValueTally


@dataclass
class Answers:
    """The answers of a model for a table. What is counted is complete after `rows`."""

    model: Checkpoint
    table: Table
    device: torch.device
    count: int = 0
    gaps: int = 0  # feature cells without a value
    strange: Counter[str] = field(default_factory=Counter)  # cells by column, of encoding.strange
    left_out: int = 0  # rows without a target, or with a class that the model does not know

    def __post_init__(self) -> None:
        schema = self.model.schema
        with located(str(self.table.path)):
            encoding.require(self.table.names, schema)
        classes = schema.task == "classification"
        self.tally = ClassTally(schema.n_outputs) if classes else ValueTally()

    def header(self) -> list[str]:
        """Return the names of the columns that `rows` yields."""
        target = self.model.schema.target
        return ["row", target.name, *(f"probability {name}" for name in target.classes)]

    def rows(self) -> Iterator[list[object]]:
        """Yield each row's number, its answer, and a probability per class."""
        schema = self.model.schema
        texts = [column.name for column in schema.features if isinstance(column, Category)]
        if schema.task == "classification" and schema.target.name in self.table.names:
            texts.append(schema.target.name)  # as in training: pandas would read TRUE as True
        for chunk in self.table.chunks(texts):
            with located(str(self.table.path)):
                yield from self._answer({cells.name: cells for cells in chunk})

    def _answer(self, columns: Mapping[str, Cells]) -> Iterator[list[object]]:
        schema = self.model.schema
        self.gaps += encoding.gaps(columns, schema)
        features = encoding.features(columns, schema)
        self.strange.update(encoding.strange(features, schema))
        given = torch.from_numpy(features).to(self.device)
        found = evaluation.predict(self.model.stack, schema, given).cpu()
        self._count(columns.get(schema.target.name), found)
        start, self.count = self.count, self.count + len(found)
        for at, answer in enumerate(evaluation.named(schema, found), start=start):
            yield [at, *answer]

    def _count(self, target: Cells | None, found: torch.Tensor) -> None:
        """Add a chunk to the figures, where the table says what is right."""
        if target is None:
            return
        schema = self.model.schema
        known = ~target.missing
        if schema.task == "classification":
            target = target.as_texts()
            classes = set(schema.target.classes)
            known &= np.array([*(text in classes for text in target.texts or ()), False])[
                target.values
            ]
        self.left_out += int((~known).sum())
        truth = torch.from_numpy(encoding.target(target, schema, known))
        if schema.task == "regression":
            truth = truth * schema.target.scale + schema.target.shift
        self.tally.add(found[torch.from_numpy(known)], truth)

    def remarks(self) -> Iterator[str]:
        """Yield a line for all that a reader of the answers should know."""
        schema = self.model.schema
        used = {column.name for column in schema.features}
        used |= {schema.target.name, *(column.name for column in schema.dropped)}
        extra = [name for name in self.table.names if name not in used]
        if extra:
            yield f"not used by the model: {listed(extra)}"
        if self.gaps:
            yield f"{counted(self.gaps, 'cell')} without a value filled as in training"
        if self.strange:
            where = ", ".join(f"'{name}' ({count})" for name, count in self.strange.items())
            yield (
                "cells that the model knows little of, levels that are rare or new and numbers "
                f"far from the mean of the training rows: {where}"
            )
        if self.left_out:
            rows = counted(self.left_out, "row")
            yield f"{rows} without a '{schema.target.name}' that the model knows"
        if self.tally.rows and self.table.path.resolve() == Path(schema.csv).resolve():
            honest = "for honest figures see metrics/evaluate.json"
            yield f"{schema.csv} has the training rows: {honest}"
        if self.tally.rows:
            yield evaluation.sentence(
                f"against '{schema.target.name}'", self.tally.figures(), "rows"
            )
