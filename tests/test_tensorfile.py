"""A file of tensors filled a few rows at a time: the file of torch.save, whole or not at all."""

from __future__ import annotations

import itertools
import random
import zipfile

import numpy as np
import pytest
import torch

from stages.common import files, tensorfile

TYPES = {"features": torch.float32, "target": torch.int64, "row": torch.int64}


def content_of(rows, width=3, seed=0):
    draw = np.random.default_rng(seed)
    return {
        "features": draw.normal(size=(rows, width)).astype(np.float32),
        "target": draw.integers(0, 9, rows),
        "row": np.arange(rows) * 2 + 1,
    }


def shapes_of(content):
    return {name: (TYPES[name], array.shape) for name, array in content.items()}


def fill(path, content, cuts=()):
    """Write the content in pieces that end at `cuts`."""
    rows = len(content["row"])
    with tensorfile.writing(path, shapes_of(content)) as file:
        for start, end in itertools.pairwise([0, *cuts, rows]):
            file.append({name: array[start:end] for name, array in content.items()})
    return path


def records(path):
    """Each record's name, place and content; torch numbers a file by its check sums, too."""
    with zipfile.ZipFile(path) as archive:
        return {
            record.filename: (record.header_offset, archive.read(record))
            for record in archive.infolist()
            if not record.filename.endswith("serialization_id")
        }


def tensors(content):
    return {name: torch.from_numpy(array) for name, array in content.items()}


@pytest.mark.parametrize("rows", [0, 1, 2, 63, 1000, 70_000])
def test_the_records_are_those_of_torch_save(tmp_path, rows):
    content = content_of(rows)
    made = records(fill(tmp_path / "a.pt", content))
    files.write_tensors(tmp_path / "b.pt", tensors(content))
    assert len(made) > 3
    assert made == records(tmp_path / "b.pt")


@pytest.mark.parametrize("rows", [0, 1, 1000])
@pytest.mark.parametrize("mapped", [False, True])
def test_torch_and_our_own_reader_load_what_was_appended(tmp_path, rows, mapped):
    content = content_of(rows)
    path = fill(tmp_path / "a.pt", content, [rows // 3, rows // 2])
    for found in (
        torch.load(path, weights_only=True, mmap=mapped),
        files.read_tensors(path, TYPES, mapped),
    ):
        assert sorted(found) == sorted(content)
        for name, tensor in tensors(content).items():
            assert found[name].dtype == TYPES[name]
            assert torch.equal(found[name], tensor)


@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_the_check_sums_are_right_everywhere(tmp_path, rows):
    with zipfile.ZipFile(fill(tmp_path / "a.pt", content_of(rows), [rows // 2])) as archive:
        assert len(archive.namelist()) > 3
        assert archive.testzip() is None


def test_a_changed_byte_of_the_data_is_noticed(tmp_path):
    content = content_of(1000)
    path = fill(tmp_path / "a.pt", content)
    data = bytearray(path.read_bytes())
    data[data.index(content["target"][400:].tobytes()) + 5] ^= 1
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is not None


def test_any_way_of_appending_gives_the_same_bytes(tmp_path):
    content, draw = content_of(257), random.Random(0)
    expected = fill(tmp_path / "a.pt", content).read_bytes()
    for _ in range(20):
        cuts = sorted(draw.choices(range(258), k=draw.randint(1, 30)))
        assert fill(tmp_path / "b.pt", content, cuts).read_bytes() == expected
    assert fill(tmp_path / "b.pt", content, range(1, 257)).read_bytes() == expected


def test_tensors_may_be_filled_one_after_another_and_in_any_memory_layout(tmp_path):
    content = content_of(100)
    expected = fill(tmp_path / "a.pt", content).read_bytes()
    with tensorfile.writing(tmp_path / "b.pt", shapes_of(content)) as file:
        for name in ("row", "features", "target"):
            file.append({name: np.asfortranarray(content[name][:70])})
            file.append({name: np.repeat(content[name][70:], 2, axis=0)[::2]})
    assert (tmp_path / "b.pt").read_bytes() == expected


def test_other_rows_give_other_bytes(tmp_path):
    one = fill(tmp_path / "a.pt", content_of(50)).read_bytes()
    other = fill(tmp_path / "b.pt", content_of(50, seed=1)).read_bytes()
    assert one != other
    assert len(one) == len(other)


def test_records_whose_names_end_alike_do_not_mix(tmp_path):
    content = {f"t{at:02}": np.full(5 + at, at, dtype=np.int64) for at in range(25)}
    shapes = {name: (torch.int64, array.shape) for name, array in content.items()}
    with tensorfile.writing(tmp_path / "a.pt", shapes) as file:
        file.append(content)
    found = files.read_tensors(tmp_path / "a.pt", content)
    assert {name: found[name].tolist() for name in found} == {
        name: array.tolist() for name, array in content.items()
    }
    files.write_tensors(tmp_path / "b.pt", tensors(content))
    assert records(tmp_path / "a.pt") == records(tmp_path / "b.pt")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError, SystemExit])
@pytest.mark.parametrize("old", [b"old", None])
def test_what_is_interrupted_leaves_the_old_file_and_nothing_else(tmp_path, stop, old):
    path, content = tmp_path / "a.pt", content_of(50)
    if old:
        path.write_bytes(old)

    def interrupted():
        with tensorfile.writing(path, shapes_of(content)) as file:
            file.append({name: array[:20] for name, array in content.items()})
            raise stop

    with pytest.raises(stop):
        interrupted()
    assert [(left.name, left.read_bytes()) for left in tmp_path.iterdir()] == (
        [("a.pt", b"old")] if old else []
    )


@pytest.mark.parametrize("rows", [49, 51])
def test_a_file_with_rows_missing_or_too_many_is_never_put_in_place(tmp_path, rows):
    shapes, content = shapes_of(content_of(50)), content_of(rows)

    def write():
        with tensorfile.writing(tmp_path / "a.pt", shapes) as file:
            file.append(content)

    with pytest.raises(AssertionError):
        write()
    assert list(tmp_path.iterdir()) == []
