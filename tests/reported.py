"""A small copy of what a report is made from: the tracked files, committed, with a schema."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stages.reporting import drawing, page, tracked
from stages.reporting.tracked import Tracked
from tests.imports import ROOT
from tests.project import commit, run

SCHEMA = "data/tensors/schema.json"
TARGET = {"name": "digit", "classes": [*"0123456789"], "counts": [96] * 9 + [93]}
DROPPED = [{"name": "pixel_0_0", "position": 1, "reason": "the same value in all rows"}]


def make(folder: Path) -> Path:
    """Copy the tracked files into a new repository with one commit; return its folder."""
    shutil.copytree(ROOT / "metrics", folder / "metrics")  # which makes the folder
    for name in ("params.yaml", "dvc.yaml", "dvc.lock", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    if (ROOT / ".dvc/plots").is_dir():
        shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots")
    schema(folder, {})
    run(folder, "git", "init", "--quiet", "--template=")
    commit(folder)
    return folder


def state(tables: Mapping[str, str] | None = None, settings: str = "", **changes: Any) -> Tracked:
    """Return the tracked files as a state that is committed.

    tables: text of CSV files in metrics/ by name; settings: text of params.yaml in place of the
    file; changes: figures replaced, None takes one away.
    """
    paths = [path for path in sorted((ROOT / "metrics").rglob("*.*")) if path.is_file()]
    content = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}
    for name in [name for name in content if name.endswith(".json")]:
        kept = {key: old for key, old in json.loads(content[name]).items() if key not in changes}
        content[name] = json.dumps(kept).encode()
    given = {key: value for key, value in changes.items() if value is not None}
    content["metrics/changes.json"] = json.dumps(given).encode()
    content["params.yaml"] = settings.encode() or (ROOT / "params.yaml").read_bytes()
    content |= {f"metrics/{name}": text.encode() for name, text in (tables or {}).items()}
    return Tracked("this folder", "0" * 40, False, content)


def sketched(patch: pytest.MonkeyPatch) -> None:
    """Let plots be filled but not drawn, which takes long."""
    image = '<svg width="1"><path id="a"/><use href="#a"/></svg>'
    patch.setattr(drawing, "fit", lambda filled, width: image)


def drawn_page(folder: Path) -> str:
    """Return the page of a new copy, all its plots drawn."""
    with contextlib.chdir(make(folder)):
        return page.write(tracked.here())


def schema(folder: Path, target: Mapping[str, Any]) -> None:
    """Write the schema, some of its target's entries replaced."""
    path = folder / SCHEMA
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"source": {"target": {**TARGET, **target}, "dropped": DROPPED}}))


def figures(folder: Path, stage: str, **changes: Any) -> None:
    """Replace some figures of a stage; None takes one away."""
    path = folder / f"metrics/{stage}.json"
    found = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in found.items() if value is not None}))


def recorded(stage: str) -> dict[str, Any]:
    """Return the figures of a stage that this repository records."""
    found: dict[str, Any] = json.loads((ROOT / f"metrics/{stage}.json").read_text())
    return found


def regression(folder: Path) -> None:
    """Make the figures those of a regression."""
    kept = {"test_rmse": 1.5, "test_mae": 1.1, "test_r2": 0.8, "test_rows": 3}
    beside = {"test_linear_rmse": 1.7, "test_mean_rmse": 3.0}
    (folder / "metrics/evaluate.json").write_text(json.dumps(kept | beside))
    figures(folder, "train", val_accuracy=None, ensemble_val_accuracy=None, ensemble_val_r2=0.8)
    figures(folder, "preprocess", classes=0)
    (folder / "metrics/plots/predicted.csv").write_text("actual,predicted\n1.5,1.6\n2,3\n0,0\n")
    wrong = "model,row,actual,predicted,residual,top_features\nbase,2,2,3,1.0,a b c\n"
    (folder / "metrics/errors.csv").write_text(wrong)
    schema(folder, {"classes": [], "counts": []})


def no_second_table(folder: Path) -> None:
    """Make the files those of a pipeline without a second table, as its stages write them."""
    evaluated = json.loads((folder / "metrics/evaluate.json").read_text())
    kept = {key: value for key, value in evaluated.items() if "finetuned" not in key}
    (folder / "metrics/evaluate.json").write_text(json.dumps(kept))
    (folder / "metrics/finetune.json").write_text('{"transfer": "no second table"}')
    plots = folder / "metrics/plots"
    (plots / "transfer.csv").write_text(
        "epoch,finetuned,from_scratch,gain,gain_low,gain_high,control\n"
    )
    (plots / "freezing.csv").write_text("arm,lr,frozen_layers,val_score,lowest,highest,val_loss\n")
    (plots / "finetuned_predicted.csv").write_text("actual,predicted\n")


def no_test_rows(folder: Path) -> None:
    """Make the files those of tables whose test parts are empty."""
    (folder / "metrics/evaluate.json").write_text("{}")
    for name in ("predicted.csv", "finetuned_predicted.csv"):
        (folder / "metrics/plots" / name).write_text("actual,predicted\n")
    (folder / "metrics/errors.csv").write_text("model,row,actual,predicted,confidence\n")


def no_search(folder: Path) -> None:
    """Take away what the search wrote."""
    for name in ("search.json", "trials.csv", "finalists.csv"):
        (folder / "metrics" / name).unlink()
    for name in ("effects.csv", "importance.csv"):
        (folder / "metrics/plots" / name).unlink()


def no_lock(folder: Path) -> None:
    """Take away dvc.lock."""
    (folder / "dvc.lock").unlink()


def no_git(folder: Path) -> None:
    """Take away the repository."""
    shutil.rmtree(folder / ".git")


def no_schema(folder: Path) -> None:
    """Take away the schema, as in a clone before `dvc pull`."""
    (folder / SCHEMA).unlink()


def diverged(folder: Path) -> None:
    """Make the figures those of a training that diverged."""
    losses = dict.fromkeys(("train_loss", "val_loss", "overfit_gap", "weight_norm"))
    figures(folder, "train", diverged_members=8, starting_spread=None, **losses)


def entered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project whose plots are not drawn and go there; Git looks no further up."""
    sketched(monkeypatch)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder))
    path = make(folder / "project")
    monkeypatch.chdir(path)
    return path
