"""A CSV file in words: what is said of its columns, and a proposal that works when followed."""

from __future__ import annotations

import csv
import io
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from ruamel.yaml import YAML

from stages.common import audit, description, params, table
from stages.common.errors import UserError
from stages.common.settings import Preprocess, Settings
from stages.common.table import Table
from tests.imports import ROOT

Columns = Mapping[str, Sequence[object]]
SETTINGS = params.load(ROOT / "params.yaml")
ROWS = 40
KINDS = ["ant", "bee"] * 20


def text_of(columns: Columns) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return stream.getvalue()


def numbers(seed: float = 0.0) -> list[float]:
    """Fractions that repeat: no id, no copy of anything."""
    return [round((n * 7 + seed * 13) % 11 / 4 + 0.25, 2) for n in range(ROWS)]


@pytest.fixture
def described(tmp_path: Path, settings: Settings) -> Callable[..., list[str]]:
    def describe(
        columns: Columns | str, target: str | None = None, name: str = "t.csv", **changes: Any
    ) -> list[str]:
        path = tmp_path / name
        path.write_text(columns if isinstance(columns, str) else text_of(columns))
        chosen = settings.preprocess.model_copy(update={"csv": str(path), **changes})
        return list(description.describe(chosen, target))

    return describe


def told(lines: Sequence[str], name: str) -> str:
    """Return what is said of one column."""
    (line,) = [line for line in lines if line[4:].startswith(f"  {name} ")]
    return line[6 + len(name) :].split(maxsplit=1)[1]


def proposal(lines: Sequence[str]) -> dict[str, Any]:
    """Return the proposed sections as params.yaml would have them."""
    start = next(at for at, line in enumerate(lines) if line.startswith("To use it, ")) + 1
    block = [line for line in lines[start : start + 6] if line.startswith("  ")]
    found: dict[str, Any] = YAML(typ="safe").load("\n".join(block))
    return found


def command(lines: Sequence[str]) -> list[str]:
    """Return the settings behind -S in the proposed command, as a shell passes them."""
    words = shlex.split(lines[-1])
    assert words[:4] == ["dvc", "exp", "run", "--temp"]
    assert set(words[4::2]) == {"-S"}
    return words[5::2]


