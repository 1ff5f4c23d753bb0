"""Points that a model of the trials so far proposes, a round at a time.

The model is the tree-structured Parzen estimator (Bergstra et al. 2011) of Optuna: where in
the space the best trials lie, against where the others lie. Optuna computes with NumPy's exp
and log, whose last bits differ between processors: a seed gives the same points on one machine
and perhaps others on another. The table of trials has them either way.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from stages.common import race, space, trials
from stages.common.errors import UserError
from stages.common.resume import Saves
from stages.common.settings import Model, Range, Search
from stages.common.space import Point
from stages.common.streams import stream
from stages.common.trials import Common, Trial

ROUND = 16  # trials: enough to train in stacks, few enough to learn from often


def run(common: Common, saves: Saves | None = None) -> list[Trial]:
    """Train the trials of a search and return them in order.

    Their points are drawn beforehand. With the method tpe only those of the first round are;
    each later round is asked of a model of all trials before it. Halving is within a round.
    """
    search, model = common.search, common.model
    points = space.draw(search, model)
    size = len(points)
    if search.method == "tpe":
        _optuna()  # missing: say so before the first round, not after it
        size = ROUND
    found: list[Trial] = []
    while len(found) < len(points):
        count = min(size, len(points) - len(found))
        asked = ask(search, model, found, count) if found else points[:count]
        found += race.run(common, asked, saves, len(found))
    return found


def ask(search: Search, model: Model, told: Sequence[Trial], count: int) -> list[Point]:
    """Return points that promise to be better than the trials so far, and differ.

    They depend on `told` and the seed of the search only. Trials are told by their place among
    all, so one that diverged is a bad one, whatever its figures are.
    """
    optuna = _optuna()
    axes = {(section, key): axis for section, key, axis in search.space.axes()}
    kinds = {name: _kind(optuna, axis) for name, axis in axes.items()}
    seed = stream("search", search.seed, len(told)).initial_seed() % 2**31
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
    study = optuna.create_study(sampler=sampler)
    places = {at: place for place, at in enumerate(trials.ranked(told))}
    for at, trial in enumerate(told):
        study.add_trial(
            optuna.trial.create_trial(
                params={_text(name): _told(axes[name], trial.point[name]) for name in trial.point},
                distributions={_text(name): kinds[name] for name in trial.point},
                value=places[at],
            )
        )
    points = []
    for _ in range(count):
        found = study.ask({_text(name): kind for name, kind in kinds.items()}).params
        point = {name: _asked(axis, found[_text(name)]) for name, axis in axes.items()}
        points.append(space.without_void(model, point))
    return points


def _optuna() -> ModuleType:
    """Return Optuna, told to say nothing but errors."""
    try:
        import optuna
    except ImportError as error:
        raise UserError(
            "search.method is tpe, but Optuna is not installed; run: python -m pip install "
            "'.[optuna]', or set search.method to sobol"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _text(name: space.Name) -> str:
    return ".".join(name)


def _kind(optuna: ModuleType, axis: list[Any] | Range) -> Any:
    """Return an axis as a distribution of Optuna; values of a list are their JSON texts."""
    if isinstance(axis, list):
        texts = dict.fromkeys(json.dumps(value) for value in axis)
        return optuna.distributions.CategoricalDistribution(list(texts))
    if axis.scale == "integer":
        return optuna.distributions.IntDistribution(*axis.ends())
    return optuna.distributions.FloatDistribution(axis.low, axis.high, log=axis.scale == "log")


def _told(axis: list[Any] | Range, value: Any) -> Any:
    return json.dumps(value) if isinstance(axis, list) else value


def _asked(axis: list[Any] | Range, value: Any) -> Any:
    if isinstance(axis, list):
        return json.loads(value)
    return value if axis.scale == "integer" else space.rounded(axis, value)
