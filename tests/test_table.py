"""Reading CSV files as columns of cells, and resolving slices as pandas' iloc and loc do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.common import dialect, params, table
from stages.common.errors import UserError
from stages.common.settings import Preprocess
from stages.common.spool import Spool
from tests.imports import ROOT

FAR = 60_000  # rows: beyond the sample of the dialect and the first piece that pandas reads


def settings_of(**changes: Any) -> Preprocess:
    content = params.load(ROOT / "params.yaml").preprocess.model_dump()
    return Preprocess.model_validate(content | changes)


def read(path: Path, **changes: Any) -> Spool:
    return table.Table.open(path, settings_of(**changes)).spool(path.parent / "spool")


def cells(path: Path, **changes: Any) -> dict[str, list[Any]]:
    """Every column: numbers, or texts, None without a value."""
    spool, found = read(path, **changes), {}
    for name in spool.names:
        column = spool.column(name)
        values = column.values.tolist()
        if column.texts is not None:
            values = [None if at < 0 else column.texts[at] for at in values]
        found[name] = [None if value != value else value for value in values]
    return found


def message(path: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(path, **changes)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path))


# Cells.


def test_a_column_is_numbers_or_texts(csv):
    found = cells(csv("id,a,b,c\n007,1.50,True,x\n8,x,1e-3, y \n"))
    assert found == {"id": [7, 8], "a": ["1.5", "x"], "b": ["True", "0.001"], "c": ["x", "y"]}


def test_a_level_is_written_in_one_way_wherever_it_stands(csv, monkeypatch):
    path = csv("a,b\n1,TRUE\n1.0,false\n01,TRUE\nx,false\n")
    expected = {"a": ["1", "1", "1", "x"], "b": ["TRUE", "false", "TRUE", "false"]}
    assert cells(path) == expected
    monkeypatch.setattr(table, "CHUNK", 1)
    monkeypatch.setattr(table, "FIRST", 1)
    assert cells(path) == expected


def test_whole_numbers_that_float64_cannot_hold_are_texts(csv):
    spool = read(csv(f"a,b,c\n{2**53 - 1},{2**53 + 1},{2**64 - 1}\n1,2,3\n"))
    assert [spool.is_text(name) for name in "abc"] == [False, True, True]


def test_rows_are_numbered_from_zero_as_iloc_numbers_them(csv):
    opened = table.Table.open(csv("a,b\n1,2\n\n3,4\n5,6\n"), settings_of())
    chunks = list(opened.chunks((), 2))
    assert [[(block.name, block.start, block.values.tolist()) for block in c] for c in chunks] == [
        [("a", 0, [1, 3]), ("b", 0, [2, 4])],
        [("a", 2, [5]), ("b", 2, [6])],
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"a,b c\n1,x\n2,y\n",
        b"a,b c\r\n1,x\r\n2,y\r\n",
        b"a,b c\r1,x\r2,y\r",
        b"a,b c\r\r1,x\r\r2,y",
        b"\xef\xbb\xbfa,b c\n1,x\n2,y",
        b'"a","b c"\n"1","x"\n"2","y"\n',
        b" a , b c \n 1 , x \n2,y\n",
        b"a,b c\n\n1,x\n2,y\n\n",
        b"\n\na,b c\n1,x\n\n\n2,y\n",
        b'"a", "b c"\n1, "x"\n"2", y\n',
        "a,b c\n1,x\n2,y\n".encode("utf-16"),
        "a,b c\r\n1,x\r\n2,y\r\n".encode("utf-16"),
    ],
    ids=[
        "lf",
        "crlf",
        "cr",
        "cr and blank lines",
        "byte order mark",
        "quoted",
        "spaces",
        "blank lines",
        "blank lines first",
        "spaces before quotes",
        "utf-16",
        "utf-16 crlf",
    ],
)
@pytest.mark.parametrize("separator", [",", "auto"])
def test_one_table_in_many_spellings(csv, content, separator):
    expected = {"a": [1, 2], "b c": ["x", "y"]}
    assert cells(csv(content), separator=separator) == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("blank", ["", " "])
def test_a_row_that_begins_with_a_gap_below_a_blank_line(csv, end, blank):
    path = csv(end.join(["a;b;c", "1;2;3", blank, ";5;6", blank, ";;", ""]))
    assert cells(path) == {"a": [1, None, None], "b": [2, 5, None], "c": [3, 6, None]}


@pytest.mark.parametrize("title", ["", "My table\n", "\nMy table\n\n", '"My\ntable"\n'])
def test_titles_and_blank_lines_above_the_rows_are_no_rows(csv, title):
    assert cells(csv(title + "a,b\n1.5,x\n\n2,y\n")) == {"a": [1.5, 2], "b": ["x", "y"]}
    without = {"column_0": [1.5, 2], "column_1": [3.5, 4]}
    assert cells(csv(title + "1.5,3.5\n\n2,4\n"), header="none") == without


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators(csv, separator):
    text = "a,b\n1,2\n".replace(",", separator)
    for setting in (separator, "auto"):
        assert cells(csv(text), separator=setting) == {"a": [1], "b": [2]}


@pytest.mark.parametrize("lines", [17, 18, 19])
def test_auto_is_not_misled_by_a_quoted_line_end_where_it_stops_looking(csv, lines):
    text = "a;b\n" + "1;2\n" * lines + '"two\nlines";2\n'
    assert len(read(csv(text))) == lines + 1


def test_decimal_commas(csv):
    assert cells(csv("a;b\n1,5;x\n2,25;y\n")) == {"a": [1.5, 2.25], "b": ["x", "y"]}


def test_a_quoted_cell_may_hold_separators_quotes_and_line_ends(csv):
    found = cells(csv('a,b\n"1,5","say ""x"""\n"two\nlines",z\n'), separator=",", decimal=".")
    assert found == {"a": ["1,5", "two\nlines"], "b": ['say "x"', "z"]}