def overridden(overrides: Sequence[str]) -> dict[str, Any]:
    """Return settings as `dvc exp run -S` would change them."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # DVC leaves the file open
        from dvc.utils.hydra import apply_overrides

        path = Path(folder, "params.yaml")
        path.write_text("preprocess:\n  csv: a\n  features: a\n  target: -1\nfinetune:\n  csv: a\n")
        apply_overrides(path, list(overrides))
        found: dict[str, Any] = YAML(typ="safe").load(path.read_text())
    return found


def check(lines: Sequence[str], names: Sequence[str], features: Sequence[str], target: str) -> None:
    """Both proposals are settings that choose these columns."""
    variants = [proposal(lines)]
    if lines[-1].startswith("  dvc "):
        variants.append(overridden(command(lines)))
        assert variants[0] == variants[1]
    for found in variants:
        chosen = Preprocess.model_validate(SETTINGS.preprocess.model_dump() | found["preprocess"])
        roles = table.resolve(names, chosen.features, chosen.target)
        assert roles.features == tuple(features)
        assert roles.target == target
        assert found["finetune"] == {"csv": ""}


def test_each_kind_of_column_in_words(described):
    columns = {
        "size": numbers(),
        "gaps": ["" if n % 4 == 0 else n % 5 / 2 for n in range(ROWS)],
        "wild": ["yes", "no", "no", "yes"] * 10,
        "colour": ["red", "blue", "", "blue", "green"] * 8,
        "day": [f"2024-01-{n % 9 + 10}" for n in range(ROWS)],
        "tag": [f"{n % 9 + 10}.02.2024" for n in range(ROWS)],
        "same": [7] * ROWS,
        "empty": ["?"] * ROWS,
        "price": [f"{n % 7}.50 $" for n in range(ROWS)],
        "when": [f"0{n % 9 + 1}/02/2024" for n in range(ROWS)],
        "kind": KINDS,
    }
    lines = described(columns)
    marked = "; gaps take the median, and a column of their own marks them"
    assert lines[0].endswith(
        "t.csv: 40 rows, 11 columns; utf-8, separator ',', decimal '.', names in the first line"
    )
    assert lines[1].split() == ["column", "missing", "what", "it", "is"]
    assert told(lines, "size") == "numeric, median 1.5"
    assert told(lines, "gaps") == f"numeric, median 1{marked}"
    assert told(lines, "wild") == "boolean"
    assert told(lines, "colour") == "category: 4 levels, '(missing)', 'blue', 'green', 'red'"
    assert told(lines, "day") == "date, written as 2024-12-31"
    assert told(lines, "tag") == "date, written as 31.12.2024"
    assert told(lines, "same") == "dropped: the same in every row"
    assert told(lines, "empty") == "dropped: no value in the rows"
    assert told(lines, "price").startswith(
        "to mend: column 'price': numbers with signs or units, such as"
    )
    assert told(lines, "when").startswith("to mend: column 'when': ")
    assert told(lines, "kind") == "target: 2 classes (and rows): 'ant' (20), 'bee' (20)"
    missing = {line.split()[1]: line.split()[2] for line in lines[2:13]}
    assert missing == dict.fromkeys(columns, "0") | {"gaps": "10", "colour": "8", "empty": "40"}
    proposed = ["size", "gaps", "wild", "colour", "day", "tag", "same", "empty"]
    check(lines, list(columns), proposed, "kind")  # columns to mend are left out


def test_dates_that_never_repeat_are_no_id(described):
    days = [f"2024-{n * 7 % 12 + 1:02d}-{n % 28 + 1:02d} {n % 24:02d}:30" for n in range(ROWS)]
    lines = described({"size": numbers(), "when": days, "kind": KINDS})
    assert told(lines, "when") == "date, written as 2024-12-31"
    assert not any(line.startswith("look at: ") for line in lines)
    assert proposal(lines)["preprocess"]["features"] == "0:-1"


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("drop", "numeric, median 1; a row with a gap is left out"),
        ("error", "numeric, median 1; a gap is an error"),
    ],
)
def test_gaps_are_told_as_the_settings_treat_them(described, missing, words):
    gaps = ["" if n % 4 == 0 else n % 5 / 2 for n in range(ROWS)]
    lines = described({"gaps": gaps, "full": numbers(), "kind": KINDS}, missing=missing)
    assert told(lines, "gaps") == words
    assert told(lines, "full") == "numeric, median 1.5"


def test_a_column_named_in_categorical_has_levels(described):
    columns = {"code": [1, 2, 3, 4] * 10, "kind": KINDS}
    assert told(described(columns), "code").startswith("numeric")
    assert told(described(columns, categorical=["code"]), "code").startswith("category: 4 levels")


def test_ids_and_copies_of_the_target_are_said_and_not_proposed(described):
    columns = {
        "number": list(range(1000, 1000 + ROWS)),
        "name": [f"n{n * 37 % 101}" for n in range(ROWS)],
        "size": numbers(),
        "copy": [{"ant": 1, "bee": 2}[kind] for kind in KINDS],
        "kind": KINDS,
    }
    lines = described(columns)
    looks = [line for line in lines if line.startswith("look at: ")]
    assert [look.split(":")[1] for look in looks] == [
        " column 'copy'",
        " column 'number'",
        " column 'name'",
    ]
    check(lines, list(columns), ["size"], "kind")


def test_a_constant_column_is_said_once(described):
    lines = described({"size": numbers(), "same": [7] * ROWS, "kind": KINDS})
    assert sum("same" in line for line in lines) == 1


def test_columns_that_deal_the_rows_are_not_proposed(described, settings):
    split = settings.preprocess.split.model_copy(update={"group": "who"})
    columns = {"size": numbers(), "who": [n // 4 for n in range(ROWS)], "kind": KINDS}
    check(described(columns, split=split), list(columns), ["size"], "kind")


@pytest.mark.parametrize(
    ("names", "target", "found"),
    [
        (["a", "b", "c"], None, "c"),
        (["a", "y", "c"], None, "y"),
        (["Target", "b", "c"], None, "Target"),
        (["a", "LABEL", "c"], None, "LABEL"),
        (["class", "b", "c"], None, "class"),
        (["class", "y", "c"], None, "c"),
        (["class", "b", "c"], "b", "b"),
    ],
)
def test_the_target_is_named_guessed_by_its_name_or_last(described, names, target, found):
    columns = dict.fromkeys(names, KINDS) | {
        name: [*numbers(at)[1:], 3] for at, name in enumerate(names) if name != found
    }
    lines = described(columns, target)
    assert told(lines, found).startswith("target: 2 classes")
    assert any("guessed" in line for line in lines) == (target is None)
    check(lines, names, [name for name in names if name != found], found)


@pytest.mark.parametrize("target", ["Kind", "", "0", "-1"])
def test_an_unknown_target_is_an_error(described, target):
    with pytest.raises(UserError, match=r"^--target: there is no column .*; the table has 'size'"):
        described({"size": numbers(), "kind": KINDS}, target)


def test_a_target_of_fractions_is_a_number(described):
    columns = {"size": numbers(), "kind": KINDS, "y": [n % 7 + 0.5 for n in range(ROWS)]}
    lines = described(columns)
    assert told(lines, "y").startswith("target: a number, mean 3.375, standard deviation 1.96453")
    check(lines, list(columns), ["size", "kind"], "y")


def test_classes_that_are_numbers_may_be_amounts(described):
    columns = {"size": numbers(), "y": [n % 10 for n in range(ROWS)]}
    what = told(described(columns), "y")
    assert what.startswith("target: 10 classes (and rows): '0' (4), '1' (4), ")
    assert what.endswith("'7' (4), ...; if they are amounts, set preprocess.task to regression")
    assert told(described(columns, task="regression"), "y").startswith("target: a number, mean 4.5")


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["ant"] * ROWS, "every training row has the value 'ant'"),
        (["?"] * ROWS, "no row has a value"),
        ([f"k{n}" for n in range(ROWS)], "40 classes in 40 training rows"),
    ],
)
def test_a_target_to_mend_has_no_proposal(described, cells, reason):
    lines = described({"size": numbers(), "kind": cells})
    assert told(lines, "kind").startswith(f"to mend: target 'kind': {reason}")
    assert lines[-1].startswith("Nothing to propose: mend the target 'kind', or name another")
    assert not any("To use it" in line for line in lines)


def test_a_table_of_ids_only_has_no_proposal(described):
    lines = described({"id": list(range(ROWS)), "kind": KINDS})
    assert lines[-1] == "Nothing to propose: no column is left to predict the target from."


def test_a_table_whose_features_are_all_constant_has_no_proposal(described):
    lines = described({"size": [1] * ROWS, "kind": KINDS})
    assert lines[-1] == "Nothing to propose: no column is left to predict the target from."


TELLING = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1
)
SHARP = st.text("a0:,'\"[]{}#-=$\\&*!|>%@`?~ \n\u2028é😀", min_size=1, max_size=6)
SPECIAL = st.sampled_from(
    [
        *("null", "true", "~", "1", "1.5", "0:-1", "1:", ":", "a,b", "a: b", "it's", '"q"', "a #b"),
        *("choice(a,b)", "${x}", "a\\", "\\'", "=", "<<", "-", "? x", "2024-01-31", "0x1", ".inf"),
    ]
)


@given(
    names=st.lists(SHARP | SPECIAL | TELLING, min_size=2, max_size=6, unique=True),
    data=st.data(),
)
@limits(max_examples=100, deadline=None, derandomize=True, database=None)
@example(names=["y", "b", "c"], data=None)
@example(names=["0:-1", "b"], data=None)
@example(names=["a", "a\nb"], data=None)
def test_any_proposal_chooses_the_columns_it_means(names, data):
    found = Table(
        Path("/tmp/t.csv"),
        Table.open(ROOT / "data/raw/animals.csv", SETTINGS.preprocess).dialect,
        tuple(names),
        (),
    )
    target = data.draw(st.sampled_from(names)) if data else names[0]
    rest = [name for name in names if name != target]
    chosen = rest
    if data:
        marks = data.draw(st.lists(st.booleans(), min_size=len(rest), max_size=len(rest)))
        chosen = [name for name, mark in zip(rest, marks, strict=True) if mark] or rest
    lines = list(description._proposal(found, target, chosen))
    check(lines, names, chosen, target)
    places = [names.index(name) for name in chosen]
    features = proposal(lines)["preprocess"]["features"]
    neighbours = places[-1] - places[0] + 1 == len(places)
    assert isinstance(features, str if neighbours else list) or features in ([":"], chosen)
    plain = "".join([target, *features])
    if plain.isprintable() and not set(plain) & set("$\\"):
        assert lines[-1].startswith("  dvc exp run ")


@pytest.mark.parametrize("odd", ["a, b", "c: d", "it's", '"q"', "[x]", "a #b", "$HOME", "two\nrow"])
def test_odd_names_in_a_file_are_proposed_so_that_they_work(described, odd):
    columns = {odd: numbers(), "name": [f"n{n}" for n in range(ROWS)], "b": numbers(3)}
    lines = described(columns | {"y": KINDS})
    assert not any("\n" in line for line in lines)
    check(lines, [*columns, "y"], [odd, "b"], "y")
    lines = described({"b": numbers(3), odd: KINDS}, odd)
    check(lines, ["b", odd], ["b"], odd)


def test_a_target_in_front_leaves_a_slice_that_yaml_reads(described):
    lines = described({"y": KINDS, "a": numbers(), "b": numbers(3)})
    assert "    features: '1:'" in lines
    check(lines, ["y", "a", "b"], ["a", "b"], "y")


def test_a_file_name_with_blanks_and_quotes_works(described):
    lines = described({"a": numbers(), "y": KINDS}, name="my 'new' table.csv")
    assert proposal(lines)["preprocess"]["csv"] == "data/raw/my 'new' table.csv"
    check(lines, ["a", "y"], ["a"], "y")
    (add,) = [line for line in lines if "git add" in line]
    words = shlex.split(add[add.index("`") + 1 : add.rindex("`")])
    assert words == ["git", "add", "data/raw/my 'new' table.csv"]


def test_a_file_in_data_raw_is_not_to_be_copied(described, tmp_path, monkeypatch, settings):
    away = described({"a": numbers(), "y": KINDS})
    assert "To use it, copy the file to data/raw and set in params.yaml:" in away
    monkeypatch.chdir(tmp_path)
    Path("data/raw").mkdir(parents=True)
    shutil.copy("t.csv", "data/raw")
    chosen = settings.preprocess.model_copy(update={"csv": "data/raw/t.csv"})
    there = list(description.describe(chosen, None))
    assert "To use it, set in params.yaml:" in there
    assert proposal(there) == proposal(away)


def test_of_a_long_file_the_first_rows_are_read(described, monkeypatch):
    monkeypatch.setattr(table, "CHUNK", 8)
    columns = {"a": [*numbers()[:-1], "late text"], "y": KINDS}
    assert "t.csv: 40 rows" in described(columns)[0]
    monkeypatch.setattr(description, "MOST_ROWS", 16)
    lines = described(columns)
    assert "t.csv: the first 16 rows" in lines[0]
    assert told(lines, "y") == "target: 2 classes (and rows): 'ant' (8), 'bee' (8)"


def test_of_many_rows_a_sample_is_examined(described, monkeypatch):
    monkeypatch.setattr(description, "EXAMINED", 10)
    monkeypatch.setattr(audit, "RUN", 1)
    columns = {"id": range(ROWS), "a": numbers(), "y": ["ant", "ant", "bee", "bee"] * 10}
    (look,) = [line for line in described(columns) if "'id'" in line and "look" in line]
    assert "10 different whole numbers in the order of the file" in look


def test_how_the_file_is_written_is_said(described):
    rows = "".join(f"{n % 5},5;{'ab'[n % 2]}\n" for n in range(ROWS))
    lines = described("My table\n\nsize;kind\n" + rows)
    assert lines[0].endswith(
        "utf-8, separator ';', decimal ',', names in the first line, 1 title line skipped"
    )
    lines = described("".join(f"{n % 5}.5,{'ab'[n % 2]}\n" for n in range(ROWS)))
    assert lines[0].endswith("no line of names")
    check(lines, ["column_0", "column_1"], ["column_0"], "column_1")


@pytest.mark.parametrize(
    "name", ["water_potability", "winequality-red", "winequality-white", "zoo"]
)
def test_the_shared_tables_have_proposals(settings, name):
    path = ROOT.parent / "shared" / "data" / f"{name}.csv"
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    chosen = settings.preprocess.model_copy(update={"csv": str(path)})
    lines = list(description.describe(chosen, None))
    features = "1:-1" if name == "zoo" else "0:-1"
    assert proposal(lines)["preprocess"]["features"] == features
    assert not any("to mend" in line for line in lines)


def command_line(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """Run `python -m stages.describe` in the project's folder."""
    program = ["-c", code] if code else ["-m", "stages.describe"]
    return subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_prints_the_lines_and_changes_nothing(tmp_path, settings):
    path = tmp_path / "t.csv"
    path.write_text(text_of({"a": numbers(), "b": KINDS, "c": numbers(3)}))
    before = (ROOT / "params.yaml").read_bytes()
    done = command_line(str(path), "--target", "b")
    chosen = settings.preprocess.model_copy(update={"csv": str(path)})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == list(description.describe(chosen, "b"))
    assert (ROOT / "params.yaml").read_bytes() == before
    assert os.listdir(tmp_path) == ["t.csv"]


