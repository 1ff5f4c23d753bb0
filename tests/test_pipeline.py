"""The whole pipeline through DVC, in temporary clones of the working tree."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests import keys
from tests.conftest import ROOT
from tests.project import commit, copy_project, dvc, override, run

SMALL = [
    "train.epochs=3",
    "train.members=2",
    "finetune.epochs=2",
    "finetune.members=2",
    "search.trials=3",
    "search.epochs=2",
]
OUTPUTS = ["data/tensors", "data/models", "metrics"]


def read(folder: Path, stage: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "metrics" / f"{stage}.json").read_text())
    return content


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed clone of the working tree with small settings, its pipeline run once."""
    folder = tmp_path_factory.mktemp("clone of it") / "tabline"  # a space in the path on purpose
    copy_project(folder)
    dvc(folder, "exp", "run", *override(*SMALL))
    changed = run(folder, "git", "diff", "--numstat", "params.yaml").split()[:2]
    assert changed == [str(len(SMALL))] * 2, "an override must be a one-line diff"
    commit(folder)
    return folder


@pytest.fixture
def fresh(clone: Path, tmp_path: Path) -> Path:
    """A copy of the clone for a test that changes it."""
    folder = tmp_path / "tabline"
    shutil.copytree(clone, folder, symlinks=True)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for name in OUTPUTS for path in (folder / name).rglob("*") if path.is_file()]
    assert len(files) > 15
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_finished_pipeline_has_nothing_to_do(clone: Path) -> None:
    printed = dvc(clone, "repro")
    assert "up to date" in printed
    assert "Running stage" not in printed


def test_two_runs_give_the_same_bytes(clone: Path, fresh: Path) -> None:
    before = contents(clone)
    for name in ("data/tensors", "data/models", ".dvc/cache"):
        shutil.rmtree(fresh / name)
    dvc(fresh, "repro", "--force", "--no-run-cache")
    assert contents(fresh) == before
    assert run(fresh, "git", "status", "--short") == ""


