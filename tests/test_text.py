"""text: the encoding of a file, and the line of what is no text, in both ways of reading it."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from stages.common import text
from stages.common.errors import UserError
from stages.common.text import Utf8

ENDS = ["\n", "\r\n", "\r"]


def lines(path: Path, encoding: str) -> list[str]:
    with text.opened(path, encoding) as stream:
        return list(stream)


def passed(path: Path, encoding: str, size: int = -1) -> bytes:
    """Return what a reader gets that asks for `size` bytes at a time."""
    with open(path, "rb") as stream:
        reader = Utf8(path, stream, encoding)
        return b"".join(iter(lambda: reader.read(size), b""))


def message(path: Path, encoding: str = "utf-8") -> str:
    """Return the error that both ways of reading raise, without the path it begins with."""
    expected = str(text.no_text(path, encoding))
    for read in (lines, passed):
        with pytest.raises(UserError) as caught:
            read(path, encoding)
        assert str(caught.value) == expected
    return expected.removeprefix(str(path))


# The codec


@pytest.mark.parametrize(
    ("encoding", "setting", "expected"),
    [
        ("utf-8", "auto", "utf-8"),
        ("utf-8-sig", "auto", "utf-8-sig"),
        ("utf-16", "auto", "utf-16"),
        ("utf-8", "utf-8", "utf-8"),
        ("utf-8-sig", "UTF8", "utf-8-sig"),
        ("utf-16", "utf-16-le", "utf-16"),
        ("utf-16-le", "utf-16-le", "utf-16-le"),
        ("cp1252", "cp1252", "cp1252"),
        ("utf-8-sig", "cp1252", "cp1252"),
    ],
)
def test_a_byte_order_mark_tells_the_codec_unless_the_setting_is_another(
    csv, encoding, setting, expected
):
    content = "größe;b\n1;é\n"
    path = csv(content.encode(encoding))
    assert text.codec(path, setting) == expected
    if (encoding, setting) != ("utf-8-sig", "cp1252"):
        assert "".join(lines(path, expected)) == content


def test_utf16_of_the_other_byte_order(csv):
    path = csv(codecs.BOM_UTF16_BE + "é,b\n".encode("utf-16-be"))
    assert text.codec(path, "auto") == "utf-16"
    assert lines(path, "utf-16") == ["é,b\n"]


@pytest.mark.parametrize("setting", ["latin-0", "base64", "", "idna", "punycode", "undefined"])
def test_an_unknown_encoding(csv, setting):
    with pytest.raises(UserError) as caught:
        text.codec(csv("a,b\n1,2\n"), setting)
    start = f"preprocess.encoding '{setting}': no encoding of texts that Python knows; set "
    assert str(caught.value).startswith(start)


def test_a_missing_file_and_a_folder(tmp_path):
    path = tmp_path / "none.csv"
    for read in (lines, text.codec):
        with pytest.raises(UserError) as caught:
            read(path, "utf-8")
        assert str(caught.value) == (
            f"{path}: no such file; put the table there, or mend its name in the command, "
            "preprocess.csv or finetune.csv"
        )
        with pytest.raises(UserError) as caught:
            read(tmp_path, "utf-8")
        assert str(caught.value) == f"{tmp_path}: a folder; name a CSV file in it"


# What is read


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_lines_keep_their_ends_and_bytes_come_as_utf8_lines(csv, encoding):
    content = ["größe,b\r\n", "1,é\n", "2,x\r", "3,y"]
    path = csv("".join(content).encode(encoding))
    assert lines(path, encoding) == content
    expected = "größe,b\n1,é\n2,x\n3,y".encode()
    for size in range(1, 12):
        assert passed(path, encoding, size).removeprefix(codecs.BOM_UTF8) == expected
    with open(path, "rb") as stream:
        assert b"".join(Utf8(path, stream, encoding)).removeprefix(codecs.BOM_UTF8) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("size", range(7, 12))
def test_a_letter_that_lies_across_the_end_of_a_piece(csv, encoding, size):
    content = "é€,😀\n" * 3000
    path = csv(content.encode(encoding))
    assert "".join(lines(path, encoding)) == content
    assert passed(path, encoding, size) == content.encode()


def test_a_replacement_character_in_the_file_is_no_error(csv):
    content = "a,b\n\ufffd,1\n"
    path = csv(content)
    assert "".join(lines(path, "utf-8")) == content
    assert passed(path, "utf-8") == content.encode()
    path = csv(content.encode() + b"\xe9,2\n")
    assert message(path).startswith(", line 3: not UTF-8 text")


# What is no text


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("é,b\n1,2\n", 1),
        ("a,b\né,1\n", 2),
        ("a,b\r1,2\ré,2\r", 3),
        ("a,b\r\n1,2\r\n1,é\r\n", 3),
        ("a,b\r\n1,2\r1,2\n\né,2", 5),
        ("a,b\n1,é", 2),
    ],
)
def test_what_is_not_utf8_is_named_by_its_line(csv, content, line):
    assert message(csv(content.encode("latin-1"))) == (
        f", line {line}: not UTF-8 text; save the table as CSV in UTF-8 or set "
        "preprocess.encoding, for example to cp1252"
    )


@pytest.mark.parametrize(
    ("encoding", "content", "expected"),
    [
        ("cp1252", b"a,b\n1,\x81\n", ", line 2: not cp1252 text; save the table"),
        ("utf-8-sig", b"\xef\xbb\xbfa,b\n1,\xe9\n", ", line 2: not UTF-8 text; save the table"),
        ("utf-16", b"\xff\xfea\0\n\0\x00\xd8\n\0", ", line 2: not UTF-16 text; save the table"),
        ("utf-16", "a,b\n1,2\n".encode("utf-16")[:-1], ", line 2: not UTF-16 text; save the table"),
    ],
)
def test_the_encoding_that_does_not_fit_is_named(csv, encoding, content, expected):
    assert message(csv(content), encoding).startswith(expected)


def test_utf16_without_a_mark_is_no_utf16(csv):
    path = csv("a,b\n1,2\n".encode("utf-16-le"))
    assert message(path, "utf-16").startswith(", line 1: not UTF-16 text")
    assert text.codec(path, "auto") == "utf-8"
    with pytest.raises(UserError, match=r"t\.csv, line 1: not UTF-8 text"):
        passed(path, "utf-8")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_bad_bytes_far_behind_the_first_megabyte(csv, encoding, end):
    bad = {"utf-8": b"\xe9,1", "utf-16": b"\x00\xd8\n\0", "cp1252": b"\x81"}[encoding]
    before = (f"name,b{end}" + f"größe,2{end}" * 200_000).encode(encoding)
    path = csv(before + bad)
    assert len(before) > 1.5 * text.PIECE
    assert message(path, encoding).startswith(", line 200002: not ")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("piece", [1, 2, 3, 7])
def test_the_line_is_counted_right_wherever_a_piece_ends(csv, monkeypatch, piece, end):
    monkeypatch.setattr(text, "PIECE", piece)
    content = f"é€,😀{end}" * 3 + end * 2
    assert message(csv(content.encode() + b"\xe9\n")).startswith(", line 6: not UTF-8 text")


@pytest.mark.parametrize("cut", ["é", "€", "😀"])
def test_a_letter_that_the_end_of_the_file_cuts_off(csv, cut):
    path = csv(b"a,b\n1,2\n3," + cut.encode()[:-1])
    assert message(path).startswith(", line 3: not UTF-8 text")
    with pytest.raises(UserError, match=r"t\.csv, line 3: not UTF-8 text"):
        passed(path, "utf-8", 4)


@pytest.mark.parametrize(
    ("content", "encoding", "line"),
    [
        (b"MZ\x03\x04\x14\x00\x06\x00\n", "utf-8", 1),
        ("a,b\n1,2\n".encode("utf-16-le"), "utf-8", 1),
        (b"a,b\n" * 9 + b"1,\0\n", "utf-8", 10),
        (b"a,b\n" * 9 + b"1,\0\n", "cp1252", 10),
        ("a,b\r1,\0\r".encode("utf-16"), "utf-16", 2),
    ],
)
@pytest.mark.parametrize("size", [-1, 8])
def test_a_nul_is_no_text(csv, content, encoding, line, size):
    with pytest.raises(UserError, match=rf"t\.csv, line {line}: not .* text; save the table as"):
        passed(csv(content), encoding, size)


def test_a_workbook_is_called_so(csv):
    path = csv(b"PK\x03\x04\x14\x00\x06\x00\n")
    expected = f"{path}: a workbook or an archive; save its sheet as CSV in UTF-8"
    for encoding in ("utf-8", "cp1252"):
        assert str(text.no_text(path, encoding)) == expected
