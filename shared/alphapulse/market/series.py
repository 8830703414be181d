"""Candles of one symbol and interval: from the shared cache, else from PostgreSQL."""

from typing import Final

from alphapulse.data.session import Session
from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Interval
from alphapulse.market.bars import PAPER, Series
from alphapulse.market.shared_series import SeriesKey, SeriesReads, SharedSeries, series_reads
from alphapulse.market.statements import sql
from alphapulse.tenancy.cache import SharedCache

__all__ = [
    "CACHED_BARS",
    "PAPER",
    "Series",
    "available_intervals",
    "cached_series",
    "drop_series",
    "read_series",
    "stored_series",
]

#: Bars kept in the cache, one more than the longest window an agent may be set to; a longer series is read
#: from PostgreSQL.
CACHED_BARS: Final = 1_001
DATASET: Final = "candles"


async def cached_series(
    cache: SharedCache, symbol: str, interval: Interval, *, limit: int, exchange: str = PAPER
) -> Series | None:
    """Return the newest bars from the cache; None when not as many as asked for are in it."""
    found = await _cached(cache, (exchange, symbol, interval), limit)
    if found is not None:
        cache.connection.on_shared_read(DATASET, "hit")
    return found


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
    key = (exchange, symbol, interval)

    async def load() -> SharedSeries | None:
        wanted = max(limit, CACHED_BARS)
        stored = await stored_series(session, symbol, interval, limit=wanted, exchange=exchange)
        return None if stored is None else SharedSeries(stored, whole=len(stored.candles) < wanted)

    found, outcome = await _reads(cache).read(cache, key, limit, load)
    cache.connection.on_shared_read(DATASET, outcome)
    return None if found is None else found.series.newest(limit)


async def available_intervals(session: Session, symbol: str, *, exchange: str = PAPER) -> list[str]:
    """Return the intervals a symbol has stored bars of, shortest first."""
    intervals = [interval.value for interval in Interval]
    rows = sql.available_intervals(session, exchange=exchange, symbol=symbol, intervals=intervals)
    return [row["interval"] async for row in rows]


async def drop_series(cache: SharedCache, symbol: str, interval: Interval, *, exchange: str = PAPER) -> None:
    """Forget cached bars, because newer ones are stored."""
    await cache.invalidate(exchange, symbol, interval.value, "candles")


async def _cached(cache: SharedCache, key: SeriesKey, limit: int) -> Series | None:
    found = await _reads(cache).cached(cache, key)
    return found.series.newest(limit) if found is not None and found.serves(limit) else None


def _reads(cache: SharedCache) -> SeriesReads:
    return series_reads(cache, cached_bars=CACHED_BARS)
