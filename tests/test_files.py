"""files: atomic writing, bytes that depend on the content alone, checked reading."""

from __future__ import annotations

import errno
import json
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stages.common import files
from stages.common.errors import UserError
from tests.imports import ROOT

TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "row": torch.arange(3)}


def saved(folder: Path, content: Any, name: str = "a.pt") -> bytes:
    """Return the bytes that `write_tensors` makes of `content`."""
    files.write_tensors(folder / name, content)
    return (folder / name).read_bytes()


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


# writing


def test_bytes_are_written_into_folders_made_for_them(tmp_path):
    path = tmp_path / "new" / "deep" / "a.bin"
    files.write_bytes(path, b"old and long")
    files.write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert listed(tmp_path) == ["a.bin", "deep", "new"]


def test_until_the_last_moment_a_reader_sees_the_whole_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    seen = []

    def look_then_replace(temporary, final):
        seen.append((path.read_bytes(), Path(temporary).read_bytes(), Path(temporary).parent))
        os.rename(temporary, final)

    monkeypatch.setattr(os, "replace", look_then_replace)
    files.write_bytes(path, b"new")
    assert seen == [(b"old", b"new", tmp_path)]
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(UserError, match=r"cannot write .*a\.bin: No space left.*make room"):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert listed(tmp_path) == ["a.bin"]


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert listed(tmp_path) == ["a.bin"]