@pytest.mark.parametrize(
    "cell", ["", "  ", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "none", "?", '""']
)
@pytest.mark.parametrize("other", ["2", "x"])
def test_spellings_of_a_missing_value(csv, cell, other):
    column = read(csv(f"a,b\n{cell},1\n{other},3\n")).column("a")
    assert column.missing.tolist() == [True, False]


@pytest.mark.parametrize("cell", ["0", "-", "x", "NAB", "False"])
def test_other_cells_are_values(csv, cell):
    assert not read(csv(f"a,b\n{cell},1\n")).column("a").missing.any()


@pytest.mark.parametrize("marker", ["unknown", "-999", "x y"])
@pytest.mark.parametrize("other", ["2", "word"])
def test_a_setting_adds_spellings_of_a_missing_value(csv, marker, other):
    path = csv(f"a,b\n{marker},1\n{other},3\n ? ,1\n {marker} ,1\n")
    assert read(path).column("a").missing.tolist() == [False, False, True, False]
    column = read(path, missing_values=[marker, "more"]).column("a")
    assert column.missing.tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    ("encoding", "setting"), [("cp1252", "cp1252"), ("utf-16", "auto"), ("latin-1", "latin-1")]
)
def test_other_encodings(csv, encoding, setting):
    text = "größe,b\n" + "größer,1\n" * 10 + "ÿ,2\n"
    found = cells(csv(text.encode(encoding)), encoding=setting)
    assert found == {"größe": ["größer"] * 10 + ["ÿ"], "b": [1] * 10 + [2]}


@pytest.mark.parametrize("late", [999, 1000, FAR])
def test_a_text_late_among_numbers_makes_the_whole_column_texts(csv, late):
    spool = read(csv("a,b\n" + "1.0,2\n" * late + "x,2\n3,2\n"))
    assert (spool.is_text("a"), spool.is_text("b"), len(spool)) == (True, False, late + 2)
    column = spool.column("a")
    assert column.texts == ("1", "x", "3")
    assert column.values.tolist() == [0] * late + [1, 2]


