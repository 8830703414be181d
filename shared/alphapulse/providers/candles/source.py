"""What every source of candles answers.

Errors
------
CandleError
+-- UnknownSymbol           the source has no bars of the symbol
+-- IntervalUnavailable     it has, but none that give the interval
+-- BrokenCandleFile        it has a file, but the file cannot be read
`-- CandlesUnavailable      it does not answer at the moment, or not as documented
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, Protocol, TypeAlias

from alphapulse.domain.candles import Candle, Gap, find_gaps
from alphapulse.domain.instruments import Instrument, Interval

SourceName: TypeAlias = Literal["directory", "simulated", "binance", "coinbase", "kraken"]
Clock: TypeAlias = Callable[[], datetime]


class CandleError(Exception):
    """Root of what a source of candles cannot answer."""


class UnknownSymbol(CandleError):
    """The source has no bars of a symbol."""

    def __init__(self, symbol: str) -> None:
        super().__init__(f"there are no candles of {symbol}")
        self.symbol = symbol


class IntervalUnavailable(CandleError):
    """The source has bars of a symbol, but none that give an interval."""

    def __init__(self, symbol: str, interval: Interval, available: tuple[Interval, ...]) -> None:
        known = ", ".join(available)
        super().__init__(f"there are no candles of {symbol} in {interval}; available: {known}")
        self.symbol = symbol
        self.interval = interval
        self.available = available


class BrokenCandleFile(CandleError):
    """A candle file cannot be read; the message names file and line."""

    def __init__(self, problem: "FileProblem") -> None:
        super().__init__(str(problem))
        self.problem = problem


class CandlesUnavailable(CandleError):
    """The source gives nothing at the moment; it may be asked again.

    Attributes
    ----------
    busy : bool
        It takes no more requests for now, so that whoever has more of them should stop.
    """

    def __init__(self, reason: str, *, busy: bool = False) -> None:
        super().__init__(reason)
        self.busy = busy


@dataclass(frozen=True, slots=True)
class FileProblem:
    """What is wrong with a file.

    Attributes
    ----------
    file : str
        Its name, without the directory.
    line : int or None
        Counted from 1, the header included; none when the file as a whole is meant.
    message : str
        What was found.
    """

    file: str
    line: int | None
    message: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}, line {self.line}"
        return f"{where}: {self.message}"


@dataclass(frozen=True, slots=True)
class Listing:
    """A symbol a source has, with its rules and the intervals it can give."""

    instrument: Instrument
    intervals: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class CandleBatch:
    """Closed bars, oldest first, with the gaps between them.

    Attributes
    ----------
    symbol : str
        ``BASE-QUOTE``.
    interval : Interval
        Length of a bar.
    source : str
        Name of the source.
    candles : tuple of Candle
        At most as many as were asked for.
    gaps : tuple of Gap
        Missing bars between the first and the last.
    """

    symbol: str
    interval: Interval
    source: SourceName
    candles: tuple[Candle, ...]
    gaps: tuple[Gap, ...]

    @classmethod
    def of(
        cls, symbol: str, interval: Interval, source: SourceName, *, candles: tuple[Candle, ...]
    ) -> "CandleBatch":
        """Make a batch and find its gaps."""
        gaps = tuple(find_gaps([candle.open_time for candle in candles], interval))
        return cls(symbol, interval, source, candles, gaps)


@dataclass(frozen=True, slots=True)
class Ticker:
    """The last price.

    Attributes
    ----------
    symbol : str
        ``BASE-QUOTE``.
    price, bid, ask : Decimal
        An exchange's own. In a replay and a simulation rounded to the tick, bid and ask half a spread away.
    as_of : datetime
        When the price holds. A replay of history answers the moment of the question, and so does an exchange
        that does not say when its last price was true.
    bar_open_time : datetime
        Open time of the bar the price is from; in a replay it tells the historical moment.
    source : str
        Name of the source.
    """

    symbol: str
    price: Decimal
    bid: Decimal
    ask: Decimal
    as_of: datetime
    bar_open_time: datetime
    source: SourceName


class CandleSource(Protocol):
    """Where candles and last prices come from."""

    @property
    def name(self) -> SourceName:
        """What every answer calls its source."""
        ...

    @property
    def shares_prices(self) -> bool:
        """Whether it keeps last prices for all processes itself."""
        ...

    async def instruments(self) -> list[Listing]:
        """Return the symbols there are, in order."""
        ...

    async def instrument(self, symbol: str) -> Instrument:
        """Return the rules of a symbol that the source has.

        Raises
        ------
        UnknownSymbol, CandlesUnavailable
        """
        ...

    async def candles(
        self, symbol: str, interval: Interval, *, limit: int = 500, until: datetime | None = None
    ) -> CandleBatch:
        """Return the newest bars that had closed by a moment.

        Parameters
        ----------
        symbol : str
            ``BASE-QUOTE``.
        interval : Interval
            Length of a bar.
        limit : int
            At least 1.
        until : datetime, optional
            Aware; now if not given.

        Raises
        ------
        UnknownSymbol, IntervalUnavailable, BrokenCandleFile, CandlesUnavailable
        ValueError
            When the limit is less than 1.
        """
        ...

    async def ticker(self, symbol: str, now: datetime) -> Ticker:
        """Return the last price.

        Raises
        ------
        UnknownSymbol, BrokenCandleFile, CandlesUnavailable
        """
        ...

    async def close(self) -> None:
        """Close what was opened."""
        ...


def utc_now() -> datetime:
    """Return the moment, aware and in UTC."""
    return datetime.now(UTC)


def require_limit(limit: int) -> None:
    """Refuse a limit less than 1."""
    if limit < 1:
        raise ValueError(f"limit must be at least 1, was {limit}")
