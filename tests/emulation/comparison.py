"""What is the same on all processors, and where the first difference is.

A step is a scenario and a stage, such as `line train`. A call is one ATen operation: its
name and the digest of the bytes it gave; views have no digest.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Result:
    """What came out of the scenarios on one processor.

    outputs: step -> path -> md5; calls: step -> its calls in the order in which they ran;
    lines: path of a module of the stages -> the lines of it that ran.
    """

    processor: str
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    calls: dict[str, list[str]] = field(default_factory=dict)
    lines: dict[str, list[int]] = field(default_factory=dict)


def differing(reference: Result, other: Result) -> list[tuple[str, str]]:
    """Return step and path of every output that has other bytes."""
    return [
        (step, path)
        for step, outputs in reference.outputs.items()
        for path, md5 in outputs.items()
        if other.outputs[step][path] != md5
    ]


def operations(result: Result) -> list[str]:
    """Return the names of the operations that ran, sorted."""
    return sorted({call.split()[0] for calls in result.calls.values() for call in calls})


def changed_operations(reference: Result, other: Result) -> list[tuple[str, str]]:
    """Return each call of the reference that has not its like, as (operation, words).

    The words say where it is. What the first call was given was still the same: this
    operation, or what it read from outside torch, is the cause of all others.
    """
    changed = []
    for step, calls in reference.calls.items():
        pairs = itertools.zip_longest(calls, other.calls[step], fillvalue="nothing")
        for number, (mine, theirs) in enumerate(pairs, start=1):
            name, instead = mine.split()[0], theirs.split()[0]
            what = "other bytes" if name == instead else f"{instead} in its place"
            if mine != theirs:
                changed.append((name, f"{name}, call {number} of {len(calls)} in {step}: {what}"))
    return changed


def report(reference: Result, others: Mapping[str, Result]) -> tuple[list[str], bool]:
    """Return the comparison of each named result with the reference as lines; is all the same?"""
    wrong = {label: set(differing(reference, other)) for label, other in others.items()}
    lines = [_row("", "md5", others)]
    for step, outputs in reference.outputs.items():
        if outputs:  # a run that was killed has none
            counts = [sum((step, path) in places for path in outputs) for places in wrong.values()]
            together = hashlib.md5("".join(outputs.values()).encode(), usedforsecurity=False)
            words = [f"{count} of {len(outputs)} differ" if count else "same" for count in counts]
            lines.append(_row(step, together.hexdigest()[:8], words))
    calls = sum(map(len, reference.calls.values()))
    lines.append(f"{len(operations(reference))} operations compared in {calls} calls")
    changed = {label: changed_operations(reference, other) for label, other in others.items()}
    for label, found in changed.items():
        if found:
            count = len({name for name, _ in found})
            lines.append(f"{label}: {count} operations differ, first {found[0][1]}")
    failed = {place for places in wrong.values() for place in places}
    total = sum(map(len, reference.outputs.values()))
    names = ", ".join([f"native ({reference.processor})", *others])
    lines.append(f"{total - len(failed)} of {total} outputs the same bytes on {names}")
    return lines, not failed and not any(changed.values())


def _row(step: str, md5: str, cells: Iterable[str]) -> str:
    return f"{step:22}{md5:12}{''.join(f'{cell:16}' for cell in cells)}".rstrip()
