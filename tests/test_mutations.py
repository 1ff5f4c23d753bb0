"""2,000 damaged params files and tables: each ends well or in one clear line, never half done.

The damage is drawn from seeds, so a failure can be had again: `_case(number)` of its table.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import json
import random
import re
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from stages.common import launch, params
from stages.common.graph import Declared
from stages.common.settings import Settings
from stages.preprocess import preprocess
from tests.imports import ROOT

CASES = 1000
BATCH = 100
SECONDS = 30  # a case takes a fraction of one
FIRST, SECOND = Path("data/raw/digits.csv"), Path("data/raw/digits_tilted.csv")
NAMES = ("id", "age", "height", "city", "since", "member", "note", "kind")
DEFAULT = (ROOT / params.PARAMS).read_text(encoding="utf-8")
JUNK = (
    *("", "null", "~", "true", "no", "0", "-1", "1", "2", "7", "0.5", "1e-3", "1e999", "-.inf"),
    *(".nan", "9" * 30, "9" * 5000, "0x1F", "1_000", "12:30:45", "2024-12-31", "'", '"', "''"),
    *("[", "[]", "[[]]", "{", "{}", "{a: 1}", "- 1", "&a [*a]", "*nowhere", "!!python/none x"),
    *("!!binary aGk=", "|", ">-", "%", "@", "`", "#", ": :", "? a", "<<: {a: 1}", "\t", "\u2028"),
    *("ä", "\U0001f600", "\u200b1", "\x00", "\x1b[31m", "x" * 3000, "[" * 400, "null\n...\nb: 1"),
)
CHOICES = (  # values that some setting takes
    *("cp1252", "utf-16", "latin-1", "rot13", "idna", "hex", "undefined", "';'", "','", "'|'"),
    *('"\\t"', "'x'", "' '", "'\"'", '"\\n"', "first", "none", "auto", "[unknown, ' ']", "['0']"),
    *("['', 1]", "id:note", "'1:'", "':'", "2:1", "[age, 2, '3:5']", "[age, age]", "[kind]"),
    *("[nowhere]", "kind", "city", "age", "height", "since", "member", "id", "99", "-99"),
    *("regression", "classification", "drop", "error", "fill", "robust", "quantile", "minmax"),
    *("stop", "off", "warn", "data/raw/nowhere.csv", "data/raw/../x.csv", "data/raw/folder"),
    *("data/raw/digits_tilted.csv", "0.3", "0.7", "0.999999999", "portable", "fast", "cuda"),
)


def _table(drawn: random.Random) -> list[list[str]]:
    """Return the rows of a table of numbers, texts, dates, truth, gaps and quotes."""
    rows = [list(NAMES)]
    for number in range(40):
        rows.append(
            [
                str(1000 + number),
                "" if drawn.random() < 0.1 else str(drawn.randrange(18, 90)),
                f"{drawn.gauss(170, 10):.1f}",
                drawn.choice(["Köln", "Paris", "Rome", "NA"]),
                f"20{drawn.randrange(10, 24)}-0{drawn.randrange(1, 10)}-1{drawn.randrange(10)}",
                drawn.choice(["true", "false"]),
                drawn.choice(["a, b", 'says "no"', "two\nlines", "plain", ""]),
                drawn.choice("AB"),
            ]
        )
    return rows


def _text(rows: list[list[str]], separator: str = ",", end: str = "\n") -> str:
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator, lineterminator=end).writerows(rows)
    return stream.getvalue()


# --- damage to cells: rows -> rows ---------------------------------------------------------

CELLS = (
    *(
        "",
        " ",
        "?",
        "N/A",
        "unknown",
        "NaN",
        "inf",
        "-inf",
        "Infinity",
        "1e400",
        "-1e39",
        "9" * 400,
    ),
    *("1e308", "5e-324", "9007199254740993", "-0", "0x10", "1_000", "1,5", "1.234,5", "$5", "12 %"),
    *(
        "true",
        "2024-13-45",
        "31/12/2024",
        "01/02/2024",
        "99999-01-01",
        "0001-01-01",
        "24:00",
        "b'x'",
    ),
    *(
        "x" * 200,
        "ä\u0301",
        "\U0001f600",
        "\ufeff",
        "\x1b[0m",
        "\x00",
        "\r",
        '"',
        "'",
        "=1+1",
        "1 2",
    ),
    *(
        "\udcff",
        "2024-01-01T00:00:00+25:00",
        "2024-01-01T00:00:00Z",
        "\x85",
        "\u2028",
        "nan()",
        "١٢",
    ),
)


def _cells(rows: list[list[str]], drawn: random.Random) -> None:
    for _ in range(drawn.choice([1, 1, 3, 20])):
        row = drawn.choice(rows)
        row[drawn.randrange(len(row))] = drawn.choice(CELLS)


def _column(rows: list[list[str]], drawn: random.Random) -> None:
    """Fill a column with one cell, or with several of the odd ones."""
    at, some = drawn.randrange(len(NAMES)), drawn.choices(CELLS, k=drawn.choice([1, 1, 2, 5]))
    for row in rows[1:]:
        row[at] = drawn.choice(some)


def _numbers(rows: list[list[str]], drawn: random.Random) -> None:
    """Make a column numbers of a huge range, among them perhaps an infinite one."""
    at = drawn.randrange(len(NAMES))
    for row in rows[1:]:
        row[at] = repr(
            drawn.uniform(-9, 9) * 10.0 ** drawn.randrange(-320, drawn.choice([38, 308]))
        )
    if drawn.random() < 0.3:
        drawn.choice(rows[1:])[at] = "inf"


def _shuffled(rows: list[list[str]], drawn: random.Random) -> None:
    order = drawn.sample(range(len(NAMES)), len(NAMES))
    rows[:] = [[row[at] for at in order] for row in rows]


def _dropped(rows: list[list[str]], drawn: random.Random) -> None:
    for at in sorted(drawn.sample(range(len(NAMES)), drawn.choice([1, 2, 6, 7, 8])), reverse=True):
        for row in rows:
            del row[at]


def _doubled(rows: list[list[str]], drawn: random.Random) -> None:
    at = drawn.randrange(len(NAMES))
    for row in rows:
        row.append(row[at])
    if drawn.random() < 0.5:
        rows[0][-1] = drawn.choice(["copy", "", " ", "id ", "7"])


def _ragged(rows: list[list[str]], drawn: random.Random) -> None:
    for _ in range(drawn.choice([1, 1, 5])):
        row = drawn.choice(rows)
        row[:] = drawn.choice([row[:-1], [*row, "more"], [*row, ""], [], [""], row[:1], row * 2])


def _lines(rows: list[list[str]], drawn: random.Random) -> None:
    """Leave few rows, or none; repeat the header or a row; sort by nothing."""
    kind = drawn.randrange(6)
    if kind == 0:
        del rows[drawn.randrange(len(rows)) :]
    elif kind == 1:
        rows.insert(drawn.randrange(len(rows)), list(rows[0]))
    elif kind == 2:
        rows[1:] = [drawn.choice(rows[1:])] * 40
    elif kind == 3:
        del rows[0]
    elif kind == 4:
        drawn.shuffle(rows)
    else:
        del rows[drawn.randrange(1, 8) :]


def _titled(rows: list[list[str]], drawn: random.Random) -> None:
    for _ in range(drawn.choice([1, 2, 7])):
        rows.insert(
            0, drawn.choice([["A title"], ["Title"] + [""] * 7, [""] * 8, ["a", "b"], ["1"]])
        )


def _gone(rows: list[list[str]], drawn: random.Random) -> None:
    """Empty all cells, or those of a few columns."""
    places = drawn.choice([range(8), drawn.sample(range(8), 3)])
    for row in rows[1:]:
        for at in places:
            row[at] = ""


def _none(rows: list[list[str]], drawn: random.Random) -> None:
    """Leave the cells as they are."""


ROWS = (
    *(_cells, _column, _numbers, _shuffled, _dropped, _doubled, _ragged, _lines, _titled, _gone),
    *(_none, _none),
)

# --- damage to bytes: bytes -> bytes ---------------------------------------------------------

JUNK_BYTES = (
    *(b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xc3", b"\x80", b"\x1a", b"\r", b"\n\n\n"),
    *(
        b'"',
        b'""',
        b"'",
        b"\\",
        b",",
        b";",
        b"\t",
        b"|",
        b"\x7fELF",
        b"PK\x03\x04",
        b"\xed\xa0\x80",
    ),
)


def _cut(content: bytes, drawn: random.Random) -> bytes:
    return content[: drawn.randrange(len(content) + 1)]


def _inserted(content: bytes, drawn: random.Random) -> bytes:
    for _ in range(drawn.choice([1, 1, 4])):
        at = drawn.randrange(len(content) + 1)
        junk = drawn.choice([*JUNK_BYTES, drawn.randbytes(9)])
        content = content[:at] + junk + content[at + drawn.randrange(2) :]
    return content


def _encoded(content: bytes, drawn: random.Random) -> bytes:
    codec = drawn.choice(
        ["cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32", "utf-7"]
    )
    return content.decode("utf-8", "replace").encode(codec, "replace")


def _ends(content: bytes, drawn: random.Random) -> bytes:
    return content.replace(
        b"\n", drawn.choice([b"\r", b"\r\n", b"\n\n", b"\r\r\n", b"\n\r", b" ", b""])
    )


def _separated(content: bytes, drawn: random.Random) -> bytes:
    return content.replace(b",", drawn.choice([b";", b"\t", b"|", b" ", b", ", b":", b"^", b",,"]))


def _quoted(content: bytes, drawn: random.Random) -> bytes:
    """Take quotes away or open one that is never closed."""
    if drawn.random() < 0.3:
        return content.replace(b'"', b"")
    at = content.find(drawn.choice([b",", b"\n"]), drawn.randrange(len(content) + 1)) + 1
    return content[:at] + b'"' + content[at:]


def _long(content: bytes, drawn: random.Random) -> bytes:
    at = drawn.randrange(len(content) + 1)
    return (
        content[:at] + drawn.choice([b"x", b",", b"9", b"\n", b'"', b" "]) * 200_000 + content[at:]
    )


def _other(content: bytes, drawn: random.Random) -> bytes:
    return drawn.choice(
        [b"", b"\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\0" * 99, b" ", b",", b"a", b"a\n1"]
    )


BYTES = (_cut, _inserted, _encoded, _ends, _separated, _quoted, _long, _other)


def _damaged_table(drawn: random.Random) -> tuple[bytes, str]:
    """Return the bytes of a damaged table and what was done to it."""
    rows = _table(drawn)
    to_rows = drawn.choice(ROWS)
    to_rows(rows, drawn)
    content = _text(rows).encode("utf-8", "surrogateescape")
    done = to_rows.__name__
    if to_rows is _none or drawn.random() < 0.3:
        to_bytes = drawn.choice(BYTES)
        content, done = to_bytes(content, drawn), f"{done} {to_bytes.__name__}"
    return content, done


# --- settings --------------------------------------------------------------------------------

CHANGES: tuple[dict[str, Any], ...] = (
    *({},) * 8,
    {"encoding": "cp1252"},
    {"header": "none", "target": -1},
    {"header": "first", "separator": ";"},
    {"missing": "drop", "scale": "robust"},
    {"missing": "error", "audit": "off"},
    {"scale": "quantile", "target": "height", "features": "age:city"},
    {"scale": "minmax", "target": 0, "features": "1:", "task": "regression"},
    {"categorical": ["age"], "scale": "none", "audit": "stop"},
    {"missing_values": ["unknown", " "], "decimal": ","},
    {"split": {"group": "city"}},
    {"split": {"time": "since"}},
    {"split": {"stratify": False}},
    {"split": {"column": "note"}},
)


@functools.cache
def _settings(at: int, second: bool) -> str:
    """Return a params file with the changes of one place in CHANGES."""
    chosen = params.parse(DEFAULT).model_dump()
    split = chosen["preprocess"]["split"] | CHANGES[at].get("split", {})
    chosen["preprocess"] |= CHANGES[at] | {"split": split}
    chosen["finetune"]["csv"] = str(SECOND) if second else ""
    return json.dumps(chosen)  # JSON is YAML too


def _damaged_params(drawn: random.Random) -> tuple[bytes, str]:
    """Return the bytes of a damaged params file and what was done to it."""
    lines = DEFAULT.splitlines(keepends=True)
    keys = [at for at, line in enumerate(lines) if re.match(r"\s*[a-z_]+:", line)]
    early = [at for at in keys if at < lines.index("model:\n")]  # of preprocess
    content, done = b"", []
    for _ in range(drawn.choice([1, 1, 1, 2, 3])):
        at = drawn.choice(drawn.choice([keys, early]))
        line, kind = lines[at], drawn.randrange(12)
        key, colon, _ = line.partition(":")
        if kind < 5:
            new = drawn.choice(drawn.choice([JUNK, CHOICES, CHOICES]))
            lines[at] = f"{key}{colon} {new}\n"
        elif kind == 5:
            lines[at] = drawn.choice(["", line * 2, line.strip() + "\n", line.replace(":", "", 1)])
        elif kind == 6:
            lines[at] = line.replace(key.strip(), drawn.choice([key.strip()[:-1], "ä", "1", "<<"]))
        elif kind == 7:
            lines[at] = drawn.choice([" ", "   ", "\t", "- ", "# ", "? "]) + line
        elif kind == 8:
            lines.insert(
                at, drawn.choice([*JUNK, "---\n", "...\n", "%YAML 1.1\n", "\ufeff"]) + "\n"
            )
        elif kind == 9:
            other = drawn.randrange(len(lines))
            lines[at], lines[other] = lines[other], line
        elif kind == 10:
            lines[at] = lines[at].replace("\n", drawn.choice(["\r", "\r\n", "", "\x85", " "]))
        done.append(f"{kind}: {line.strip()}")
    content = "".join(lines).encode()
    if drawn.random() < 0.15:
        to_bytes = drawn.choice([_cut, _inserted, _inserted, _encoded, _ends, _other])
        content = to_bytes(content, drawn)
        done.append(to_bytes.__name__)
    return content, "; ".join(done)


# --- running ---------------------------------------------------------------------------------


class Hangs(BaseException):
    """A case does not end."""


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    def stop(signum: int, frame: FrameType | None) -> None:
        raise Hangs

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project in a folder of its own, current; dvc.yaml is read once."""
    monkeypatch.chdir(tmp_path)
    FIRST.parent.mkdir(parents=True)
    Path("data/raw/folder").mkdir()
    Path("dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    monkeypatch.setattr(Declared, "read", functools.cache(Declared.read))
    term = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, term)  # launch.guard has set its own


