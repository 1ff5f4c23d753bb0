"""Processes that work side by side, one thread each, on this machine.

Work is a function and the arguments of a call. Its result must not depend on which process
makes the call, nor on what it has done before.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any

from stages.common.errors import UserError

PR_SET_PDEATHSIG = 1  # of prctl(2)
SIGNALS = (signal.SIGINT, signal.SIGTERM)  # that a person sends

Work = Callable[..., bytes]
Submit = Callable[..., Future[bytes]]
Lines = SimpleQueue[Connection]  # to the workers that have nothing to do


def available() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def pool(work: Work, count: int) -> Iterator[Submit]:
    """Yield a function that lets a process call `work` with some arguments.

    What `work` holds is shared with the processes, not copied: they are forked. With a count
    of 1 this process does the work itself, at once. UserError when a process is killed.
    """
    import torch

    torch.set_num_threads(1)  # other threads would not come along into a fork
    if count == 1:
        yield lambda *arguments: _here(work, arguments)
        return
    processes: list[BaseProcess] = []
    idle: Lines = SimpleQueue()
    threads = ThreadPoolExecutor(count)  # each waits for one worker at a time
    try:
        for _ in range(count):
            idle.put(_fork(work, processes))
        yield lambda *arguments: threads.submit(_ask, idle, arguments)
    finally:
        for process in processes:  # what they do is of no use any more
            process.kill()
        threads.shutdown(cancel_futures=True)
        for process in processes:
            process.join()


def _here(work: Work, arguments: tuple[Any, ...]) -> Future[bytes]:
    done: Future[bytes] = Future()
    done.set_result(work(*arguments))
    return done


def _fork(work: Work, processes: list[BaseProcess]) -> Connection:
    """Start a worker and return the line to it. Only the worker holds the other end.

    So the line breaks when the worker is killed, even in the middle of an answer.
    """
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_serve, args=(there, work, os.getpid()), daemon=True)
    held = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until the worker has its own way
    try:
        process.start()
        processes.append(process)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        there.close()
    return here


def _ask(idle: Lines, arguments: tuple[Any, ...]) -> bytes:
    """Let an idle worker do the work; its error is raised here."""
    line = idle.get()
    try:
        line.send(arguments)
        answer: bytes | Exception = line.recv()
    except (EOFError, OSError) as error:
        raise UserError(
            "a worker process was killed, perhaps for lack of memory; run the same command again, "
            "or set search.workers to 1"
        ) from error
    finally:
        idle.put(line)
    if isinstance(answer, Exception):
        raise answer
    return answer


def _serve(line: Connection, work: Work, parent: int) -> None:
    """Be a worker, which ends with its parent and leaves Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)
    with suppress(EOFError, OSError):  # of a line whose other end has gone
        while True:
            line.send(_answer(work, line.recv()))


def _answer(work: Work, arguments: tuple[Any, ...]) -> bytes | Exception:
    try:
        return work(*arguments)
    except Exception as error:
        error.add_note(traceback.format_exc())
        try:
            pickle.dumps(error)
        except Exception:  # whatever its class does when it is pickled
            return RuntimeError(traceback.format_exc())
        return error
