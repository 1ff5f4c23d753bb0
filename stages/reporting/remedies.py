"""Does it learn, does it overfit: each cause, what was measured, whether it applies, the remedy."""

from __future__ import annotations

from collections.abc import Sequence

from stages.common import advice, health
from stages.common.names import counted
from stages.reporting import alarms, course
from stages.reporting.section import Cell, Section, Table
from stages.reporting.tracked import Tracked

TITLE = "Does it learn, does it overfit?"
NEEDED = ("train_loss", "val_loss", "overfit_gap", "best_epoch", "weight_norm")
HEADER = ("cause", "applies here", "remedy", "measured here", "set now")
DEAD = 0.5  # share of a layer's units above which it has lost most of them

# cause, what was measured, whether it applies, remedy, settings
Causes = list[tuple[str, str, str, str, Sequence[str]]]


def section(state: Tracked) -> Section:
    """Return whether the base model has learnt and overfits, causes and remedies."""
    if not _trained(state):
        return Section("learning", TITLE, sentences(state), plots="training")
    failed = bool(alarms.failed(state))
    tables = [
        _table(state, "Causes of overfitting and their remedies", _overfitting(state, failed)),
        _table(state, "What else can go wrong in training", _difficulties(state)),
    ]
    missing = state.missing("plots/training.csv", "plots/health.csv")
    told = [*sentences(state), *course.curves(state), *missing]
    return Section("learning", TITLE, told, tables, "training")


def sentences(state: Tracked) -> list[str]:
    """Return how training went."""
    figures = state.figures
    if not _trained(state):
        diverged = "No: the training diverged; lower train.lr."
        return [diverged if figures.get("diverged_members") else "There was no training yet."]
    return [
        *alarms.networks(state),
        *course.overfits(figures, bool(alarms.failed(state))),
        course.later(state),
        *course.learnt(figures),
    ]


def _trained(state: Tracked) -> bool:
    return all(key in state.figures for key in NEEDED)


def _table(state: Tracked, caption: str, causes: Causes) -> Table:
    return Table(
        caption,
        HEADER,
        [
            [cause, applies, remedy, measured, _now(state, keys)]
            for cause, measured, applies, remedy, keys in causes
        ],
    )


def _overfitting(state: Tracked, failed: bool) -> Causes:
    """Return the causes of the course; failed: training gave no useful model."""
    figures = state.figures
    each, norm = figures["parameters_per_row"], figures["weight_norm"]
    rows, parameters = figures.get("rows_train", 0), figures["parameters"]
    many = each > advice.CAPACITY
    clear = "cannot be told yet" if failed else "no: it does not overfit"
    word = "" if course.gap(figures) > course.MILD else clear
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


def _difficulties(state: Tracked) -> Causes:
    """Return what else goes wrong, in the same order."""
    figures, (dead, share) = state.figures, course.dead(state)
    ratio, spread = figures.get("gradient_first_to_last"), figures.get("starting_spread")
    found: list[tuple[str, str, bool, str, Sequence[str]]] = [
        (
            f"steps {alarms.LARGE}",
            f"{counted(figures['diverged_members'], 'network')} diverged",
            alarms.steps(state) == alarms.LARGE,
            "a lower learning rate",
            ("train.lr",),
        ),
        (
            f"steps {alarms.SMALL}",
            course.fall(state),
            alarms.steps(state) == alarms.SMALL,
            "a higher learning rate; more epochs",
            ("train.lr", "train.epochs"),
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
            "ReLU in place of sigmoid or softplus; kaiming starting weights; fewer layers",
            ("model.activation", "model.init", "model.hidden"),
        ),
        (
            "dead units",
            dead,
            share > DEAD,
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
