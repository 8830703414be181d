"""Candles from a directory of files: a replay of history.

Files are called ``<SYMBOL>_<interval>.csv`` or ``.csv.gz``. A file that is broken is left out and reported
in :meth:`DirectoryCandles.problems`; the others are served. The last price is the last close of the symbol's
finest file, said to hold at the moment of the question, with the bar's own time beside it. An interval
without a file is made of the coarsest finer one that divides it, from complete bars only.
"""

import asyncio
import logging
import threading
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from alphapulse.domain.candles import Candle, aggregate
from alphapulse.domain.instruments import Instrument, Interval, default_instrument
from alphapulse.domain.orders import Side
from alphapulse.domain.paper import PaperTerms, touch_price
from alphapulse.providers.candles.csv_file import CandleFile, CandleFileName, read_candle_file
from alphapulse.providers.candles.source import (
    BrokenCandleFile,
    CandleBatch,
    FileProblem,
    IntervalUnavailable,
    Listing,
    Ticker,
    UnknownSymbol,
    require_limit,
)

_TERMS: Final = PaperTerms()
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Read:
    stamp: tuple[int, int]
    outcome: CandleFile | FileProblem


class DirectoryCandles:
    """Serve the candle files of a directory.

    Files are read outside the event loop, kept in memory, and read again when their size or time of
    modification changes; files that come and go are noticed at the next question.

    Parameters
    ----------
    directory : Path
        Where the files are.

    Raises
    ------
    NotADirectoryError
        When the path is no directory.
    """

    name: Literal["directory"] = "directory"
    shares_prices = False

    def __init__(self, directory: Path) -> None:
        if not directory.is_dir():
            raise NotADirectoryError(f"the directory of candle files does not exist: {directory}")
        self._directory = directory
        self._lock = threading.Lock()
        self._read: dict[str, _Read] = {}

    async def instruments(self) -> list[Listing]:
        """Return the symbols of all files that can be read, with default rules."""
        return await asyncio.to_thread(self._instruments)

    async def instrument(self, symbol: str) -> Instrument:
        """Return default rules: nothing here publishes others."""
        return default_instrument(symbol)

    async def candles(
        self, symbol: str, interval: Interval, *, limit: int = 500, until: datetime | None = None
    ) -> CandleBatch:
        """Return the newest bars that had closed by a moment; all there are without one.

        Raises
        ------
        UnknownSymbol, IntervalUnavailable, BrokenCandleFile
        ValueError
            When the limit is less than 1.
        """
        require_limit(limit)
        return await asyncio.to_thread(self._candles, symbol, interval, limit, until)

    async def ticker(self, symbol: str, now: datetime) -> Ticker:
        """Return the last close of the symbol's finest file as the price at ``now``.

        Raises
        ------
        UnknownSymbol, BrokenCandleFile
        """
        return await asyncio.to_thread(self._ticker, symbol, now)

    async def problems(self) -> list[FileProblem]:
        """Return what is wrong with files that are left out, in order of name."""
        return await asyncio.to_thread(self._problems)

    async def close(self) -> None:
        """Close nothing: nothing is kept open."""

    def _instruments(self) -> list[Listing]:
        by_symbol: dict[str, set[Interval]] = {}
        for file, name in self._files().items():
            if isinstance(self._outcome(file, name), CandleFile):
                by_symbol.setdefault(name.symbol, set()).add(name.interval)
        return [
            Listing(default_instrument(symbol), _derivable(intervals))
            for symbol, intervals in sorted(by_symbol.items())
        ]

    def _candles(self, symbol: str, interval: Interval, limit: int, until: datetime | None) -> CandleBatch:
        files = self._files_of(symbol)
        exact = files.get(interval)
        if exact is not None:
            candles = tuple(exact.newest(limit, until))
        else:
            candles = self._aggregated(symbol, files, interval, until)[-limit:]
        return CandleBatch.of(symbol, interval, self.name, candles=candles)

    @staticmethod
    def _aggregated(
        symbol: str, files: dict[Interval, CandleFile], interval: Interval, until: datetime | None
    ) -> tuple[Candle, ...]:
        finer = [have for have in files if have.seconds < interval.seconds]
        if not finer:
            raise IntervalUnavailable(symbol, interval, _derivable(set(files)))
        source = max(finer, key=lambda have: have.seconds)
        bars = _coarser(files[source], interval)
        if until is None:
            return bars
        newest_open = until - timedelta(seconds=interval.seconds)
        return bars[: bisect_right(bars, newest_open, key=lambda bar: bar.open_time)]

    def _ticker(self, symbol: str, now: datetime) -> Ticker:
        files = self._files_of(symbol)
        finest = files[min(files, key=lambda have: have.seconds)]
        last = finest.newest(1, None)[0]
        instrument = default_instrument(symbol)
        price = max(instrument.round_to_tick(last.close), instrument.tick)
        return Ticker(
            symbol=symbol,
            price=price,
            bid=touch_price(Side.SELL, price, instrument=instrument, terms=_TERMS),
            ask=touch_price(Side.BUY, price, instrument=instrument, terms=_TERMS),
            as_of=now,
            bar_open_time=last.open_time,
            source=self.name,
        )

    def _problems(self) -> list[FileProblem]:
        outcomes = [self._outcome(file, name) for file, name in self._files().items()]
        return [outcome for outcome in outcomes if isinstance(outcome, FileProblem)] + self._misnamed()

    def _misnamed(self) -> list[FileProblem]:
        message = "must be called <SYMBOL>_<interval>.csv or .csv.gz, as in BTC-USD_1d.csv.gz"
        names = sorted(path.name for path in self._directory.iterdir())
        return [
            FileProblem(name, None, message)
            for name in names
            if name.endswith((".csv", ".csv.gz")) and CandleFileName.parse(name) is None
        ]

    def _files(self) -> dict[Path, CandleFileName]:
        named = [(path, CandleFileName.parse(path.name)) for path in sorted(self._directory.iterdir())]
        return {path: name for path, name in named if name is not None}

    def _files_of(self, symbol: str) -> dict[Interval, CandleFile]:
        good: dict[Interval, CandleFile] = {}
        broken: FileProblem | None = None
        for path, name in self._files().items():
            if name.symbol != symbol:
                continue
            outcome = self._outcome(path, name)
            if isinstance(outcome, FileProblem):
                broken = outcome
            else:
                # Of a plain and a zipped file the plain one counts: it sorts first.
                good.setdefault(name.interval, outcome)
        if good:
            return good
        if broken is not None:
            raise BrokenCandleFile(broken)
        raise UnknownSymbol(symbol)

    def _outcome(self, path: Path, name: CandleFileName) -> CandleFile | FileProblem:
        with self._lock:
            try:
                status = path.stat()
            except OSError as error:
                return FileProblem(path.name, None, f"cannot be read: {error.strerror}")
            stamp = (status.st_mtime_ns, status.st_size)
            known = self._read.get(path.name)
            if known is None or known.stamp != stamp:
                known = self._read[path.name] = _Read(stamp, _read_or_report(path, name.interval))
            return known.outcome


def _read_or_report(path: Path, interval: Interval) -> CandleFile | FileProblem:
    try:
        return read_candle_file(path, interval)
    except BrokenCandleFile as error:
        _LOG.warning("candle file left out: %s", error.problem)
        return error.problem


@lru_cache(maxsize=32)
def _coarser(file: CandleFile, interval: Interval) -> tuple[Candle, ...]:
    return tuple(aggregate(file.newest(None, None), finer=file.interval, coarser=interval))


def _derivable(intervals: set[Interval]) -> tuple[Interval, ...]:
    least = min(interval.seconds for interval in intervals)
    return tuple(interval for interval in Interval if interval in intervals or interval.seconds > least)
