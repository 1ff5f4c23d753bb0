"""A search on a Ray cluster: the same bytes as on one machine, also when a worker is lost."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import pytest

from stages.common import arithmetic, cluster
from stages.common.errors import UserError
from tests.imports import ROOT


def work(*arguments: int) -> bytes:
    return bytes(arguments)


def test_a_search_on_two_nodes_has_the_bytes_of_this_machine_also_when_a_worker_dies():
    ended = subprocess.run(
        [sys.executable, "-m", "tests.on_cluster"], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["cluster"] == found["worker lost"] == found["local"]
    assert found["killed"] == 1


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense"])
def test_a_cluster_that_does_not_answer_is_one_line(address):
    with pytest.raises(UserError) as caught, cluster.pool(work, address, "portable"):
        pass
    assert str(caught.value) == (
        f"search.address {address}: no Ray cluster answers; start one with `ray start --head`, or "
        "set search.engine to local"
    )


def test_without_ray_the_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    remedy = pytest.raises(UserError, match=r"pip install '\.\[ray\]'")
    with remedy, cluster.pool(work, "auto", "portable"):
        pass


def test_work_is_called_with_its_arguments_under_its_arithmetic():
    given = arithmetic.versions(), pickle.dumps(work), pickle.dumps((1, 2))
    assert cluster.call("portable", *given) == b"\1\2"


def test_a_machine_with_other_versions_is_refused_with_both():
    other = "torch 2.13.0 and NumPy 1.0"
    with pytest.raises(RuntimeError, match=r"^a machine has torch 2\.13\.0 and NumPy 2\.") as error:
        cluster.call("portable", other, pickle.dumps(work), pickle.dumps((1, 2)))
    assert f"this one {other}: install requirements.txt there" in str(error.value)
