"""The same search on this machine and on a Ray cluster of two nodes, one worker of which dies.

Run as `python -m tests.on_cluster`; prints a JSON object with the md5 of each result and how
many workers were killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from unittest import mock

import stages  # noqa: F401  isort: skip
import psutil
import torch
from ray.cluster_utils import Cluster

from stages.common import arithmetic, params, race, space
from stages.common.partition import Partition
from stages.common.settings import Search
from stages.common.trials import Common
from tests.columns import numbers_schema
from tests.imports import ROOT

ROWS, FEATURES, CLASSES = 300, 6, 3
BUSY = "ray::call"  # the title of a worker at work


def blobs(seed: int) -> Partition:
    """Return rows of three classes around three points."""
    draw = torch.Generator().manual_seed(seed)
    target = torch.arange(ROWS) % CLASSES
    features = torch.randn(ROWS, FEATURES, generator=draw) * 2 + target[:, None]
    return Partition(features, target, torch.arange(ROWS))


def result(search: Search) -> str:
    """Return the md5 of all that a search finds."""
    settings = params.load(ROOT / "params.yaml")
    points = space.draw(search, settings.model)
    common = Common(
        numbers_schema(CLASSES, FEATURES),
        blobs(0),
        blobs(1),
        settings.model,
        settings.train,
        search,
    )
    found = race.run(common, points)
    told = [
        (trial.best, trial.status, trial.rung, trial.scores.tolist())
        for trial in found
        if trial.scores is not None
    ]
    assert len(told) == len(points)
    return hashlib.md5(repr(told).encode()).hexdigest()


def kill_one(killed: list[int], stop: threading.Event) -> None:
    """Kill the first worker that is seen at work."""
    while not (killed or stop.is_set()):
        for process in psutil.process_iter(["cmdline"]):
            if BUSY in " ".join(process.info["cmdline"] or ()):
                process.send_signal(signal.SIGKILL)
                killed.append(process.pid)
                return
        time.sleep(0.005)


def main() -> None:
    """Print the md5 of the local search, of one on the cluster, of one that loses a worker."""
    base = params.load(ROOT / "params.yaml").search
    change = {"trials": 16, "epochs": 9, "halving": 3, "workers": 2, "engine": "local"}
    found: dict[str, object] = {"local": result(base.model_copy(update=change))}
    with mock.patch.dict(os.environ):
        for name in arithmetic.PORTABLE.keys() | arithmetic.ONE_THREAD.keys():
            os.environ.pop(name, None)  # machines of a cluster do not have our settings
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        cluster.add_node(num_cpus=1)
    try:
        change |= {"engine": "ray", "address": cluster.address}
        found["cluster"] = result(base.model_copy(update=change))
        killed: list[int] = []
        stop = threading.Event()
        hunter = threading.Thread(target=kill_one, args=(killed, stop))
        hunter.start()
        found["worker lost"] = result(base.model_copy(update=change))
        stop.set()
        hunter.join()
        found["killed"] = len(killed)
    finally:
        cluster.shutdown()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
