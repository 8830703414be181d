"""One file of candles: its name, its rows, and what may be wrong with them.

The columns are ``timestamp`` (RFC 3339 UTC, the bar's open), ``open, high, low, close, volume``, as CSV,
gzipped or not. Figures are read as decimal text and rounded half to even to the 18 places that are stored.
Rows may come in any order; of several rows for one bar the last one in the file counts, because exports
that overlap repeat their newest bar once it is complete.
"""

import gzip
import re
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Interval
from alphapulse.domain.money import MAX_FRACTION_DIGITS, quantise
from alphapulse.providers.candles.source import BrokenCandleFile, FileProblem

COLUMNS: Final = ("timestamp", "open", "high", "low", "close", "volume")

_NAME: Final = re.compile(
    r"(?P<symbol>[A-Z0-9]{2,15}-[A-Z0-9]{2,15})_(?P<interval>1m|5m|15m|1h|4h|1d)\.csv(?P<gz>\.gz)?", re.ASCII
)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.0+)?(?:Z|\+00:00)", re.ASCII)
# Up to 40 places, because exports print binary floats in full; more than 18 are rounded away.
_FIGURE: Final = re.compile(r"\d{1,20}(?:\.\d{1,40})?", re.ASCII)
_ROW: Final = re.compile(",".join([_TIME.pattern] + [_FIGURE.pattern] * 5), re.ASCII)
_LONGEST_ECHO: Final = 48


@dataclass(frozen=True, slots=True)
class CandleFileName:
    """What a file's name says: ``<SYMBOL>_<interval>.csv`` or ``.csv.gz``."""

    symbol: str
    interval: Interval
    zipped: bool

    @classmethod
    def parse(cls, name: str) -> "CandleFileName | None":
        """Return what the name says, or None for a file that is not meant to hold candles."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        return cls(match["symbol"], Interval.parse(match["interval"]), zipped=match["gz"] is not None)


@dataclass(frozen=True, slots=True, eq=False)
class CandleFile:
    """The checked rows of a file; candles are made of them when asked for, which keeps memory small.

    Attributes
    ----------
    interval : Interval
        Length of a bar.
    open_seconds : array of int
        Open times since 1970, strictly ascending.
    rows : tuple of str
        The row of each, as in the file.
    repeated : int
        Rows that were replaced by a later one for the same bar.
    """

    interval: Interval
    open_seconds: "array[int]"
    rows: tuple[str, ...]
    repeated: int

    def newest(self, limit: int | None, until: datetime | None) -> list[Candle]:
        """Return the newest bars that had closed by a moment, oldest first; all of them without a limit."""
        end = len(self.rows)
        if until is not None:
            end = bisect_right(self.open_seconds, int(until.timestamp()) - self.interval.seconds)
        start = 0 if limit is None else max(end - limit, 0)
        return [_candle(row) for row in self.rows[start:end]]


def read_candle_file(path: Path, interval: Interval) -> CandleFile:
    """Read and check a file of candles.

    Raises
    ------
    BrokenCandleFile
        Naming the file and the line of the first thing that is wrong, when it cannot be read, has other
        columns, or a row is no candle of the interval.
    """
    by_open: dict[int, str] = {}
    count = 0
    try:
        for line, row in _rows(path):
            by_open[_checked_open(row, interval, path.name, line)] = row
            count += 1
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise BrokenCandleFile(FileProblem(path.name, None, f"cannot be read: {error}")) from error
    if not by_open:
        raise BrokenCandleFile(FileProblem(path.name, None, "has no rows"))
    opens = sorted(by_open)
    rows = tuple(by_open[seconds] for seconds in opens)
    return CandleFile(interval, array("q", opens), rows, repeated=count - len(opens))


def _rows(path: Path) -> Iterator[tuple[int, str]]:
    opener = gzip.open if path.name.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        header = file.readline().strip().removeprefix("\ufeff")
        if tuple(header.split(",")) != COLUMNS:
            found = header[:_LONGEST_ECHO]
            message = f"columns must be {','.join(COLUMNS)}, were {found!r}"
            raise BrokenCandleFile(FileProblem(path.name, 1, message))
        for line, text in enumerate(file, start=2):
            if row := text.strip():
                yield line, row


def _checked_open(row: str, interval: Interval, file: str, line: int) -> int:
    if _ROW.fullmatch(row) is None:
        raise BrokenCandleFile(FileProblem(file, line, _complaint(row)))
    try:
        candle = _candle(row)
        candle.validate()
    except ValueError as error:
        raise BrokenCandleFile(FileProblem(file, line, str(error))) from error
    seconds = int(candle.open_time.timestamp())
    if seconds % interval.seconds:
        message = f"{row.partition(',')[0]} is not the open of a bar of {interval}"
        raise BrokenCandleFile(FileProblem(file, line, message))
    return seconds


def _candle(row: str) -> Candle:
    moment, *figures = row.split(",")
    prices = [_figure(text) for text in figures]
    return Candle(datetime.fromisoformat(moment), *prices)


def _figure(text: str) -> Decimal:
    value = Decimal(text)
    # Most figures need no rounding, and a whole file of them is read at once.
    places = len(text) - text.find(".") - 1 if "." in text else 0
    return value if places <= MAX_FRACTION_DIGITS else quantise(value)


def _complaint(row: str) -> str:
    cells = row.split(",")
    if len(cells) != len(COLUMNS):
        return f"must have {len(COLUMNS)} columns, has {len(cells)}"
    if _TIME.fullmatch(cells[0]) is None:
        return f"timestamp must be RFC 3339 in UTC, was {cells[0][:_LONGEST_ECHO]!r}"
    wrong = next(index for index in range(1, len(cells)) if _FIGURE.fullmatch(cells[index]) is None)
    return f"{COLUMNS[wrong]} must be a plain decimal number, was {cells[wrong][:_LONGEST_ECHO]!r}"
