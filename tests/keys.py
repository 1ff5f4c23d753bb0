"""Keys of params.yaml, found and changed in its text by indentation, without a YAML parser."""

from __future__ import annotations

from tests.imports import ROOT

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")


def place(text: str, key: str) -> int:
    """Return the index of the line of a dotted key, or of the deepest part of it there is."""
    rows, found = text.splitlines(), -1
    for level, name in enumerate(key.split(".")):
        indent = "  " * level
        for at in range(found + 1, len(rows)):
            if rows[at].startswith(f"{indent}{name}:"):
                found = at
                break
            if rows[at] and not rows[at].startswith(indent):
                return found
        else:
            return found
    return found


def change(text: str, key: str, value: str | None, name: str = "") -> str:
    """Return the text with the value of a key, also over several lines, replaced.

    None takes the key away, `name` gives it another name.
    """
    rows, at = text.splitlines(), place(text, key)
    indent = "  " * key.count(".")
    end = at + 1
    while end < len(rows) and rows[end].startswith((indent + " ", indent + "- ")):
        end += 1
    new = [] if value is None else f"{indent}{name or key.split('.')[-1]}: {value}".splitlines()
    return "\n".join([*rows[:at], *new, *rows[end:], ""])
