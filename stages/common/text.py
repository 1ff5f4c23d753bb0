"""The text of a file: its encoding, and the line of what is no text."""

from __future__ import annotations

import codecs
import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from stages.common.errors import UserError

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
ZIP = b"PK\3\4"  # how an archive begins, and so a workbook of Excel or LibreOffice
PROBE = "1..2,\n"  # idna, punycode and undefined fail at it, piece by piece
PIECE = 1_000_000  # characters
NUL = "\0"  # which no text has
MARKED = "tabline.nul"  # reading then goes on behind bytes that are no text, with a NUL for them

codecs.register_error(MARKED, lambda error: (NUL, getattr(error, "end", 0)))


def codec(path: Path, setting: str) -> str:
    """Return the codec that the byte-order mark tells, or else the setting; `auto`: UTF-8."""
    name = "utf-8" if setting == "auto" else setting
    try:
        io.TextIOWrapper(io.BytesIO(), name)  # refuses rot13 and others that are not of text
        pieces = (bytes([byte]) for byte in PROBE.encode(name))
        if "".join(codecs.iterdecode(pieces, name)) != PROBE:
            raise LookupError(name)
    except (LookupError, ValueError) as error:
        raise UserError(
            f"preprocess.encoding '{setting}': no encoding of texts that Python knows; "
            "set preprocess.encoding to auto, utf-8 or, for example, cp1252"
        ) from error
    with _present(path), open(path, "rb") as stream:
        head = stream.read(3)
    marked = next((name for mark, name in MARKS.items() if head.startswith(mark)), "utf-8")
    if setting == "auto" or codecs.lookup(setting).name.startswith(marked.removesuffix("-sig")):
        return marked
    return setting


@contextlib.contextmanager
def opened(path: Path, encoding: str) -> Iterator[TextIO]:
    """Open a text with its own line ends; UserError when it is not there or no text."""
    with _present(path), open(path, "rb") as content:
        try:
            yield io.TextIOWrapper(content, encoding, newline="")
        except UnicodeError as error:
            raise no_text(path, encoding) from error


@contextlib.contextmanager
def _present(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such file; put the table there, or mend its name in the command, "
            "preprocess.csv or finetune.csv"
        ) from error
    except IsADirectoryError as error:
        raise UserError(f"{path}: a folder; name a CSV file in it") from error


def no_text(path: Path, encoding: str) -> UserError:
    """Return the error that names the first line of a file that is no text."""
    with open(path, "rb") as content:
        if content.read(len(ZIP)) == ZIP:
            return UserError(f"{path}: a workbook or an archive; save its sheet as CSV in UTF-8")
    line = 1
    with (
        contextlib.suppress(UnicodeError),  # UTF-16 without a byte-order mark
        open(path, encoding=encoding, errors=MARKED) as stream,
    ):
        while piece := stream.read(PIECE):
            before, bad, _ = piece.partition(NUL)
            line += before.count("\n")
            if bad:
                break
    shown = encoding.upper().removesuffix("-SIG") if encoding.startswith("utf") else encoding
    return UserError(
        f"{path}, line {line}: not {shown} text; save the table as CSV in UTF-8 or set "
        "preprocess.encoding, for example to cp1252"
    )


class Utf8:
    """The text of an open file as UTF-8, checked as it passes; a file to read for pandas.

    Every line ends in a line feed: behind a blank line that ends in a carriage return pandas
    skips a separator. A byte-order mark does not pass.
    """

    mode = "rb"  # pandas then reads bytes

    def __init__(self, path: Path, stream: BinaryIO, encoding: str) -> None:
        self._path, self._stream, self._encoding = path, stream, encoding
        decoder: Any = codecs.getincrementaldecoder(encoding)()
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, b"" at the end; UserError when they are no text."""
        while True:
            data = self._stream.read(size)
            try:
                text = self._decoder.decode(data, final=not data)
            except UnicodeError as error:
                raise no_text(self._path, self._encoding) from error
            if NUL in text:
                raise no_text(self._path, self._encoding)
            if text or not data:
                return text.encode()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.read, b"")
