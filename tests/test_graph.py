"""graph: the files dvc.yaml gives a stage, and whether dvc.yaml agrees with the code."""

from __future__ import annotations

import ast
import json

import pytest
from ruamel.yaml import YAML

from stages.common.errors import UserError
from stages.common.graph import Declared
from tests.imports import ROOT, closure

STAGES = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
PARAMS = YAML(typ="safe").load(ROOT / "params.yaml")
VERBS = ["preprocess", "train", "finetune", "evaluate", "search"]
# Read by every stage through `launch` and `arithmetic.device`, no section of a stage.
OF_ALL = {"arithmetic", "device"}


def names(stage: str, *kinds: str) -> list[str]:
    """Return the paths that a stage declares, flags such as `cache: false` left out."""
    entries = [entry for kind in kinds for entry in STAGES[stage].get(kind, [])]
    return [name for entry in entries for name in ([entry] if isinstance(entry, str) else entry)]


def script(stage: str) -> ast.Module:
    return ast.parse((ROOT / "stages" / f"{stage}.py").read_text())


def settings_read(stage: str) -> set[str]:
    """Return the longest dotted names `settings.A.B` in a stage's script, without `settings`."""
    found = set()
    for found_node in ast.walk(script(stage)):
        node, parts = found_node, []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name) and node.id == "settings" and parts:
            found.add(".".join(reversed(parts)))
    return {name for name in found if not any(other.startswith(f"{name}.") for other in found)}


def test_a_stage_its_script_its_section_and_its_metrics_share_one_verb():
    assert sorted(STAGES) == sorted(VERBS)
    assert set(PARAMS) == {*VERBS, "model", *OF_ALL}
    for verb in VERBS:
        assert STAGES[verb]["cmd"] == f"python -m stages.{verb}"
        assert names(verb, "metrics") == [f"metrics/{verb}.json"]
        functions = [node.name for node in script(verb).body if isinstance(node, ast.FunctionDef)]
        assert verb in functions


@pytest.mark.parametrize("stage", VERBS)
def test_a_stage_declares_exactly_the_modules_it_imports(stage):
    code = {name for name in names(stage, "deps") if name.endswith((".py", ".txt"))}
    imported = closure(f"stages/{stage}.py")
    assert len(imported) > 5
    assert code == imported | {"requirements.txt"}
    assert len(code) == len([name for name in names(stage, "deps") if name in code])


@pytest.mark.parametrize("stage", VERBS)
def test_a_stage_declares_exactly_the_params_it_reads(stage):
    declared = set(STAGES[stage]["params"])
    assert "arithmetic" in declared
    read = settings_read(stage)
    assert ("device" in declared) == ("device" in read)
    sections = {name for name in read if name.split(".")[0] not in OF_ALL}
    if stage == "preprocess":
        assert {name for name in sections if name.startswith("finetune")} == {"finetune.csv"}
    else:
        sections = {name.split(".")[0] for name in sections}
    assert declared - OF_ALL == sections
    assert stage in declared


def test_only_evaluate_can_read_test_rows():
    holders = {stage: [n for n in names(stage, "deps") if "test" in n] for stage in VERBS}
    assert {stage for stage, found in holders.items() if found} == {"evaluate"}
    expected = ["data/tensors/source/test.pt", "data/tensors/target/test.pt"]
    assert holders["evaluate"] == expected
    assert [name for name in names("preprocess", "outs") if "test" in name] == expected
    # A folder would hand over the test rows with the rest.
    folders = [n for s in VERBS for n in names(s, "deps") if (ROOT / n).is_dir()]
    assert folders == ["data/raw"]


def test_every_file_of_the_data_folder_is_made_by_one_stage_before_it_is_read():
    written = [name for stage in VERBS for name in names(stage, "outs", "metrics", "plots")]
    assert len(set(written)) == len(written)
    read = {name for stage in VERBS for name in names(stage, "deps")}
    assert {name for name in read if name.startswith(("data/tensors", "data/models"))} == {
        name for name in written if name.startswith("data/")
    }


