"""dialect: what a sample decides is detected, what it leaves open is an error to mend."""

from __future__ import annotations

import csv as written
import io
import random
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stages.common import dialect
from stages.common.dialect import Dialect
from stages.common.errors import UserError

WHERE = "is it a name or a value? set preprocess.header to first or none"


def message(path: Path, **settings: str) -> str:
    """Return the error without the path it begins with."""
    with pytest.raises(UserError) as caught:
        dialect.detect(path, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(path))


def found(path: Path, **settings: str) -> dict[str, Any]:
    """Return the dialect as a mapping, with the names."""
    shape, names = dialect.detect(path, **settings)
    dialect.check_widths(path, shape, names)
    return shape.model_dump() | {"names": names}


def test_a_plain_table(csv):
    assert found(csv("a,b\n1,x\n2,y\n")) == {
        "encoding": "utf-8",
        "separator": ",",
        "decimal": ".",
        "title_lines": 0,
        "header": True,
        "names": ("a", "b"),
    }


def test_a_dialect_stays_as_it_is():
    plain = {"separator": ",", "decimal": ".", "title_lines": 0, "header": True}
    shape = Dialect.model_validate(plain | {"encoding": "utf-8"})
    with pytest.raises(ValidationError, match="frozen"):
        shape.separator = ";"
    with pytest.raises(ValidationError, match="quote"):
        Dialect.model_validate(plain | {"encoding": "utf-8", "quote": "'"})


# encoding


def test_the_encoding_is_the_one_that_is_set(csv):
    shape = found(csv("größe;b\n1;é\n2;x\n".encode("cp1252")), encoding="cp1252")
    assert (shape["encoding"], shape["names"]) == ("cp1252", ("größe", "b"))


@pytest.mark.parametrize("content", [b"a,b\n\xe9,1\n", b"a,b\n1,\0\n"])
def test_what_is_no_text_in_the_sample(csv, content):
    assert message(csv(content)).startswith(", line 2: not UTF-8 text; save the table as CSV")


def test_what_is_below_the_sample_is_read_by_check_widths_alone(csv):
    path = csv(b"a,b\n" + b"1,2\n" * 100_000 + b"\xe9,1\n")
    shape, names = dialect.detect(path)
    with pytest.raises(UserError, match=r"t\.csv, line 100002: not UTF-8 text; save the table"):
        dialect.check_widths(path, shape, names)


# separator


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends(csv, separator, end):
    path = csv("a,b\n1,2\n\n3,4\n".replace(",", separator).replace("\n", end))
    for setting in ("auto", separator):
        shape = found(path, separator=setting)
        assert (shape["separator"], shape["names"]) == (separator, ("a", "b"))


@pytest.mark.parametrize(
    ("text", "separator", "names"),
    [
        ("a;b\n1,5;2,5\n3,25;4,0\n", ";", ("a", "b")),
        ("size, cm;b\n1,5;2,5\n", ";", ("size, cm", "b")),
        ("1,5;2,5\n3,5;4,5\n", ";", ("column_0", "column_1")),  # three cells between commas
        ("a,b;c,d\nu,v;w,x\n", ",", ("a", "b;c", "d")),  # the most cells
        ("a;b,c;d\nu;v,w;x\n", ";", ("a", "b,c", "d")),
        ('a;b\n"x;y";1\nz;2\n', ";", ("a", "b")),
        ('a, "b ""c"", d"\n1, "x; y"\n', ",", ("a", 'b "c", d')),
        ('"a, b"\n1\n2\n', ",", ("a, b",)),
        ("a b\nx y\nx\n", ",", ("a b",)),
        ("day|note, long\n1|x, y\n2|z, w\n", "|", ("day", "note, long")),
        ("a,b\n" + "1,2\n" * 20_000 + "3;4;5,6,7\n", ",", ("a", "b")),
    ],
)
def test_the_separator_is_found(csv, text, separator, names):
    shape, found_names = dialect.detect(csv(text))
    assert (shape.separator, found_names) == (separator, names)


