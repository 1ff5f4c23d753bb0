"""The rows of one part: taking, batching, saving, and use with torch's own data classes."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from stages.common import files, partition
from stages.common.errors import UserError
from stages.common.partition import Partition
from stages.common.schema import Category, Numeric, Schema, Target


def part_of(rows: int, features: int = 8) -> Partition:
    generator = torch.Generator().manual_seed(rows)
    return Partition(
        torch.rand(rows, features, generator=generator),
        torch.randint(0, 3, (rows,), generator=generator),
        torch.arange(rows) * 2 + 1,
    )


def schema_of(features: int = 8, classes: int = 3) -> Schema:
    """A schema of numeric features; no classes make it a regression."""
    columns: list[Numeric | Category] = [
        Numeric(
            kind="numeric", name=f"x{n}", position=n, shift=0, scale=1, low=None, high=None,
            knots=[], scores=[], date_format="", fill=0, indicator=False,
        )
        for n in range(features)
    ]  # fmt: skip
    names = [str(n) for n in range(classes)]
    target = Target(name="y", position=features, classes=names, counts=[1] * classes)
    return Schema(
        task="classification" if classes else "regression",
        missing="fill",
        scale="none",
        features=columns,
        dropped=[],
        target=target,
    )


def equal(one: Partition, other: Partition) -> bool:
    pairs = ((one.features, other.features), (one.target, other.target), (one.row, other.row))
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


def test_it_counts_its_rows():
    assert len(part_of(12)) == 12
    assert len(part_of(0)) == 0


def test_taking_keeps_the_three_tensors_together():
    part = part_of(12)
    taken = part.take(torch.tensor([11, 0, 0]))
    assert torch.equal(taken.features, torch.stack([part.features[n] for n in (11, 0, 0)]))
    assert taken.target.tolist() == [part.target[n].item() for n in (11, 0, 0)]
    assert taken.row.tolist() == [23, 1, 1]


@pytest.mark.parametrize("size", [1, 2, 5, 12, 100])
def test_batches_are_those_of_an_unshuffled_loader(size):
    part = part_of(12)
    loader = DataLoader(TensorDataset(part.features, part.target), batch_size=size)
    pairs = list(zip(part.batches(size), loader, strict=True))
    assert len(pairs) == -(-12 // size)
    for (features, target), (expected, classes) in pairs:
        assert torch.equal(features, expected)
        assert torch.equal(target, classes)


def test_no_rows_make_no_batch():
    assert list(part_of(0).batches(4)) == []


def test_it_unpacks_as_samples_of_a_tensor_dataset():
    part = part_of(12)
    samples = TensorDataset(part.features, part.target)
    for index in (0, -1):
        features, label = samples[index]
        assert torch.equal(features, part.features[index])
        assert label.shape == ()
        assert label.dtype == torch.int64


@pytest.mark.parametrize("rows", [0, 1, 12])
def test_saving_and_loading_gives_the_same_rows(tmp_path, rows):
    part = part_of(rows)
    part.save(tmp_path / "deep" / "train.pt")
    assert equal(Partition.load(tmp_path / "deep" / "train.pt", schema_of()), part)


def test_a_number_as_target_stays_float32(tmp_path):
    part = Partition(torch.rand(3, 2), torch.rand(3), torch.arange(3))
    part.save(tmp_path / "a.pt")
    assert equal(Partition.load(tmp_path / "a.pt", schema_of(2, 0)), part)


def test_the_bytes_depend_on_the_rows_alone(tmp_path):
    large = part_of(12)
    large.take(torch.arange(4)).save(tmp_path / "one.pt")
    Partition(large.features[:4], large.target[:4], large.row[:4]).save(tmp_path / "two.pt")
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "two.pt").read_bytes()
    large.save(tmp_path / "one.pt")
    assert (tmp_path / "one.pt").read_bytes() != (tmp_path / "two.pt").read_bytes()


def test_a_missing_part_is_named(tmp_path):
    with pytest.raises(UserError, match=r"val\.pt: no such file; .*dvc repro"):
        Partition.load(tmp_path / "val.pt", schema_of())


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04"])
def test_a_damaged_part_is_named(tmp_path, content):
    (tmp_path / "val.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"val\.pt: .*dvc repro"):
        Partition.load(tmp_path / "val.pt", schema_of())


@pytest.mark.parametrize("absent", ["features", "target", "row"])
def test_another_tensor_file_is_no_part(tmp_path, absent):
    content = {name: torch.zeros(2) for name in ("features", "target", "row") if name != absent}
    files.write_tensors(tmp_path / "val.pt", content)
    with pytest.raises(UserError, match=r"val\.pt: lacks"):
        Partition.load(tmp_path / "val.pt", schema_of())


def test_moving_to_a_device_moves_all_three():
    moved = part_of(3).to(torch.device("meta"))
    assert {t.device.type for t in (moved.features, moved.target, moved.row)} == {"meta"}


NOT_OF_THE_SCHEMA = {
    "has 8 columns": lambda part: Partition(part.features[:, :5], part.target, part.row),
    "12 rows of features, 11 targets": lambda part: Partition(
        part.features, part.target[:-1], part.row
    ),
    "types": lambda part: Partition(part.features.double(), part.target, part.row),
    "types of targets": lambda part: Partition(part.features, part.target.float(), part.row),
    "not finite": lambda part: Partition(part.features / 0, part.target, part.row),
    "classes 5 to 7, the schema has 0 to 2": lambda part: Partition(
        part.features, part.target % 3 + 5, part.row
    ),
}


@pytest.mark.parametrize("reason", NOT_OF_THE_SCHEMA)
def test_a_part_that_its_schema_does_not_describe_is_refused(tmp_path, reason):
    NOT_OF_THE_SCHEMA[reason](part_of(12)).save(tmp_path / "val.pt")
    with pytest.raises(UserError, match=reason.removesuffix(" of targets")):
        Partition.load(tmp_path / "val.pt", schema_of())


@pytest.mark.parametrize("row", [0, 4, 5, 11])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_every_row_is_checked_though_only_a_few_at_a_time(tmp_path, monkeypatch, row, value):
    monkeypatch.setattr(partition, "CHECKED", 5)
    part = part_of(12)
    part.features[row, 3] = value
    part.save(tmp_path / "val.pt")
    with pytest.raises(UserError, match=r"val\.pt: a number is not finite; .*dvc repro"):
        Partition.load(tmp_path / "val.pt", schema_of())


def test_a_target_that_is_not_finite_is_refused(tmp_path):
    target = torch.tensor([0.5, float("nan"), 1.0])
    Partition(torch.rand(3, 2), target, torch.arange(3)).save(tmp_path / "val.pt")
    with pytest.raises(UserError, match="not finite"):
        Partition.load(tmp_path / "val.pt", schema_of(2, 0))


def test_a_loaded_part_stays_on_disk_until_it_is_used(tmp_path, monkeypatch):
    part_of(12).save(tmp_path / "val.pt")
    used = []

    def load(*arguments, **options):
        used.append(options)
        return original(*arguments, **options)

    original = torch.load
    monkeypatch.setattr(torch, "load", load)
    monkeypatch.delattr("zipfile.ZipFile.testzip")  # it would read all
    Partition.load(tmp_path / "val.pt", schema_of())
    assert used == [{"weights_only": True, "mmap": True}]