@pytest.mark.parametrize("stage", [*VERBS, "report"])
def test_no_script_holds_a_path_of_the_data_folder(stage):
    constants = [
        node.value
        for node in ast.walk(script(stage))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert constants
    assert not [text for text in constants if text.startswith("data/")]


@pytest.mark.parametrize("stage", VERBS)
def test_every_path_a_script_asks_for_by_name_is_declared(stage):
    declared = Declared.read(stage, ROOT)
    asked = [
        node.args[0].value
        for node in ast.walk(script(stage))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "paths"
        and isinstance(node.args[0], ast.Constant)
    ]
    assert f"{stage}.json" in asked
    for name in asked:
        assert declared(str(name)).name == str(name).rsplit("/", 1)[-1]


def test_only_evaluate_needs_torchmetrics():
    users = set()
    for stage in VERBS:
        for path in closure(f"stages/{stage}.py"):
            for node in ast.walk(ast.parse((ROOT / path).read_text())):
                imported = []
                if isinstance(node, ast.Import):
                    imported = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    imported = [str(node.module)]
                if any(name.split(".")[0] == "torchmetrics" for name in imported):
                    users.add(stage)
    assert users == {"evaluate"}


@pytest.fixture
def folder(tmp_path):
    graph = {
        "stages": {
            "bake": {
                "cmd": "python -m stages.bake",
                "deps": ["raw/flour.csv", "old/flour.csv"],
                "outs": ["out/bread.pt", {"out/crumbs.csv": {"cache": False}}],
                "metrics": [{"metrics/bake.json": {"cache": False}}],
                "plots": ["plots/crust.csv"],
            },
            "eat": {"cmd": "python -m stages.eat", "deps": ["out/bread.pt", "out/plum.pt"]},
        }
    }
    (tmp_path / "dvc.yaml").write_text(json.dumps(graph))
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("raw/flour.csv", "raw/flour.csv"),
        ("bread.pt", "out/bread.pt"),
        ("crumbs.csv", "out/crumbs.csv"),
        ("bake.json", "metrics/bake.json"),
        ("crust.csv", "plots/crust.csv"),
    ],
)
def test_a_declared_file_is_found_by_the_end_of_its_path(folder, asked, found):
    assert Declared.read("bake", folder)(asked) == folder / found


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ("plum.pt", 0),  # another stage's
        ("read.pt", 0),  # half a name
        ("flour.csv", 2),  # which?
    ],
)
def test_a_file_that_is_not_declared_or_not_unique_cannot_be_opened(folder, asked, count):
    with pytest.raises(KeyError, match=rf"dvc\.yaml, stage bake: {count} paths end with {asked}"):
        Declared.read("bake", folder)(asked)


def test_train_cannot_open_the_test_rows():
    with pytest.raises(KeyError, match="0 paths"):
        Declared.read("train", ROOT)("source/test.pt")
    assert Declared.read("evaluate", ROOT)("source/test.pt").parts[-2:] == ("source", "test.pt")


def test_paths_are_relative_to_the_folder_of_the_command(monkeypatch):
    monkeypatch.chdir(ROOT)
    found = Declared.read("train")("base.pt")
    assert found.as_posix() == "data/models/base.pt"


def test_a_folder_without_dvc_yaml_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match=r"dvc\.yaml: not in this folder.*project's folder"):
        Declared.read("train", tmp_path)


@pytest.mark.parametrize("text", ["stages: [", "", "stages:\n  bake:\n    cmd: echo\n"])
def test_a_broken_dvc_yaml_is_the_users_error(tmp_path, text):
    (tmp_path / "dvc.yaml").write_text(text)
    with pytest.raises(UserError, match=r"dvc\.yaml"):
        Declared.read("train", tmp_path)
