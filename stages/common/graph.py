"""The files that dvc.yaml lets a stage read and write.

dvc.yaml is the only place where paths are written. A stage asks for a file by the end of
its path and gets it only if dvc.yaml lists it for that stage: what is not declared, such
as the test rows in `train`, cannot be opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stages.common.errors import UserError

GRAPH = "dvc.yaml"
KINDS = ("deps", "outs", "metrics", "plots")


@dataclass(frozen=True)
class Declared:
    """The declared dependencies and outputs of one stage, as paths."""

    stage: str
    paths: tuple[Path, ...]

    @classmethod
    def read(cls, stage: str, folder: Path | str = ".") -> Declared:
        """Read the declaration of `stage` from dvc.yaml in `folder`."""
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        path = Path(folder) / GRAPH
        if not path.is_file():
            raise UserError(f"{GRAPH}: not in this folder; run the command in the project's folder")
        try:
            declaration = YAML(typ="safe").load(path)["stages"][stage]
        except (YAMLError, KeyError, TypeError) as error:
            raise UserError(
                f"{GRAPH}: no stage {stage} can be read from it; `git checkout {GRAPH}` restores it"
            ) from error
        entries = [entry for kind in KINDS for entry in declaration.get(kind, [])]
        names = [
            name for entry in entries for name in ([entry] if isinstance(entry, str) else entry)
        ]
        return cls(stage, tuple(Path(folder) / name for name in names))

    def __call__(self, name: str) -> Path:
        """Return the one declared path that ends with `name`; KeyError when there is none."""
        parts = Path(name).parts
        found = [path for path in self.paths if path.parts[-len(parts) :] == parts]
        if len(found) != 1:
            raise KeyError(f"{GRAPH}, stage {self.stage}: {len(found)} paths end with {name}")
        return found[0]
