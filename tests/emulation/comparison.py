"""What is the same on all processors, and where the first difference is.

A step is a scenario and a stage, such as `line train`. A call is one ATen operation: its
name and the digest of the bytes it gave; views have no digest.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
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


def first_difference(reference: Result, other: Result) -> str:
    """Return where the calls of two results part, in words; nothing when they do not.

    Its inputs were still the same: this operation, or what it read from outside torch, is
    the cause, and all later differences may be its consequences.
    """
    for step, calls in reference.calls.items():
        pairs = itertools.zip_longest(calls, other.calls[step], fillvalue="the end")
        for number, (mine, theirs) in enumerate(pairs, start=1):
            if mine != theirs:
                name, instead = mine.split()[0], theirs.split()[0]
                what = f"{name} gives other bytes" if name == instead else f"{name}, {instead}"
                return f"call {number} of {len(calls)} in {step}: {what}"
    return ""


def changed_operations(reference: Result, other: Result) -> set[str]:
    """Return the operations of which at least one call gave other bytes or did not run."""
    return {
        call.split()[0]
        for step, calls in reference.calls.items()
        for call, theirs in itertools.zip_longest(calls, other.calls[step], fillvalue="the end")
        if call != theirs
    }


def report(reference: Result, others: Mapping[str, Result]) -> tuple[list[str], bool]:
    """Return the comparison of each named result with the reference as lines; is all the same?"""
    wrong = {label: set(differing(reference, other)) for label, other in others.items()}
    lines = [f"{'':22}{'md5':12}" + "".join(f"{label:20}" for label in others)]
    for step, outputs in reference.outputs.items():
        together = hashlib.md5("".join(outputs.values()).encode(), usedforsecurity=False)
        cells = [
            f"{sum((step, path) in wrong[label] for path in outputs)} of {len(outputs)} differ"
            for label in others
        ]
        shown = ["same" if cell.startswith("0 ") else cell for cell in cells]
        columns = "".join(f"{cell:20}" for cell in shown)
        lines.append(f"{step:22}{together.hexdigest()[:8]:12}{columns}".rstrip())
    calls = sum(map(len, reference.calls.values()))
    lines.append(f"{len(operations(reference))} operations compared in {calls} calls")
    for label, other in others.items():
        if first := first_difference(reference, other):
            changed = len(changed_operations(reference, other))
            lines.append(f"{label}: {changed} operations differ, from {first}")
    failed = {place for places in wrong.values() for place in places}
    total = sum(map(len, reference.outputs.values()))
    names = ", ".join([f"native ({reference.processor})", *others])
    lines.append(f"{total - len(failed)} of {total} outputs the same bytes on {names}")
    same = all(not first_difference(reference, other) for other in others.values())
    return lines, same and not failed
