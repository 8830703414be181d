"""What the public endpoints of one exchange look like: requests and how to read their answers, no traffic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum, auto
from typing import Any, Protocol
from urllib.parse import urlencode

from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Instrument, Interval
from alphapulse.providers.budget import Pace
from alphapulse.providers.candles.source import SourceName


@dataclass(frozen=True, slots=True)
class PublicRequest:
    """A GET without a key.

    Attributes
    ----------
    path : str
        Below the base URL.
    parameters : sequence of (str, str)
        Of the query; a name may repeat.
    """

    path: str
    parameters: Sequence[tuple[str, str]]

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.parameters)}"


@dataclass(frozen=True, slots=True)
class LastPrice:
    """The last trade's price with the best bid and ask beside it.

    Attributes
    ----------
    price, bid, ask : Decimal
        In the quote currency.
    at : datetime
        When it was true: what the exchange says, else the moment it was asked.
    """

    price: Decimal
    bid: Decimal
    ask: Decimal
    at: datetime


class Refusal(Enum):
    """What an answer that holds no data means."""

    UNKNOWN_SYMBOL = auto()
    BUSY = auto()
    DOWN = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFacts:
    """What has to be known to ask an exchange.

    Attributes
    ----------
    name : str
        The exchange.
    base_url : str
        Its own address.
    ping : str
        Path of its cheapest public endpoint, to find out whether it can be reached.
    quotes : tuple of str
        Currencies its major markets are quoted in, the usual one first.
    intervals : tuple of Interval
        The ones it has bars of.
    page_bars : int
        Most bars of one answer.
    ticker_symbols : int
        Of how many symbols one request gives the last prices.
    newest_bars : int or None
        How many closed bars back it can be asked at all; None is without end.
    pace : Pace
        Market data's share of what it allows one address; the rest is for trading.
    parallel : int
        Requests for bars of one process under way at once; a price that somebody wants to trade at waits
        for no more than these.
    """

    name: SourceName
    base_url: str
    ping: str
    quotes: tuple[str, ...]
    intervals: tuple[Interval, ...] = field(default_factory=lambda: tuple(Interval))
    page_bars: int
    ticker_symbols: int
    newest_bars: int | None = None
    pace: Pace
    parallel: int


class PublicMarket(Protocol):
    """The public endpoints of one exchange.

    Every reader raises :class:`alphapulse.providers.errors.AnswerMalformed` for an answer of another shape.
    """

    facts: MarketFacts

    def instruments_request(self, symbols: Sequence[str]) -> PublicRequest:
        """Ask for the rules of symbols."""
        ...

    def instruments(self, body: Any) -> Mapping[str, Instrument]:
        """Return the rules of those that trade now, by symbol."""
        ...

    def candles_request(
        self, symbol: str, interval: Interval, *, first: datetime, last: datetime
    ) -> PublicRequest:
        """Ask for the bars that opened between two moments, both included."""
        ...

    def candles(self, body: Any, interval: Interval) -> list[Candle]:
        """Return the bars of an answer, in any order, the running one among them where it is given."""
        ...

    def tickers_request(self, symbols: Sequence[str]) -> PublicRequest:
        """Ask for last prices; of at most `ticker_symbols` symbols."""
        ...

    def tickers(self, body: Any, symbols: Sequence[str], *, now: datetime) -> Mapping[str, LastPrice]:
        """Return the last prices by symbol, asked for at `now`; one that the answer lacks is left out."""
        ...

    def refusal(self, status: int, body: Any) -> Refusal | None:
        """Say what an answer means that holds no data; None for one that does."""
        ...
