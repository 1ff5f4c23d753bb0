"""How to reproduce it: the commit, dvc.lock, whether something has changed since, commands."""

from __future__ import annotations

import hashlib
from typing import Any

from stages.common.params import PARAMS
from stages.reporting.section import Section, Table
from stages.reporting.tracked import Tracked
from stages.verification.lock import LOCK

SHOWN = 12  # characters of a commit
NOTHING = "(not there)"


def section(state: Tracked) -> Section:
    """Return where the figures come from, and the commands that give a committed state again."""
    lock = state.content.get(str(LOCK))
    rows = [
        ["commit", state.commit or "(no Git repository with a commit)"],
        ["changes of code, tables, settings or results since", "yes" if state.changed else "no"],
        [f"md5 of {LOCK}", hashlib.md5(lock).hexdigest() if lock else NOTHING],
    ]
    sentences = []
    if state.changed:
        sentences.append(
            "This page shows a state that no commit has: commit it (git add --all && git commit), "
            "then write the page anew; it will name the commands that lead here."
        )
    if not lock:
        sentences.append(f"There is no {LOCK}: what these figures were made from is not recorded.")
    tables = [Table("State", ("what", "value"), rows), *_since(state)]
    return Section(
        "reproduce",
        "How to get it again",
        sentences,
        tables,
        block="" if state.changed else _commands(state),
    )


def settings(state: Tracked) -> Section:
    """Return params.yaml as it is."""
    said = [f"{PARAMS}, each key with its meaning above it."]
    return Section("settings", "Settings", said, block=state.text(str(PARAMS)))


def _since(state: Tracked) -> list[Table]:
    """Return the settings that are other than those that dvc.lock says the figures come from."""
    used: dict[str, Any] = {}
    for stage in state.lock:
        used |= state.used(stage)
    rows = [
        [key, str(value), str(state.settings.get(key, NOTHING))]
        for key, value in sorted(used.items())
        if state.settings.get(key) != value
    ]
    caption = "Settings changed since these figures were made: run dvc repro"
    return [Table(caption, ("setting", "used", "set now"), rows)] if rows else []


def _commands(state: Tracked) -> str:
    return "\n".join([f"git checkout {state.commit[:SHOWN]}",
                      "make          # environment, pipeline, this page",
                      "make verify   # rebuilt from nothing, the same bytes?"])  # fmt: skip