@pytest.mark.parametrize("most", [1, 7, 8])
def test_at_most_some_rows_are_read_when_asked(csv, monkeypatch, most):
    monkeypatch.setattr(table, "CHUNK", 4)
    monkeypatch.setattr(table, "FIRST", 4)
    opened = table.Table.open(csv("a\n" + "1\n" * 20 + "x\n"), settings_of())
    spool = opened.spool(opened.path.parent, most)
    assert most <= len(spool) < most + 4
    assert not spool.is_text("a")


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_the_size_of_a_chunk_changes_no_cell(csv, monkeypatch, size):
    rows = [f"{n},{'xy'[n % 2]},{'?' if n % 5 else n / 8}" for n in range(30)]
    path = csv("\n".join(["n,t,f", *rows, "30,5,low"]))
    expected = cells(path)
    monkeypatch.setattr(table, "CHUNK", size)
    assert len(read(path).starts) == -(-31 // size) + 1
    assert cells(path) == expected


# What is no table.


def test_a_missing_file_is_named(tmp_path):
    assert message(tmp_path / "none.csv").startswith(": no such file; put the table there, or mend")


def test_a_folder_is_no_table(tmp_path):
    assert "a folder" in message(tmp_path)


@pytest.mark.parametrize("content", ["", "\n", "\n\n\n", "  \n"])
@pytest.mark.parametrize("separator", [",", "auto"])
def test_an_empty_file(csv, content, separator):
    expected = ": empty; the first line must name"
    assert message(csv(content), separator=separator).startswith(expected)


@pytest.mark.parametrize("content", ["a,b", "a,b\n", "a,b\n\n\n"])
def test_a_header_only(csv, content):
    assert message(csv(content)) == ": a header but no rows; put rows below it"


@pytest.mark.parametrize("last", ["3", "x", ""], ids=["number", "text", "missing"])
@pytest.mark.parametrize(
    ("ragged", "line", "cells"),
    [
        ("1,2", 2, 2),
        ("1,2,3,4", 2, 4),
        ("1,2,3,", 2, 4),
        ('\n\n"two\nlines",2', 4, 2),
        ('\n"two\nlines",2,3,4', 3, 4),
    ],
)
def test_a_ragged_line_far_down_is_named(csv, ragged, line, cells, last):
    rows = f"1,2,{last}\n" * FAR
    expected = f", line {line + FAR}: {cells} cells, but the header names 3 columns; mend the"
    expected += " quotes there" if '"' in ragged else ""
    assert message(csv(f"a,b,c\n{rows}{ragged}\n{rows}")).startswith(expected.removesuffix("e"))


@pytest.mark.parametrize("header", ["first", "none"])
@pytest.mark.parametrize("row", ["1.5,2", "1.5,2,3,4", "1.5,2,3,"])
def test_no_ragged_line_slips_through_where_a_chunk_begins_or_ends(csv, monkeypatch, header, row):
    monkeypatch.setattr(table, "CHUNK", 10_000)
    for before in (19_999, 20_000, 20_001, 30_000):
        text = ("a,b,c\n" if header == "first" else "") + "1.5,2,3\n" * before
        line = before + 1 + (header == "first")
        found = message(csv(f"{text}{row}\n" + "1.5,2,3\n" * 20_000), header=header)
        assert found.startswith(f", line {line}: {row.count(',') + 1} cells, but ")


def test_an_empty_last_cell_is_missing_and_not_a_short_line(csv):
    assert read(csv("a,b\n1,\n2,3\n")).column("b").missing.tolist() == [True, False]


def test_a_table_with_gaps_in_its_last_column_is_checked_once(csv, monkeypatch):
    checked = []
    monkeypatch.setattr(dialect, "check_widths", lambda *_: checked.append(1))
    monkeypatch.setattr(table, "CHUNK", 2)
    path = csv("a,b\n" + "1,\n" * 20)
    list(table.Table.open(path, settings_of()).chunks(()))
    assert len(checked) == 1


def test_an_open_quote_is_no_table(csv):
    assert message(csv('a,b\n1,"2\n3,4\n')).startswith(", line 2: a quote stays open; close it")


def test_an_open_quote_far_down_is_no_table(csv):
    rows = "1,2\n" * FAR
    expected = f", line {FAR + 2}: field larger than field limit (131072); does a quote stay open "
    assert message(csv(f'a,b\n{rows}1,"2\n{rows}')).startswith(expected)
    assert message(csv(f'a,b\n{rows}1,"2\n1,2\n')) == (
        f", line {FAR + 2}: a quote stays open; close it or set preprocess.separator"
    )


def test_a_cell_beyond_what_python_reads_is_no_table(csv):
    expected = ", line 2: field larger than field limit (131072); "
    assert message(csv("a,b\n" + "x" * 200_000 + ",1\n")).startswith(expected)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("Title\n  \na,b\n1,2\n3,4\n5,6\n", 3),  # the first row was lost
        ("  \na,b\n1,2\n3,4\n", 2),
        ("a,b\n1,2\n \t \n3,4\n", 2),
        ("a\tb\n1\t2\n  \n3\t4\n", 2),
        ('""\na,b\n1,2\n3,4\n', 2),
    ],
)
def test_a_line_of_spaces_is_no_row_anywhere(csv, content, rows):
    found = read(csv(content))
    assert (found.names, len(found)) == (("a", "b"), rows)
    assert found.column("b").values[0] == 2


