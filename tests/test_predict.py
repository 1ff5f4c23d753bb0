"""A trained model answers for new rows, in one process and from the command line."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stages.common import dataset, encoding, ensemble, evaluation, params, table
from stages.common.checkpoint import Checkpoint
from stages.common.errors import UserError
from stages.common.graph import Declared
from stages.common.settings import Settings
from stages.predict import predict
from tests.columns import partition

ROOT = Path(__file__).parents[1]
HEADER = "id,size,colour,wild,kind"
KINDS = ("ant", "bee", "cow")


def row_of(n: int) -> str:
    kind = n % 3
    colour = ("red", "blue", "green")[kind]
    return f"{n},{'' if n % 10 == 9 else kind * 2 + n % 5 / 10},{colour},{('yes', 'no')[n % 2]}"


def new_rows(count: int) -> str:
    return "id,size,colour,wild\n" + "".join(row_of(n) + "\n" for n in range(count))


def settings_of(**preprocess: object) -> Settings:
    content = params.load(ROOT / "params.yaml").model_dump()
    content["arithmetic"], content["device"] = "portable", "cpu"
    content["preprocess"] |= {"csv": "data/raw/t.csv", "separator": ",", "features": "1:-1"}
    content["preprocess"] |= {"target": -1, "task": "auto", "missing": "fill", "scale": "standard"}
    content["preprocess"]["split"]["column"] = ""
    content["preprocess"] |= preprocess
    content["preprocess"]["split"] |= {"train": 0.8, "val": 0.1, "test": 0.1, "stratify": True}
    content["model"] |= {"hidden": [8], "activation": "relu", "dropout": 0.0, "init": "default"}
    content["train"] |= {"members": 2, "epochs": 12, "lr": 0.1, "optimizer": "sgd", "noise": 0.0}
    content["train"] |= {"momentum": 0.9, "weight_decay": 0.0, "batch_size": 16, "mixup": 0.0}
    content["train"] |= {"decay_bias": False, "patience": 12, "seed": 0}
    return Settings.model_validate(content)


def train(folder: Path, settings: Settings, rows: list[str]) -> dataset.Dataset:
    """Train on the rows and save the model where dvc.yaml, copied into `folder`, wants it."""
    shutil.copy(ROOT / "dvc.yaml", folder)
    (folder / "data" / "raw").mkdir(parents=True)
    (folder / "data" / "raw" / "t.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    before = Path.cwd()
    os.chdir(folder)
    try:
        made = dataset.read(settings.preprocess, folder / "spool")
    finally:
        os.chdir(before)
    train, val = partition(made, "train"), partition(made, "val")
    trained = ensemble.train(made.schema, train, val, settings.model, settings.train)
    trained.checkpoint.save(Declared.read("evaluate", folder)("base.pt"))
    return made


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with dvc.yaml and a model of three kinds that it tells apart."""
    folder = tmp_path_factory.mktemp("home")
    train(folder, settings_of(), [f"{row_of(n)},{KINDS[n % 3]}" for n in range(120)])
    return folder


