"""The tracked files of this folder, or of a revision in Git: all that a report is made from."""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.common import params
from stages.common.errors import UserError
from stages.common.graph import GRAPH, Declared
from stages.common.settings import RAW
from stages.reporting import columns
from stages.verification import repository
from stages.verification.lock import LOCK

METRICS = "metrics"
ORIGIN = ("stages", "requirements.txt", RAW, GRAPH, params.PARAMS, LOCK, METRICS)  # of a figure


@dataclass(frozen=True)
class Tracked:
    """What one state of the project recorded.

    label: "this folder", or the revision; commit: the full hash, empty without Git; changed:
    a file of ORIGIN is other than in the commit; content: the bytes of each file by its path.
    """

    label: str
    commit: str
    changed: bool
    content: Mapping[str, bytes]

    @functools.cached_property
    def figures(self) -> dict[str, Any]:
        """All figures of metrics/*.json; UserError when one is damaged or there is none."""
        found: dict[str, Any] = {}
        names = [name for name in self.content if Path(name).match(f"{METRICS}/*.json")]
        for name in sorted(names):
            found |= self._mapping(name)
        if not names:
            raise UserError(
                f"{METRICS}: {self.label} has no figures; run `dvc repro`, or name a revision that "
                "has them"
            )
        return found

    @functools.cached_property
    def schemas(self) -> dict[str, Any]:
        """data/tensors/schema.json by table; empty where it is not, as in Git."""
        name = next((name for name in self.content if name.endswith("schema.json")), "")
        return self._mapping(name) if name else {}

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """Every setting by its dotted name, such as train.lr."""
        return flat(self._yaml(str(params.PARAMS)))

    @functools.cached_property
    def lock(self) -> dict[str, Any]:
        """What dvc.lock records of each stage; empty without one."""
        stages = self._yaml(str(LOCK)).get("stages")
        return stages if isinstance(stages, dict) else {}

    def used(self, stage: str) -> dict[str, Any]:
        """Return the settings by dotted name that dvc.lock says a stage ran with."""
        return flat(self.lock.get(stage, {}).get("params", {}).get(str(params.PARAMS), {}))

    def rows(self, name: str) -> list[dict[str, str]]:
        """Return the rows of a CSV file in metrics/, none when it is not there.

        UserError when it is damaged, as `columns` tells.
        """
        path = f"{METRICS}/{name}"
        return self._read(path, columns.NEEDED[name]) if path in self.content else []

    def missing(self, *names: str) -> list[str]:
        """Return a sentence for each file in metrics/ that is not there."""
        return [
            f"{f'{Path(name).stem} has not run: ' if name.endswith('.json') else ''}"
            f"{METRICS}/{name} is not there; `dvc repro` writes it."
            for name in names
            if f"{METRICS}/{name}" not in self.content
        ]

    def tables(self, names: Iterable[str]) -> dict[str, str]:
        """Return the text of CSV files by path, empty for those that are not there.

        UserError when one is damaged; columns that it lacks are a matter of the plot.
        """
        for name in names:
            self._read(name)
        return {name: self.text(name) for name in names}

    def text(self, name: str) -> str:
        """Return a file's text, empty when it is not there; UserError when it is no UTF-8."""
        try:
            return self.content.get(name, b"").decode()
        except UnicodeDecodeError as error:
            raise self._damaged(name, error) from error

    def _read(self, name: str, needed: Sequence[str] = ()) -> list[dict[str, str]]:
        try:
            return columns.read(self.text(name), needed)
        except (ValueError, csv.Error) as error:
            raise self._damaged(name, error) from error

    def _mapping(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads(self.text(name))
            if isinstance(found, dict):
                return found
            raise ValueError("no names")
        except ValueError as error:
            raise self._damaged(name, error) from error

    def _yaml(self, name: str) -> dict[str, Any]:
        try:
            found = YAML(typ="safe").load(self.text(name))
        except YAMLError as error:
            raise self._damaged(name, "not valid YAML") from error
        return found if isinstance(found, dict) else {}

    def _damaged(self, name: str, reason: object) -> UserError:
        return UserError(
            f"{name} of {self.label}: damaged ({reason}); delete it and run `dvc repro`, or name "
            "another revision"
        )


def here() -> Tracked:
    """Return the state of this folder."""
    params.load()
    schema = Declared.read("preprocess")("schema.json")
    paths = [*Path(METRICS).rglob("*.json"), *Path(METRICS).rglob("*.csv")]
    paths += [params.PARAMS, LOCK, schema]
    content = {path.as_posix(): path.read_bytes() for path in sorted(paths) if path.is_file()}
    try:
        commit = repository.git("rev-parse", "--verify", "HEAD").decode().strip()
        changed = bool(repository.git("status", "--porcelain", "--", *ORIGIN))
    except UserError:  # no Git, or no commit yet
        commit, changed = "", True
    return Tracked("this folder", commit, changed, content)


def at(revision: str) -> Tracked:
    """Return the state of a revision; UserError when Git knows none of that name."""
    repository.check()
    try:
        commit = _git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    except UserError as error:
        raise UserError(
            f"{revision}: Git knows no such revision; `git log --oneline --all` lists them"
        ) from error
    listed = _git("ls-tree", "-r", "-z", "--name-only", commit, "--", METRICS, params.PARAMS, LOCK)
    names = filter(None, listed.split("\0"))
    content = {name: repository.git("cat-file", "blob", f"{commit}:./{name}") for name in names}
    return Tracked(revision, commit, False, content)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted name; lists and empty sections stay whole."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, dict) and value else {name: value}
    return found


def _git(*arguments: str | Path) -> str:
    return repository.git(*arguments).decode("utf-8", "surrogateescape").strip()
