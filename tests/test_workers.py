"""Workers: results in any order, errors as themselves, and no process that is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import suppress
from multiprocessing import connection
from pathlib import Path
from typing import Any

import psutil
import pytest

from stages.common import workers
from stages.common.errors import UserError
from tests.imports import ROOT

PATIENCE = 60  # seconds after which something hangs
KILLED = "a worker process was killed, .*; run the same command again, or set search.workers to 1"


def square(number) -> bytes:
    return str(number * number).encode()


@pytest.fixture(autouse=True)
def _nothing_is_left_or_printed(capfd) -> Any:
    before = set(psutil.Process().children()), set(threading.enumerate())
    yield
    assert set(psutil.Process().children()) == before[0]
    assert set(threading.enumerate()) <= before[1]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_call_has_its_own_result_however_many_there_are(count):
    with workers.pool(square, count) as submit:
        futures = [submit(number) for number in range(20)]
        assert [future.result() for future in futures] == [square(n) for n in range(20)]


def test_results_come_in_the_order_in_which_they_are_done(tmp_path):
    def work(name, awaited) -> bytes:
        end = time.monotonic() + PATIENCE
        while awaited and not (tmp_path / awaited).exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        return str(name).encode()

    with workers.pool(work, 2) as submit:
        slow, quick = submit("slow", "quick is back"), submit("quick", "")
        assert wait([slow, quick], return_when=FIRST_COMPLETED).done == {quick}
        more = submit("more", "")
        assert more.result() == b"more"
        (tmp_path / "quick is back").touch()
        assert (slow.result(), quick.result()) == (b"slow", b"quick")


def test_one_worker_is_this_process_and_more_are_others():
    def work() -> bytes:
        return str(os.getpid()).encode()

    mine = work()
    with workers.pool(work, 1) as submit:
        assert submit().result() == mine
    with workers.pool(work, 2) as submit:
        found = {submit().result() for _ in range(20)}
    assert mine not in found
    assert 1 <= len(found) <= 2


def test_what_the_work_holds_is_shared_and_not_copied():
    """A lock can be handed to no process but by forking."""
    held = threading.Lock()

    def work() -> bytes:
        return str(held.locked()).encode()

    with held, workers.pool(work, 2) as submit:
        assert submit().result() == b"True"


def test_large_results_and_arguments_come_whole():
    with workers.pool(lambda given: given[::-1], 2) as submit:
        given = [bytes([number]) * 3_000_000 + b"end" for number in range(6)]
        futures = [submit(each) for each in given]
        assert [future.result() for future in futures] == [each[::-1] for each in given]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    "error", [UserError("mend it"), ValueError("a", 3), MemoryError(), RuntimeError("no memory")]
)
def test_an_error_in_the_work_reaches_the_caller_as_itself(count, error):
    def work() -> bytes:
        raise error

    with pytest.raises(type(error)) as caught, workers.pool(work, count) as submit:
        submit().result()
    assert type(caught.value) is type(error)
    assert caught.value.args == error.args
    if count > 1:  # where it came from is told to who looks for it
        assert "in work" in "".join(caught.value.__notes__)


def test_an_error_that_cannot_be_sent_is_told_with_its_name():
    class OddError(Exception):
        def __reduce__(self) -> str:
            raise TypeError("not to be pickled")

    def fail() -> bytes:
        raise OddError("why")

    with workers.pool(fail, 2) as submit, pytest.raises(RuntimeError, match="OddError: why"):
        submit().result()


def test_after_an_error_the_other_calls_still_have_their_results():
    def work(number) -> bytes:
        return str(1 // number).encode()

    with workers.pool(work, 2) as submit:
        futures = [submit(number) for number in (1, 0, 1, 0, 0, 1)]
        for number, future in zip((1, 0, 1, 0, 0, 1), futures, strict=True):
            if number:
                assert future.result() == b"1"
            else:
                assert isinstance(future.exception(), ZeroDivisionError)


def test_a_worker_that_is_killed_at_its_work_is_the_users_error():
    def work(number) -> bytes:
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return square(number)

    with workers.pool(work, 2) as submit:
        futures = [submit(number) for number in range(3)]
        with pytest.raises(UserError, match=KILLED):
            futures[2].result()


def test_a_worker_that_is_killed_between_two_calls_is_the_users_error():
    with workers.pool(square, 2) as submit:
        submit(1).result()
        for child in psutil.Process().children():
            child.kill()
        for _ in range(4):  # it never hangs, however often it is asked
            with pytest.raises(UserError, match=KILLED):
                submit(2).result()


def test_a_worker_that_is_killed_in_the_middle_of_an_answer_is_the_users_error(monkeypatch):
    """Half a message is in the pipe: who waits for the other half would wait for ever."""
    parent, send = os.getpid(), connection.Connection._send  # type: ignore[attr-defined]

    def half(self, message, *rest) -> None:
        if os.getpid() != parent:
            send(self, bytes(message)[: len(message) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        send(self, message)

    monkeypatch.setattr(connection.Connection, "_send", half)
    for size in (10, 1_000_000):
        with pytest.raises(UserError, match=KILLED), workers.pool(bytes, 2) as submit:
            submit(size).result()


def test_workers_that_are_busy_end_with_the_pool():
    def work() -> bytes:
        time.sleep(PATIENCE)
        return b""

    with workers.pool(work, 2) as submit:
        waiting = [submit() for _ in range(5)]
    assert all(future.done() for future in waiting)


# A process of its own, whose work is to wait.

SCRIPT = """
import time
import stages
from stages.common import launch, workers
from stages.common.errors import UserError

def work(seconds):
    time.sleep(seconds)
    return b""

def run():
    with workers.pool(work, 3) as submit:
        for _ in range(3):
            submit(0).result()
        print("began", flush=True)
        for future in [submit(100) for _ in range(4)]:
            future.result()

raise SystemExit(launch.guard(run))
"""


@pytest.fixture
def waiting() -> Any:
    """A process, in a group of its own, that waits for its three workers."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "began\n"
    children = psutil.Process(process.pid).children()
    assert len(children) == 3
    yield process, children
    for each in (process, *children):
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.communicate()


def alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended but was not asked for does not."""
    try:
        return not re.search(r"\) Z ", Path(f"/proc/{pid}/stat").read_text())
    except FileNotFoundError:
        return False


def until(state: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not state():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_workers_end_when_their_parent_is_killed(waiting):
    process, children = waiting
    process.kill()
    until(lambda: not any(alive(child.pid) for child in children))
    assert process.communicate() == ("", "")


@pytest.mark.parametrize(
    ("sent", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_person_who_stops_all_processes_gets_one_line_and_none_is_left(
    waiting, sent, status, word
):
    """Ctrl-C sends SIGINT to the whole group; the parent alone answers it."""
    process, children = waiting
    os.killpg(process.pid, sent) if sent == signal.SIGINT else process.send_signal(sent)
    assert process.communicate(timeout=PATIENCE) == (
        "",
        f"error: {word}: this step recorded nothing, run the same command again\n",
    )
    assert process.returncode == status
    assert not any(alive(child.pid) for child in children)


def test_workers_leave_ctrl_c_to_their_parent(waiting):
    process, children = waiting
    for child in children:
        child.send_signal(signal.SIGINT)
    assert all(alive(child.pid) for child in children)
    children[0].kill()
    printed = process.communicate(timeout=PATIENCE)[1]
    assert printed.startswith("error: a worker process was killed, perhaps for lack of memory")
    assert printed.count("\n") == 1
    assert process.returncode == 2
