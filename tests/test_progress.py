"""Progress: one line on a terminal, nothing elsewhere."""

from __future__ import annotations

import io

from stages.common.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_is_written_where_there_is_no_terminal():
    stream = io.StringIO()
    progress = Progress(stream)
    progress.show("search: 8 trials", 1, 4)
    progress.clear()
    assert stream.getvalue() == ""


def test_the_line_says_how_far_and_how_long(monkeypatch):
    stream = Terminal()
    moments = iter([100.0, 110.0])
    monkeypatch.setattr("time.monotonic", lambda: next(moments))
    Progress(stream).show("search: 8 trials", 1, 4)
    assert stream.getvalue() == "\rsearch: 8 trials; 25 %, about 30 s left"


def test_a_shorter_line_leaves_nothing_of_the_longer_one():
    stream = Terminal()
    progress = Progress(stream)
    progress.show("a long text", 4, 4)
    progress.show("short", 4, 4)
    lines = stream.getvalue().split("\r")
    assert lines[2] == "short; 100 %, about 0 s left".ljust(len(lines[1]))


def test_the_line_is_removed_before_others_are_printed():
    stream = Terminal()
    progress = Progress(stream)
    progress.show("search", 0, 4)
    written = len(stream.getvalue())
    progress.clear()
    progress.clear()
    assert set(stream.getvalue()[written:]) == {"\r", " "}
    assert stream.getvalue().endswith("\r")
