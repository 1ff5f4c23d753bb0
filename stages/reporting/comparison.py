"""This folder against a revision: figures side by side, is it more than chance, what differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stages.reporting import changes, likeness
from stages.reporting.changes import Change
from stages.reporting.section import Cell, Section, Table, shown
from stages.reporting.tracked import Tracked

BASELINES = ("linear", "majority", "mean", "_base_")  # figures of no model that was trained here
ABSENT = "(not there)"


def section(then: Tracked, now: Tracked) -> Section:
    """Return the figures and the settings of both states."""
    figures = changes.changes(then, now)
    rows: list[Sequence[Cell]] = [
        [one.label, one.old, one.new, one.found.value, one.found.word()]
        if one.found
        else [one.label, one.old, one.new, None, one.verdict]
        for one in figures
    ]
    header = ("figure", then.label, now.label, "difference", "larger than the spread?")
    tables = [Table("Figures", header, rows), _settings(then, now)]
    first, *others = summary(then, now, figures)
    sentences = [
        f"{now.label.capitalize()} against {then.label} ({then.commit[:12]}). {first}",
        *others,
        "The plots below show both states; all other sections show this folder alone.",
    ]
    return Section("comparison", f"Against {then.label}", sentences, tables)


def lines(then: Tracked, now: Tracked) -> Iterator[str]:
    """Yield the figures of both states as a terminal shows them, and how they compare."""
    figures = changes.changes(then, now)
    old, new = then.label[-12:], now.label[-12:]
    yield f"{'':52}{old:>13}{new:>13}{'difference':>12}"
    for one in figures:
        moved = f"{one.found.value:+.3f}" if one.found else ""
        yield f"{one.label:52}{shown(one.old):>13}{shown(one.new):>13}{moved:>12}  {one.verdict}"
    yield from summary(then, now, figures)


def summary(then: Tracked, now: Tracked, figures: Sequence[Change]) -> Iterator[str]:
    """Yield which differences are larger than the spread, and how each table was compared."""
    if not likeness.different(then, now, "source"):
        larger = [_told(one, figures) for one in figures if one.found and one.found.clear]
        yield f"Differences larger than the spread: {'; '.join(larger) or 'none'}."
        yield "One comparison in twenty looks larger by chance alone."
    for of in likeness.TABLES:
        if any(likeness.table(one.key) == of and one.verdict != "not in both" for one in figures):
            yield likeness.sentence(then, now, of)


def _told(one: Change, figures: Sequence[Change]) -> str:
    """Return a difference in words: better or worse, or of what it is a difference."""
    assert one.found
    said = [f"{one.found.value:+.3f}"]
    if one.key == changes.GAIN:
        arms = [arm for arm in figures if arm.name.startswith(f"{one.name}, ")]
        said += [f"{arm.label.strip()} {shown(arm.old)} to {shown(arm.new)}" for arm in arms]
    elif not any(part in one.key for part in BASELINES):
        better = (one.found.value < 0) == one.key.endswith("rmse")
        said.append("better" if better else "worse")
    return f"{one.name} ({', '.join(said)})"


def _settings(then: Tracked, now: Tracked) -> Table:
    keys = sorted(then.settings.keys() | now.settings.keys())
    rows = [
        [key, *(str(state.settings.get(key, ABSENT)) for state in (then, now))]
        for key in keys
        if then.settings.get(key, ABSENT) != now.settings.get(key, ABSENT)
    ]
    return Table("Settings that differ", ("setting", then.label, now.label), rows)
