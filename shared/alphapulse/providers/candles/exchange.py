"""Candles and last prices from the public endpoints of an exchange."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Instrument, Interval
from alphapulse.providers.candles.exchange_client import ExchangeClient, RequestRefused
from alphapulse.providers.candles.exchange_documents import PricesCodec
from alphapulse.providers.candles.exchange_instruments import ExchangeInstruments, by_halves
from alphapulse.providers.candles.public_market import LastPrice, PublicMarket
from alphapulse.providers.candles.source import (
    CandleBatch,
    CandlesUnavailable,
    Clock,
    IntervalUnavailable,
    Listing,
    SourceName,
    Ticker,
    UnknownSymbol,
    require_limit,
)
from alphapulse.providers.errors import ProviderError, SourceBusy
from alphapulse.providers.shared_reads import ReadKey, SharedReads

#: The age that a last price may reach.
PRICE_SECONDS: Final = 5.0

# A bar appears a moment after it has closed; until then it is looked for this often, not with every question.
_LATE_BAR_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Kept:
    """Bars from `first` on, up to the newest that had closed; `until` is when to look again."""

    first: datetime
    last: datetime
    candles: tuple[Candle, ...]
    until: float


class ExchangeCandles:
    """Serve the symbols of one exchange that are chosen.

    No other symbol is ever asked for, so that nobody can spend the budget on names that do not exist.

    Parameters
    ----------
    market : PublicMarket
        The exchange.
    client : ExchangeClient
        Asks it.
    reads : SharedReads
        Instruments and last prices, each asked for once for all processes.
    symbols : sequence of str
        ``BASE-QUOTE``; the majors that the exchange has when empty.
    clock : callable
        Tells which bars have closed.
    """

    def __init__(
        self,
        market: PublicMarket,
        client: ExchangeClient,
        *,
        reads: SharedReads,
        symbols: Sequence[str] = (),
        clock: Clock,
    ) -> None:
        self.name: SourceName = market.facts.name
        self.shares_prices = True
        self.facts = market.facts
        self._market = market
        self._client = client
        self._reads = reads
        self._instruments = ExchangeInstruments(market, client, reads=reads, symbols=symbols)
        self._clock = clock
        self._reading: dict[tuple[str, Interval], asyncio.Lock] = {}
        self._kept: dict[tuple[str, Interval], _Kept] = {}

    async def instruments(self) -> list[Listing]:
        """Return the chosen symbols that trade now, with the exchange's rules.

        Raises
        ------
        CandlesUnavailable
        """
        found = await self._known()
        return [Listing(found[symbol], self.facts.intervals) for symbol in sorted(found)]

    async def candles(
        self, symbol: str, interval: Interval, *, limit: int = 500, until: datetime | None = None
    ) -> CandleBatch:
        """Return the bars of the newest `limit` intervals that have closed by now, or by an earlier moment.

        Where nothing was traded there may be no bar, so there may be fewer.

        Raises
        ------
        UnknownSymbol, IntervalUnavailable, CandlesUnavailable
        ValueError
            When the limit is less than 1.
        """
        require_limit(limit)
        now = self._clock()
        last = _newest_open(interval, now if until is None else min(until, now))
        first = last - timedelta(seconds=(limit - 1) * interval.seconds)
        kept = await self._recent(symbol, interval, first=first)
        found = tuple(bar for bar in kept if first <= bar.open_time <= last)
        return CandleBatch.of(symbol, interval, self.name, candles=found)

    async def between(
        self, symbol: str, interval: Interval, *, first: datetime, last: datetime
    ) -> tuple[Candle, ...]:
        """Return the closed bars that opened between two moments, both included, as far as there are any.

        Parameters
        ----------
        symbol : str
            ``BASE-QUOTE``.
        interval : Interval
            Length of a bar.
        first, last : datetime
            Open times.

        Raises
        ------
        UnknownSymbol, IntervalUnavailable, CandlesUnavailable
        """
        await self._require(symbol, interval)
        newest = _newest_open(interval, self._clock())
        last = min(last, newest)
        step = timedelta(seconds=interval.seconds)
        if self.facts.newest_bars is not None:
            first = max(first, newest - (self.facts.newest_bars - 1) * step)
        found: dict[datetime, Candle] = {}
        while first <= last:
            end = min(last, first + (self.facts.page_bars - 1) * step)
            for bar in await self._page(symbol, interval, first, end):
                found[bar.open_time] = bar
            first = end + step
        return tuple(found[opened] for opened in sorted(found))

    async def ticker(self, symbol: str, now: datetime) -> Ticker:
        """Return the last price, at most five seconds old.

        Raises
        ------
        UnknownSymbol, CandlesUnavailable
        """
        known = await self._known()
        if symbol not in known:
            raise UnknownSymbol(symbol)
        size = self.facts.ticker_symbols
        names = sorted(known)
        start = names.index(symbol) // size * size
        group = tuple(names[start : start + size])
        asset = group[0] if len(group) == 1 else f"from-{group[0]}"
        with _told():
            prices = await self._reads.read(
                ReadKey(self.name, "prices", asset),
                # One that was delisted since takes no price from the others.
                lambda: by_halves(group, self._prices, unknown=[]),
                codec=PricesCodec(),
                fresh_seconds=PRICE_SECONDS,
            )
        if symbol not in prices:
            raise CandlesUnavailable(f"{self.name} has no last price of {symbol}")
        return self._ticker(symbol, prices[symbol], now)

    async def instrument(self, symbol: str) -> Instrument:
        """Return the exchange's rules of a symbol.

        Raises
        ------
        UnknownSymbol, CandlesUnavailable
        """
        known = await self._known()
        if symbol not in known:
            raise UnknownSymbol(symbol)
        return known[symbol]

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _known(self) -> Mapping[str, Instrument]:
        with _told():
            return await self._instruments.known()

    async def _require(self, symbol: str, interval: Interval) -> None:
        if symbol not in await self._known():
            raise UnknownSymbol(symbol)
        if interval not in self.facts.intervals:
            raise IntervalUnavailable(symbol, interval, self.facts.intervals)

    async def _recent(self, symbol: str, interval: Interval, *, first: datetime) -> Sequence[Candle]:
        """Return the bars from `first` on up to now, from memory while no further bar has closed."""
        await self._require(symbol, interval)
        async with self._reading.setdefault((symbol, interval), asyncio.Lock()):
            time = asyncio.get_running_loop().time
            newest = _newest_open(interval, self._clock())
            kept = self._kept.get((symbol, interval))
            if kept is not None and kept.first <= first and kept.last == newest and time() < kept.until:
                return kept.candles
            found = await self.between(symbol, interval, first=first, last=newest)
            whole = bool(found) and found[-1].open_time == newest
            until = float("inf") if whole else time() + _LATE_BAR_SECONDS
            self._kept[symbol, interval] = _Kept(first, newest, found, until)
            return found

    async def _page(
        self, symbol: str, interval: Interval, first: datetime, last: datetime
    ) -> Sequence[Candle]:
        request = self._market.candles_request(symbol, interval, first=first, last=last)
        try:
            with _told():
                found = self._market.candles(await self._client.ask(request), interval)
        except CandlesUnavailable as error:
            refusal = error.__cause__
            if isinstance(refusal, RequestRefused) and refusal.unknown_symbol:
                raise UnknownSymbol(symbol) from refusal
            raise
        return [bar for bar in found if first <= bar.open_time <= last]

    async def _prices(self, symbols: Sequence[str]) -> Mapping[str, LastPrice]:
        body = await self._client.ask(self._market.tickers_request(symbols))
        return self._market.tickers(body, symbols, now=self._clock())

    def _ticker(self, symbol: str, price: LastPrice, now: datetime) -> Ticker:
        # Clocks differ; a price from the future would be taken for a stale one.
        as_of = min(price.at, now)
        return Ticker(
            symbol=symbol,
            price=price.price,
            bid=price.bid,
            ask=price.ask,
            as_of=as_of,
            bar_open_time=Interval.MINUTE.open_of(as_of),
            source=self.name,
        )


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn what a source can fail with into what a source of candles can."""
    try:
        yield
    except ProviderError as error:
        raise CandlesUnavailable(error.reason, busy=isinstance(error, SourceBusy)) from error


def _newest_open(interval: Interval, moment: datetime) -> datetime:
    return interval.open_of(moment) - timedelta(seconds=interval.seconds)
