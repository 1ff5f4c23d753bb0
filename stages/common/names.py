"""Names of columns and classes, and numbers of things, in a message."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 8


def listed(names: Sequence[str]) -> str:
    """Return names as text, the first eight of many; `none` for none."""
    shown = ", ".join(f"'{name}'" for name in names[:SHOWN]) or "none"
    return f"{shown}, ... ({len(names)})" if len(names) > SHOWN else shown


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which takes an s unless there is one."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
