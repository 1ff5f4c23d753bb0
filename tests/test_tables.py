"""The tables that come with the project: made again byte for byte, and of the promised form."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RAW = ROOT / "data" / "raw"
ANIMALS_HEADER = (
    "animal_name,hair,feathers,eggs,milk,airborne,aquatic,predator,toothed,backbone,breathes,"
    "venomous,fins,legs,tail,domestic,catsize,type"
)
ANIMALS = ANIMALS_HEADER.split(",")
TYPES = {"mammal", "bird", "reptile", "fish", "amphibian", "insect", "invertebrate"}


def rows_of(name: str) -> list[dict[str, str]]:
    with open(RAW / name, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of the digit tables, made anew in a process of its own."""
    folder = tmp_path_factory.mktemp("tables") / "new"
    subprocess.run([sys.executable, ROOT / "data" / "make_digits.py", folder], check=True)
    return folder


@pytest.mark.parametrize("name", ["digits.csv", "digits_tilted.csv"])
def test_the_digit_tables_are_made_again_byte_for_byte(made, name):
    assert (made / name).read_bytes() == (RAW / name).read_bytes()


def test_nothing_else_is_left_in_the_folder(made):
    assert sorted(path.name for path in made.iterdir()) == ["digits.csv", "digits_tilted.csv"]


@pytest.mark.parametrize(("name", "rows"), [("digits.csv", 1197), ("digits_tilted.csv", 600)])
def test_the_digit_tables_have_the_promised_form(name, rows):
    table = rows_of(name)
    assert len(table) == rows
    pixels = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    assert list(table[0]) == ["id", *pixels, "digit"]
    assert {int(row[pixel]) for row in table for pixel in pixels} == set(range(17))
    assert {int(row["digit"]) for row in table} == set(range(10))
    ids = [int(row["id"]) for row in table]
    assert ids == sorted(ids)


def test_each_image_is_in_exactly_one_of_the_digit_tables():
    ids = [int(row["id"]) for name in ("digits.csv", "digits_tilted.csv") for row in rows_of(name)]
    assert sorted(ids) == list(range(1797))


def test_the_straight_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    source = load_digits()
    for row in rows_of("digits.csv")[::50]:
        cells = [int(cell) for cell in row.values()]
        assert cells[1:-1] == source.data[cells[0]].astype(int).tolist()
        assert cells[-1] == source.target[cells[0]]


def test_the_tilted_digits_keep_their_labels_but_not_their_pixels():
    from sklearn.datasets import load_digits

    source = load_digits()
    for row in rows_of("digits_tilted.csv")[::50]:
        cells = [int(cell) for cell in row.values()]
        assert cells[1:-1] != source.data[cells[0]].astype(int).tolist()
        assert cells[-1] == source.target[cells[0]]


def test_the_animals_have_the_promised_form():
    table = rows_of("animals.csv")
    assert len(table) == 107
    assert list(table[0]) == ANIMALS
    assert len({row["animal_name"] for row in table}) == 107
    assert {row["type"] for row in table} == TYPES
    assert min(Counter(row["type"] for row in table).values()) >= 3
    for row in table:
        assert {row[name] for name in ANIMALS[1:-1] if name != "legs"} <= {"0", "1"}, row
        assert row["legs"].isdecimal(), row


def test_the_animals_do_not_contradict_their_type():
    table = rows_of("animals.csv")
    for row in table:
        spineless = row["type"] in ("insect", "invertebrate")
        assert row["backbone"] == ("0" if spineless else "1"), row
        assert (row["feathers"] == "1") == (row["type"] == "bird"), row
        assert (row["milk"] == "1") == (row["type"] == "mammal"), row
        if row["type"] == "insect":
            assert row["legs"] == "6", row


@pytest.mark.parametrize("name", ["animals.csv", "digits.csv", "digits_tilted.csv"])
def test_the_tables_are_utf8_with_lf_line_ends_and_no_gap(name):
    content = (RAW / name).read_bytes()
    content.decode("utf-8")
    assert not content.startswith(b"\xef\xbb\xbf")
    assert b"\r" not in content
    assert content.endswith(b"\n")
    assert not content.endswith(b"\n\n")
    rows = rows_of(name)
    assert all(cell == cell.strip() != "" for row in rows for cell in row.values())


def test_the_description_counts_the_rows_and_columns():
    text = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    for name in ("animals.csv", "digits.csv", "digits_tilted.csv"):
        table = rows_of(name)
        assert f"| `raw/{name}` | {len(table)} | {len(table[0])} |" in text
    for name in ANIMALS:
        assert f"| `{name}` |" in text