def test_torch_is_not_imported(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(text_of({"a": numbers(), "y": KINDS}))
    code = (
        "import sys; from pathlib import Path; from stages.describe import describe;"
        "describe(Path(sys.argv[1]), None); print('torch' in sys.modules)"
    )
    assert command_line(str(path), code=code).stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, [], "no such file"),
        (b"", [], "empty; the first line must name the columns"),
        (b"a,y\n", [], "a header but no rows"),
        (b"a,y\n1,2\n3\n", [], "line 3: 1 cells"),
        (b"\x89PNG\0\0\0", [], "not"),
        (b"a,y\n1,2\n3,4\n", ["--target", "z"], "--target: there is no column 'z'"),
    ],
)
def test_a_bad_file_or_target_is_one_line_and_status_2(tmp_path, content, arguments, message):
    path = tmp_path / "bad.csv"
    if content is not None:
        path.write_bytes(content)
    done = command_line(str(path), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_folder_is_no_file(tmp_path):
    done = command_line(str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {tmp_path}: a folder; name a CSV file in it\n"


def test_settings_that_were_made_for_another_table_are_told(described):
    columns = {"x": ["1", "2", "3", "4"] * 9, "y": ["0.5", "1.5", "2.5", "3.5"] * 9}
    assert not any("as params.yaml says" in line for line in described(columns))
    lines = described(columns, task="regression", missing_values=["-999"])
    assert lines[1] == (
        "as params.yaml says: preprocess.missing_values ['-999'], preprocess.task regression; of "
        "another table? set auto or [] there"
    )
