"""Names of columns and classes in a message."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 8


def listed(names: Sequence[str]) -> str:
    """Return names as text, the first eight of many; `none` for none."""
    shown = ", ".join(f"'{name}'" for name in names[:SHOWN]) or "none"
    return f"{shown}, ... ({len(names)})" if len(names) > SHOWN else shown
