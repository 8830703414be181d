"""Series of bars read once for everybody: by one coroutine of a process, and by one process of all.

A series is kept in Redis until newer bars are stored. What a process has decoded it keeps as well, and asks
Redis each time whether that is still what is there, by the stamp at the beginning of the value: so that a
process never knows less than Redis does, and decodes a series once.
"""

import asyncio
import datetime as dt
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Interval
from alphapulse.domain.money import decimal_text
from alphapulse.market.bars import Series
from alphapulse.tenancy.cache import CacheConnection, CacheUnavailable, SharedCache

#: Exchange, symbol, interval.
SeriesKey: TypeAlias = tuple[str, str, Interval]

# How long a cached series may miss the newest bar should its removal fail; writers remove it as soon as they
# have committed.
_TTL_SECONDS: Final = {
    Interval.MINUTE: 5.0,
    Interval.FIVE_MINUTES: 15.0,
    Interval.FIFTEEN_MINUTES: 30.0,
    Interval.HOUR: 60.0,
    Interval.FOUR_HOURS: 120.0,
    Interval.DAY: 300.0,
}
# Of two thirds of a megabyte each.
_DECODED_KEPT: Final = 48
# A series is read from PostgreSQL within milliseconds; who waits longer reads it as well.
_CLAIM_SECONDS: Final = 3.0
_PATIENCE_SECONDS: Final = 1.0
_FIRST_WAIT_SECONDS: Final = 0.005
_LONGEST_WAIT_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class SharedSeries:
    """A series; `whole` when there is nothing older."""

    series: Series
    whole: bool

    def serves(self, limit: int) -> bool:
        """Tell whether as many bars are in it as are wanted, or as there are."""
        return self.whole or limit <= len(self.series.candles)


@dataclass(frozen=True, slots=True)
class _Decoded:
    prefix: bytes
    shared: SharedSeries


@dataclass(frozen=True, slots=True)
class _Obtained:
    shared: SharedSeries | None
    outcome: str
    # Whether it is still true after it was read.
    current: bool = True


Load: TypeAlias = Callable[[], Awaitable[SharedSeries | None]]


