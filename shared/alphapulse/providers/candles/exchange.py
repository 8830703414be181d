"""Candles and last prices from the public endpoints of an exchange."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Instrument, Interval
from alphapulse.providers.candles.exchange_client import ExchangeClient, RequestRefused
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
from alphapulse.providers.errors import AnswerMalformed
from alphapulse.tenancy.flight import SingleFlight

#: The bases of the default symbols, best known first: the first ten that an exchange has are taken.
MAJORS: Final = ("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE", "ADA", "AVAX", "LINK", "LTC", "DOT", "BCH")
DEFAULT_SYMBOLS: Final = 10

# So soon it is noticed that an exchange has delisted a symbol.
_INSTRUMENTS_SECONDS: Final = 300.0
# A bar appears a moment after it has closed; until then it is looked for this often, not with every question.
_LATE_BAR_SECONDS: Final = 5.0

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


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
    symbols : sequence of str
        ``BASE-QUOTE``; the majors that the exchange has when empty.
    clock : callable
        Tells which bars have closed.
    """

    def __init__(
        self, market: PublicMarket, client: ExchangeClient, *, symbols: Sequence[str] = (), clock: Clock
    ) -> None:
        self.name: SourceName = market.facts.name
        self.facts = market.facts
        self._market = market
        self._client = client
        self._symbols = tuple(dict.fromkeys(symbols))
        self._clock = clock
        self._instruments: Mapping[str, Instrument] = {}
        self._instruments_until = float("-inf")
        self._listing: SingleFlight[str, Mapping[str, Instrument]] = SingleFlight()
        self._pricing: SingleFlight[tuple[str, ...], Mapping[str, LastPrice]] = SingleFlight()
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
        """Return the last price.

        Raises
        ------
        UnknownSymbol, CandlesUnavailable
        """
        found = await self.tickers(symbol, now)
        if symbol not in found:
            raise CandlesUnavailable(f"{self.name} has no last price of {symbol}")
        return found[symbol]

    async def tickers(self, symbol: str, now: datetime) -> Mapping[str, Ticker]:
        """Return the last price of a symbol, and of others that the same request gives.

        Raises
        ------
        UnknownSymbol, CandlesUnavailable
        """
        known = await self._known()
        if symbol not in known:
            raise UnknownSymbol(symbol)
        others = [other for other in sorted(known) if other != symbol]
        group = tuple(sorted([symbol, *others[: self.facts.ticker_symbols - 1]]))
        prices = await self._pricing.run(group, lambda: self._prices(group))
        return {name: self._ticker(name, price, now) for name, price in prices.items()}

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
        if asyncio.get_running_loop().time() >= self._instruments_until:
            return await self._listing.run("instruments", self._list)
        return self._instruments

    async def _list(self) -> Mapping[str, Instrument]:
        wanted = self._symbols or tuple(f"{base}-{self.facts.quotes[0]}" for base in MAJORS)
        found = await self._rules(wanted)
        names = [symbol for symbol in wanted if symbol in found]
        if not self._symbols:
            names = names[:DEFAULT_SYMBOLS]
        elif missing := [symbol for symbol in wanted if symbol not in found]:
            logger.warning("symbols_not_traded", source=self.name, symbols=missing)
        self._instruments = {symbol: found[symbol] for symbol in names}
        self._instruments_until = asyncio.get_running_loop().time() + _INSTRUMENTS_SECONDS
        return self._instruments

    async def _rules(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        try:
            return self._market.instruments(await self._client.ask(self._market.instruments_request(symbols)))
        except AnswerMalformed as error:
            raise CandlesUnavailable(error.reason) from error
        except RequestRefused as refusal:
            if not refusal.unknown_symbol:
                raise
            if len(symbols) == 1:
                return {}
        # One that it does not know: each half has it or has not.
        half = len(symbols) // 2
        return {**await self._rules(symbols[:half]), **await self._rules(symbols[half:])}

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
            found = self._market.candles(await self._client.ask(request), interval)
        except AnswerMalformed as error:
            raise CandlesUnavailable(f"{error.reason}: {symbol} in {interval}") from error
        except RequestRefused as refusal:
            if refusal.unknown_symbol:
                raise UnknownSymbol(symbol) from refusal
            raise
        return [bar for bar in found if first <= bar.open_time <= last]

    async def _prices(self, symbols: tuple[str, ...]) -> Mapping[str, LastPrice]:
        try:
            body = await self._client.ask(self._market.tickers_request(symbols))
            return self._market.tickers(body, symbols)
        except AnswerMalformed as error:
            raise CandlesUnavailable(error.reason) from error
        except RequestRefused as refusal:
            if refusal.unknown_symbol:
                # One of them was delisted since they were listed.
                self._instruments_until = float("-inf")
            raise

    def _ticker(self, symbol: str, price: LastPrice, now: datetime) -> Ticker:
        # The answer is younger than the question, and clocks differ.
        as_of = now if price.at is None else min(price.at, now)
        return Ticker(
            symbol=symbol,
            price=price.price,
            bid=price.bid,
            ask=price.ask,
            as_of=as_of,
            bar_open_time=Interval.MINUTE.open_of(as_of),
            source=self.name,
        )


def _newest_open(interval: Interval, moment: datetime) -> datetime:
    return interval.open_of(moment) - timedelta(seconds=interval.seconds)
