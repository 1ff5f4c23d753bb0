"""params: read as DVC reads it, mistakes named by line and key, edits of one line."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from dvc.utils.serialize import parse_yaml
from ruamel.yaml import YAML

from stages.common import files, params
from stages.common.errors import UserError
from stages.common.settings import Settings
from tests.imports import ROOT
from tests.keys import TEXT, change, place


def load(folder: Path, text: str | bytes) -> Settings:
    path = folder / "params.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return params.load(path)


def message(folder: Path, text: str | bytes) -> str:
    """Return the error of loading as `launch` prints it, without the folder."""
    with pytest.raises(UserError) as caught:
        load(folder, text)
    return " ".join(str(caught.value).replace(f"{folder}/", "").split())


# reading


def test_the_file_is_read_as_dvc_reads_it():
    dvc = parse_yaml(TEXT, "params.yaml")
    assert params.load(ROOT / "params.yaml") == Settings.model_validate(dvc)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-05),
        ("1e-05", 1e-05),
        ("1e-3", 0.001),
        ("1.0e-5", 1e-05),
        ("1E-2", 0.01),
        (".5", 0.5),
        ("1", 1.0),
    ],
)
def test_every_way_to_write_a_number_that_dvc_knows_is_a_number(tmp_path, text, value):
    changed = change(TEXT, "train.lr", text)
    assert parse_yaml(changed, "params.yaml")["train"]["lr"] == value
    assert load(tmp_path, changed).train.lr == value


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("train.epochs", "0o17", 15),
        ("train.epochs", "017", 17),
        ("train.decay_bias", "true", True),
        ("train.decay_bias", "False", False),
        ("preprocess.features", "1:30", "1:30"),
        ("preprocess.target", "yes", "yes"),
        ("preprocess.target", "on", "on"),
        ("preprocess.target", "None", "None"),
        ("preprocess.target", "'1'", "1"),
    ],
)
def test_words_and_whole_numbers_are_what_dvc_takes_them_for(tmp_path, key, text, value):
    changed = change(TEXT, key, text)
    section, name = key.split(".")
    theirs = parse_yaml(changed, "params.yaml")[section][name]
    ours = getattr(getattr(load(tmp_path, changed), section), name)
    assert (ours, type(ours)) == (theirs, type(theirs)) == (value, type(value))


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("train.decay_bias", "yes", "yes"),
        ("train.decay_bias", "on", "on"),
        ("train.decay_bias", "None", "None"),
        ("train.lr", "null", None),
        ("train.lr", "~", None),
        ("train.lr", "'1e-3'", "1e-3"),
        ("train.epochs", "1e1", 10.0),
    ],
)
def test_what_dvc_takes_for_another_type_is_refused_by_its_value(tmp_path, key, text, value):
    changed = change(TEXT, key, text)
    section, name = key.split(".")
    assert parse_yaml(changed, "params.yaml")[section][name] == value
    at = place(changed, key) + 1
    assert re.search(
        rf"^params\.yaml, line {at}: {key}: input should be .*, not {value!r}$",
        message(tmp_path, changed),
    )


# mistakes

EVALUATE, SPACE, LR = "evaluate", "search.space", "search.space.train.lr"
GRID = "\n    model: {}\n    train:\n      lr: {low: 0.1, high: 1, scale: log}"


def band(low: float, high: float, end: str) -> str:
    return f"\n        low: {low}\n        high: {high}\n        {end}"


# name of the mistake -> the text with it, the key that is named, what is said about it
MISTAKES: dict[str, tuple[str, str, str]] = {
    "unknown": (
        change(TEXT, "train.momentum", "0.9", "momentun"),
        "train.momentun",
        "unknown key; did you mean momentum?",
    ),
    "unknown in a part of a section": (
        change(TEXT, "preprocess.split.stratify", "true", "stratified"),
        "preprocess.split.stratified",
        "unknown key; did you mean stratify?",
    ),
    "unknown section": (
        change(TEXT, "device", "auto", "devise"),
        "devise",
        "unknown key; did you mean device?",
    ),
    "unknown and far from all": (
        change(TEXT, EVALUATE, "\n  zzz: 1"),
        "evaluate.zzz",
        "unknown key; valid keys are calibration_bins",
    ),
    "unknown in a range": (
        change(TEXT, LR, band(0.1, 0.2, "scal: log")),
        f"{LR}.scal",
        "unknown key; did you mean scale?",
    ),
    "unknown section called range": (TEXT + "range: 1\n", "range", "unknown key"),
    "unknown called values": (
        change(TEXT, "train.lr", "0.1\n  values: 3"),
        "train.values",
        "unknown key; valid keys are members",
    ),
    "unknown number": (change(TEXT, "train.lr", "0.1\n  7: 3"), "train.7", ""),
    "missing": (change(TEXT, "train.lr", None), "train.lr", "this key is missing"),
    "missing in a part of a section": (
        change(TEXT, "preprocess.split.val", None),
        "preprocess.split.val",
        "this key is missing",
    ),
    "missing in a range": (
        change(TEXT, LR + ".scale", None),
        LR + ".scale",
        "this key is missing",
    ),
    "item of a list": (
        change(TEXT, "model.hidden", "\n    - 0"),
        "model.hidden.0",
        "input should be greater than or equal to 1, not 0",
    ),
    "shares": (
        change(TEXT, "preprocess.split.val", "0.7"),
        "preprocess.split",
        "train, val and test sum to 1.6, they must sum to 1",
    ),
    "bounds": (
        change(change(TEXT, "model.init_low", "0.5"), "model.init_high", "0.5"),
        "model",
        "init_low 0.5 must be below init_high 0.5",
    ),
    "range in a grid": (
        change(change(TEXT, SPACE, GRID), "search.method", "grid"),
        LR,
        "a grid needs a list of values, not a range",
    ),
    "fixed in a search": (
        change(TEXT, SPACE + ".train", "\n      seed: [1, 2]"),
        SPACE + ".train.seed",
        "not a setting that a search can vary",
    ),
}
MISTAKES |= {
    name: (change(TEXT, key, value), key, said)
    for name, key, value, said in (
        ("too large", "train.lr", "5", "input should be less than or equal to 1, not 5"),
        ("too small", "train.lr", "0", "input should be greater than 0, not 0"),
        ("not a number", "train.lr", ".nan", "input should be a finite number, not nan"),
        ("infinite", "train.noise", ".inf", "input should be a finite number, not inf"),
        ("text for a number", "train.lr", "'1'", "input should be a valid number, not '1'"),
        ("truth for a number", "train.lr", "true", "input should be a valid number, not True"),
        ("fraction", "train.epochs", "1.5", "input should be a valid integer, not 1.5"),
        ("truth for a count", "train.epochs", "true", "input should be a valid integer, not True"),
        ("word", "train.optimizer", "sdg", "input should be 'sgd' or 'adamw', not 'sdg'"),
        ("date", "train.lr", "2020-01-01", "input should be a valid number, not datetime.date"),
        ("list", "train.lr", "[1]", "input should be a valid number, not [1]"),
        ("no list", "model.hidden", "8", "input should be a valid list, not 8"),
        ("no value", "train.lr", "", "input should be a valid number, not None"),
        ("no section", EVALUATE, "", "input should be a valid dictionary"),
        ("number for a section", EVALUATE, "3", "input should be a valid dictionary"),
        ("list for a section", EVALUATE, "\n  - 1", "input should be a valid dictionary"),
        ("list in a line for a section", EVALUATE, "[1]", "input should be a valid dictionary"),
        ("csv", "preprocess.csv", "/tmp/a.csv", "'/tmp/a.csv' is not in data/raw; copy the table"),
        ("slice", "preprocess.features", "1;2", "'1;2' is no slice such as 1:-1; for names give"),
        ("value in the space", LR, "[0.1, 5]", "5 is not valid there: input should be less than"),
        ("type in the space", LR, "[0.1, '1']", "'1' is not valid there: input should be a valid"),
        ("range beyond", LR, band(0.1, 3, "scale: log"), "3.0 is not valid there: input should be"),
        ("order of a range", LR, band(1, 0.1, "scale: log"), "low 1 must be below high 0.1"),
        ("log of 0", LR, band(0, 0.1, "scale: log"), "a log scale needs low above 0, not 0"),
        ("no values in the space", LR, "[]", "list should have at least 1 item"),
        ("one value in the space", LR, "0.1", "input should be a valid list, not 0.1"),
    )
}


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [pytest.param(*case, id=name) for name, case in MISTAKES.items()],
)
def test_a_mistake_is_one_line_with_file_line_and_key(tmp_path, text, key, said):
    line = place(text, key) + 1 + (key == "model.hidden.0")
    assert line > 0
    assert message(tmp_path, text).startswith(f"params.yaml, line {line}: {key}: {said}")


def test_a_missing_section_is_named(tmp_path):
    found = message(tmp_path, change(TEXT, EVALUATE, None))
    assert re.fullmatch(r"params\.yaml, line \d+: evaluate: this key is missing", found)


def test_a_mistyped_key_of_the_space_gets_the_nearest_one(tmp_path):
    text = change(TEXT, SPACE + ".model", "\n      dropuot:\n      - 0.1")
    found = message(tmp_path, text)
    assert "search.space.model.dropuot" in found
    assert "did you mean dropout?" in found


@pytest.mark.parametrize(
    ("key", "value", "other"),
    [
        ("finetune.freeze", "layer0", "list"),
        ("preprocess.features", "3", "list"),
        ("preprocess.separator", "';;'", "character"),
    ],
)
def test_a_mistake_in_a_setting_of_two_types_counts_once_and_names_both(
    tmp_path, key, value, other
):
    found = message(tmp_path, change(TEXT, key, value))
    assert f"{key}: " in found
    assert other in found
    assert "more)" not in found


def test_one_typing_mistake_is_counted_once(tmp_path):
    assert "more)" not in message(tmp_path, change(TEXT, "train.momentum", "0.9", "momentun"))


def test_several_mistakes_are_counted_and_the_first_is_named(tmp_path):
    text = change(change(TEXT, "train.lr", "5"), "train.epochs", "0")
    found = message(tmp_path, text)
    assert "train.lr: " in found
    assert found.endswith(", not 5 (and 1 more)")


def test_many_mistakes_are_found_in_one_reading_of_the_text(tmp_path, monkeypatch):
    reading = mock.Mock(wraps=params.compose)
    monkeypatch.setattr(params, "compose", reading)
    text = re.sub(r"^  (\w+: )", r"  un\1", TEXT, flags=re.MULTILINE)
    assert " more)" in message(tmp_path, text)
    assert reading.call_count == 1


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (change(TEXT, "train.lr", "[1"), 1, "not valid YAML: "),
        (change(TEXT, "train.lr", "0.1\n\tepochs: 3"), 1, r"not valid YAML: .*'\\t'"),
        (change(TEXT, "train.lr", "0.1\n  lr: 0.2"), 1, 'not valid YAML: found duplicate key "lr"'),
        (change(TEXT, "train.lr", "*other"), 0, "not valid YAML: found undefined alias"),
        (change(TEXT, "train.lr", "!!python/object:os.system ls"), 0, "not valid YAML: .*tag"),
        (TEXT + "train:\n  lr: 1\n", None, 'not valid YAML: found duplicate key "train"'),
        (TEXT + "---\n", None, "not valid YAML: "),
        (TEXT + "? {a: 1}\n: 2\n", None, "not valid YAML: "),
    ],
    ids=["bracket", "tab", "twice", "alias", "tag", "section twice", "two documents", "key"],
)
def test_text_that_is_no_yaml_is_named_by_its_line(tmp_path, text, line, said):
    found = message(tmp_path, text)
    match = re.match(rf"params\.yaml, line (\d+): {said}", found)
    assert match, found
    first = len(TEXT.splitlines()) if line is None else place(text, "train.lr") + 1 + line
    # A bracket that is never closed is noticed at the next key.
    assert first <= int(match[1]) <= first + 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"params\.yaml: empty; restore it with `git checkout .*params\.yaml`"),
        (b"# only a comment\n", r"params\.yaml: empty; restore it"),
        (TEXT.encode() + b"\xff", r"params\.yaml: not UTF-8 text; save it as UTF-8"),
        (TEXT.encode("utf-16"), r"params\.yaml: not UTF-8 text"),
        (TEXT.encode() + b"\x00", r"params\.yaml, line \d+: not valid YAML: .*x0000"),
        (b"- 1\n- 2\n", r"params\.yaml((?!empty).)*$"),
        (b"hello\n", r"params\.yaml((?!empty).)*$"),
        (b"a: " + b"[" * 1000, r"params\.yaml"),
        (b"a: 1" + b"0" * 5000, r"params\.yaml"),
    ],
    ids=["empty", "comment", "bytes", "utf-16", "nul", "list", "text", "deep", "long number"],
)
def test_a_file_without_sections_is_the_users_error(tmp_path, content, said):
    assert re.match(said, message(tmp_path, content))


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    assert load(tmp_path, b"\xef\xbb\xbf" + TEXT.encode()) == params.load(ROOT / "params.yaml")


def test_a_missing_file_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match=r"params\.yaml: not in this folder; run in the project's"):
        params.load(tmp_path / "params.yaml")


def test_a_folder_in_its_place_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match=tmp_path.name):
        params.load(tmp_path)


def test_the_line_of_a_key_is_that_of_the_deepest_key_the_document_has():
    document = params.compose("# head\na: 1\n\nb:\n  c: 2\n  # note\n  d:\n    e: 3\n")
    assert params.line_of(document, ["a"]) == 2
    assert params.line_of(document, ["b", "c"]) == 5
    assert params.line_of(document, ["b", "d", "e"]) == 8
    assert params.line_of(document, ["b", "d", "e", "f"]) == 8


def test_the_line_of_a_section_is_that_of_its_own_key():
    document = params.compose("# head\na: 1\n\nb:\n  c: 2\n  # note\n  d:\n    e: 3\n")
    assert params.line_of(document, ["b"]) == 4
    assert params.line_of(document, ["b", "missing"]) == 4
    assert params.line_of(document, ["b", "d"]) == 7


# editing


def untouched(before: str, after: str, keys: list[str]) -> tuple[str, str]:
    """Return both texts without the lines of some keys."""
    for key in keys:
        before, after = (change(text, key, None) for text in (before, after))
    return before, after


EDITS: list[tuple[str, dict[str, Any]]] = [
    ("train", {"lr": 1e-05}),
    ("train", {"lr": 1, "momentum": 0.123456789012345}),
    ("train", {"weight_decay": 1e-07, "noise": 1e16}),
    ("train", {"decay_bias": True, "optimizer": "adamw", "epochs": 7}),
    ("train", {"decay_bias": False}),
    ("model", {"init_low": -1e-09, "activation": "leaky_relu"}),
    ("model", {"hidden": [5]}),
    ("model", {"hidden": [5, 6, 7, 8], "dropout": 0.25}),
    ("preprocess", {"features": ["a", "b c", "é"]}),
    ("preprocess", {"target": "yes", "features": "1:30"}),
    ("finetune", {"freeze": ["layer0", "layer[12]"], "lr": 2e-3}),
]


@pytest.mark.parametrize(("section", "values"), EDITS, ids=str)
def test_an_edit_changes_the_value_and_no_other_line(section, values):
    after = params.edit(TEXT, section, values)
    found = parse_yaml(after, "params.yaml")
    for name, value in values.items():
        ours = found[section].pop(name)
        assert (ours, type(ours)) == (value, type(value))
    rest = parse_yaml(TEXT, "params.yaml")
    assert found == {**rest, section: {k: v for k, v in rest[section].items() if k not in values}}
    before, now = untouched(TEXT, after, [f"{section}.{name}" for name in values])
    assert now == before


def test_truth_is_written_as_yaml_writes_it():
    text = "train:\n  decay_bias: false\n"
    assert params.edit(text, "train", {"decay_bias": True}) == "train:\n  decay_bias: true\n"
    assert params.edit(text, "train", {"decay_bias": False}) == text


FORMS = {
    "indented": "hidden:\n    - 128\n    - 64\n",
    "as dvc writes": "hidden:\n  - 128\n  - 64\n",
    "flow": "hidden: [128, 64]\n",
    "one": "hidden:\n  - 128\n",
    "none": "hidden: []\n",
    "none below": "hidden:\n    []\n",
}
LISTS = [(form, value) for form in FORMS for value in ([], [1], [1, 2], [1, 2, 3, 4])]


@pytest.mark.parametrize(("form", "value"), LISTS)
def test_a_list_grows_and_shrinks_in_every_form(form, value):
    text = f"# é\nmodel:\n  # width\n  {FORMS[form]}  # of the layers\n  activation: relu # x\n"
    after = params.edit(text, "model", {"hidden": value})
    found = parse_yaml(after, "params.yaml")
    assert found == {"model": {"hidden": value, "activation": "relu"}}
    start, end = "# é\nmodel:\n  # width\n  hidden:", "  # of the layers\n  activation: relu # x\n"
    assert after.startswith(start)
    assert after.endswith(end)
    again = params.edit(after, "model", {"hidden": [128, 64]})
    assert parse_yaml(again, "params.yaml")["model"]["hidden"] == [128, 64]
    assert again.startswith(start)
    assert again.endswith(end)


@pytest.mark.parametrize("form", ["flow", "none", "none below"])
def test_a_list_leaves_no_blank_at_the_end_of_a_line(form):
    after = params.edit(f"model:\n  {FORMS[form]}", "model", {"hidden": [1, 2]})
    assert not re.search(r"[ \t]+$", after, re.MULTILINE)
    assert len(after.splitlines()) == 4


@pytest.mark.parametrize("line", ["lr: 0.05  # note", "lr:    0.05", "'lr': 5e-2", '"lr": 5.e-2'])
def test_a_comment_behind_the_value_and_the_spacing_stay(line):
    text = f"train:\n  {line}\n  epochs: 3\n"
    after = params.edit(text, "train", {"lr": 0.001})
    old = re.search(r"5\.?e-2|0\.05", line)
    assert old
    assert after == text.replace(old[0], "0.001")


@pytest.mark.parametrize("word", ["'a'", '"b c"', "a b", "it's"])
def test_a_quoted_word_is_replaced_with_its_quotes(word):
    text = f"train:\n  optimizer: {word}\n  epochs: 3\n"
    assert params.edit(text, "train", {"optimizer": "sgd"}) == (
        "train:\n  optimizer: sgd\n  epochs: 3\n"
    )


@pytest.mark.parametrize("word", ["", ",", "1", "true", "null", "1e-05", "a: b", "#a", " a", "- a"])
def test_a_word_that_yaml_would_read_otherwise_is_quoted(word):
    text = "preprocess:\n  target: old\n  seed: 0\n"
    after = params.edit(text, "preprocess", {"target": word})
    assert parse_yaml(after, "params.yaml") == {"preprocess": {"target": word, "seed": 0}}


def test_a_key_that_is_not_there_is_the_users_error():
    with pytest.raises(UserError, match=r"train\.lr"):
        params.edit("train:\n  epochs: 3\n  seed: 3\n", "train", {"lr": 0.1})


def test_the_same_key_of_another_section_is_left_alone():
    text = "a:\n  lr: 1\nb:\n  lr: 1\nc:\n  lr: 1\n"
    assert params.edit(text, "b", {"lr": 2}) == "a:\n  lr: 1\nb:\n  lr: 2\nc:\n  lr: 1\n"


def test_an_edited_text_is_saved_only_when_it_is_valid(tmp_path, monkeypatch):
    path = tmp_path / "params.yaml"
    path.write_text(TEXT)
    params.save(params.edit(TEXT, "train", {"lr": 0.25}), path)
    assert params.load(path).train.lr == 0.25
    good = path.read_bytes()
    with pytest.raises((UserError, ValueError), match=r"less than or equal to 1"):
        params.save(params.edit(TEXT, "train", {"lr": 5.0}), path)
    assert path.read_bytes() == good

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UserError, match="No space left"):
        params.save(TEXT, path)
    assert path.read_bytes() == good


def test_an_invalid_edit_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match=r"train\.lr"):
        params.save(params.edit(TEXT, "train", {"lr": 5.0}), tmp_path / "params.yaml")


# the schema for editors


def test_the_schema_in_the_repository_is_what_the_settings_make_now(tmp_path):
    files.write_json(tmp_path / "schema.json", params.schema(TEXT))
    assert (ROOT / params.SCHEMA).read_bytes() == (tmp_path / "schema.json").read_bytes()


def leaves(content: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted names of all settings; a search space is one setting."""
    names = []
    for name, value in content.items():
        key = f"{prefix}{name}"
        names += leaves(value, f"{key}.") if isinstance(value, dict) and name != "space" else [key]
    return names