@pytest.mark.parametrize("rows", range(12))
def test_a_quoted_line_end_where_the_sample_ends(csv, rows):
    text = "a;b\n" + "x;2\n" * (2**14 - rows - 1) + '"two\nlines,\n";2\n' * 30
    assert found(csv(text))["separator"] == ";"


def test_lines_longer_than_the_sample_or_than_a_cell_may_be(csv):
    names = tuple(f"name{n}" for n in range(30_000))
    path = csv("\t".join(names) + "\n" + "\t".join(["1.5"] * len(names)) + "\n")
    assert found(path)["names"] == names


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_the_wrong_separator_is_suspected(csv, separator):
    path = csv("a,b\n1,2\n".replace(",", separator))
    assert message(path, separator=",") == (
        f", line 1: one column only, 'a{separator}b'; is the separator ','? "
        "set preprocess.separator"
    )


def test_spaces_before_quotes_when_all_is_read(csv):
    assert found(csv('a, "b, c"\n1, "x, y"\n'))["names"] == ("a", "b, c")


# title


@pytest.mark.parametrize(
    ("above", "lines"),
    [
        ("", 0),
        ("\n\n", 0),
        ("Water quality 2020\n", 1),
        ("Water quality,,\n", 1),
        (",Water quality,\n", 1),
        ("Water quality\n\nLake,,\n,,\n", 3),
        ('"Water, quality"\n', 1),
        ("a\nb\nc\nd\ne\n", 5),
    ],
)
@pytest.mark.parametrize("setting", ["auto", "first"])
def test_title_lines(csv, above, lines, setting):
    shape = found(csv(above + "site,ph,y\nA,7.5,1\nB,8,2\n"), header=setting)
    assert shape["title_lines"] == lines
    assert shape["names"] == ("site", "ph", "y")


def test_a_title_above_semicolons_and_decimal_commas(csv):
    shape = found(csv("Wasser\na;b;c\n1,5;2,5;3,5\n4,5;5,5;6,5\n"))
    assert (shape["separator"], shape["title_lines"], shape["decimal"]) == (";", 1, ",")


def test_a_title_above_years_and_above_rows_without_names(csv):
    assert found(csv("Population,,\nland,2019,2020\nA,x,y\n"))["names"] == ("land", "2019", "2020")
    shape = found(csv("Water quality\n1.5,2\n3.5,4\n"))
    assert (shape["title_lines"], shape["header"]) == (1, False)


@pytest.mark.parametrize(("setting", "rows"), [("auto", "x,y,1.5\n"), ("none", "x,y,z\n")])
@pytest.mark.parametrize("line", ["red,,", ",red,"])
def test_without_names_a_text_alone_above_texts_may_be_a_row(csv, setting, rows, line):
    told = (
        "'red' is alone: a title or a row? delete the line, or write NA where the row has no value"
    )
    assert message(csv(f"\n{line}\n{rows}{rows}"), header=setting) == f", line 2: {told}"
    assert found(csv(f"red,NA,NA\n{rows}"), header="none")["title_lines"] == 0


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a\n1\n2\n", ("a",)),  # one column
        (",a\n0,1.5\n1,2.5\n", ("column_0", "a")),  # as pandas writes its index
        (",,a\nx,0,1.5\ny,1,2.5\n", ("column_0", "column_1", "a")),
        ("a,\nx,1\ny,2\n", ("a", "column_1")),
        ("5.5,,\n1.5,2,3\n4,5,6\n", ("column_0", "column_1", "column_2")),
    ],
)
def test_what_is_no_title(csv, text, names):
    shape = found(csv(text))
    assert (shape["title_lines"], shape["names"]) == (0, names)


def test_six_lines_are_no_title(csv):
    assert message(csv("a\nb\nc\nd\ne\nf\ng,h\nx,y\n")).startswith(", line 7: 2 cells")


def test_a_title_needs_a_header_and_a_row(csv):
    assert message(csv("a\nb\nc,d\n")).startswith(", line 3: 2 cells, but the header names 1 col")


# header


