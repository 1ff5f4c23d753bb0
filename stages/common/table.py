"""A CSV file as columns of cells, and slices of its columns resolved to names.

Rows are numbered from 0 after the header, as pandas' iloc numbers them.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.common import cells, dialect
from stages.common.ahead import ahead
from stages.common.cells import Cells
from stages.common.dialect import Dialect
from stages.common.errors import UserError, located
from stages.common.names import listed
from stages.common.progress import Progress
from stages.common.settings import Preprocess
from stages.common.spool import Spool
from stages.common.text import Utf8

MISSING = (
    "",
    "NA",
    "N/A",
    "n/a",
    "NaN",
    "nan",
    "NULL",
    "null",
    "None",
    "none",
    "?",
    "#N/A",
    "<NA>",
)
CHUNK = 100_000  # rows that are read at once
# pandas reads a chunk in pieces; a column that is numbers in some only is read again as texts
warnings.simplefilter("ignore", pd.errors.DtypeWarning)
FIRST = 1000  # rows that tell which columns are text


@dataclass(frozen=True)
class Roles:
    """Which columns are features, which one is the target, which are left out."""

    features: tuple[str, ...]
    target: str
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A CSV file, how it is written, and the names of its columns."""

    path: Path
    dialect: Dialect
    names: tuple[str, ...]
    missing: tuple[str, ...]

    @classmethod
    def open(cls, path: Path, settings: Preprocess) -> Table:
        """Find out how a file is written; UserError when it cannot be read as a table."""
        found, names = dialect.detect(
            path, settings.encoding, settings.separator, settings.decimal, settings.header
        )
        return cls(path, found, names, (*MISSING, *settings.missing_values))

    def chunks(self, texts: Collection[str], size: int | None = None) -> Iterator[list[Cells]]:
        """Yield the cells of every column, `size` rows at a time, CHUNK if None.

        Columns of numbers are float64; those in `texts` and those with any other cell in
        the chunk are texts. Raises UserError for what is no table, naming the line.
        """
        for frame in ahead(self._frames(texts, size or CHUNK)):
            with located(str(self.path)):
                found = [
                    cells.of(frame[name], self.missing, self.dialect.decimal) for name in frame
                ]
            yield found

    def spool(self, folder: Path, most: int | None = None) -> Spool:
        """Return all columns on disk, each either numbers or texts; of `most` rows at most.

        A column with a single cell that is no number is texts from its first row on: when
        that cell comes late, the file is read again.
        """
        texts: set[str] = set()
        for first in self.chunks((), FIRST):
            texts = {column.name for column in first if column.texts is not None}
            break
        while True:
            spool, odd = Spool(self.names, folder), set()
            for chunk in self.chunks(texts):
                odd |= {column.name for column in chunk if column.texts is not None} - texts
                if not odd:
                    spool.append(chunk)
                if most is not None and chunk[0].start + len(chunk[0]) >= most:
                    break
            if not odd:
                return spool
            texts |= odd

    def _frames(self, texts: Collection[str], size: int) -> Iterator[pd.DataFrame]:
        checked = False
        above = self.dialect.title_lines + self.dialect.header  # rows; blank lines are none
        try:
            with open(self.path, "rb") as stream, Progress() as progress:
                length = self.path.stat().st_size
                frames = pd.read_csv(
                    Utf8(self.path, stream, self.dialect.encoding),  # type: ignore[call-overload]
                    sep=self.dialect.separator,
                    decimal=self.dialect.decimal,
                    header=above - 1 if above else None,
                    names=list(self.names),
                    index_col=False,
                    dtype=dict.fromkeys(texts, object),
                    na_values=list(self.missing),
                    keep_default_na=False,
                    skipinitialspace=True,
                    chunksize=size,
                )
                for frame in frames:
                    if not checked and frame[self.names[-1]].isna().any():
                        dialect.check_widths(self.path, self.dialect, self.names)
                        checked = True  # pandas fills a line that is too short
                    progress.show(f"{self.path}: read", stream.tell(), length)
                    yield _exact(frame)
        except pd.errors.ParserError as error:
            # pandas may miscount lines
            line = dialect.check_widths(self.path, self.dialect, self.names)
            raise UserError(
                f"{self.path}, line {line}: a quote stays open; close it or set "
                "preprocess.separator"
            ) from error


def _exact(frame: pd.DataFrame) -> pd.DataFrame:
    """Return whole numbers that float64 cannot hold, such as long ids, and truth as text."""
    for name in frame:
        kind = frame[name].dtype.kind
        large = kind in "iu" and bool((frame[name].abs() > cells.EXACT).any())
        if large or kind == "b":
            frame[name] = frame[name].astype(str).astype(object)
    return frame


def resolve(
    names: Sequence[str],
    features: str | Sequence[str | int],
    target: int | str,
    aside: Collection[str] = (),
) -> Roles:
    """Resolve slices, positions or names to column names.

    `names` are all columns of the table, `aside` those that a slice skips, as they serve
    the split. Raises UserError for what the table does not have and for a target among the
    features.
    """
    target_name = pick(names, target, "preprocess.target")
    chosen: list[str] = []
    for item in [features] if isinstance(features, str) else features:
        if isinstance(item, str) and item not in names and ":" in item:
            chosen += [name for name in _slice(names, item) if name not in aside]
        else:
            chosen.append(pick(names, item, "preprocess.features"))
    if target_name in chosen:
        raise UserError(
            f"preprocess.features {features!r}: the target '{target_name}' is among the features; "
            "leave it out, or the network only copies it"
        )
    if not chosen:
        raise UserError(
            f"preprocess.features {features!r}: no column is chosen; the table has {listed(names)}"
        )
    if len(set(chosen)) < len(chosen):
        name = Counter(chosen).most_common(1)[0][0]
        raise UserError(
            f"preprocess.features {features!r}: column '{name}' is named twice; leave one out"
        )
    for name in aside:
        if name in chosen:
            raise UserError(
                f"preprocess.features {features!r}: column '{name}' serves preprocess.split; "
                "leave it out"
            )
    rest = (name for name in names if name not in chosen and name != target_name)
    return Roles(tuple(chosen), target_name, tuple(rest))


def _slice(names: Sequence[str], item: str) -> Sequence[str]:
    """Return the columns of a slice: positions as iloc takes them, names as loc does."""
    ends = item.split(":")
    if len(ends) != 2:
        raise UserError(f"preprocess.features: '{item}' is neither a column nor a slice a:b")
    place: list[int | None] = []
    for end in ends:
        try:
            place.append(int(end) if end else None)
        except ValueError:
            place.append(names.index(pick(names, end, "preprocess.features")) + len(place))
    return names[slice(*place)]


def pick(names: Sequence[str], item: int | str, key: str) -> str:
    """Return the name of a column that a setting names or counts; UserError if there is none."""
    if isinstance(item, int):
        if not -len(names) <= item < len(names):
            raise UserError(
                f"{key}: there is no column {item}, the table has {len(names)}, counted from 0"
            )
        return names[item]
    if item not in names:
        raise UserError(f"{key}: there is no column '{item}'; the table has {listed(names)}")
    return item
