"""Candles of one symbol and interval: from the shared cache, else from PostgreSQL."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from alphapulse.data.session import Session
from alphapulse.domain.candles import Candle, Gap, find_gaps
from alphapulse.domain.instruments import Interval
from alphapulse.domain.money import decimal_text
from alphapulse.market.statements import sql
from alphapulse.tenancy.cache import SharedCache

#: Under which exchange name market data that belongs to no real exchange is kept.
PAPER: Final = "paper"
#: Bars kept in the cache; a longer series is read from PostgreSQL.
CACHED_BARS: Final = 500

# A cached series may miss the newest bar for this long; writers drop it as soon as they have committed.
_TTL_SECONDS: Final = {
    Interval.MINUTE: 5.0,
    Interval.FIVE_MINUTES: 15.0,
    Interval.FIFTEEN_MINUTES: 30.0,
    Interval.HOUR: 60.0,
    Interval.FOUR_HOURS: 120.0,
    Interval.DAY: 300.0,
}


@dataclass(frozen=True, slots=True)
class Series:
    """Stored bars, oldest first.

    Attributes
    ----------
    symbol : str
        ``BASE-QUOTE``.
    interval : Interval
        Length of a bar.
    source : str
        Where they come from: ``directory``, ``simulated``, or an exchange.
    candles : tuple of Candle
        At least one.
    exchange : str
        Whose prices they are.
    """

    symbol: str
    interval: Interval
    source: str
    candles: tuple[Candle, ...]
    exchange: str = PAPER

    @property
    def gaps(self) -> list[Gap]:
        """Bars missing between the first and the last; nothing is put in their place."""
        return find_gaps([candle.open_time for candle in self.candles], self.interval)

    def newest(self, bars: int) -> "Series":
        """Return the newest bars."""
        return Series(self.symbol, self.interval, self.source, self.candles[-bars:], self.exchange)

    def closed(self, now: dt.datetime) -> "Series":
        """Return the bars that have ended by `now`."""
        length = dt.timedelta(seconds=self.interval.seconds)
        ended = tuple(candle for candle in self.candles if candle.open_time + length <= now)
        return Series(self.symbol, self.interval, self.source, ended, self.exchange)


async def cached_series(
    cache: SharedCache, symbol: str, interval: Interval, *, limit: int, exchange: str = PAPER
) -> Series | None:
    """Return the newest bars from the cache; None when not as many as asked for are in it."""
    document = await cache.get(exchange, symbol, interval.value, "candles")
    if document is None:
        return None
    # An entry that cannot be read counts as missing: the cache is never trusted with prices.
    try:
        if limit > len(document["bars"]) and not document["whole"]:
            return None
        candles = tuple(_candle(bar) for bar in document["bars"][-limit:])
        return Series(symbol, interval, str(document["source"]), candles, exchange) if candles else None
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None


async def stored_series(
    session: Session, symbol: str, interval: Interval, *, limit: int, exchange: str = PAPER
) -> Series | None:
    """Return the newest bars from PostgreSQL; None when there are none."""
    found = sql.newest_candles(
        session, exchange=exchange, symbol=symbol, interval=interval.value, row_limit=limit
    )
    rows = [row async for row in found]
    if not rows:
        return None
    candles = tuple(
        Candle(row["open_time"], row["open"], row["high"], row["low"], row["close"], row["volume"])
        for row in reversed(rows)
    )
    return Series(symbol, interval, rows[0]["source"], candles, exchange)


async def read_series(
    session: Session,
    cache: SharedCache,
    symbol: str,
    interval: Interval,
    *,
    limit: int,
    exchange: str = PAPER,
) -> Series | None:
    """Return the newest bars from the cache or else from PostgreSQL, and keep them in the cache.

    Parameters
    ----------
    session : Session
        An open transaction.
    cache : SharedCache
        The market data cache.
    symbol : str
        ``BASE-QUOTE``.
    interval : Interval
        Length of a bar.
    limit : int
        Most bars to return.
    exchange : str
        Whose prices.

    Returns
    -------
    Series or None
        None when nothing of this symbol and interval is stored.
    """
    found = await cached_series(cache, symbol, interval, limit=limit, exchange=exchange)
    if found is not None:
        return found
    wanted = max(limit, CACHED_BARS)
    stored = await stored_series(session, symbol, interval, limit=wanted, exchange=exchange)
    if stored is None:
        return None
    await _keep(cache, stored, whole=len(stored.candles) < wanted)
    return stored.newest(limit)


async def available_intervals(session: Session, symbol: str, *, exchange: str = PAPER) -> list[str]:
    """Return the intervals a symbol has stored bars of, shortest first."""
    intervals = [interval.value for interval in Interval]
    rows = sql.available_intervals(session, exchange=exchange, symbol=symbol, intervals=intervals)
    return [row["interval"] async for row in rows]


async def drop_series(cache: SharedCache, symbol: str, interval: Interval, *, exchange: str = PAPER) -> None:
    """Forget cached bars, because newer ones are stored."""
    await cache.drop(exchange, symbol, interval.value, "candles")


async def _keep(cache: SharedCache, series: Series, *, whole: bool) -> None:
    document = {
        "source": series.source,
        # Whether there is nothing older: a series shorter than asked for is then complete.
        "whole": whole and len(series.candles) <= CACHED_BARS,
        "bars": [_bar(candle) for candle in series.candles[-CACHED_BARS:]],
    }
    await cache.put(
        series.exchange,
        series.symbol,
        series.interval.value,
        "candles",
        value=document,
        ttl_seconds=_TTL_SECONDS[series.interval],
    )


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