def test_train_save_and_evaluate_agree(clone: Path) -> None:
    evaluated = read(clone, "evaluate")
    with open(clone / "metrics/plots/predicted.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    right = sum(row["actual"] == row["predicted"] for row in rows)
    assert right / len(rows) == pytest.approx(evaluated["test_accuracy"], abs=1e-6)
    with open(clone / "metrics/errors.csv", newline="") as stream:
        wrong = [row for row in csv.DictReader(stream) if row["model"] == "base"]
    assert len(wrong) == len(rows) - right


def test_predict_gives_the_answers_of_evaluate(clone: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.csv"
    table = clone / "data/raw/digits.csv"
    run(clone, "python", "-m", "stages.predict", str(table), "--output", str(output))
    with open(output, newline="") as stream:
        answers = {row["row"]: row["digit"] for row in csv.DictReader(stream)}
    with open(clone / "metrics/errors.csv", newline="") as stream:
        wrong = [row for row in csv.DictReader(stream) if row["model"] == "base"]
    assert len(answers) == 1197
    assert wrong
    for row in wrong:
        assert answers[row["row"]] == row["predicted"]


def test_an_override_reaches_its_stage_and_the_metrics_diff_shows_it(fresh: Path) -> None:
    printed = dvc(fresh, "exp", "run", *override("train.lr=0.00001"))
    assert "Stage 'preprocess' didn't change" in printed
    assert "  lr: 1e-05\n" in (fresh / "params.yaml").read_text()
    changed = json.loads(dvc(fresh, "metrics", "diff", "--json"))
    loss = changed["metrics/train.json"]["train_loss"]
    assert loss["new"] > loss["old"]
    assert run(fresh, "git", "diff", "--numstat", "params.yaml").split()[:2] == ["1", "1"]


def test_a_list_can_be_overridden_and_no_comment_is_lost(fresh: Path) -> None:
    before = (fresh / "params.yaml").read_text()
    dvc(fresh, "exp", "run", *override("model.hidden=[32,16,8]"), "train")
    assert (fresh / "params.yaml").read_text() == before.replace(
        "  - 128\n  - 64\n", "  - 32\n  - 16\n  - 8\n", 1
    )
    wanted = sum(after * (before + 1) for before, after in ((60, 32), (32, 16), (16, 8), (8, 10)))
    assert read(fresh, "train")["parameters"] == wanted


def test_a_run_in_a_temporary_folder_leaves_the_workspace_alone(fresh: Path) -> None:
    before = contents(fresh)
    dvc(fresh, "exp", "run", "--temp", "--name", "aside", *override("finetune.freeze=1"))
    assert contents(fresh) == before
    shown = json.loads(dvc(fresh, "exp", "show", "--json"))
    names = [row["name"] for state in shown for row in state.get("experiments") or []]
    assert "aside" in names


def test_without_a_second_table_the_base_model_is_passed_on(fresh: Path) -> None:
    dvc(fresh, "exp", "run", *override("finetune.csv="))
    assert (fresh / "data/models/finetuned.pt").read_bytes() == (
        fresh / "data/models/base.pt"
    ).read_bytes()
    assert read(fresh, "finetune") == {"transfer": "no second table"}
    assert not any(key.startswith("finetuned") for key in read(fresh, "evaluate"))
    dvc(fresh, "plots", "show", "--out", "plots")


def test_the_winner_of_a_search_is_adopted_and_trained(fresh: Path) -> None:
    before = (fresh / "params.yaml").read_text()
    run(fresh, "python", "-m", "stages.search", "--adopt")
    after = (fresh / "params.yaml").read_text()
    assert before != after
    comments = [line for line in before.splitlines() if "#" in line]
    assert [line for line in after.splitlines() if "#" in line] == comments
    assert "Running stage 'train'" in dvc(fresh, "repro", "train")


def test_a_regression_runs_from_end_to_end(fresh: Path) -> None:
    rows = [
        f"{i},{i % 7},{(i * 37) % 11},{0.5 * (i % 7) - 0.25 * ((i * 37) % 11)}" for i in range(200)
    ]
    (fresh / "data/raw/numbers.csv").write_text("id,a,b,y\n" + "\n".join(rows) + "\n")
    settings = override("preprocess.csv=data/raw/numbers.csv", "finetune.csv=", "train.epochs=20")
    dvc(fresh, "exp", "run", *settings)
    evaluated = read(fresh, "evaluate")
    assert evaluated["test_rmse"] < 0.5 * evaluated["test_mean_rmse"]
    assert read(fresh, "train")["val_r2"] > 0.75


def test_the_experiments_of_the_readme_run_as_written(fresh: Path) -> None:
    section = (ROOT / "README.md").read_text().partition("## Experiments")[2]
    commands = section.split("```")[1].strip().splitlines()
    assert len(commands) > 5
    for command in commands:
        if not command.startswith("make experiments"):  # needs an environment of its own
            line = command.replace("dvc ", "python -m dvc ", 1)
            run(fresh, "bash", "-c", line if command.startswith("dvc") else command)
    assert "activation: relu" in (fresh / "params.yaml").read_text()


def test_plots_and_experiments_are_shown(clone: Path, tmp_path: Path) -> None:
    page = dvc(clone, "plots", "show", "--out", str(tmp_path / "plots"))
    assert "index.html" in page
    shown = dvc(clone, "exp", "show", "--only-changed", "--drop", "^(stages|data)/", "--no-pager")
    assert "test_accuracy" in shown or "workspace" in shown


def test_a_mistyped_setting_stops_before_anything_is_lost(fresh: Path) -> None:
    text = (fresh / "params.yaml").read_text()
    wrong = keys.change(text, "train.momentum", "0.9", name="momentun")
    (fresh / "params.yaml").write_text(wrong)
    printed = dvc(fresh, "repro", "train", status=255)
    assert "did you mean momentum?" in printed
    assert "Traceback" not in printed


def test_no_stage_imports_scikit_learn_or_scipy(clone: Path) -> None:
    for stage in ("preprocess", "train", "evaluate", "finetune", "search"):
        imported = run(clone, "python", "-X", "importtime", "-m", f"stages.{stage}")
        assert "torch" in imported
        names = {line.rsplit("|", 1)[-1].strip() for line in imported.splitlines() if "|" in line}
        assert not {name for name in names if name.split(".")[0] in ("sklearn", "scipy")}
        assert ("torchmetrics" in names) == (stage == "evaluate")
