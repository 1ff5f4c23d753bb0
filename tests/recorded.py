"""A small committed project with a dvc.lock, whose rebuild only copies finished files."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML

from stages.common import files
from tests.imports import ROOT
from tests.project import commit, run

# stage -> inputs, outputs; in an order that is not that of the graph
GRAPH: dict[str, tuple[list[str], list[str]]] = {
    "train": (
        ["data/tensors/part.pt", "stages/common/loop.py"],
        ["data/models/base.pt", "metrics/plots/curve.csv", "metrics/train.json"],
    ),
    "preprocess": (
        ["data/raw", "stages/common/loop.py", "stages/preprocess.py"],
        ["data/tensors/part.pt", "data/tensors/schema.json", "metrics/preprocess.json"],
    ),
}
SECTIONS = {"preprocess": ["arithmetic", "preprocess", "finetune.csv"], "train": ["model", "train"]}
OUTPUTS = [name for _, outputs in GRAPH.values() for name in outputs]
FIGURES: dict[str, float | int | str] = {
    "best_epoch": 33.0,
    "members": 8,
    "transfer": "positive",
    "val_accuracy": 0.98125,
    "val_loss": 0.043471,
    "weight_norm": 12.65314,
}


class Project:
    """folder: the Git repository; finished: a folder with all outputs, and the dvc.lock."""

    def __init__(self, folder: Path, finished: Path) -> None:
        self.folder, self.finished = folder, finished

    def rebuild(self, clone: Path) -> str:
        """Stand in for the pipeline."""
        shutil.copytree(self.finished, clone, dirs_exist_ok=True)
        return ""

    def record(self) -> None:
        """Write dvc.lock for the inputs of the folder and the finished outputs."""
        content = {"schema": "2.0", "stages": {stage: self._stage(stage) for stage in GRAPH}}
        yaml = YAML()
        yaml.dump(content, self.folder / "dvc.lock")
        shutil.copy(self.folder / "dvc.lock", self.finished)

    def commit(self) -> None:
        commit(self.folder)

    def _stage(self, stage: str) -> dict[str, Any]:
        settings = YAML(typ="safe").load(self.folder / "params.yaml")
        inputs, outputs = GRAPH[stage]
        values = {}
        for key in SECTIONS[stage]:
            section, _, name = key.partition(".")
            values[key] = settings[section][name] if name else settings[section]
        return {
            "cmd": f"python -m stages.{stage}",
            "deps": [self._file(name) for name in inputs],
            "params": {"params.yaml": values},
            "outs": [self._file(name) for name in outputs],
        }

    def _file(self, name: str) -> dict[str, Any]:
        path = (self.finished if name in OUTPUTS else self.folder) / name
        if path.is_dir():
            rows = [{"md5": _md5(p), "relpath": p.name} for p in sorted(path.iterdir())]
            md5 = hashlib.md5(json.dumps(rows).encode()).hexdigest() + ".dir"
            return {"path": name, "hash": "md5", "md5": md5, "nfiles": len(rows)}
        return {"path": name, "hash": "md5", "md5": _md5(path), "size": path.stat().st_size}


def make(folder: Path) -> Project:
    """Make the project in `folder`, committed, its pipeline run."""
    project = Project(folder / "here", folder / "finished")
    write(
        project.folder,
        {
            ".gitattributes": "* text=auto eol=lf\ndata/raw/** -text\n",
            ".gitignore": "data/models/\ndata/tensors/\n.dvc/cache/\n",
            "params.yaml": (ROOT / "params.yaml").read_text(),
            "data/raw/one.csv": table(40),
            "data/raw/two.csv": table(20),
            "stages/common/loop.py": '"""The loop."""\n\nSTEPS = 100\n',
            "stages/preprocess.py": '"""preprocess."""\n\nPARTS = ("train", "val")\n',
        },
    )
    finish(project.finished)
    shutil.copytree(project.finished, project.folder, dirs_exist_ok=True)
    project.record()
    run(project.folder, "git", "init", "--quiet")
    project.commit()
    return project


def finish(folder: Path) -> None:
    """Write the outputs."""
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(30, 5, generator=generator)
    part = {"features": features, "target": torch.arange(30) % 3, "row": torch.arange(30)}
    files.write_tensors(folder / "data/tensors/part.pt", part)
    weights = {"layer0.weight": torch.rand(4, 5, 6, generator=generator)}
    files.write_tensors(folder / "data/models/base.pt", {**weights, "widths": [5, 6]})
    files.write_json(folder / "data/tensors/schema.json", {"source": {"classes": ["a", "b", "c"]}})
    files.write_metrics(folder / "metrics/preprocess.json", {"rows_train": 30})
    files.write_metrics(folder / "metrics/train.json", FIGURES)
    rows = [(epoch, 1 / epoch, 1 - 1 / epoch) for epoch in range(1, 9)]
    files.write_csv(folder / "metrics/plots/curve.csv", ["epoch", "loss", "score"], rows)


def table(rows: int) -> str:
    lines = [f"{row},{row * 37 % 11},{row % 3}" for row in range(rows)]
    return "\n".join(["id,width,kind", *lines]) + "\n"


def write(folder: Path, contents: dict[str, str]) -> None:
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def flip(path: Path, offset: int, bit: int) -> None:
    """Turn over one bit of a file."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 1 << bit
    path.write_bytes(content)


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()
