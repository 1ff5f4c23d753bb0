"""The network: its layers, their shapes, their parameters."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from stages.common.names import counted
from stages.common.network import count_parameters
from stages.reporting.section import Cell, Section, Table
from stages.reporting.tracked import Tracked


def section(state: Tracked) -> Section:
    """Return a row per layer, first to last, and how many there are of the network."""
    figures, settings = state.figures, _settings(state)
    members = settings.get("train.members", 1)
    parameters = figures.get("parameters")
    title = "What is the model?"
    if parameters is None:
        return Section("model", title, ["There was no training yet."])
    sentences = [
        f"{counted(members, 'network')} of one shape, {counted(parameters, 'parameter')} each; "
        "the mean of their answers is the answer.",
    ]
    if "frozen_parameters" in figures:
        sentences.append(
            f"Fine-tuning held {figures['frozen_parameters']:,} parameters and trained "
            f"{figures['trainable_parameters']:,}."
        )
    shapes = widths(state)
    if count_parameters(shapes) != parameters:  # of other settings than are recorded
        unknown = "Its layers are not known: params.yaml has another network by now."
        return Section("model", title, [*sentences, unknown])
    header = ("layer", "in", "out", "parameters", "then")
    return Section("model", title, sentences, [Table("Layers", header, _rows(state, shapes))])


def widths(state: Tracked) -> list[int]:
    """Return the widths from the encoded columns to the outputs, as the files have them."""
    target = state.schemas.get("source", {}).get("target", {})
    outputs = len(target.get("classes", [])) or state.figures.get("classes", 0) or 1
    hidden = _settings(state).get("model.hidden")
    return [state.figures.get("features", 0), *(hidden or []), outputs]


def _settings(state: Tracked) -> dict[str, Any]:
    """Return the settings that dvc.lock says train ran with, those of params.yaml without it."""
    return state.settings | state.used("train")


def _rows(state: Tracked, shapes: Sequence[int]) -> list[list[Cell]]:
    settings = _settings(state)
    between = f"{settings.get('model.activation')}, dropout {settings.get('model.dropout', 0)}"
    last = len(shapes) - 2
    return [
        [
            f"layer{index}",
            before,
            after,
            count_parameters([before, after]),
            between if index < last else "the answer: no activation",
        ]
        for index, (before, after) in enumerate(itertools.pairwise(shapes))
    ]
