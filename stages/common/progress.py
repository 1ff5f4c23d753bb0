"""One line on a terminal that says how far long work is; elsewhere nothing."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Self, TextIO

SHORT = 1.0  # seconds of work that need no line


class Progress:
    """A line that is written over again and again; it is gone at the end of the `with`."""

    def __init__(self, before: float = 0.0, stream: TextIO | None = None) -> None:
        """Begin with the time; before: what has been done already, in the unit of `show`."""
        self.before, self.stream = before, stream or sys.stderr
        self.begun = time.monotonic()
        self.width = 0  # of what stands there

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.clear()

    def show(self, text: str, done: float, total: float) -> None:
        """Write `text` and the time that is left after `done` of `total`, in any unit."""
        taken = time.monotonic() - self.begun
        if taken < SHORT or not self.stream.isatty() or done <= self.before:
            return
        left = taken * (total - done) / (done - self.before)
        line = f"{text}; {100 * done / total:.0f} %, about {left:.0f} s left"
        line = line[: shutil.get_terminal_size().columns - 1]
        self.stream.write("\r" + line.ljust(self.width))
        self.stream.flush()
        self.width = len(line)

    def clear(self) -> None:
        """Remove the line, so that others can be printed."""
        if self.width:
            self.stream.write("\r" + " " * self.width + "\r")
            self.stream.flush()
            self.width = 0
