"""place: what dvc.lock records, stage after stage, and what lies in a folder instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stages.verification.lock import Lock
from stages.verification.place import MISSING, UNREADABLE, Entry, Place, content, entries
from tests.recorded import write

A, B = "0cc175b9c0f1b6a831c399e269772661", "92eb5ffee6ae2fec3ad71c777531578f"  # of `a` and `b`


def lock(**stages: tuple[list[str], list[str]]) -> Lock:
    """Return a record in which each file has the md5 of `a`."""
    found: dict[str, Any] = {}
    for stage, (inputs, outputs) in stages.items():
        deps, outs = ([{"path": name, "md5": A} for name in names] for names in (inputs, outputs))
        found[stage] = {"cmd": "true", "deps": deps, "outs": outs}
    return Lock.model_validate({"schema": "2.0", "stages": found})


def order(record: Lock) -> list[str]:
    return list(dict.fromkeys(entry.stage for entry in entries(record)))


def test_the_order_is_that_of_the_graph_and_else_that_of_the_file():
    record = lock(
        last=(["c", "b"], ["d"]),
        other=(["x"], ["y"]),
        second=(["b"], ["c"]),
        first=(["a"], ["b"]),
    )
    assert order(record) == ["other", "first", "second", "last"]


def test_a_damaged_record_may_go_in_a_circle():
    assert sorted(order(lock(one=(["b"], ["a"]), two=(["a"], ["b"]), three=(["b"], [])))) == [
        "one",
        "three",
        "two",
    ]


def test_every_recorded_thing_is_an_entry():
    record = lock(bake=(["flour"], ["bread"]))
    record.stages["bake"].params = {"params.yaml": {"heat": {"oven": 200}, "time.rest": 0}}
    record.stages["bake"].outs[0].md5 = None
    assert entries(record) == [
        Entry("bake", "input", "flour", A),
        Entry("bake", "setting", "params.yaml", {"oven": 200}, "heat"),
        Entry("bake", "setting", "params.yaml", 0, "time.rest"),
        Entry("bake", "output", "bread", ""),
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("heat: {oven: 200}\ntime: {rest: 0}\n", [{"oven": 200}, 0]),
        ("time: 3\n", [MISSING, MISSING]),
        ("heat: 1e-3\ntime: {rest: null}\n", [0.001, None]),  # as DVC reads it
        ("[1]\n", [MISSING, MISSING]),
        ("", [MISSING, MISSING]),
        ("heat: [", [UNREADABLE, UNREADABLE]),
        ("heat: \0", [UNREADABLE, UNREADABLE]),
    ],
)
def test_settings_are_looked_up_by_dotted_key(tmp_path, text, found):
    keys = [Entry("bake", "setting", "params.yaml", None, key) for key in ("heat", "time.rest")]
    assert [value for _, value in Place.look("here", tmp_path, keys).found] == [MISSING, MISSING]
    (tmp_path / "params.yaml").write_text(text)
    assert [value for _, value in Place.look("here", tmp_path, keys).found] == found


def test_a_file_is_hashed_and_a_missing_one_is_said_to_be(tmp_path):
    record = entries(lock(bake=(["flour", "salt"], ["bread"])))
    write(tmp_path, {"flour": "a", "bread": "b"})
    assert [found for _, found in Place.look("here", tmp_path, record).found] == [A, MISSING, B]


@pytest.mark.parametrize(("kind", "missing"), [("here", []), ("in Git", []), ("rebuilt", ["b"])])
def test_only_the_rebuilt_place_must_have_the_outputs(tmp_path, kind, missing):
    record = entries(lock(one=(["a"], ["b"]), two=(["b"], [])))
    write(tmp_path, {"a": "a"})
    differing = [entry for entry, _ in Place.look(kind, tmp_path, record).differing()]
    assert list(dict.fromkeys(entry.path for entry in differing)) == missing
    (tmp_path / "a").unlink()
    assert "a" in [entry.path for entry, _ in Place.look(kind, tmp_path, record).differing()]


@pytest.mark.parametrize(
    ("changed", "origin"),
    [
        ("", ""),
        ("a", ""),  # no output differs
        ("c", "two: its inputs are the same, its outputs are not"),
        ("bc", "one: its inputs are the same, its outputs are not"),
        ("ab", "a, an input of one"),
        ("abc", "a, an input of one"),
        ("ac", "two: its inputs are the same, its outputs are not"),
    ],
)
def test_the_origin_of_other_outputs(tmp_path, changed, origin):
    record = entries(lock(one=(["a"], ["b"]), two=(["b"], ["c"])))
    write(tmp_path, {name: "b" if name in changed else "a" for name in "abc"})
    assert Place.look("rebuilt", tmp_path, record).origin() == origin


def test_an_input_without_effect_on_the_outputs_is_no_origin(tmp_path):
    record = entries(lock(one=(["a"], ["b"]), other=(["a", "x"], [])))
    write(tmp_path, {"a": "b", "b": "a", "x": "a"})
    assert Place.look("here", tmp_path, record).origin() == ""


def test_what_is_not_there_says_nothing(tmp_path):
    assert content(tmp_path / "none.yaml") == {}
    assert content(Path("none.yaml")) == {}