def test_the_limit_of_the_system_on_file_sizes_ends_a_command_with_status_2(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from stages.common import files; from stages.common.launch import guard\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"sys.exit(guard(lambda: files.write_bytes(Path({str(path)!r}), b'new' * 1000)))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"error: cannot write {path}: File too large; ")
    assert ended.stderr.count("\n") == 1
    assert path.read_bytes() == b"old"
    assert listed(tmp_path) == ["a.bin"]


def test_a_folder_in_the_place_of_the_file_is_the_users_error(tmp_path):
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*a\.bin: Is a directory"):
        files.write_bytes(tmp_path / "a.bin", b"new")
    assert listed(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("place", ["file/a.bin", "a" * 250])
def test_a_path_that_cannot_exist_is_the_users_error(tmp_path, place):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match="cannot write"):
        files.write_bytes(tmp_path / place, b"new")


def test_a_file_may_be_written_at_any_place_in_it(tmp_path):
    with files.writing(tmp_path / "deep" / "a.bin") as stream:
        stream.write(b"-----")
        stream.seek(1)
        stream.write(b"ab")
        stream.seek(0)
        assert stream.read() == b"-ab--"
    assert (tmp_path / "deep" / "a.bin").read_bytes() == b"-ab--"
    assert listed(tmp_path) == ["a.bin", "deep"]


def test_a_hidden_part_is_written_as_it_is_and_found_back(tmp_path):
    place = tmp_path / "a.tar.gz"
    hidden = files.part(place, "run")
    assert hidden.name == ".a.tar.gz.run.part"
    assert files.whole(hidden) == place
    assert files.whole(place) == place
    with files.writing(hidden) as stream:
        stream.write(b"new")
        assert listed(tmp_path) == [hidden.name]
    assert hidden.read_bytes() == b"new"
    with pytest.raises(UserError, match=r"cannot write .*file/a\.bin: Not a directory"):
        files.write_bytes(files.part(hidden / "file" / "a.bin", "run"), b"new")


# text


def test_json_is_sorted_indented_utf8_and_ends_with_a_line_feed(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": [1, "é"], "a": {"d": 1.5, "c": None}})
    assert (tmp_path / "a.json").read_bytes() == (
        '{\n  "a": {\n    "c": null,\n    "d": 1.5\n  },\n  "b": [\n    1,\n    "é"\n  ]\n}\n'
    ).encode()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_and_tensor_files_refuse_what_is_no_number(tmp_path, value):
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a", {"a": value})
    with pytest.raises(ValueError, match="JSON"):
        files.write_tensors(tmp_path / "a", {"a": {"b": value}})
    assert listed(tmp_path) == []


def test_metrics_are_rounded_and_what_cannot_be_said_is_left_out(tmp_path):
    given: dict[str, Any] = {
        "rounded": 0.12345678,
        "numpy": np.float64(2.00000049),
        "whole": 3,
        "word": "positive",
        "minus_zero": -0.0000001,
        "nan": math.nan,
        "infinite": -math.inf,
        "none": None,
    }
    files.write_metrics(tmp_path / "m.json", given)
    text = (tmp_path / "m.json").read_text()
    assert json.loads(text) == {
        "rounded": 0.123457,
        "numpy": 2.0,
        "whole": 3,
        "word": "positive",
        "minus_zero": 0.0,
    }
    assert "-0.0" not in text


def test_a_table_is_rounded_quoted_where_needed_and_has_gaps_for_no_value(tmp_path):
    rows = [(1, 0.12345678, 'a "b", c'), (2, math.nan, None), (3, -1e-9, True)]
    files.write_csv(tmp_path / "t.csv", ("id", "x", "word"), iter(rows))
    assert (tmp_path / "t.csv").read_bytes() == (
        b'id,x,word\n1,0.123457,"a ""b"", c"\n2,,\n3,0.0,True\n'
    )


def test_rows_are_written_as_they_come(tmp_path):
    def rows():
        for at in range(50_000):
            yield [at, at / 7]
        (temporary,) = tmp_path.iterdir()
        sizes.append(temporary.stat().st_size)

    sizes: list[int] = []
    files.write_csv(tmp_path / "t.csv", ("a", "b"), rows())
    assert 500_000 < sizes[0] <= (tmp_path / "t.csv").stat().st_size
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 50_001


def test_rows_that_end_in_an_error_leave_the_old_table(tmp_path):
    def rows():
        yield [1]
        raise UserError("row 1: wrong")

    (tmp_path / "t.csv").write_text("old")
    with pytest.raises(UserError, match=r"^row 1: wrong$"):
        files.write_csv(tmp_path / "t.csv", ("a",), rows())
    assert (tmp_path / "t.csv").read_text() == "old"
    assert listed(tmp_path) == ["t.csv"]


# tensors


def test_tensors_and_plain_values_come_back_as_they_were(tmp_path):
    plain = {"widths": [6, 8, 3], "schema": {"é": None, "b": [1.5, True, "x"]}, "lr": 1e-05}
    files.write_tensors(tmp_path / "a.pt", {**TENSORS, **plain})
    found = files.read_tensors(tmp_path / "a.pt", ["weight", "row", "widths"])
    assert {name: found[name] for name in plain} == plain
    assert set(found) == {*TENSORS, *plain}
    for name, tensor in TENSORS.items():
        assert torch.equal(found[name], tensor)
        assert found[name].dtype == tensor.dtype


def test_the_bytes_do_not_depend_on_the_files_name(tmp_path):
    assert saved(tmp_path, TENSORS, "a.pt") == saved(tmp_path, TENSORS, "other.bin")


def test_the_bytes_do_not_depend_on_the_order_of_keys(tmp_path):
    one = {**TENSORS, "plain": {"a": 1, "b": {"c": 2, "d": 3}}}
    other = {"plain": {"b": {"d": 3, "c": 2}, "a": 1}, **dict(reversed(TENSORS.items()))}
    assert list(one) != list(other)
    assert saved(tmp_path, one) == saved(tmp_path, other)


def test_the_bytes_do_not_depend_on_the_storage_behind_a_tensor(tmp_path):
    plain = TENSORS["weight"].clone()
    large = torch.zeros(100, 100)
    large[7:9, 3:6] = plain
    shared = torch.cat([plain.flatten(), plain.flatten()])
    forms = {
        "part of a large one": large[7:9, 3:6],
        "transposed": plain.T.contiguous().T,
        "a parameter": torch.nn.Parameter(plain.clone()),
        "result of a computation": plain.clone().requires_grad_() * 1,
    }
    expected = saved(tmp_path, {"a": plain, "b": plain.clone()})
    assert len(expected) < 4000
    for form, tensor in forms.items():
        assert saved(tmp_path, {"a": tensor, "b": plain}) == expected, form
    assert saved(tmp_path, {"a": plain, "b": plain}) == expected, "one tensor twice"
    halves = {"a": shared[:6].view(2, 3), "b": shared[6:].view(2, 3)}
    assert saved(tmp_path, halves) == expected, "two views of one storage"


def test_the_bytes_do_not_depend_on_the_identity_of_strings(tmp_path):
    word = "leaky_relu"
    one = {"activation": word, "model": {"activation": word, word: [word, word]}}

    def copy() -> str:
        return "".join(list(word))

    other = {"activation": copy(), "model": {"activation": copy(), copy(): [copy(), copy()]}}
    assert copy() is not word
    assert saved(tmp_path, one) == saved(tmp_path, other)


def test_the_bytes_change_with_the_content(tmp_path):
    base = saved(tmp_path, TENSORS)
    assert saved(tmp_path, {**TENSORS, "row": torch.tensor([0, 1, 3])}) != base
    assert saved(tmp_path, {**TENSORS, "row": torch.arange(3, dtype=torch.int32)}) != base
    assert saved(tmp_path, {**TENSORS, "plain": 1}) != saved(tmp_path, {**TENSORS, "plain": 2})


def test_a_tensor_written_over_while_it_is_mapped_keeps_its_values(tmp_path):
    path = tmp_path / "a.pt"
    files.write_tensors(path, TENSORS)
    mapped = files.read_tensors(path, TENSORS)["weight"]
    files.write_tensors(path, {"weight": torch.zeros(2, 3), "row": torch.zeros(3)})
    assert torch.equal(mapped, TENSORS["weight"])


# reading


class Hostile:
    """A pickle of it would make a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (str(self.path), "w")


def test_a_missing_file_is_the_users_error_with_a_remedy(tmp_path):
    for read in (files.read_json, lambda path: files.read_tensors(path, ["a"])):
        with pytest.raises(UserError, match=r"gone\.pt: no such file; .*`dvc repro`"):
            read(tmp_path / "gone.pt")


@pytest.mark.parametrize(
    "junk",
    [b"", b"P", b"PK\x03\x04", b"hello\n" * 100, bytes(range(256)) * 20, pickle.dumps({"a": 1})],
    ids=["empty", "letter", "zip start", "text", "bytes", "pickle"],
)
def test_a_file_of_another_kind_is_the_users_error(tmp_path, junk):
    path = tmp_path / "a.pt"
    path.write_bytes(junk)
    with pytest.raises(UserError, match=rf"{path}: damaged, or another program's; delete"):
        files.read_tensors(path, ["a"])


def test_a_legacy_torch_file_is_the_users_error(tmp_path):
    torch.save({"a": 1}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(UserError, match=r"a\.pt: damaged, or another program's"):
        files.read_tensors(tmp_path / "a.pt", ["a"])


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_the_users_error(tmp_path, share):
    path = tmp_path / "a.pt"
    whole = saved(tmp_path, {"a": torch.arange(10_000)})
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError, match=r"a\.pt: damaged, or another program's"):
        files.read_tensors(path, ["a"])


def test_a_changed_number_is_noticed_by_its_check_sum_but_not_while_mapped(tmp_path):
    path = tmp_path / "a.pt"
    data = bytearray(saved(tmp_path, {"a": torch.arange(10_000)}))
    data[data.index((5000).to_bytes(8, "little"))] ^= 1
    path.write_bytes(data)
    assert files.read_tensors(path, ["a"], mapped=True)["a"][5000] == 5001
    with pytest.raises(UserError, match=r"a\.pt: damaged, or another program's"):
        files.read_tensors(path, ["a"])


def test_no_pickle_is_executed(tmp_path):
    path, made = tmp_path / "a.pt", tmp_path / "made"
    path.write_bytes(pickle.dumps(Hostile(made)))
    with pytest.raises(UserError, match="damaged, or another program's"):
        files.read_tensors(path, ["a"])
    torch.save({"a": Hostile(made)}, path)
    with pytest.raises(UserError, match="damaged, or another program's"):
        files.read_tensors(path, ["a"])
    assert not made.exists()


@pytest.mark.parametrize("content", [{"other": 1}, {"a": 1}, {1: 1}, [1], torch.arange(3)])
def test_another_programs_torch_file_is_the_users_error(tmp_path, content):
    path = tmp_path / "a.pt"
    torch.save(content, path)
    with pytest.raises(UserError, match=rf"{path}: lacks .*b, .*delete {path} and run"):
        files.read_tensors(path, ["b", "a"])


@pytest.mark.parametrize("junk", [b"", b'{"a": ', b"\xff\xfe"])
def test_damaged_json_is_the_users_error(tmp_path, junk):
    path = tmp_path / "a.json"
    path.write_bytes(junk)
    with pytest.raises(UserError, match=rf"{path}: damaged \(.*\); delete {path} and run"):
        files.read_json(path)
    path.write_text('{"a": [1]}')
    assert files.read_json(path) == {"a": [1]}
