"""Candles and instruments for tests that read them from PostgreSQL."""

import datetime as dt
import math
from collections.abc import Sequence
from decimal import Decimal

from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Interval, default_instrument
from alphapulse.market.writing import upsert_candles, upsert_instrument
from alphapulse.tenancy.platform_database import PlatformDatabase

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def wave(count: int, *, interval: Interval = Interval.DAY, start: dt.datetime = START) -> list[Candle]:
    """Bars of a price that swings around a slow rise."""
    step = dt.timedelta(seconds=interval.seconds)
    closes = [
        Decimal(round(1000 + n + 40 * math.sin(n / 7), 2)).quantize(Decimal("0.01")) for n in range(count)
    ]
    return [
        Candle(
            open_time=start + n * step,
            open=closes[max(n - 1, 0)],
            high=max(closes[max(n - 1, 0)], closes[n]) + 5,
            low=min(closes[max(n - 1, 0)], closes[n]) - 5,
            close=closes[n],
            volume=Decimal(10),
        )
        for n in range(count)
    ]


async def list_instrument(platform: PlatformDatabase, symbol: str, *, source: str = "directory") -> None:
    """Make a symbol known."""
    async with platform.session() as session:
        await upsert_instrument(session, default_instrument(symbol), source=source, now=START)


async def store(
    platform: PlatformDatabase,
    symbol: str,
    candles: Sequence[Candle],
    *,
    interval: Interval = Interval.DAY,
    source: str = "directory",
) -> None:
    """Make a symbol known and store bars of it."""
    await list_instrument(platform, symbol, source=source)
    async with platform.session() as session:
        await upsert_candles(session, symbol, interval, candles=candles, source=source, now=START)
