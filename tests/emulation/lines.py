"""Which lines of the stages run."""

from __future__ import annotations

import sys
from types import FrameType, TracebackType
from typing import Any

from tests.imports import ROOT

STAGES = str(ROOT / "stages")


class Lines:
    """While it is entered, notes the lines that run in modules of the stages, by path."""

    def __init__(self) -> None:
        self.found: dict[str, set[int]] = {}

    def __enter__(self) -> None:
        sys.settrace(self._call)

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._line if frame.f_code.co_filename.startswith(STAGES) else None

    def _line(self, frame: FrameType, event: str, argument: object) -> Any:
        path = frame.f_code.co_filename.removeprefix(f"{ROOT}/")
        self.found.setdefault(path, set()).add(frame.f_lineno)
        return self._line