@pytest.mark.parametrize(
    ("first", "header"),
    [
        ("a,b,c", True),
        ("nan,inf,1_0", True),  # float() would read them
        ("1.5,,3", False),
        ("1.0,2,3", False),
        ("1e-3,2,3", False),
        ("1,2,1", False),
        ("0,1,2", True),
        (",0,1", True),
        ("7,8,9", True),
    ],
)
def test_the_first_row_has_names_or_values(csv, first, header):
    shape = found(csv(f"{first}\n1,0,3\n4,5,6\n"))
    assert shape["header"] is header
    expected = tuple(cell or "column_0" for cell in first.split(","))
    assert shape["names"] == (expected if header else ("column_0", "column_1", "column_2"))


@pytest.mark.parametrize("first", ["0,1,2,y", ",0,1,2", ",0,1,y", "id,0,1,2", "id,4,5,6"])
def test_names_that_count_up(csv, first):
    assert found(csv(f"{first}\n1,0,3,9\n4,5,6,9\n"))["header"] is True


@pytest.mark.parametrize(
    ("first", "cell"),
    [
        ("1,x,y,z", "1"),
        ("0,1,x,y", "0"),
        ("2,1,0,x", "2"),
        ("0,1,3,4", "0"),
        ("0,x,1,2", "0"),
        ("x,y,0,1", "0"),
        ("0,1,,2", "0"),
        ("0,1,2,x,y", "0"),
        (",5,6,x", "5"),
        (",1,x,y", "1"),
        ("-5,x,y,z", "-5"),
        ("id,400.5,401,y", "400.5"),
        ("1.5,x,,", "1.5"),
        ("2.0,x,1,3", "2.0"),
    ],
)
def test_names_that_may_be_values_are_asked_for(csv, first, cell):
    path = csv(f"\n{first}\n{','.join('10398'[: first.count(',') + 1])}\n")
    assert message(path) == f", line 2: '{cell}': {WHERE}"
    assert found(path, header="first")["header"] is True
    assert found(path, header="none")["header"] is False


def test_a_text_above_texts_or_nothing_is_no_name(csv):
    assert found(csv("1.5,red,\n2.5,blue,\n3.5,7,\n"))["header"] is False


def test_a_row_of_counted_numbers_may_be_a_row_by_chance(csv):
    assert message(csv("0,1\n1,0\n")) == f", line 1: '0': {WHERE}"


def test_a_number_above_text_is_a_name(csv):
    assert found(csv("name,2020\nA,good\nB,bad\n"))["names"] == ("name", "2020")
    assert WHERE in message(csv("name,2020\nA,good\n3,bad\n"))
    assert WHERE in message(csv("5\n"))  # nothing is below


@pytest.mark.parametrize(("decimal", "header"), [("auto", False), (",", False), (".", True)])
def test_a_decimal_comma_in_the_first_row(csv, decimal, header):
    path = csv("1,5;x\n2,5;y\n")
    assert found(path, separator=";", decimal=decimal)["header"] is header


def test_names_are_stripped_and_empty_ones_numbered(csv):
    assert found(csv(", a ,, b\n0,1.5,x,y\n1,2,x,z\n"))["names"] == (
        "column_0",
        "a",
        "column_2",
        "b",
    )


@pytest.mark.parametrize("setting", ["auto", "first", "none"])
@pytest.mark.parametrize("content", ["", "\n", "\r\n\r\n", "  \n", "\ufeff", ",,\n1,2,3\n"])
def test_an_empty_file_or_header(csv, content, setting):
    if content.startswith(",") and setting == "none":
        assert found(csv(content), header="none")["names"] == ("column_0", "column_1", "column_2")
    else:
        text = message(csv(content), header=setting)
        assert text == ": empty; the first line must name the columns"


@pytest.mark.parametrize(
    ("content", "line", "count", "name"),
    [
        ("a,b, a\n1,2,3\n", 1, 2, "a"),
        ("Title\n\nb,b,b\n1,2,3\n", 3, 3, "b"),
        (",column_0\n1,2\n", 1, 2, "column_0"),
    ],
)
def test_equal_names(csv, content, line, count, name):
    expected = f", line {line}: {count} columns are named '{name}'; rename them"
    assert message(csv(content)) == expected


