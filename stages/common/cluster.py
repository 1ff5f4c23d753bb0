"""The processes of a Ray cluster, which work as those of this machine do.

A call whose process or machine is lost is made again by Ray; its result is the same bytes.
"""

from __future__ import annotations

import functools
import logging
import pickle
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import stages
from stages.common import arithmetic
from stages.common.arithmetic import Mode
from stages.common.errors import UserError
from stages.common.workers import Submit, Work

ANSWER = 5.0  # seconds that a cluster has to answer


@contextmanager
def pool(work: Work, address: str, mode: Mode) -> Iterator[Submit]:
    """Yield a function that lets a process of the cluster call `work` with some arguments.

    The cluster gets the code of the stages and, once, what `work` holds; its machines need the
    packages of requirements.txt. UserError when there is no Ray, no cluster, or one that fails,
    as where torch or NumPy is another.
    """
    try:
        import ray
        from ray._private.services import canonicalize_bootstrap_address
    except ImportError as error:
        raise UserError(
            "search.engine is ray, but Ray is not installed; run: python -m pip install '.[ray]', "
            "or set search.engine to local"
        ) from error
    try:
        found = canonicalize_bootstrap_address(address) or ""
        host, _, port = found.rpartition(":")
        socket.create_connection((host, int(port)), timeout=ANSWER).close()  # Ray tries for minutes
        code = {"py_modules": [str(Path(stages.__file__).parent)]}
        ray.init(found, runtime_env=code, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"search.address {address}: no Ray cluster answers; start one with `ray start --head`, "
            "or set search.engine to local"
        ) from error
    try:
        held, versions = ray.put(pickle.dumps(work)), arithmetic.versions()
        remote = ray.remote(num_cpus=1, max_retries=-1)(call)
        given = mode, versions, held
        yield lambda *arguments: remote.remote(*given, pickle.dumps(arguments)).future()
    except ray.exceptions.RayError as error:
        if isinstance(error, UserError):  # of the work itself
            raise
        reason = str(error).strip().splitlines()[-1]
        raise UserError(f"the Ray cluster failed: {reason}; run the same command again") from error
    finally:
        ray.shutdown()


def call(mode: Mode, versions: str, work: bytes, arguments: bytes) -> bytes:
    """Do the work in a process of the cluster; everything is unpickled under its arithmetic.

    RuntimeError when its packages are of other versions.
    """
    arithmetic.prepare(mode)
    arithmetic.check(mode)
    if arithmetic.versions() != versions:
        raise RuntimeError(
            f"a machine has {arithmetic.versions()}, this one {versions}: install "
            "requirements.txt there"
        )
    done: bytes = _opened(work)(*pickle.loads(arguments))
    return done


@functools.lru_cache(1)
def _opened(work: bytes) -> Any:
    from stages.common import memory

    memory.keep()
    return pickle.loads(work)
