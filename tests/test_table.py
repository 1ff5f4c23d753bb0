"""Reading CSV files as text, and resolving slices as pandas' iloc does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.common import table
from stages.common.errors import UserError


@pytest.fixture
def csv(tmp_path):
    """Write a file of text or bytes and return its path."""

    def write(content: str | bytes) -> Path:
        path = Path(tmp_path, "t.csv")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def message(path: Path, separator: str = ",") -> str:
    with pytest.raises(UserError) as caught:
        table.read(path, separator)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path))


def test_every_cell_is_text_as_written(csv):
    frame = table.read(csv("id,a,b\n007,1.50,True\n8,x,1e-3\n"), ",")
    assert list(frame.columns) == ["id", "a", "b"]
    assert frame.to_numpy().tolist() == [["007", "1.50", "True"], ["8", "x", "1e-3"]]


def test_rows_are_numbered_from_zero_as_iloc_numbers_them(csv):
    frame = table.read(csv("a,b\n1,2\n\n3,4\n5,6\n"), ",")
    assert frame.index.tolist() == [0, 1, 2]
    assert frame.iloc[1].to_list() == ["3", "4"]


@pytest.mark.parametrize(
    "content",
    [
        b"a,b c\n1,x\n2,y\n",
        b"a,b c\r\n1,x\r\n2,y\r\n",
        b"a,b c\r1,x\r2,y\r",
        b"\xef\xbb\xbfa,b c\n1,x\n2,y",
        b'"a","b c"\n"1","x"\n"2","y"\n',
        b" a , b c \n 1 , x \n2,y\n",
        b"a,b c\n\n1,x\n2,y\n\n",
        b'"a", "b c"\n1, "x"\n"2", y\n',
    ],
    ids=[
        "lf",
        "crlf",
        "cr",
        "byte order mark",
        "quoted",
        "spaces",
        "blank lines",
        "spaces before quotes",
    ],
)
@pytest.mark.parametrize("separator", [",", "auto"])
def test_one_table_in_many_spellings(csv, content, separator):
    frame = table.read(csv(content), separator)
    assert list(frame.columns) == ["a", "b c"]
    assert frame.to_numpy().tolist() == [["1", "x"], ["2", "y"]]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators(csv, separator):
    text = "a,b\n1,2\n".replace(",", separator)
    for setting in (separator, "auto"):
        assert table.read(csv(text), setting).to_numpy().tolist() == [["1", "2"]]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a;b\n1,5;2,5\n3,25;4,0\n", ["a", "b"]),  # decimal commas in every row
        ('a;b\n"x;y";1\nz;2\n', ["a", "b"]),
        ('a; "b, c"\n1; "x; y"\n', ["a", "b, c"]),
        ("size, cm;b\n1,5;2,5\n", ["size, cm", "b"]),  # one comma more in the rows
        ("a b\n1 2\n", ["a b"]),
        ("a\n1\n2\n", ["a"]),
        ("day|note\n1|x, y\n2|z, w\n", ["day", "note"]),
        ("a,b\n" + "1,2\n" * 30 + "3;4;5,6\n", ["a", "b"]),
    ],
)
def test_auto_finds_the_separator_in_the_first_lines(csv, text, columns):
    assert list(table.read(csv(text), "auto").columns) == columns


@pytest.mark.parametrize(
    "lines",
    [17, 18, 19],
)
def test_auto_is_not_misled_by_a_quoted_line_end_where_it_stops_looking(csv, lines):
    text = "a;b\n" + "1;2\n" * lines + '"two\nlines";2\n'
    assert table.read(csv(text), "auto").shape == (lines + 1, 2)


def test_a_quoted_cell_may_hold_separators_quotes_and_line_ends(csv):
    frame = table.read(csv('a,b\n"1,5","say ""x"""\n"two\nlines",z\n'), ",")
    assert frame.to_numpy().tolist() == [["1,5", 'say "x"'], ["two\nlines", "z"]]


@pytest.mark.parametrize(
    "cell", ["", "  ", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "none", "?", '""']
)
def test_spellings_of_a_missing_value(csv, cell):
    frame = table.read(csv(f"a,b\n{cell},1\n2,3\n"), ",")
    assert frame["a"].isna().tolist() == [True, False]


