"""The plots of dvc.yaml, each with the question that it answers and its words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.common.graph import GRAPH

TEMPLATES = Path(".dvc/plots")  # where DVC looks for a template by its name


@dataclass(frozen=True)
class Plot:
    """One plot.

    group: training, test, transfer or search; files: what it draws, relative to the project;
    alt: what is drawn, for who cannot see it; properties: its definition in dvc.yaml;
    templates: the folder of the templates.
    """

    name: str
    title: str
    group: str
    question: str
    alt: str
    files: tuple[str, ...]
    properties: Mapping[str, Any]
    templates: Path


# name of the plot in dvc.yaml: group, the question that it answers, what is drawn
WORDS = {
    "loss": (
        "training",
        "Did the network learn, and did it start to learn by heart?",
        "Loss of training and validation rows by epoch, with the range over the networks.",
    ),
}


def listed(root: Path) -> list[Plot]:
    """Return the plots of dvc.yaml in the project `root` that have words here, in its order."""
    from ruamel.yaml import YAML

    defined = YAML(typ="safe").load(root / GRAPH)["plots"]
    return [
        Plot(name, found["title"], *WORDS[name], tuple(found["y"]), found, root / TEMPLATES)
        for entry in defined
        for name, found in entry.items()
        if name in WORDS
    ]