def answer(home: Path, folder: Path, content: str, model: str = "base") -> list[dict[str, str]]:
    """Run predict on a file of this content and return the rows it wrote."""
    new, output = folder / "new.csv", folder / "made" / "answers.csv"
    new.write_text(content)
    predict(settings_of(), Declared.read("evaluate", home), new, output, model)
    with open(output, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_row_is_answered_with_its_number_and_a_probability_per_class(home, tmp_path):
    found = answer(home, tmp_path, new_rows(30))
    assert list(found[0]) == [
        "row",
        "kind",
        "probability ant",
        "probability bee",
        "probability cow",
    ]
    assert [row["row"] for row in found] == [str(n) for n in range(30)]
    for row in found:
        shares = {kind: float(row[f"probability {kind}"]) for kind in KINDS}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert row["kind"] == max(shares, key=shares.__getitem__)


def test_the_answers_of_a_model_that_has_learnt_are_right(home, tmp_path):
    found = answer(home, tmp_path, new_rows(30))
    assert [row["kind"] for row in found] == [KINDS[n % 3] for n in range(30)]


def test_probabilities_are_the_mean_over_the_members_taken_out(home, tmp_path):
    found = answer(home, tmp_path, new_rows(12))
    trained = Checkpoint.load(home / "data" / "models" / "base.pt")
    assert len(trained.stack) == 2
    (chunk,) = table.Table.open(tmp_path / "new.csv", settings_of().preprocess).chunks(())
    columns = {cells.name: cells for cells in chunk}
    features = torch.from_numpy(encoding.features(columns, trained.schema))
    with torch.no_grad():
        each = [trained.stack.member(n).eval()(features).softmax(dim=1) for n in range(2)]
    expected = torch.stack(each).mean(dim=0)
    got = [[float(row[f"probability {kind}"]) for kind in KINDS] for row in found]
    assert torch.allclose(torch.tensor(got), expected, atol=2e-6)


def test_a_file_of_one_row(home, tmp_path):
    found = answer(home, tmp_path, new_rows(1))
    assert found == answer(home, tmp_path, new_rows(30))[:1]


def test_columns_may_be_moved_added_and_the_target_there_or_not(home, tmp_path):
    usual = answer(home, tmp_path, new_rows(12))
    lines = [row_of(n).split(",") for n in range(12)]
    moved = [f"{wild},unheard-of,{colour},x,{size}" for _, size, colour, wild in lines]
    header = "wild,kind,colour,new,size"
    assert answer(home, tmp_path, "\n".join([header, *moved])) == usual


def test_unseen_levels_and_missing_values_are_answered(home, tmp_path):
    found = answer(home, tmp_path, "size,colour,wild\n?,purple,\n,,no\n1e9,red,YES\n")
    assert len(found) == 3
    assert all(row["kind"] in KINDS for row in found)


def test_the_same_file_gives_the_same_bytes(home, tmp_path):
    answer(home, tmp_path, new_rows(12))
    first = (tmp_path / "made" / "answers.csv").read_bytes()
    answer(home, tmp_path, new_rows(12))
    assert (tmp_path / "made" / "answers.csv").read_bytes() == first


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("size,colour\n1,red\n", "feature columns missing: 'wild'; add them"),
        (
            "size,colour,wild\n1,red,yes\nlow,red,no\n",
            "row 1, column 'size': 'low' is not a number",
        ),
        ("size,colour,wild\n1,red,maybe\n", "column 'wild': 'maybe' is not true or false"),
        ("size,colour,wild\n", "a header but no rows"),
        ("", "empty; the first line must name the columns"),
        ("size;colour;wild\n1;red;yes\n", "is the separator ','?"),
    ],
)
def test_a_file_that_cannot_be_answered_is_named_and_nothing_is_written(
    home, tmp_path, content, text
):
    with pytest.raises(UserError) as caught:
        answer(home, tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'new.csv'}")
    assert text in str(caught.value)
    assert list(tmp_path.glob("made/*")) == []


def test_a_model_that_is_not_there_is_named_with_its_remedy(home, tmp_path):
    with pytest.raises(UserError, match=r"finetuned\.pt: no such file; .*dvc repro"):
        answer(home, tmp_path, new_rows(3), model="finetuned")


def test_a_regression_answers_in_the_unit_of_the_table(tmp_path):
    rows = [f"{n},{n % 40},red,{('yes', 'no')[n % 2]},{1000.5 + 10 * (n % 40)}" for n in range(160)]
    train(tmp_path, settings_of(), rows)
    found = answer(tmp_path, tmp_path, "size,wild\n0,yes\n20,no\n39,yes\n")
    assert list(found[0]) == ["row", "kind"]
    values = [float(row["kind"]) for row in found]
    assert values == pytest.approx([1000.5, 1200.5, 1390.5], abs=60)


