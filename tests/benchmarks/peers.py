"""The search of tests.benchmarks.search by other programs, each as its users write it.

Run as `python -m tests.benchmarks.peers PROGRAM FOLDER`, by that benchmark; prints a JSON
object. Nothing of the stages is imported here: peers compute with torch's defaults, one
thread in each of two processes. What is timed begins after imports and the start of a pool.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS, BATCH, HIDDEN, CLASSES, PROCESSES = 20, 32, (64, 32), 10, 2
TABLE, POINTS = "table.npz", "points.json"

Point = dict[str, float]  # lr, momentum, weight_decay, dropout
Table = dict[str, Tensor]  # x, y: the training rows; val_x, val_y: the validation rows
Work = Callable[[], Sequence[float]]  # returns the best validation accuracy of each trial


def network(features: int, dropout: float) -> nn.Sequential:
    """Return the network that all programs train."""
    first, second = HIDDEN
    return nn.Sequential(
        *(nn.Linear(features, first), nn.ReLU(), nn.Dropout(dropout)),
        *(nn.Linear(first, second), nn.ReLU(), nn.Dropout(dropout)),
        nn.Linear(second, CLASSES),
    )


def train(table: Table, point: Point) -> float:
    """Train one network as PyTorch's tutorials do; return its best validation accuracy."""
    model = network(table["x"].shape[1], point["dropout"])
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=point["lr"],
        momentum=point["momentum"],
        weight_decay=point["weight_decay"],
    )
    rows = TensorDataset(table["x"], table["y"])
    loader = DataLoader(rows, batch_size=BATCH, shuffle=True)
    best = 0.0
    for _ in range(EPOCHS):
        model.train()
        for x, y in loader:
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            correct = model(table["val_x"]).argmax(dim=1) == table["val_y"]
        best = max(best, correct.float().mean().item())
    return best


def brief(table: Table) -> Table:
    """Return a batch of each part: a training on it imports what torch imports at first use."""
    return {name: tensor[:BATCH] for name, tensor in table.items()}


def pool() -> Any:
    """Return two processes; they are forked, so nothing is imported again."""
    return multiprocessing.get_context("fork").Pool(PROCESSES)


def sequential(table: Table, points: Sequence[Point]) -> Work:
    """Return the search as a plain loop, one trial after another.

    With two threads a step of such a small network takes ten times as long.
    """
    train(brief(table), points[0])
    return lambda: [train(table, point) for point in points]


def loop(table: Table, points: Sequence[Point]) -> Work:
    """Return the search as a plain loop, in two processes."""
    train(brief(table), points[0])

    def work() -> list[float]:
        with pool() as processes:
            return processes.map(partial(train, table), points, chunksize=1)  # type: ignore[no-any-return]

    return work


def optuna(table: Table, points: Sequence[Point]) -> Work:
    """Return an Optuna study; its two threads each wait for a process that trains.

    Two processes that share a study in a JournalStorage were found to be as quick.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    train(brief(table), points[0])

    def work() -> list[float]:
        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0)
        )
        with pool() as processes:

            def objective(trial: optuna.Trial) -> float:
                point = {
                    "lr": trial.suggest_float("lr", 0.001, 0.1, log=True),
                    "momentum": trial.suggest_float("momentum", 0.85, 0.99),
                    "weight_decay": trial.suggest_float("weight_decay", 1e-5, 1e-2, log=True),
                    "dropout": trial.suggest_float("dropout", 0.0, 0.5),
                }
                return processes.apply(train, (table, point))  # type: ignore[no-any-return]

            study.optimize(objective, n_trials=len(points), n_jobs=PROCESSES)
        return [trial.values[0] for trial in study.trials]

    return work


def sklearn(table: Table, points: Sequence[Point]) -> Work:
    """Return scikit-learn's random search of its own network, which has no dropout."""
    from joblib import Parallel, delayed
    from scipy.stats import loguniform, uniform
    from sklearn.model_selection import PredefinedSplit, RandomizedSearchCV
    from sklearn.neural_network import MLPClassifier

    os.environ["PYTHONWARNINGS"] = "ignore"  # of the processes: 20 epochs are too few, they say
    part = np.array([-1] * len(table["y"]) + [0] * len(table["val_y"]))
    x = torch.cat([table["x"], table["val_x"]]).numpy()
    y = torch.cat([table["y"], table["val_y"]]).numpy()
    search = RandomizedSearchCV(
        MLPClassifier(
            HIDDEN, solver="sgd", batch_size=BATCH, max_iter=EPOCHS, n_iter_no_change=EPOCHS
        ),
        {
            "learning_rate_init": loguniform(0.001, 0.1),
            "momentum": uniform(0.85, 0.14),
            "alpha": loguniform(1e-5, 1e-2),
        },
        n_iter=len(points),
        n_jobs=PROCESSES,
        cv=PredefinedSplit(part),
        refit=False,
        random_state=0,
    )
    one = MLPClassifier(HIDDEN, max_iter=1)
    Parallel(PROCESSES)(delayed(one.fit)(x[:100], y[:100]) for _ in range(2 * PROCESSES))

    def work() -> list[float]:
        search.fit(x, y)
        return search.cv_results_["mean_test_score"].tolist()  # type: ignore[no-any-return]

    return work


