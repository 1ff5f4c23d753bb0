"""Does it learn, does it overfit: each cause, what was measured, whether it applies, the remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stages.common import ensemble, health
from stages.reporting.section import Cell, Section, Table, counted
from stages.reporting.tracked import Tracked

TITLE = "Does it learn, does it overfit?"
NEEDED = ("train_loss", "val_loss", "overfit_gap", "best_epoch", "weight_norm")
HEADER = ("cause", "measured here", "applies here", "remedy", "set now")
DEAD = 0.5  # share of units above which a network has lost most of them


def section(state: Tracked) -> Section:
    """Return whether the base model has learnt and overfits, causes and remedies."""
    figures = state.figures
    if not all(key in figures for key in NEEDED):
        diverged = "No: the training diverged; lower train.lr."
        said = diverged if figures.get("diverged_members") else "There was no training yet."
        return Section("learning", TITLE, [said], plots="training")
    sentences = [_overfits(figures), *_later(figures), *_learnt(figures)]
    causes = [[*cause, _now(state, keys)] for *cause, keys in _overfitting(figures)]
    others = [[*cause, _now(state, keys)] for *cause, keys in _difficulties(figures)]
    tables = [
        Table("Causes of overfitting and their remedies", HEADER, causes),
        Table("What else can go wrong in training", HEADER, others),
    ]
    return Section("learning", TITLE, sentences, tables, "training")


def overfits(figures: Mapping[str, Any]) -> bool:
    """Return whether validation and training loss are apart, as the stage train sees it."""
    least = max(figures["train_loss"], ensemble.LEAST_LOSS)
    return bool(figures["overfit_gap"] > ensemble.OVERFIT * least)


def _learnt(figures: Mapping[str, Any]) -> list[str]:
    if "gate_steps" not in figures:
        return []
    return [
        f"It can learn: one batch was known by heart after {counted(figures['gate_steps'], 'step')}"
        f" (score {figures['gate_score']:.3f}, loss {figures['gate_loss']:.4f}), so the code and "
        "the learning rate work."
    ]


def _overfits(figures: Mapping[str, Any]) -> str:
    losses = (
        f"at the epoch that is kept ({figures['best_epoch']:.0f} on average) the validation loss "
        f"is {figures['val_loss']:.4f}, the training loss {figures['train_loss']:.4f}"
    )
    if overfits(figures):
        return f"It overfits: {losses}. The remedy that fits: {ensemble.remedy(dict(figures))}."
    return f"It does not overfit: {losses}."


def _later(figures: Mapping[str, Any]) -> list[str]:
    members = figures.get("overfit_members", 0)
    if not members:
        return ["No network overfits in the epochs after its best one."]
    return [
        f"After their best epoch {counted(members, 'network')} began to overfit, half of them by "
        f"epoch {figures['overfit_epoch']}; the weights that are kept are from before."
    ]


def _overfitting(figures: Mapping[str, Any]) -> list[tuple[str, str, str, str, Sequence[str]]]:
    """Return the causes of the course: (cause, measured, applies, remedy, settings)."""
    each, norm = figures["parameters_per_row"], figures["weight_norm"]
    rows, parameters = figures.get("rows_train", 0), figures["parameters"]
    many = each > ensemble.CAPACITY
    word = "no: it does not overfit" if not overfits(figures) else ""
    capacity = word or ("yes" if many else "no: fewer parameters than rows")
    weights = word or ("no: too many parameters come first" if many else "yes")
    return [
        (
            "too few rows",
            f"{counted(rows, 'training row')}, {each:.1f} parameters per row",
            capacity,
            "more rows; or noise and mixing in their place",
            ("train.noise", "train.mixup"),
        ),
        (
            "too much capacity",
            f"{counted(parameters, 'parameter')}, {each:.1f} per training row",
            capacity,
            "smaller or fewer hidden layers; dropout",
            ("model.hidden", "model.dropout"),
        ),
        (
            "large weights",
            f"weight norm {norm:.1f}",
            weights,
            "weight decay",
            ("train.weight_decay",),
        ),
    ]


def _difficulties(figures: Mapping[str, Any]) -> list[tuple[str, str, str, str, Sequence[str]]]:
    """Return what else goes wrong, in the same order of columns."""
    ratio, spread = figures.get("gradient_first_to_last"), figures.get("starting_spread")
    found: list[tuple[str, str, bool, str, Sequence[str]]] = [
        (
            "steps too large",
            f"{counted(figures['diverged_members'], 'network')} diverged",
            figures["diverged_members"] > 0,
            "a lower learning rate",
            ("train.lr",),
        ),
        (
            "outputs explode",
            "without limit" if spread is None else f"spread {spread:.2f} before training",
            spread is None or spread > health.EXPLODING,
            "scale the features; default starting weights",
            ("preprocess.scale", "model.init"),
        ),
        (
            "the gradient vanishes",
            "not measured" if ratio is None else f"first to last layer {ratio:.2g}",
            ratio is not None and ratio < health.VANISHING,
            "ReLU in place of sigmoid or tanh",
            ("model.activation",),
        ),
        (
            "dead units",
            f"a share of {figures['dead_share']:.3f} never answers",
            figures["dead_share"] > DEAD,
            "leaky ReLU; a lower learning rate",
            ("model.activation", "train.lr"),
        ),
    ]
    return [
        (cause, measured, "yes" if applies else "no", remedy, keys)
        for cause, measured, applies, remedy, keys in found
    ]


def _now(state: Tracked, keys: Sequence[str]) -> Cell:
    """Return the settings that a remedy turns, with their values."""
    return ", ".join(f"{key} {state.settings.get(key, '(unknown)')}" for key in keys)
