"""A series of bars is read from PostgreSQL once for everybody, and never seen longer than it is true."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Interval
from alphapulse.market import series as market_series
from alphapulse.market.series import Series, cached_series, drop_series, read_series, stored_series
from alphapulse.market.writing import upsert_candles
from alphapulse.tenancy.cache import CacheConnection
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse_local.embedded.redis import EmbeddedRedis

START = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


class Process:
    """What one process has: a connection to the cache, and the counts of its reads."""

    def __init__(self, url: str | None, platform: PlatformDatabase, symbol: str) -> None:
        self.outcomes: list[str] = []
        self.connection = CacheConnection(url, on_shared_read=self._count)
        self.symbol = symbol
        self._platform = platform

    def _count(self, dataset: str, outcome: str) -> None:
        assert dataset == "candles"
        self.outcomes.append(outcome)

    async def read(self, limit: int = 5) -> Series | None:
        async with self._platform.session() as session:
            return await read_series(
                session, self.connection.market(), self.symbol, Interval.MINUTE, limit=limit
            )

    async def store(self, count: int, *, start: int = 0) -> None:
        """Store bars and tell, as the refresh does."""
        bars = [
            Candle(
                START + (start + n) * MINUTE, *(Decimal(value) for value in ("10", "12", "9", "11", "1.5"))
            )
            for n in range(count)
        ]
        async with self._platform.session() as session:
            await upsert_candles(
                session, self.symbol, Interval.MINUTE, candles=bars, source="binance", now=START
            )
        await drop_series(self.connection.market(), self.symbol, Interval.MINUTE)


@pytest.fixture
async def platform(database: DatabaseUrls) -> AsyncIterator[PlatformDatabase]:
    opened = PlatformDatabase(database.platform, application_name="test", max_size=20)
    yield opened
    await opened.close()


@pytest.fixture
async def process(
    platform: PlatformDatabase, redis_server: EmbeddedRedis, request: pytest.FixtureRequest
) -> AsyncIterator[Callable[..., Process]]:
    """`process()`: one more process; all of a test read the same symbol."""
    symbol = f"S{abs(hash(request.node.name)) % 10**9}-USD"
    opened: list[Process] = []

    def start(*, url: str | None = redis_server.url) -> Process:
        opened.append(Process(url, platform, symbol))
        return opened[-1]

    yield start
    for one in opened:
        await one.connection.close()


@pytest.fixture
def database_reads(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When PostgreSQL was read; each read takes a while, so that others meet it."""
    reads: list[float] = []

    async def counted(*arguments: Any, **options: Any) -> Series | None:
        reads.append(asyncio.get_running_loop().time())
        found = await stored_series(*arguments, **options)
        await asyncio.sleep(0.05)
        return found

    monkeypatch.setattr(market_series, "stored_series", counted)
    return reads


async def test_readers_at_the_same_time_cost_one_read_of_the_database(
    process: Callable[..., Process], database_reads: list[float]
) -> None:
    processes = [process() for _ in range(3)]
    await processes[0].store(30)

    found = await asyncio.gather(*(one.read() for one in processes * 6))

    assert len(database_reads) == 1
    assert {series.candles[-1].open_time for series in found if series} == {START + 29 * MINUTE}
    outcomes = [outcome for one in processes for outcome in one.outcomes]
    assert (len(outcomes), outcomes.count("miss")) == (18, 1)


async def test_a_process_decodes_a_series_once(process: Callable[..., Process]) -> None:
    reader = process()
    await reader.store(30)
    await reader.read(30)

    first, second = await reader.read(30), await reader.read(30)

    assert first is second
    assert reader.outcomes == ["miss", "hit", "hit"]


async def test_newer_bars_are_seen_by_every_process_at_once(process: Callable[..., Process]) -> None:
    writer, reader = process(), process()
    await writer.store(30)
    await reader.read(30)

    for count in range(31, 40):
        await writer.store(1, start=count - 1)
        series = await reader.read(30)
        assert series is not None
        assert series.candles[-1].open_time == START + (count - 1) * MINUTE


async def test_bars_stored_during_a_read_are_not_hidden_by_it(
    process: Callable[..., Process], database_reads: list[float]
) -> None:
    writer, reader = process(), process()
    await writer.store(30)
    early = asyncio.create_task(reader.read(30))
    async with asyncio.timeout(5):
        while not database_reads:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)  # it has read, and has not put it into the cache yet

    await writer.store(1, start=30)
    late = await reader.read(31)
    await early

    assert late is not None
    assert late.candles[-1].open_time == START + 30 * MINUTE
    kept = await cached_series(process().connection.market(), reader.symbol, Interval.MINUTE, limit=5)
    assert kept is None or kept.candles[-1].open_time == START + 30 * MINUTE


async def test_a_reader_that_is_cancelled_leaves_the_others_their_series(
    process: Callable[..., Process], database_reads: list[float]
) -> None:
    reader = process()
    await reader.store(30)
    leader = asyncio.create_task(reader.read())
    async with asyncio.timeout(5):
        while not database_reads:
            await asyncio.sleep(0.005)
    others = [asyncio.create_task(reader.read()) for _ in range(4)]
    await asyncio.sleep(0.01)

    leader.cancel()

    found = await asyncio.gather(*others)
    assert all(series is not None for series in found)
    assert leader.cancelled() or leader.cancelling()


async def test_a_process_that_died_while_reading_delays_the_others_by_a_second(
    process: Callable[..., Process],
) -> None:
    reader = process()
    await reader.store(30)
    market = reader.connection.market()
    await market.claim("paper", reader.symbol, "1m", "candles", token="dead", seconds=3)
    loop = asyncio.get_running_loop()
    began = loop.time()

    series = await reader.read()

    assert series is not None
    assert loop.time() - began < 3


async def test_without_redis_each_read_is_of_the_database(process: Callable[..., Process]) -> None:
    reader = process(url=None)
    await reader.store(30)

    first = await reader.read()
    await reader.store(1, start=30)
    second = await reader.read()

    assert first is not None
    assert second is not None
    assert second.candles[-1].open_time == START + 30 * MINUTE
    assert reader.outcomes == ["miss", "miss"]


async def test_a_series_that_is_not_there_is_nothing(process: Callable[..., Process]) -> None:
    reader = process()

    assert await asyncio.gather(*(reader.read() for _ in range(5))) == [None] * 5


async def test_more_bars_than_are_cached_come_from_the_database(process: Callable[..., Process]) -> None:
    reader = process()
    await reader.store(1100)

    short, long = await reader.read(1001), await reader.read(1100)

    assert short is not None
    assert long is not None
    assert (len(short.candles), len(long.candles)) == (1001, 1100)


async def test_an_entry_that_cannot_be_read_counts_as_missing(process: Callable[..., Process]) -> None:
    reader = process()
    await reader.store(30)
    market = reader.connection.market()
    for broken in ({"stamp": "x", "bars": [[1]]}, {"bars": "no"}, ["list"], {"stamp": "y"}):
        await market.put("paper", reader.symbol, "1m", "candles", value=broken, ttl_seconds=60)

        series = await reader.read()

        assert series is not None
        assert len(series.candles) == 5