def test_small_values_keep_their_digits(tmp_path):
    rows = [f"{row_of(n)},{(n + 1.5) * 1e-9:.3e}" for n in range(60)]
    train(tmp_path, settings_of(task="regression"), rows)
    found = answer(tmp_path, tmp_path, new_rows(10))
    assert all(1e-9 < float(row["kind"]) < 1e-7 for row in found)


def test_an_error_far_down_names_the_file_once(home, tmp_path):
    with pytest.raises(UserError) as caught:
        answer(home, tmp_path, new_rows(6000) + "1,2\n")
    path = tmp_path / "new.csv"
    assert str(caught.value).startswith(f"{path}, line 6002: 2 cells, but the header names 4")
    with pytest.raises(UserError) as caught:
        answer(home, tmp_path, new_rows(6000) + "1,big,red,yes\n")
    assert str(caught.value).startswith(f"{path}: row 6000, column 'size': 'big' is not a number")


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_test_rows_with_their_columns_shuffled_get_the_figures_of_evaluate(
    tmp_path, capsys, task
):
    rows = [[*row_of(n).split(","), KINDS[(n + n // 7) % 3]] for n in range(200)]
    if task == "regression":
        rows = [[*row[:4], f"{n % 13 / 7 + n % 3}"] for n, row in enumerate(rows)]
    made = train(tmp_path, settings_of(task=task), [",".join(row) for row in rows])
    test = partition(made, "test")
    trained = Checkpoint.load(tmp_path / "data" / "models" / "base.pt")
    predicted = evaluation.predict(trained.stack, trained.schema, test.features)
    figures = evaluation.figures(predicted, trained.schema, test, 10)
    order = [4, 2, 0, 3, 1]
    header = ",".join(HEADER.split(",")[at] for at in order)
    lines = [",".join(rows[n][at] for at in order) for n in test.row.tolist()]
    found = answer(tmp_path, tmp_path, "\n".join([header, *lines]) + "\n")
    predicted = evaluation.predict(trained.stack, trained.schema, test.features)
    pairs = evaluation.answers(trained.schema, test, predicted)
    guessed = [row["kind"] for row in found]
    if task == "classification":
        assert guessed == [guess for _, guess in pairs]
        assert 0 < figures["accuracy"] < 1  # type: ignore[operator]
        names = ["accuracy", "balanced_accuracy", "macro_f1", "loss"]
    else:
        assert [float(value) for value in guessed] == pytest.approx(
            [float(str(guess)) for _, guess in pairs], abs=1e-5
        )
        names = ["rmse", "mae", "r2"]
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("against 'kind' on 20 rows: ")
    for name in names:
        assert f" {name} {figures[name]:.3f}" in line


def test_what_is_left_aside_filled_or_unknown_is_told(home, tmp_path, capsys):
    lines = ["colour,kind,new,size,wild", "red,ant,1,,yes", "blue,unheard,1,2,", "red,,1,0,no"]
    answer(home, tmp_path, "\n".join(lines) + "\n")
    told = capsys.readouterr().out.splitlines()[-5:]
    assert told[0].endswith("answers.csv: 3 rows answered by base")
    assert told[1] == "not used by the model: 'new'"
    assert told[2] == "2 cells without a value filled as in training"
    assert told[3] == "2 rows without a 'kind' that the model knows"
    assert told[4].startswith("against 'kind' on 1 rows: accuracy ")


def test_nothing_but_the_count_is_told_when_there_is_nothing_to_tell(home, tmp_path, capsys):
    capsys.readouterr()
    answer(home, tmp_path, "size,colour,wild\n1,red,yes\n")
    out = capsys.readouterr().out
    assert out == f"{tmp_path / 'made' / 'answers.csv'}: 1 row answered by base\n"


@pytest.mark.parametrize("size", [1, 7, 30])
def test_the_size_of_a_chunk_changes_no_byte(home, tmp_path, monkeypatch, capsys, size):
    capsys.readouterr()
    lines = [f"{row_of(n)},{KINDS[n % 3]}" for n in range(30)]
    content = "\n".join([HEADER, *lines])
    answer(home, tmp_path, content)
    path = tmp_path / "made" / "answers.csv"
    whole, told = path.read_bytes(), capsys.readouterr().out
    assert "30 rows" in told
    monkeypatch.setattr(table, "CHUNK", size)
    answer(home, tmp_path, content)
    assert path.read_bytes() == whole
    assert capsys.readouterr().out == told


def test_junk_far_down_leaves_the_old_answers(home, tmp_path, monkeypatch):
    monkeypatch.setattr(table, "CHUNK", 7)
    answer(home, tmp_path, new_rows(3))
    old = (tmp_path / "made" / "answers.csv").read_bytes()
    with pytest.raises(UserError, match=r"new\.csv: row 60, column 'size': 'low' is not a number"):
        answer(home, tmp_path, new_rows(60) + "60,low,red,yes\n")
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "made").iterdir()] == [
        ("answers.csv", old)
    ]


def command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "stages.predict", *arguments]
    return subprocess.run(line, cwd=home, capture_output=True, text=True, check=False)


@pytest.fixture
def workplace(home, tmp_path):
    """The folder as a user has it: code, settings and the trained model."""
    place = tmp_path / "work place"
    shutil.copytree(home, place)
    shutil.copytree(ROOT / "stages", place / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    text = params.edit(params.read(ROOT / "params.yaml"), "preprocess", {"separator": "auto"})
    (place / "params.yaml").write_text(text)
    return place


def test_the_command_line(workplace, tmp_path):
    (workplace / "new.csv").write_text(new_rows(5))
    done = command(workplace, "new.csv", "--output", "out.csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "out.csv: 5 rows answered by base\nnot used by the model: 'id'\n"
    again = tmp_path / "again.csv"
    paths = Declared.read("evaluate", workplace)
    predict(settings_of(), paths, workplace / "new.csv", again, "base")
    assert (workplace / "out.csv").read_bytes() == again.read_bytes()


def test_a_mistake_on_the_command_line_is_one_line_and_status_2(workplace):
    done = command(workplace, "none.csv", "--output", "out.csv")
    assert done.returncode == 2
    assert done.stderr == (
        "error: none.csv: no such file; put the table there, or mend its name in the command, "
        "preprocess.csv or finetune.csv\n"
    )
    assert not (workplace / "out.csv").exists()


def test_an_unknown_model_shows_the_two_that_there_are(workplace):
    done = command(workplace, "new.csv", "--output", "out.csv", "--model", "best")
    assert done.returncode == 2
    assert "base" in done.stderr
    assert "finetuned" in done.stderr


def test_the_output_must_be_named(workplace):
    done = command(workplace, "new.csv")
    assert done.returncode == 2
    assert "--output" in done.stderr


def test_the_table_itself_is_never_overwritten_with_the_answers(tmp_path):
    table_path = tmp_path / "new.csv"
    table_path.write_text(new_rows(3))
    with pytest.raises(UserError, match="name another file with --output"):
        predict(settings_of(), Declared("evaluate", (), (), ()), table_path, table_path, "base")
    assert table_path.read_text() == new_rows(3)


def test_cells_without_a_value_are_those_of_training_whatever_params_yaml_says_today(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    rows = [f"{row_of(n).replace(',,', ',-999,')},{KINDS[n % 3]}" for n in range(120)]
    made = train(home, settings_of(missing_values=["-999"]), rows)
    assert made.schema.csv == "data/raw/t.csv"
    assert made.schema.missing_values == ["-999"]
    marked = answer(home, tmp_path, new_rows(30).replace(",,", ",-999,"))
    assert marked == answer(home, tmp_path, new_rows(30))