def comment(key: str) -> str:
    """Return the comment above a key, else the one behind its value."""
    rows, at = TEXT.splitlines(), place(TEXT, key)
    above: list[str] = []
    while rows[at - 1 - len(above)].lstrip().startswith("# "):
        above.append(rows[at - 1 - len(above)].strip().removeprefix("# "))
    behind = rows[at].partition(" # ")[2]
    return " ".join([*reversed(above), *([behind] if behind else [])])


KEYS = leaves(YAML(typ="safe").load(TEXT))


@pytest.mark.parametrize("key", KEYS)
def test_every_key_has_a_comment_and_an_editor_shows_it(key):
    assert len(KEYS) > 40
    schema = json.loads((ROOT / params.SCHEMA).read_text())
    for name in key.split("."):
        if "$ref" in schema:
            schema = json.loads((ROOT / params.SCHEMA).read_text())["$defs"][
                schema["$ref"].rsplit("/", 1)[1]
            ]
        schema = schema["properties"][name]
    assert len(comment(key)) > 5
    assert schema["description"] == comment(key)


def test_the_schema_forbids_unknown_keys_and_knows_ranges():
    schema = params.schema(TEXT)
    assert set(schema["required"]) == set(schema["properties"])
    for name, section in schema["$defs"].items():
        assert section["additionalProperties"] is False, name
    train = schema["$defs"]["Train"]["properties"]
    assert (train["lr"]["exclusiveMinimum"], train["lr"]["maximum"]) == (0, 1)
    assert train["optimizer"]["enum"] == ["sgd", "adamw"]
