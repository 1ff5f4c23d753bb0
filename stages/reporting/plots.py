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


# group: name of the plot in dvc.yaml: the question that it answers, what is drawn
WORDS = {
    "training": {
        "loss": (
            "Did the network learn, and did it start to learn by heart?",
            "Loss by epoch on training and validation rows: mean, range, best epochs.",
        ),
        "score": (
            "How good did it get, on rows that it learns from and on others?",
            "Score by epoch on training and validation rows: mean, range, best epochs.",
        ),
        "gap": (
            "When does it start to learn by heart?",
            "A line of validation loss less training loss by epoch.",
        ),
        "gradients": (
            "Does the gradient reach the first layer?",
            "A line per layer of the norm of its gradient by epoch.",
        ),
        "saturated": (
            "Can all units still learn?",
            "A line per layer of the share of its units that are saturated, by epoch.",
        ),
        "dead": (
            "Are there units that do nothing?",
            "A line per layer of the share of its units that are 0 on every row, by epoch.",
        ),
    },
    "test": {
        "confusion": (
            "Which classes are taken for which?",
            "A matrix of the numbers of test rows by actual and predicted class.",
        ),
        "confusion shares": (
            "Which share of a class is taken for another?",
            "A matrix of the shares of each actual class by predicted class.",
        ),
        "reliability": (
            "Can its confidence be trusted?",
            "Points of the share of right answers against their confidence, and the diagonal.",
        ),
        "classes": (
            "Which classes does it fail at?",
            "Points of precision, recall and F1 of each class, the weakest first.",
        ),
        "roc": (
            "How well does it tell each class from the rest?",
            "Lines of true against false positive rate of frequent classes, and their mean.",
        ),
        "precision recall": (
            "How many false alarms does finding a class cost?",
            "Lines of precision against recall of the most frequent classes, and their mean.",
        ),
        "predicted": (
            "How near are the answers?",
            "Points of predicted against actual values of test rows, beside the diagonal.",
        ),
        "residuals": (
            "Is it wrong in a way that could be learnt?",
            "Points of predicted less actual values against predicted values of test rows.",
        ),
    },
    "transfer": {
        "transfer": (
            "Does the first table help with the second?",
            "Lines of the validation score by epoch, fine-tuned and from scratch.",
        ),
        "gain": (
            "Is the help more than chance?",
            "A line of the gain over training from scratch by epoch, with its 95 % interval.",
        ),
        "freezing": (
            "How many layers are worth keeping?",
            "Points of the mean validation score of each way to learn, with its range.",
        ),
    },
    "search": {
        "settings": (
            "What does each setting do?",
            "Points of the validation score of the trials against each setting.",
        ),
        "parallel": (
            "Which settings go well together?",
            "A line per trial through its settings, the best ten marked.",
        ),
        "progress": (
            "Were there enough trials?",
            "Points of the validation score of each trial, and a line of the best so far.",
        ),
        "capacity": (
            "How large need the network be?",
            "Points of the validation score of the trials against the number of parameters.",
        ),
        "importance": (
            "Which settings are worth tuning?",
            "Bars of the share of the ranking that each setting explains.",
        ),
    },
}


def listed(root: Path) -> list[Plot]:
    """Return the plots of dvc.yaml in the project `root` that have words here, in its order."""
    from ruamel.yaml import YAML

    entries = YAML(typ="safe").load(root / GRAPH)["plots"]
    defined = {name: found for entry in entries for name, found in entry.items()}
    words = {name: (group, *said) for group, each in WORDS.items() for name, said in each.items()}
    return [
        Plot(name, found["title"], *words[name], tuple(found["y"]), found, root / TEMPLATES)
        for name, found in defined.items()
        if name in words
    ]