def _state() -> dict[str, bytes]:
    """Return every file but those that a case writes itself, with its bytes."""
    own = {FIRST, SECOND, params.PARAMS}
    files = [path for path in Path().rglob("*") if path.is_file() and path not in own]
    return {
        str(path): path.read_bytes() if path.suffix != ".run" else b"" for path in sorted(files)
    }


def _run(work: Callable[[], None], before: dict[str, bytes]) -> tuple[int, str, dict[str, bytes]]:
    """Run a case; return its status, what is wrong with its end, and the files after it."""
    outputs = set(map(str, Declared.read("preprocess").outputs))
    said = io.StringIO()
    try:
        with (
            _bounded(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(said),
        ):
            status = launch.guard(work)
    except (Exception, SystemExit, Hangs):
        return -1, traceback.format_exc(limit=-4), _state()
    after, text = _state(), said.getvalue()
    wrong = []
    if extra := after.keys() - outputs - {"dvc.yaml", "data/resume/preprocess.run"}:
        wrong.append(f"left: {extra}")
    if status == 0 and text:
        wrong.append(f"status 0 and {text!r}")
    if status and not (status == 2 and re.fullmatch(r"error: [^\n\r]+\n", text)):
        wrong.append(f"status {status} and {text!r}")
    if (
        status
        and outputs & after.keys()
        and any(after.get(name) != before.get(name) for name in outputs)
    ):
        wrong.append("an output has changed")
    return status, "; ".join(wrong), after


def _all(
    cases: range, prepare: Callable[[random.Random], tuple[Callable[[], None], str]]
) -> Counter[int]:
    """Run cases; return how many end with each status. Fails with all that end badly."""
    ends: Counter[int] = Counter()
    bad = []
    before = _state()
    for number in cases:
        work, done = prepare(random.Random(number))
        status, wrong, before = _run(work, before)
        ends[status] += 1
        if wrong:
            bad.append(f"case {number} ({done}): {wrong}")
    assert not bad, "\n".join([f"{len(bad)} cases end badly", *bad])
    return ends


BATCHES = [range(start, start + BATCH) for start in range(0, CASES, BATCH)]


@pytest.mark.parametrize("cases", BATCHES, ids=lambda cases: str(cases.start))
def test_a_damaged_params_file_is_used_or_refused_in_a_line(project, cases):
    table = _text(_table(random.Random(0))).encode()
    FIRST.write_bytes(table)
    SECOND.write_bytes(table)
    usual = params.parse(DEFAULT)

    def concern(settings: Settings) -> bool:
        pairs = [(settings.preprocess, usual.preprocess), (settings.finetune, usual.finetune)]
        return any(mine != theirs for mine, theirs in pairs)

    def prepare(drawn: random.Random) -> tuple[Callable[[], None], str]:
        content, done = _damaged_params(drawn)
        params.PARAMS.write_bytes(content)

        def work() -> None:
            if concern(params.load()):
                launch.execute("preprocess", preprocess)

        return work, done

    ends = _all(cases, prepare)
    assert ends.keys() == {0, 2}
    assert min(ends.values()) >= 5, ends


@pytest.mark.parametrize("cases", BATCHES, ids=lambda cases: str(cases.start))
def test_a_damaged_table_is_used_or_refused_in_a_line(project, cases, monkeypatch):
    monkeypatch.setattr(params, "parse", functools.cache(params.parse))

    def prepare(drawn: random.Random) -> tuple[Callable[[], None], str]:
        at, second = drawn.randrange(len(CHANGES)), drawn.random() < 0.2
        params.PARAMS.write_text(_settings(at, second), encoding="utf-8")
        content, done = _damaged_table(drawn)
        whole = _text(_table(drawn)).encode()
        FIRST.write_bytes(whole if second else content)
        SECOND.write_bytes(content)
        return lambda: launch.execute("preprocess", preprocess), f"{done}, {CHANGES[at]}"

    ends = _all(cases, prepare)
    assert ends.keys() == {0, 2}
    assert min(ends.values()) >= 5, ends