class SeriesReads:
    """The reads of one process; made once for its connection."""

    def __init__(self, cached_bars: int) -> None:
        self._cached_bars = cached_bars
        self._decoded: OrderedDict[SeriesKey, _Decoded] = OrderedDict()
        self._loading: dict[SeriesKey, asyncio.Future[SharedSeries | None]] = {}

    async def cached(self, cache: SharedCache, key: SeriesKey) -> SharedSeries | None:
        """Return a series from the cache; None when it is not there."""
        parts = _parts(key)
        known = self._decoded.get(key)
        if known is not None and await cache.begins_with(*parts, prefix=known.prefix):
            self._decoded.move_to_end(key)
            return known.shared
        document = await cache.get(*parts)
        # An entry that cannot be read counts as missing: the cache is never trusted with prices.
        try:
            shared = _decode(key, document)
        except (KeyError, TypeError, ValueError, ArithmeticError):
            return None
        if document is not None and shared is not None:
            self._remember(key, document.get("stamp"), shared)
        return shared

    async def read(
        self, cache: SharedCache, key: SeriesKey, limit: int, load: Load
    ) -> tuple[SharedSeries | None, str]:
        """Return a series, and whether it was a `hit`, a `miss` or `waited` for.

        Parameters
        ----------
        cache
            The market data cache.
        key
            Which series.
        limit
            Bars wanted.
        load
            Reads it from PostgreSQL, in the caller's own transaction.
        """
        outcome = "hit"
        while True:
            found = await self.cached(cache, key)
            if found is not None and found.serves(limit):
                return found, outcome
            if limit > self._cached_bars:
                return await load(), "miss"
            under_way = self._loading.get(key)
            if under_way is None:
                return await self._lead(cache, key, limit, load)
            outcome = "waited"
            # Whoever leads may be cancelled, or find that newer bars were stored meanwhile: then the next one
            # does, in its own transaction.
            await asyncio.wait([under_way])
            if not under_way.cancelled():
                return under_way.result(), outcome

    async def _lead(
        self, cache: SharedCache, key: SeriesKey, limit: int, load: Load
    ) -> tuple[SharedSeries | None, str]:
        mine: asyncio.Future[SharedSeries | None] = asyncio.get_running_loop().create_future()
        self._loading[key] = mine
        try:
            found = await self._obtain(cache, key, limit, load)
        except BaseException:
            mine.cancel()
            raise
        finally:
            del self._loading[key]
        if found.current:
            mine.set_result(found.shared)
        else:
            mine.cancel()
        return found.shared, found.outcome

    async def _obtain(self, cache: SharedCache, key: SeriesKey, limit: int, load: Load) -> _Obtained:
        """Read from PostgreSQL, or wait for the process that does."""
        token, wait = secrets.token_hex(8), _FIRST_WAIT_SECONDS
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE_SECONDS
        while loop.time() < deadline:
            try:
                if await cache.claim(*_parts(key), token=token, seconds=_CLAIM_SECONDS):
                    return await self._fill(cache, key, token, load)
            except CacheUnavailable:
                break
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
            found = await self.cached(cache, key)
            if found is not None and found.serves(limit):
                return _Obtained(found, "waited")
        return _Obtained(await load(), "miss")

    async def _fill(self, cache: SharedCache, key: SeriesKey, token: str, load: Load) -> _Obtained:
        parts, stamp, kept = _parts(key), secrets.token_hex(8), False
        try:
            shared = await load()
            if shared is not None:
                document = _encode(shared, stamp, self._cached_bars)
                kept = await cache.put(*parts, value=document, ttl_seconds=_TTL_SECONDS[key[2]])
        finally:
            held = await cache.release(*parts, token=token)
        if not held:
            # Newer bars were stored meanwhile: these may be from before.
            await cache.drop(*parts)
        elif kept and shared is not None:
            self._remember(key, stamp, _cut(shared, self._cached_bars))
        return _Obtained(shared, "miss", current=held)

    def _remember(self, key: SeriesKey, stamp: object, shared: SharedSeries) -> None:
        if not isinstance(stamp, str):
            return
        self._decoded[key] = _Decoded(f'{{"stamp":"{stamp}"'.encode(), shared)
        self._decoded.move_to_end(key)
        if len(self._decoded) > _DECODED_KEPT:
            self._decoded.popitem(last=False)


_READS: "WeakKeyDictionary[CacheConnection, SeriesReads]" = WeakKeyDictionary()


def series_reads(cache: SharedCache, *, cached_bars: int) -> SeriesReads:
    """Return the reads of the process that a cache belongs to."""
    found = _READS.get(cache.connection)
    if found is None:
        found = _READS[cache.connection] = SeriesReads(cached_bars)
    return found


def _parts(key: SeriesKey) -> tuple[str, ...]:
    exchange, symbol, interval = key
    return exchange, symbol, interval.value, "candles"


def _cut(shared: SharedSeries, bars: int) -> SharedSeries:
    return SharedSeries(shared.series.newest(bars), shared.whole and len(shared.series.candles) <= bars)


def _encode(shared: SharedSeries, stamp: str, bars: int) -> dict[str, Any]:
    kept = _cut(shared, bars)
    return {
        # At the beginning, so that it can be read without the rest.
        "stamp": stamp,
        "source": kept.series.source,
        # Whether there is nothing older: a series shorter than asked for is then complete.
        "whole": kept.whole,
        "bars": [_bar(candle) for candle in kept.series.candles],
    }


def _decode(key: SeriesKey, document: Any) -> SharedSeries | None:
    if document is None:
        return None
    exchange, symbol, interval = key
    candles = tuple(_candle(bar) for bar in document["bars"])
    series = Series(symbol, interval, str(document["source"]), candles, exchange)
    return SharedSeries(series, bool(document["whole"])) if candles else None


def _bar(candle: Candle) -> list[Any]:
    figures = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return [int(candle.open_time.timestamp()), *(decimal_text(figure) for figure in figures)]


def _candle(bar: list[Any]) -> Candle:
    seconds, opened, high, low, close, volume = bar
    candle = Candle(
        dt.datetime.fromtimestamp(seconds, dt.UTC),
        Decimal(opened),
        Decimal(high),
        Decimal(low),
        Decimal(close),
        Decimal(volume),
    )
    candle.validate()
    return candle
