"""What dvc.lock records, compared with what lies in Git, in a rebuilt clone and here."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.verification import difference, repository, sums, tolerance
from stages.verification.findings import NOT_COMPARED, NOT_SAME, SAME, WITHIN, Findings, Row
from stages.verification.lock import LOCK
from stages.verification.place import MISSING, UNREADABLE, Entry, Place, content

CACHE = Path(".dvc", "cache", "files", "md5")
NOWHERE = "the recorded one is not here to compare with"
INSTEAD = "the bytes are not promised; the figures in metrics are compared instead"
WIDTH = 12  # characters shown of an md5, if they are enough to tell two apart
WORDS = {"in Git": f"{NOT_SAME} in Git", "rebuilt": NOT_SAME, "here": "changed here"}


@dataclass(frozen=True)
class Comparison:
    """Three places that are compared with the committed dvc.lock.

    rebuilt: None when the rebuild failed; doubt: why its bytes are not promised, or nothing.
    """

    git: Place
    here: Place
    rebuilt: Place | None = None
    doubt: str = ""

    def findings(self) -> Findings:
        """Compare everything."""
        outputs = self._outputs()
        others = self._others()
        if not self.doubt:
            others += self._lock(self.here, WORDS["here"])
        if self.rebuilt and not others and all(row.verdict == SAME for row in outputs):
            others = self._lock(self.rebuilt, NOT_SAME)
        notes = [f"{self.doubt}: {INSTEAD}"] if self.doubt else []
        for place in (self.rebuilt, self.here):
            if place and not self.doubt and place.origin():
                notes.append(f"origin, {place.kind}: {place.origin()}")
        return Findings(outputs, others, self._inputs(), notes)

    def _outputs(self) -> list[Row]:
        if (place := self.rebuilt) is None:
            return []
        outputs = [(entry, found) for entry, found in place.found if entry.kind == "output"]
        return [self._row(place, entry, found) for entry, found in outputs]

    def _others(self) -> list[Row]:
        """Return a row per other thing that is not as recorded: once, with its first stage."""
        seen, rows = self._rebuilt(), []
        for place in [place for place in (self.git, self.rebuilt, self.here) if place]:
            for entry, found in place.differing():
                if _key(entry, found) not in seen:
                    seen.add(_key(entry, found))
                    rows.append(self._row(place, entry, found))
        return [row for row in rows if not row.good]

    def _lock(self, place: Place, word: str) -> list[Row]:
        """Return a row if dvc.lock in a place says something else than the committed one."""
        recorded, found = (content(one.folder / LOCK) for one in (self.git, place))
        differs = difference.first(recorded, found)
        if not differs:
            return []
        key, before, now = differs
        return [Row("-", f"{LOCK}: {key}" if key else str(LOCK), before, now, word)]

    def _inputs(self) -> str:
        """Return how many recorded inputs are the same, in words."""
        place = self.rebuilt or self.git
        later = set() if self.rebuilt else place.made
        compared = [entry for entry, _ in place.found if entry.kind != "output"]
        compared = [entry for entry in compared if entry.path not in later]
        differing = [pair for pair in place.differing() if pair[0].kind != "output"]
        following = [pair for pair in differing if _key(*pair) in self._rebuilt()]
        line = f"{len(compared) - len(differing)} of {len(compared)} recorded inputs are the same"
        return f"{line}; {len(following)} are outputs named above" if following else line

    def _rebuilt(self) -> set[tuple[str, ...]]:
        rebuilt = self.rebuilt.found if self.rebuilt else []
        return {_key(entry, found) for entry, found in rebuilt if entry.kind == "output"}

    def _row(self, place: Place, entry: Entry, found: Any) -> Row:
        word = WORDS[place.kind]
        if found == MISSING and place.kind == "here":
            word = "missing here"
        if found == UNREADABLE:
            return Row(entry.stage, entry.path, "", found, word)
        differs = difference.first(entry.recorded, found, entry.key)
        if differs and entry.kind == "setting":
            key, recorded, now = differs
            return Row(entry.stage, f"{entry.path}: {key}", recorded, now, word)
        word, detail = self._judge(place, entry, word) if differs else (SAME, "")
        alike = differs and entry.recorded[:WIDTH] == found[:WIDTH]
        width = None if alike else WIDTH
        return Row(entry.stage, entry.path, entry.recorded[:width], found[:width], word, detail)

    def _judge(self, place: Place, entry: Entry, word: str) -> tuple[str, str]:
        """Return the verdict on a file that is not as recorded, `word` or a better one, and why."""
        path = place.folder / entry.path
        promised = not self.doubt or entry.kind != "output" or place.kind == "in Git"
        if not promised and entry.path != f"metrics/{entry.stage}.json":
            return NOT_COMPARED, ""
        recorded = self._recorded(entry)
        if not path.exists() or recorded is None:
            return word, NOWHERE if path.exists() else ""
        if promised:
            return word, difference.explain(recorded, path)
        moved = tolerance.beyond(recorded, path)
        return (word, moved) if moved else (WITHIN, "")

    def _recorded(self, entry: Entry) -> Path | None:
        """Return where the recorded version of a file or folder lies, if it is anywhere."""
        path, md5 = Path(entry.path), entry.recorded
        places = [place for place in (self.here, self.rebuilt, self.git) if place]
        candidates = itertools.chain(
            (place.folder / path for place in places),
            [self.here.folder / CACHE / md5[:2] / md5[2:]],
            repository.versions(path, self.git.folder),
        )
        return next((found for found in candidates if md5 and sums.md5(found) == md5), None)


def _key(entry: Entry, found: Any) -> tuple[str, ...]:
    if found == UNREADABLE:  # one row for the file, not one for each setting in it
        return (entry.path, found)
    return (entry.path, entry.key, str(entry.recorded), str(found))
