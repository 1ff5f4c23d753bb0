"""The network: its layers, their shapes, their parameters."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from stages.common.network import count_parameters
from stages.reporting.section import Cell, Section, Table, counted
from stages.reporting.tracked import Tracked


def section(state: Tracked) -> Section:
    """Return a row per layer, first to last, and how many there are of the network."""
    figures, settings = state.figures, state.settings
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
    if count_parameters(shapes) != parameters:  # the settings have changed since
        return Section("model", title, [*sentences, "params.yaml has another network by now."])
    header = ("layer", "in", "out", "parameters", "then")
    return Section("model", title, sentences, [Table("Layers", header, _rows(state, shapes))])


def widths(state: Tracked) -> list[int]:
    """Return the widths from the encoded columns to the outputs, as the files have them."""
    target = state.schemas.get("source", {}).get("target", {})
    outputs = len(target.get("classes", [])) or state.figures.get("classes", 0) or 1
    hidden = state.settings.get("model.hidden")
    return [state.figures.get("features", 0), *(hidden or []), outputs]


def _rows(state: Tracked, shapes: Sequence[int]) -> list[list[Cell]]:
    dropout = state.settings.get("model.dropout", 0)
    between = f"{state.settings.get('model.activation')}, dropout {dropout}"
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