def test_a_header_above_lines_of_spaces_has_no_rows(csv):
    assert message(csv("a\n  \n\n \n")) == ": a header but no rows; put rows below it"


def test_equal_column_names_are_named(csv):
    assert message(csv("a,b, a\n1,2,3\n")) == ", line 1: 2 columns are named 'a'; rename them"


def test_a_column_without_a_name_is_named_by_its_position(csv):
    assert read(csv("a,,c\n1,2,3\n")).names == ("a", "column_1", "c")


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_the_wrong_separator_is_suspected(csv, separator):
    text = message(csv("a,b\n1,2\n".replace(",", separator)), separator=",")
    assert text.startswith(", line 1: one column only")
    assert "set preprocess.separator" in text


def test_a_table_of_one_column_is_read(csv):
    assert cells(csv("a\n1\n2\n")) == {"a": [1, 2]}


@pytest.mark.parametrize(
    "content",
    [
        "a,b\né,1\n".encode("latin-1"),
        "é,b\n1,2\n".encode("latin-1"),
        "a,b\n1,2\n".encode("utf-16-le")[:-1],
        bytes(range(256)) * 9,
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    ],
    ids=["cell", "header", "utf-16", "every byte", "picture"],
)
def test_what_is_not_utf8_text_is_refused(csv, content):
    assert re.match(r", line \d: not UTF-8 text; save the table as CSV", message(csv(content)))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
@pytest.mark.parametrize("cell", ["\0", ""])
def test_bytes_far_down_that_are_no_text_are_named_with_their_line(csv, end, encoding, cell):
    bad = {"utf-8": b"\xe9", "utf-16": b"\x00\xd8\n\0", "cp1252": b"\x81"}[encoding]
    piece = cell.encode("utf-16-le" if encoding == "utf-16" else encoding) or bad
    before = f"name,b{end}" + f"größe,2{end}" * FAR
    after = f",1{end}".encode("utf-16-le" if encoding == "utf-16" else encoding)
    path = csv(before.encode(encoding) + piece + after * 3)
    found = message(path, encoding="auto" if encoding != "cp1252" else encoding)
    shown = encoding.upper() if encoding.startswith("utf") else encoding
    assert found.startswith(f", line {FAR + 2}: not {shown} text; save the table as CSV")


