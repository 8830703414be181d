"""Seeded, simulated candles, for when there is no market to ask; every answer says that it is simulated.

The path of a base currency is made in two steps. Its level at midnight is a mean-reverting walk around an
anchor, partly common to all. Within a day, minutes follow a random bridge from one midnight to the next.
Every random number is a hash of (seed, base, day, minute), so that a bar has the same values whoever asks,
in whatever window; and every coarser bar is the sum of its minutes.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Instrument, Interval, default_instrument
from alphapulse.domain.orders import Side
from alphapulse.domain.paper import PaperTerms, touch_price
from alphapulse.providers.candles.simulation import ASSETS, DAY_SECONDS, FIRST_DAY, Bars, Simulation
from alphapulse.providers.candles.source import (
    CandleBatch,
    Clock,
    Listing,
    Ticker,
    UnknownSymbol,
    require_limit,
    utc_now,
)

SYMBOLS: Final = (
    *(f"{base}-USDT" for base in ASSETS),
    "BTC-USD",
    "ETH-USD",
    "SOL-USD",
)

_TERMS: Final = PaperTerms()
_BATCHES_KEPT: Final = 128
# The last price visits open, both extremes and close within its minute, so that it never leaves the bar.
_LEG_SECONDS: Final = 20


class SimulatedCandles:
    """Serve simulated candles of a fixed list of symbols.

    Parameters
    ----------
    seed : int
        The same seed always gives the same bars.
    clock : callable
        Tells which bars have closed; no later one is ever given, whatever is asked for.
    """

    name: Literal["simulated"] = "simulated"
    shares_prices = False

    def __init__(self, seed: int, *, clock: Clock = utc_now) -> None:
        self._simulation = Simulation(seed)
        self._clock = clock
        self._batches: OrderedDict[tuple[str, Interval, int, int], CandleBatch] = OrderedDict()

    async def instruments(self) -> list[Listing]:
        """Return the symbols there are, in all intervals."""
        return [Listing(default_instrument(symbol), tuple(Interval)) for symbol in sorted(SYMBOLS)]

    async def instrument(self, symbol: str) -> Instrument:
        """Return default rules: nothing here publishes others."""
        return default_instrument(symbol)

    async def candles(
        self, symbol: str, interval: Interval, *, limit: int = 500, until: datetime | None = None
    ) -> CandleBatch:
        """Return the newest bars that have closed by now, or by an earlier moment.

        Raises
        ------
        UnknownSymbol
        ValueError
            When the limit is less than 1.
        """
        _require_known(symbol)
        require_limit(limit)
        now = self._clock()
        moment = now if until is None else min(until, now)
        end = int(interval.open_of(moment).timestamp())
        key = (symbol, interval, end, limit)
        batch = self._batches.get(key)
        if batch is None:
            batch = await asyncio.to_thread(self._batch, symbol, interval, end, limit)
            self._keep(key, batch)
        return batch

    async def ticker(self, symbol: str, now: datetime) -> Ticker:
        """Return the price within the minute that is running.

        Raises
        ------
        UnknownSymbol
        """
        _require_known(symbol)
        instrument = default_instrument(symbol)
        opened = Interval.MINUTE.open_of(now)
        first = int(opened.timestamp())
        bars = self._bars(instrument, Interval.MINUTE, first, first + Interval.MINUTE.seconds)
        minute = _MinutePath(int(bars.open[0]), int(bars.high[0]), int(bars.low[0]), int(bars.close[0]))
        price = minute.at(int((now - opened).total_seconds())) * instrument.tick
        return Ticker(
            symbol=symbol,
            price=price,
            bid=touch_price(Side.SELL, price, instrument=instrument, terms=_TERMS),
            ask=touch_price(Side.BUY, price, instrument=instrument, terms=_TERMS),
            as_of=now,
            bar_open_time=opened,
            source=self.name,
        )

    async def close(self) -> None:
        """Close nothing: nothing is kept open."""

    def _batch(self, symbol: str, interval: Interval, end: int, limit: int) -> CandleBatch:
        first = max(end - limit * interval.seconds, FIRST_DAY * DAY_SECONDS)
        candles: tuple[Candle, ...] = ()
        if first < end:
            instrument = default_instrument(symbol)
            candles = tuple(_candles(self._bars(instrument, interval, first, end), instrument))
        return CandleBatch(symbol, interval, self.name, candles, gaps=())

    def _bars(self, instrument: Instrument, interval: Interval, first_open: int, end: int) -> Bars:
        return self._simulation.bars(
            instrument.base,
            interval,
            first_open=first_open,
            end=end,
            tick=float(instrument.tick),
            lot=float(instrument.lot),
        )

    def _keep(self, key: tuple[str, Interval, int, int], batch: CandleBatch) -> None:
        self._batches[key] = batch
        if len(self._batches) > _BATCHES_KEPT:
            self._batches.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _MinutePath:
    # In ticks.
    open: int
    high: int
    low: int
    close: int

    def at(self, second: int) -> int:
        # A rising minute dips first and a falling one rises first, as real ones mostly do.
        first, then = (self.low, self.high) if self.close >= self.open else (self.high, self.low)
        legs = ((self.open, first), (first, then), (then, self.close))
        index, elapsed = divmod(second, _LEG_SECONDS)
        start, end = legs[index]
        return start + (end - start) * elapsed // _LEG_SECONDS


def _candles(bars: Bars, instrument: Instrument) -> Iterator[Candle]:
    tick, lot = instrument.tick, instrument.lot
    columns = (bars.open_seconds, bars.open, bars.high, bars.low, bars.close, bars.volume)
    for second, opened, high, low, closed, volume in zip(*(c.tolist() for c in columns), strict=True):
        yield Candle(
            open_time=datetime.fromtimestamp(second, UTC),
            open=opened * tick,
            high=high * tick,
            low=low * tick,
            close=closed * tick,
            volume=volume * lot,
        )


def _require_known(symbol: str) -> None:
    if symbol not in SYMBOLS:
        raise UnknownSymbol(symbol)
