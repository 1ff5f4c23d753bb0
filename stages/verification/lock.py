"""dvc.lock, the record of what every stage was made from and made; and mending it.

DVC writes the file in place, and so its list of busy files: a kill in that moment leaves a
part. The next `dvc repro` refuses it, or takes it for whole and has forgotten the stages behind
the cut. `mend` restores the committed lock then, and removes the list.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from stages.common import files
from stages.common.errors import UserError
from stages.common.graph import Declared
from stages.common.names import listed
from stages.verification import repository

LOCK = Path("dvc.lock")
BUSY = Path(".dvc", "tmp", "rwlock")  # which process reads or writes which file
MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
CONTROL = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\U0010ffff]")  # what YAML does not allow
UNREADABLE = "could not be read"
PAUSE = 1.0  # seconds; DVC writes dvc.lock in about 0.1


class File(BaseModel):
    """A recorded input or output, its values as they stand there, maybe damaged."""

    path: str
    md5: Any = None
    hash: Any = "md5"
    size: Any = 0
    nfiles: Any = 0
    isexec: Any = False

    @property
    def whole(self) -> bool:
        """Whether DVC can work with it; it stops at values cut off, some only when it runs."""
        numbers = isinstance(self.size, int) and isinstance(self.nfiles, int)
        md5 = self.md5 is None or (isinstance(self.md5, str) and MD5.fullmatch(self.md5))
        return bool(md5) and numbers and self.hash == "md5" and isinstance(self.isexec, bool)


class Stage(BaseModel):
    """What one stage was made with, and what it made."""

    model_config = ConfigDict(extra="forbid", strict=True)
    cmd: str | list[str]
    deps: list[File] = []
    params: dict[str, dict[str, Any]] = {}
    outs: list[File] = []


class Lock(BaseModel):
    """The content of dvc.lock."""

    model_config = ConfigDict(extra="forbid", strict=True)
    version: Literal["2.0"] = Field(alias="schema")
    datasets: Any = None
    stages: dict[str, Stage] = {}


def committed() -> Lock:
    """Return dvc.lock as it is in the last commit; a damaged character is replaced.

    Raises UserError when that one cannot be read, or the one here is missing or cannot be read.
    """
    repository.check()
    if not LOCK.is_file():
        raise UserError(f"{LOCK}: not in this folder; `git checkout {LOCK}` restores it")
    data = repository.committed(LOCK)
    if data is None:
        raise UserError(
            f"{LOCK}: not in the last commit; commit it with `git add {LOCK} && git commit`"
        )
    here = LOCK.read_bytes()
    if here != data:
        try:
            _parse(_printable(here))
        except UserError as error:
            raise UserError(f"{error}; `python -m stages.verify --mend` restores it") from error
    try:
        return _parse(_printable(data))
    except UserError as error:
        raise UserError(
            f"in the last commit: {error}; delete it, run `dvc repro` and commit the new one"
        ) from error


def mend() -> None:
    """Restore the committed dvc.lock, and say so, when the one here was cut off.

    One that can be read and has all outputs is left alone, whatever it says of them. DVC's list
    of busy files is removed when it cannot be read. Raises UserError when there is nothing to
    restore.
    """
    if _stays(_busy_damage):
        BUSY.unlink(missing_ok=True)
        print(f"{BUSY}: could not be read, as DVC was killed while it wrote; removed")
    damage = _stays(_damage)
    if not damage:
        return
    data = repository.committed(LOCK)
    if data is None:
        raise UserError(f"{LOCK}: cannot be read, and none is committed; delete it to start anew")
    files.write_bytes(LOCK, data)
    print(f"{LOCK}: {damage}, as DVC was killed while it wrote; the committed one is back")


def _stays(damage: Callable[[], str]) -> str:
    """Return the damage of a file, "" where another DVC is just writing it."""
    if not damage():
        return ""
    time.sleep(PAUSE)
    return damage()


def _busy_damage() -> str:
    if not BUSY.is_file():
        return ""
    try:
        return "" if isinstance(json.loads(BUSY.read_bytes()), dict) else UNREADABLE
    except (ValueError, UnicodeDecodeError):
        return UNREADABLE


def _damage() -> str:
    """Return what is wrong with the dvc.lock here; DVC can work without one."""
    if not LOCK.is_file():
        return ""
    here = LOCK.read_bytes()
    try:
        stages = _parse(here.decode()).stages
    except (UserError, UnicodeDecodeError):
        return UNREADABLE
    recorded = (file for stage in stages.values() for file in (*stage.deps, *stage.outs))
    if not all(file.whole for file in recorded):
        return UNREADABLE
    lost = _lost(here, stages)
    return f"had lost outputs of {listed(lost)}" if lost else ""


def _lost(here: bytes, stages: Mapping[str, Stage]) -> list[str]:
    """Return the stages of which outputs were committed and are declared, but not recorded here."""
    try:
        data = repository.committed(LOCK)
        if data is None or data == here:
            return []
        before = _parse(data.decode()).stages
    except (UserError, UnicodeDecodeError):  # nothing that could be restored
        return []
    recorded = {name: {file.path for file in stages[name].outs if file.md5} for name in stages}
    return [
        name
        for name, stage in before.items()
        if not {file.path for file in stage.outs} & _declared(name) <= recorded.get(name, set())
    ]


def _declared(stage: str) -> set[str]:
    try:
        return {path.as_posix() for path in Declared.read(stage).outputs}
    except UserError:  # a stage that is no more
        return set()


def _printable(data: bytes) -> str:
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", data.decode("utf-8", "replace"))


def _parse(text: str) -> Lock:
    try:
        return Lock.model_validate(YAML(typ="safe").load(text))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{LOCK}, line {line}: not valid YAML: {error.problem}") from error
    except YAMLError as error:
        raise UserError(f"{LOCK}: not valid YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise UserError(f"{LOCK}: not what DVC writes: {place}: {first['msg']}") from error