def test_a_character_cut_off_at_the_end_is_no_text(csv):
    found = message(csv(b"a,b\n" + b"1,2\n" * FAR + b"3,\xc3"))
    assert found.startswith(f", line {FAR + 2}: not UTF-8 text")


@pytest.mark.parametrize("header", ['"a", "b"', '"a", "b, c"'])
def test_a_quoted_header_with_spaces_after_the_separator(csv, header):
    found = cells(csv(f"{header}\n1, 2\n"), separator=",")
    assert list(found) == [name.strip(' "') for name in header.split(", ", 1)]


# Columns.


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
    found = table.resolve(["id", "a", "part", "y"], "1:-1", -1, aside=["part"])
    assert found.features == ("a",)
    assert found.left_out == ("id", "part")


@pytest.mark.parametrize(
    ("features", "target", "text"),
    [
        (":", -1, "the target 'c' is among the features; leave it out"),
        (["a", "c"], "c", "the target 'c' is among the features"),
        (["a", "z"], -1, "features: there is no column 'z'; the table has 'a', 'b', 'c'"),
        ([7], -1, "preprocess.features: there is no column 7, the table has 3"),
        ([-4], -1, "preprocess.features: there is no column -4, the table has 3"),
        ("1:-1", "z", "preprocess.target: there is no column 'z'; the table has 'a', 'b', 'c'"),
        ("1:-1", 3, "preprocess.target: there is no column 3, the table has 3"),
        ("2:1", -1, "no column is chosen; the table has 'a', 'b', 'c'"),
        (["a", 0], -1, "named twice"),
    ],
)
def test_wrong_columns_are_named(features, target, text):
    with pytest.raises(UserError) as caught:
        table.resolve("abc", features, target)
    assert text in str(caught.value)


def test_the_split_column_cannot_be_named_as_a_feature():
    with pytest.raises(UserError, match=r"'b' serves preprocess\.split"):
        table.resolve("abc", ["a", "b"], "c", aside=["b"])


def test_only_the_first_of_many_columns_are_shown():
    names = [f"c{n}" for n in range(20)]
    with pytest.raises(UserError, match=r"the table has 'c0', .*, 'c7', \.\.\. \(20\)$"):
        table.resolve(names, ["z"], -1)


NAMES = ["id", "age", "size", "x:y", "weight", "kind"]


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ("age:weight", ["age", "size", "x:y", "weight"]),
        (":size", ["id", "age", "size"]),
        ("age:-1", ["age", "size", "x:y", "weight"]),
        ("1:size", ["age", "size"]),
        ("size:size", ["size"]),
        ("x:y", ["x:y"]),  # a column of this name is no slice
        (["age:size", "weight"], ["age", "size", "weight"]),
        (["4:5", "id:age"], ["weight", "id", "age"]),
        (["x:y", 0, "age:age"], ["x:y", "id", "age"]),
    ],
)
def test_slices_of_names_include_their_end_and_may_stand_in_a_list(features, expected):
    assert table.resolve(NAMES, features, "kind").features == tuple(expected)


@pytest.mark.parametrize(
    ("features", "text"),
    [
        ("age:height", "features: there is no column 'height'; the table has 'id', 'age'"),
        ("height:", "preprocess.features: there is no column 'height'"),
        (["a:b:c"], "preprocess.features: 'a:b:c' is neither a column nor a slice a:b"),
        ("weight:age", "no column is chosen; the table has 'id', 'age'"),
        (["age:size", "size"], "'size' is named twice"),
        ("age:", "the target 'kind' is among the features"),
    ],
)
def test_wrong_slices_of_names_are_named(features, text):
    with pytest.raises(UserError) as caught:
        table.resolve(NAMES, features, "kind")
    assert text in str(caught.value)


def test_several_columns_of_the_split_are_skipped_by_slices_in_a_list_too():
    found = table.resolve(NAMES, [":age", "size:weight"], -1, aside=["id", "weight"])
    assert found.features == ("age", "size", "x:y")
    assert found.left_out == ("id", "weight")