@pytest.mark.parametrize("content", ["a,b", "a,b\n", "a,b\n\n\n"])
def test_a_header_without_rows(csv, content):
    assert message(csv(content)) == ": a header but no rows; put rows below it"


def test_a_first_row_that_is_longer_than_the_sample_is_a_row(csv):
    path = csv('a,b\n"' + "x\n" * 40_000 + '",1\n')
    assert found(path)["names"] == ("a", "b")


def test_one_row_without_a_header_is_a_table(csv):
    assert found(csv("1.5,2\n"))["header"] is False


# decimal


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("a;b\n1,5;x\n", ","),
        ('a,b\n"-1,5",x\n', ","),
        ("a;b\n1,2345;x\n", ","),
        ("a;b\n0,123;x\n", ","),
        ("a;b\n1234,123;x\n", ","),
        ("a;b\n1,5e-3;x\n", ","),
        ("a;b\n,125;x\n", ","),
        ("a;b\n1,5;1,234\n", ","),  # one cell is enough
        ("a;b\nNA;x\n1,5;y\n", ","),
        ("a;b\n1.5;x\n", "."),
        ("a,b\n1,5\n", "."),
        ("a;b\n1;x\n", "."),
        ('a;b\n1.5;"1,2,3"\n2;"1,2"\n3;"3,4,5"\n', "."),  # lists, no numbers
        ("a;b\n1,5;1.2.2020\n", ","),
        ("a;b\n1,5;10.0.0.1\n1,5;192.168.100.200\n2,5;10.0.0.2\n", ","),
    ],
)
def test_decimal_marks(csv, text, decimal):
    assert found(csv(text))["decimal"] == decimal


def test_names_do_not_tell_the_decimal_mark(csv):
    assert found(csv("0,5;0,95\n1;2\n"), header="first", separator=";")["decimal"] == "."


def test_a_decimal_comma_in_a_table_without_names(csv):
    assert found(csv("1,5;2\n3;4\n"))["decimal"] == ","


@pytest.mark.parametrize("cell", ["1,234", "-12,345", "999,000"])
@pytest.mark.parametrize("other", ["2", "2.5"])
def test_a_fraction_or_a_thousand(csv, cell, other):
    path = csv(f"a;b\n1;2\n{other};{cell}\n")
    assert message(path) == (
        f": column 'b': '{cell}' is a fraction or a thousand; set preprocess.decimal to , for a "
        "fraction, or to . and write thousands without a mark"
    )
    for mark in ",.":
        assert found(path, decimal=mark)["decimal"] == mark


@pytest.mark.parametrize(
    ("rows", "other", "point"),
    [("1,5;2.5\n", "b", "2.5"), ("1,5;x\n2.5;x\n", "a", "2.5"), ("1,5;1e3\n1,5;.5\n", "b", ".5")],
)
def test_decimal_commas_and_points_in_one_table(csv, rows, other, point):
    path = csv("a;b\n" + rows)
    assert message(path) == (
        f": column 'a' has a decimal comma, '1,5', and column '{other}' a decimal point, "
        f"'{point}'; set preprocess.decimal to , or ."
    )
    assert found(path, decimal=",")["decimal"] == ","


@pytest.mark.parametrize("cell", ["1.234,5", "1,234.5", "1,234,567", "1.234.567", "-1.234.567,8"])
def test_thousands_separators(csv, cell):
    path = csv(f"a;b\n1;x\n{cell};y\n")
    assert message(path) == (
        f": column 'a' has numbers with thousands separators, such as '{cell}'; write them "
        "without; if the column is not used, set preprocess.decimal to , or ."
    )
    assert found(path, decimal=",")["decimal"] == ","


# widths and files


