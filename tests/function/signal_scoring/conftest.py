"""Signals and candles of the past, for a scoring whose clock stands at `NOW`."""

import datetime as dt
import random
import string
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Interval
from alphapulse.market.writing import upsert_candles
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from tests.function.conftest import Clock

#: When the signals of these tests are made, and when they are scored: a day and ten minutes later.
MADE = dt.datetime(2026, 3, 2, 12, 30, tzinfo=dt.UTC)
HORIZON = MADE + dt.timedelta(days=1)
NOW = HORIZON + dt.timedelta(minutes=10)


def bars(
    closes: Sequence[str], *, last_close: dt.datetime, interval: Interval = Interval.HOUR
) -> list[Candle]:
    """Bars with these closes, the last of which closes at a moment."""
    length = dt.timedelta(seconds=interval.seconds)
    first = last_close - len(closes) * length
    return [
        Candle(first + n * length, *[Decimal(close)] * 4, volume=Decimal(1)) for n, close in enumerate(closes)
    ]


class Candles:
    """Stored candles of a symbol that no other test uses."""

    def __init__(self, platform: PlatformDatabase) -> None:
        self.platform = platform
        self.symbol = "".join(random.choices(string.ascii_uppercase, k=12)) + "-USD"

    async def store(
        self,
        candles: Sequence[Candle],
        *,
        interval: Interval = Interval.HOUR,
        source: str = "binance",
        written_at: dt.datetime | None = None,
    ) -> None:
        """Store bars as `market_data` does; without another time just after the last has closed."""
        length = dt.timedelta(seconds=interval.seconds)
        now = written_at or candles[-1].open_time + length
        async with self.platform.session() as session:
            await upsert_candles(
                session, self.symbol, interval, candles=list(candles), source=source, now=now
            )


class Signals:
    """Signals of a tenant, written as the agents write them."""

    def __init__(self, database: Database, tenant: TenantId, symbol: str) -> None:
        self.database = database
        self.tenant = tenant
        self.symbol = symbol

    async def add(
        self,
        direction: str = "buy",
        *,
        agent: str = "technical",
        confidence: float = 0.8,
        made_at: dt.datetime = MADE,
        horizon_at: dt.datetime | None = HORIZON,
        interval: Interval = Interval.HOUR,
        symbol: str | None = None,
    ) -> uuid.UUID:
        signal_id = uuid7()
        async with self.database.tenant(self.tenant) as session:
            await session.execute(
                """INSERT INTO agent_signals (tenant_id, id, run_id, agent, symbol, interval, signal, score,
                    confidence, agent_version, created_at, expires_at, horizon_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, '2', $9, $10, $11)""",
                self.tenant.value,
                signal_id,
                uuid7(),
                agent,
                symbol or self.symbol,
                interval.value,
                direction,
                confidence,
                made_at,
                made_at + dt.timedelta(minutes=5),
                horizon_at,
            )
        return signal_id

    async def outcome(self, signal_id: uuid.UUID) -> Any:
        async with self.database.tenant(self.tenant) as session:
            return await session.fetchrow(
                "SELECT * FROM signal_outcomes WHERE tenant_id = $1 AND id = $2", self.tenant.value, signal_id
            )

    async def statuses(self) -> list[str]:
        async with self.database.tenant(self.tenant) as session:
            rows = await session.fetch(
                "SELECT status FROM signal_outcomes WHERE tenant_id = $1", self.tenant.value
            )
        return sorted(row["status"] for row in rows)


@pytest.fixture
def clock() -> Clock:
    """Ten minutes after the horizon."""
    return Clock(NOW)


@pytest.fixture
def candles(platform_database: PlatformDatabase) -> Candles:
    return Candles(platform_database)


@pytest.fixture
def signals(app_database: Database, tenant: TenantId, candles: Candles) -> Signals:
    return Signals(app_database, tenant, candles.symbol)
