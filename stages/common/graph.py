"""The files that dvc.yaml lets a stage read and write.

dvc.yaml is the only place where paths are written. A stage asks for a file by the end of
its path and gets it only if dvc.yaml lists it for that stage: what is not declared, such
as the test rows in `train`, cannot be opened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.common import files
from stages.common.errors import UserError

GRAPH = "dvc.yaml"
OUTPUTS = ("outs", "metrics", "plots")


@dataclass(frozen=True)
class Declared:
    """What dvc.yaml declares for one stage.

    inputs, outputs: paths; params: keys of params.yaml such as `train` or `finetune.csv`;
    run: the name of the run that writes the outputs, empty for a reader of finished ones.
    """

    stage: str
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    params: tuple[str, ...]
    run: str = ""

    @classmethod
    def read(cls, stage: str, folder: Path | str = ".") -> Declared:
        """Read the declaration of `stage` from dvc.yaml in `folder`."""
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        path = Path(folder) / GRAPH
        if not path.is_file():
            raise UserError(f"{GRAPH}: not in this folder; run the command in the project's folder")
        try:
            found = YAML(typ="safe").load(path)["stages"][stage]
            outputs = [entry for kind in OUTPUTS for entry in found.get(kind, [])]
            return cls(
                stage,
                tuple(Path(folder) / name for name in _names(found.get("deps", []))),
                tuple(Path(folder) / name for name in _names(outputs)),
                tuple(_names(found.get("params", []))),
            )
        except (YAMLError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{GRAPH}: no stage {stage} can be read from it; `git checkout {GRAPH}` restores it"
            ) from error

    def __call__(self, name: str) -> Path:
        """Return the one declared path that ends with `name`; KeyError when there is none.

        While a run writes an output, it is the hidden place beside it (see `outputs`).
        """
        parts = Path(name).parts
        declared = [*self.inputs, *self.outputs]
        found = [path for path in declared if path.parts[-len(parts) :] == parts]
        if len(found) != 1:
            raise KeyError(f"{GRAPH}, stage {self.stage}: {len(found)} paths end with {name}")
        if self.run and found[0] in self.outputs:
            return files.part(found[0], self.run)
        return found[0]


def _names(entries: Iterable[Any]) -> list[str]:
    """Return the names of entries, which are plain or the one key of a mapping of flags."""
    return [name for entry in entries for name in ([entry] if isinstance(entry, str) else entry)]