@pytest.mark.parametrize("separator", [",", "auto"])
@pytest.mark.parametrize(
    ("rows", "line", "cells"),
    [
        ("1,2,3\n1,2\n4,5,6\n", 3, 2),
        ("1\n1,2,3\n", 2, 1),
        ("1,2,3\n1,2,3,4\n1,2,3\n", 3, 4),
        ("1,2,3,4\n1,2,3,4\n", 2, 4),
        ("1,2,3,\n4,5,6,\n", 2, 4),
        ("1,2,3,4\n1,2,3\n", 2, 4),
        ("1,2,3,4,5,6\n", 2, 6),
        ("\n1,2,3\n\n1,2\n", 5, 2),
        ('1,2,"two\nlines"\n1,2\n', 4, 2),
        ("1,2,3\n" * 5000 + "1,2\n", 5002, 2),
        ('"1,2,3\n4,5,6\n', 2, 1),
    ],
)
def test_a_row_of_another_width_is_named(csv, rows, line, cells, separator):
    what = "the quotes there" if rows.startswith('"') else "that line"
    expected = (
        f", line {line}: {cells} cells, but the header names 3 columns; mend {what} or "
        "set preprocess.separator"
    )
    assert message(csv("a,b,c\n" + rows), separator=separator) == expected


def test_a_row_of_another_width_without_a_header(csv):
    expected = ", line 2: 1 cells, but the first row has 2 columns; mend that line or set"
    assert message(csv("1.5,2\n3\n"), header="none").startswith(expected)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_widths_of_the_whole_file_are_checked(csv, end):
    text = "Title\n\na;b\n" + '"two\nlines";2\n' * 9 + "1;2\n\n" * 30_000 + "1;2;3\n1\n"
    path = csv(text.replace("\n", end))
    shape, names = dialect.detect(path)
    expected = f"{path}, line 60022: 3 cells, but the header names 2 columns; mend that line"
    with pytest.raises(UserError, match=re.escape(expected)):
        dialect.check_widths(path, shape, names)


def test_a_cell_longer_than_csv_allows(csv):
    text = message(csv("a,b\n" + "x" * 200_000 + ",1\n"))
    assert text.startswith(", line 2: field larger than field limit (131072); does a quote stay ")
    assert text.endswith("open there? mend it or set preprocess.separator")


# what was written is found


def random_table(draw: random.Random, path: Path) -> dict[str, Any]:
    """Write a table in a random dialect; return what `found` must tell."""
    width, separator = draw.randint(2, 6), draw.choice(",;\t|")
    decimal = draw.choice(",.")
    title, header = draw.randint(0, 3), draw.random() < 0.7
    words = ["größe, cm", "b; c", "x|y", 'say "é"']
    names = [f"{draw.choice(words)} {n}" for n in range(width)]
    end = draw.choice(["\n", "\r\n", "\r"])
    size = draw.randint(8, 40)
    rows = [[cell(draw, column, decimal, end) for column in range(width)] for _ in range(size)]
    text = io.StringIO(newline="")
    writer = written.writer(
        text,
        delimiter=separator,
        quoting=draw.choice([written.QUOTE_ALL, written.QUOTE_MINIMAL]),
        lineterminator=end,
    )
    for number in range(title):
        padding = draw.choice([0, width - 1]) if width > 2 else 0
        writer.writerow([f"Table {number}: a, b; c"] + [""] * padding)
    writer.writerows([names, *rows] if header else rows)
    encoding = draw.choice(["utf-8", "utf-8-sig", "utf-16"])
    path.write_bytes(text.getvalue().encode(encoding))
    return {
        "encoding": encoding,
        "separator": separator,
        "decimal": decimal,
        "title_lines": title,
        "header": header,
        "names": tuple(names) if header else tuple(f"column_{n}" for n in range(width)),
    }


def cell(draw: random.Random, column: int, decimal: str, end: str) -> str:
    """A fraction in the first column, then text, whole numbers, fractions and so on."""
    if column % 3 == 1:
        return draw.choice(["x", "good, fast", 'a "b"; c', f"two{end}lines", "", "d|e"])
    if column % 3 == 2:
        return str(draw.randint(0, 99))
    return f"{draw.uniform(-9, 9):.4f}".replace(".", decimal)


@pytest.mark.parametrize("seed", range(200))
def test_what_was_written_is_found(tmp_path, seed):
    expected = random_table(random.Random(seed), tmp_path / "t.csv")
    assert found(tmp_path / "t.csv") == expected
