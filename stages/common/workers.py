"""Processes that work side by side, one thread each, on this machine.

Work is a function and the arguments of a call. Its result must not depend on which process
makes the call, nor on what it has done before.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from stages.common.errors import UserError

PR_SET_PDEATHSIG = 1  # of prctl(2)

Work = Callable[..., bytes]
Submit = Callable[..., Future[bytes]]

_work: Work  # of this worker process


def available() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def pool(work: Work, count: int) -> Iterator[Submit]:
    """Yield a function that lets a process call `work` with some arguments.

    What `work` holds is shared with the processes, not copied: they are forked. With a count
    of 1 this process does the work itself, at once. UserError when a process is killed.
    """
    if count == 1:
        yield lambda *arguments: _here(work, arguments)
        return
    context = multiprocessing.get_context("fork")
    executor = ProcessPoolExecutor(count, context, _begin, (work, os.getpid()))
    try:
        yield lambda *arguments: executor.submit(_call, *arguments)
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process was killed, perhaps for lack of memory; run the same command again, "
            "or set search.workers to 1"
        ) from error
    finally:
        for process in list(executor._processes.values()):  # what they do is of no use any more
            process.kill()
        executor.shutdown(cancel_futures=True)


def _here(work: Work, arguments: tuple[Any, ...]) -> Future[bytes]:
    done: Future[bytes] = Future()
    done.set_result(work(*arguments))
    return done


def _begin(work: Work, parent: int) -> None:
    """Become a worker with one thread, which ends with its parent and leaves Ctrl-C to it."""
    import torch

    global _work
    _work = work
    torch.set_num_threads(1)  # the parent's threads have not come along
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)


def _call(*arguments: Any) -> bytes:
    return _work(*arguments)