@pytest.mark.parametrize("cell", ["0", "-", "x", "NAB", "False"])
def test_other_cells_are_values(csv, cell):
    assert not table.read(csv(f"a,b\n{cell},1\n"), ",").isna().any(axis=None)


def test_a_missing_file_is_named(tmp_path):
    assert (
        message(tmp_path / "none.csv") == ": no such file; put the table there or mend the setting"
    )


def test_a_folder_is_no_table(tmp_path):
    assert "a folder" in message(tmp_path)


@pytest.mark.parametrize("content", ["", "\n", "\n\n\n", "  \n"])
@pytest.mark.parametrize("separator", [",", "auto"])
def test_an_empty_file(csv, content, separator):
    assert message(csv(content), separator).startswith(": empty; the first line must name")


@pytest.mark.parametrize("content", ["a,b", "a,b\n", "a,b\n\n\n"])
def test_a_header_only(csv, content):
    assert message(csv(content)) == ": a header but no rows; put rows below it"


@pytest.mark.parametrize("separator", [",", "auto"])
@pytest.mark.parametrize(
    ("rows", "line", "cells"),
    [
        ("1,2,3\n1,2\n4,5,6\n", 3, 2),
        ("1\n1,2,3\n", 2, 1),
        ("1,2,3\n1,2,3,4\n1,2,3\n", 3, 4),
        ("1,2,3,4\n1,2,3\n", 2, 4),
        ("1,2,3,4\n1,2,3,4\n", 2, 4),
        ("1,2,3,\n4,5,6,\n", 2, 4),
        ("1,2,3,4,5,6\n", 2, 6),
        ("\n1,2,3\n\n1,2\n", 5, 2),
        ('1,2,"two\nlines"\n1,2\n', 4, 2),
        ("1,2,3\n" * 5000 + "1,2\n", 5002, 2),
        ('"1,2,3\n4,5,6\n', 3, 1),
    ],
)
def test_a_ragged_line_is_named_and_neither_filled_nor_cut(csv, rows, line, cells, separator):
    expected = f", line {line}: {cells} cells, but the header names 3 columns; mend that line"
    assert message(csv("a,b,c\n" + rows), separator).startswith(expected)


def test_an_empty_last_cell_is_missing_and_not_a_short_line(csv):
    assert table.read(csv("a,b\n1,\n2,3\n"), ",")["b"].isna().tolist() == [True, False]


def test_an_open_quote_is_no_table(csv):
    assert message(csv('a,b\n1,"2\n3,4\n')).startswith(": not a table: EOF inside string")


def test_a_cell_beyond_what_python_reads_is_no_table(csv):
    assert message(csv("a,b\n" + "x" * 200_000 + ",1\n")).startswith(": not a table: field larger")


def test_equal_column_names_are_named(csv):
    assert message(csv("a,b, a\n1,2,3\n")) == ", line 1: 2 columns are named 'a'; rename them"


def test_a_column_without_a_name_is_counted_from_one(csv):
    assert message(csv("a,,c\n1,2,3\n")) == ", line 1: column 2 has no name; name it"


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_the_wrong_separator_is_suspected(csv, separator):
    text = message(csv("a,b\n1,2\n".replace(",", separator)))
    assert text.startswith(", line 1: one column only")
    assert "set preprocess.separator" in text


def test_a_table_of_one_column_is_read(csv):
    assert table.read(csv("a\n1\n2\n"), ",").shape == (2, 1)


@pytest.mark.parametrize(
    "content",
    [
        "a,b\né,1\n".encode("latin-1"),
        "é,b\n1,2\n".encode("latin-1"),
        b"a,b\n" + b"1,2\n" * 100_000 + b"\xe9,1\n",
        "a,b\n1,2\n".encode("utf-16"),
        bytes(range(256)) * 9,
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    ],
    ids=["cell", "header", "far down", "utf-16", "every byte", "picture"],
)
def test_what_is_not_utf8_text_is_refused(csv, content):
    assert message(csv(content)) == ": not UTF-8 text; save the table as UTF-8"


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04\x14\x00\x06\x00\n", "a,b\n1,2\n".encode("utf-16-le")]
)
def test_zero_bytes_in_the_first_line_are_no_text(csv, content):
    assert message(csv(content)) == ": not a text file; save the table as CSV"


