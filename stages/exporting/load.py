"""The exported model with its preprocessing in plain PyTorch; nothing of tabline is needed.

In the folder of the exported files:

    from load import cells, load, schema
    load()(cells(schema(), rows))

Dimensions: B rows, N columns of the table, F encoded features, C classes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

HERE = Path(__file__).parent
NO_VALUE = "(missing)"  # the level of a missing text, if training rows had one

Cell = float | str | None


def schema(folder: Path = HERE) -> dict[str, Any]:
    """Return schema.json: the columns in order, how a cell is encoded, classes, layers."""
    found: dict[str, Any] = json.loads((folder / "schema.json").read_text(encoding="utf-8"))
    return found


def load(folder: Path = HERE) -> Model:
    """Return the model of the files in a folder, ready to answer."""
    return assemble(schema(folder), torch.load(folder / "state_dicts.pt", weights_only=True))


def assemble(described: Mapping[str, Any], states: Sequence[Mapping[str, Tensor]]) -> Model:
    """Return the model with these weights of its members, ready to answer."""
    members = []
    for state in states:
        network = nn.Sequential(*(layer(**options) for layer, options in layers(described)))
        network.load_state_dict(state)
        members.append(network)
    return Model(described, members).eval().requires_grad_(False)


def layers(described: Mapping[str, Any]) -> list[tuple[type[nn.Module], dict[str, Any]]]:
    """Return the classes of torch.nn that a member consists of, with their arguments."""
    return [(getattr(nn, layer["type"]), layer["options"]) for layer in described["network"]]


def cells(described: Mapping[str, Any], rows: Sequence[Mapping[str, Cell]]) -> Tensor:
    """Return rows, each a mapping of column to cell, as the float64 (B, N) that a model takes.

    A cell is a number (a truth value as 1 or 0, a date as days since 1970), a level, or None.
    KeyError names a column that a row lacks, ValueError a cell that is no number, or a gap
    that training did not allow.
    """
    columns = described["features"]
    found = [[_number(row[column["name"]], column) for column in columns] for row in rows]
    table = torch.tensor(found, dtype=torch.float64).reshape(len(rows), len(columns))
    if described["missing"] == "error" and bool(table.isnan().any()):
        raise ValueError("a cell has no value; the training rows had one everywhere")
    return table


def _number(cell: Cell, column: Mapping[str, Any]) -> float:
    """Return a number, or the place of a level among those of its column; NaN without a value."""
    if cell is None or cell != cell:
        return float("nan")
    if column["kind"] != "category":
        return float(cell)
    whole = isinstance(cell, float) and cell.is_integer()
    text = str(int(cell) if whole else cell)
    return column["levels"].index(text) if text in column["levels"] else len(column["levels"])


class Encoder(nn.Module):
    """Cells, float64 (B, N), encoded as the float32 (B, F) that the networks were trained on."""

    fill: Tensor  # of each column (N,), as shift, scale, low, high, others and gaps
    shift: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor
    owners: Tensor  # of each one-hot feature: its column, its level
    places: Tensor
    others: Tensor  # the place of other levels, of a missing one
    gaps: Tensor
    order: Tensor  # (F,)

    def __init__(self, columns: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        numbers = [{"fill": 0.0, "shift": 0.0, "scale": 1.0, **column} for column in columns]
        for name in ("fill", "shift", "scale"):
            self._keep(name, [column[name] for column in numbers])
        for name, unlimited in (("low", -torch.inf), ("high", torch.inf)):
            limits = [column.get(name) for column in columns]
            self._keep(name, [unlimited if limit is None else limit for limit in limits])
        self.curves = nn.ModuleDict(
            {
                str(at): Curve(column["knots"], column["scores"])
                for at, column in enumerate(columns)
                if column.get("knots")
            }
        )
        self._keep_levels(columns)
        self._keep_order(columns)

    def _keep(self, name: str, values: Sequence[float], kind: torch.dtype = torch.float64) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=kind))

    def _keep_levels(self, columns: Sequence[Mapping[str, Any]]) -> None:
        owners: list[int] = []
        places: list[int] = []
        others, gaps = [], []
        for at, column in enumerate(columns):
            levels = column.get("levels", [])
            if column["kind"] == "category":
                owners += [at] * (len(levels) + 1)
                places += range(len(levels) + 1)
            others.append(len(levels))
            gaps.append(levels.index(NO_VALUE) if NO_VALUE in levels else len(levels))
        self._keep("owners", owners, torch.int64)
        self._keep("places", places)
        self._keep("others", others)
        self._keep("gaps", gaps)

    def _keep_order(self, columns: Sequence[Mapping[str, Any]]) -> None:
        """Where each encoded feature stands among numbers, marks of missing ones, one-hot ones."""
        order: list[int] = []
        hot = 2 * len(columns)
        for at, column in enumerate(columns):
            if column["kind"] == "category":
                width = len(column["levels"]) + 1
                order += range(hot, hot + width)
                hot += width
            else:
                order += [at, len(columns) + at][: 1 + column["indicator"]]
        self._keep("order", order, torch.int64)

    def forward(self, table: Tensor) -> Tensor:
        """Fill, scale and hold numbers, mark missing ones, set a one for each level."""
        missing = table.isnan()
        numbers = torch.where(missing, self.fill, table)
        if len(self.curves):
            each = [numbers[:, at] for at in range(numbers.shape[1])]
            for at, curve in self.curves.items():
                each[int(at)] = curve(each[int(at)])
            numbers = torch.stack(each, dim=1)
        numbers = ((numbers - self.shift) / self.scale).clamp(self.low, self.high)
        parts = [numbers.float(), missing.float()]
        if len(self.owners):
            known = (table >= 0) & (table < self.others)
            levels = torch.where(missing, self.gaps, torch.where(known, table, self.others))
            parts.append((levels[:, self.owners] == self.places).float())
        return torch.cat(parts, dim=1)[:, self.order]


class Curve(nn.Module):
    """Scores between knots, which rise, by straight lines; held at the outermost knots."""

    knots: Tensor
    scores: Tensor
    slopes: Tensor

    def __init__(self, knots: Sequence[float], scores: Sequence[float]) -> None:
        super().__init__()
        x, y = (torch.tensor(values, dtype=torch.float64) for values in (knots, scores))
        slopes = torch.cat([y.diff() / x.diff(), torch.zeros_like(y[:1])])
        for name, values in (("knots", x), ("scores", y), ("slopes", slopes)):
            self.register_buffer(name, values)

    def forward(self, values: Tensor) -> Tensor:
        """Map float64 (B,) to float64 (B,)."""
        held = values.clamp(self.knots[0], self.knots[-1])
        before = (held[:, None] >= self.knots).sum(dim=1) - 1
        return self.slopes[before] * (held - self.knots[before]) + self.scores[before]


class Model(nn.Module):
    """The mean of the members' probabilities, float32 (B, C), or of their values, (B,)."""

    def __init__(self, described: Mapping[str, Any], members: Sequence[nn.Sequential]) -> None:
        super().__init__()
        self.encoder = Encoder(described["features"])
        self.members = nn.ModuleList(members)
        self.classes = described["task"] == "classification"
        self.shift, self.scale = described["target"]["shift"], described["target"]["scale"]

    def forward(self, table: Tensor) -> Tensor:
        """Answer for rows of cells, float64 (B, N): see `cells`."""
        return self.answer(self.encoder(table))

    def answer(self, features: Tensor) -> Tensor:
        """Answer for encoded rows, float32 (B, F): class probabilities, or values."""
        outputs = torch.stack([network(features) for network in self.members])
        if self.classes:
            return outputs.softmax(dim=-1).mean(dim=0)
        values: Tensor = outputs.mean(dim=0)[:, 0] * self.scale + self.shift
        return values
