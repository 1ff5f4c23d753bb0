"""Progress: one line on a terminal while work takes long, nothing elsewhere."""

from __future__ import annotations

import io

import pytest

from stages.common.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """Let each look at the clock show the next of some moments."""

    def show(*moments: float) -> None:
        coming = iter(moments)
        monkeypatch.setattr("time.monotonic", lambda: next(coming))

    return show


def test_nothing_is_written_where_there_is_no_terminal(clock):
    stream = io.StringIO()
    clock(0.0, 10.0)
    with Progress(stream=stream) as progress:
        progress.show("search: 8 trials", 1, 4)
    assert stream.getvalue() == ""


def test_nothing_is_written_of_work_that_is_soon_done(clock):
    stream = Terminal()
    clock(0.0, 0.9)
    with Progress(stream=stream) as progress:
        progress.show("search: 8 trials", 1, 4)
    assert stream.getvalue() == ""


def test_the_line_says_how_far_and_how_long(clock):
    stream = Terminal()
    clock(100.0, 110.0)
    Progress(stream=stream).show("search: 8 trials", 1, 4)
    assert stream.getvalue() == "\rsearch: 8 trials; 25 %, about 30 s left"


def test_what_was_done_before_tells_nothing_of_the_time(clock):
    stream = Terminal()
    clock(100.0, 105.0, 110.0)
    progress = Progress(30, stream)
    progress.show("base: 8 of 8 networks", 30, 60)
    assert stream.getvalue() == ""
    progress.show("base: 8 of 8 networks", 40, 60)
    assert stream.getvalue() == "\rbase: 8 of 8 networks; 67 %, about 20 s left"


def test_the_line_is_no_longer_than_the_terminal_is_wide(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    stream = Terminal()
    clock(0.0, 10.0)
    Progress(stream=stream).show("search: 8 trials of many", 1, 4)
    assert stream.getvalue() == "\rsearch: 8 trials of"


def test_a_shorter_line_leaves_nothing_of_the_longer_one(clock):
    stream = Terminal()
    clock(0.0, 10.0, 11.0)
    progress = Progress(stream=stream)
    progress.show("a long text", 4, 4)
    progress.show("short", 4, 4)
    lines = stream.getvalue().split("\r")
    assert lines[2] == "short; 100 %, about 0 s left".ljust(len(lines[1]))


def test_the_line_is_gone_at_the_end_whatever_the_end_is(clock):
    stream = Terminal()
    clock(0.0, 10.0)

    def interrupted() -> None:
        with Progress(stream=stream) as progress:
            progress.show("search", 1, 4)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    *_, cleared, last = stream.getvalue().split("\r")
    assert (cleared.strip(), last) == ("", "")
    assert len(cleared) == len("search; 25 %, about 30 s left")