def train_skorch(table: Table, point: Point) -> float:
    """Train one network with skorch; return its best validation accuracy."""
    from skorch import NeuralNetClassifier
    from skorch.helper import predefined_split

    net = NeuralNetClassifier(
        network(table["x"].shape[1], point["dropout"]),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__momentum=point["momentum"],
        optimizer__weight_decay=point["weight_decay"],
        lr=point["lr"],
        batch_size=BATCH,
        max_epochs=EPOCHS,
        iterator_train__shuffle=True,
        train_split=predefined_split(TensorDataset(table["val_x"], table["val_y"])),
        verbose=0,
    )
    net.fit(table["x"], table["y"])
    return max(net.history[:, "valid_acc"])  # type: ignore[no-any-return]


def skorch(table: Table, points: Sequence[Point]) -> Work:
    """Return the search with skorch's classifier, in two processes."""
    train_skorch(brief(table), points[0])

    def work() -> list[float]:
        with pool() as processes:
            return processes.map(partial(train_skorch, table), points, chunksize=1)  # type: ignore[no-any-return]

    return work


def tune(table: Table, points: Sequence[Point]) -> Work:
    """Return the plain loop as the trials of Ray Tune, in two processes that are kept."""
    needed = str(Path(sys.prefix) / "peers")
    sys.path.append(needed)
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": needed}  # of the processes
    import ray
    from ray import tune

    ray.init(
        num_cpus=PROCESSES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _node_ip_address="127.0.0.1",
    )
    held = ray.put(table)

    def trial(config: dict[str, Any]) -> dict[str, float]:
        torch.set_num_threads(1)
        return {"accuracy": train(ray.get(held), config["point"])}

    def tuned(points: Sequence[Point]) -> list[float]:
        with tempfile.TemporaryDirectory(prefix="tabline-") as folder:
            found = tune.Tuner(
                trial,
                param_space={"point": tune.grid_search(list(points))},
                tune_config=tune.TuneConfig(reuse_actors=True),
                run_config=tune.RunConfig(storage_path=folder, verbose=0),
            ).fit()
            results = [found[at].metrics for at in range(len(found))]
            return [result["accuracy"] for result in results if result]

    held = ray.put(brief(table))
    tuned(points[: 2 * PROCESSES])
    held = ray.put(table)
    return partial(tuned, points)


PROGRAMS: dict[str, Callable[[Table, Sequence[Point]], Work]] = {
    "sequential": sequential,
    "loop": loop,
    "optuna": optuna,
    "sklearn": sklearn,
    "skorch": skorch,
    "tune": tune,
}


def main() -> None:
    """Print how long one program takes for the points in a folder, and its best accuracy."""
    program, folder = sys.argv[1], Path(sys.argv[2])
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with np.load(folder / TABLE) as arrays:
        table = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    points = json.loads((folder / POINTS).read_text())
    work = PROGRAMS[program](table, points)
    start = time.perf_counter()
    scores = work()
    seconds = time.perf_counter() - start
    assert len(scores) == len(points)
    print(json.dumps({"rate": len(points) * EPOCHS / seconds, "best": max(scores)}))


if __name__ == "__main__":
    main()