@pytest.mark.parametrize("header", ['"a", "b"', '"a", "b, c"'])
def test_a_quoted_header_with_spaces_after_the_separator(csv, header):
    frame = table.read(csv(f"{header}\n1, 2\n"), ",")
    assert list(frame.columns) == [name.strip(' "') for name in header.split(", ", 1)]


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ("1:-1", "bcde"),
        (":-1", "abcde"),
        ("2:5", "cde"),
        ("-5:-1", "bcde"),
        ("-3:-1", "de"),
        ("0:1", "a"),
        (":99", None),  # reaches the target
        ([1, "a"], "ba"),
        ([-2, 0], "ea"),
        (["e"], "e"),
    ],
)
def test_features_are_chosen_by_slice_position_or_name(features, expected):
    if expected is None:
        with pytest.raises(UserError, match="target 'f' is among the features"):
            table.resolve("abcdef", features, -1)
        return
    found = table.resolve("abcdef", features, -1)
    assert found.features == tuple(expected)
    assert found.target == "f"
    assert found.left_out == tuple(name for name in "abcde" if name not in expected)


BOUND = st.none() | st.integers(-9, 9)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.integers(1, 8), BOUND, BOUND, st.integers(-8, 7))
def test_slices_and_targets_are_those_of_iloc(width, start, stop, target):
    frame = pd.DataFrame(np.zeros((1, width)), columns=[f"c{n}" for n in range(width)])
    names = list(frame.columns)
    chosen = list(frame.iloc[:, start:stop].columns)
    text = f"{'' if start is None else start}:{'' if stop is None else stop}"
    try:
        answer = frame.iloc[:, target].name
    except IndexError:
        with pytest.raises(UserError, match=f"there is no column {target}, the table has {width}"):
            table.resolve(names, text, target)
        return
    if answer in chosen or not chosen:
        with pytest.raises(UserError):
            table.resolve(names, text, target)
        return
    found = table.resolve(names, text, target)
    assert list(found.features) == chosen
    assert found.target == answer
    assert found.left_out == tuple(n for n in names if n not in chosen and n != answer)


def test_the_target_may_be_a_name_or_the_first_column():
    assert table.resolve("abc", "1:", "a").target == "a"
    assert table.resolve("abc", "1:", 0) == table.resolve("abc", ["b", "c"], "a")


def test_names_stay_when_columns_move():
    before = table.resolve("abcd", ["b", "c"], "d")
    after = table.resolve("dcba", ["b", "c"], "d")
    assert (before.features, before.target) == (after.features, after.target)


def test_the_split_column_is_left_out_of_a_slice():
    found = table.resolve(["id", "a", "part", "y"], "1:-1", -1, aside="part")
    assert found.features == ("a",)
    assert found.left_out == ("id", "part")


@pytest.mark.parametrize(
    ("features", "target", "text"),
    [
        (":", -1, "the target 'c' is among the features; leave it out"),
        (["a", "c"], "c", "the target 'c' is among the features"),
        (["a", "z"], -1, "preprocess.features: there is no column 'z'; the table has a, b, c"),
        ([7], -1, "preprocess.features: there is no column 7, the table has 3"),
        ([-4], -1, "preprocess.features: there is no column -4, the table has 3"),
        ("1:-1", "z", "preprocess.target: there is no column 'z'; the table has a, b, c"),
        ("1:-1", 3, "preprocess.target: there is no column 3, the table has 3"),
        ("2:1", -1, "no column of 3 is chosen"),
        (["a", 0], -1, "named twice"),
    ],
)
def test_wrong_columns_are_named(features, target, text):
    with pytest.raises(UserError) as caught:
        table.resolve("abc", features, target)
    assert text in str(caught.value)


def test_the_split_column_cannot_be_named_as_a_feature():
    with pytest.raises(UserError, match="is the split"):
        table.resolve("abc", ["a", "b"], "c", aside="b")


def test_only_the_first_dozen_of_many_columns_is_shown():
    names = [f"c{n}" for n in range(20)]
    with pytest.raises(UserError, match=r"the table has c0, .*, c11, \.\.\.$"):
        table.resolve(names, ["z"], -1)
