"""Bars of an exchange come into PostgreSQL: begun, continued, corrected, caught up with after an outage."""

import datetime as dt
import time
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest
import redis.asyncio as redis

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.domain.instruments import Interval
from alphapulse.runtime.settings import Secret, Settings
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse_local.embedded.redis import EmbeddedRedis
from functions.market_data import exchange_continuation
from tests.exchange_simulators.binance import BinanceSimulator
from tests.exchange_simulators.server import Request
from tests.function.conftest import Broker, Clock, Functions

NOON = dt.datetime(2026, 3, 4, 12, 0, 30, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
BASES = ("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE", "ADA", "AVAX", "LINK", "LTC")
BEGUN, PORTION = 40, 300
SERIES = len(BASES) * len(Interval)


@pytest.fixture(autouse=True)
def fewer_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin series with fewer bars and catch up in smaller portions: the same, in less time."""
    monkeypatch.setattr(exchange_continuation, "FIRST_BARS", BEGUN)
    monkeypatch.setattr(exchange_continuation, "PORTION_BARS", PORTION)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
async def exchange(clock: Clock, redis_server: EmbeddedRedis) -> AsyncIterator[BinanceSimulator]:
    """An exchange with ten symbols, that nobody has asked anything."""
    client = redis.Redis.from_url(redis_server.url)
    for pattern in ("meta:source:*", "shared:provider:*"):
        if keys := await client.keys(pattern):
            await client.delete(*keys)
    await client.aclose()
    simulator = BinanceSimulator()
    await simulator.start()
    simulator.book.symbols = {f"{base}-USDT" for base in BASES}
    simulator.book.now = clock
    yield simulator
    await simulator.stop()


@pytest.fixture
def function_settings(
    empty_database: DatabaseUrls, redis_server: EmbeddedRedis, broker: Broker, exchange: BinanceSimulator
) -> Settings:
    return Settings(
        database_url=Secret(empty_database.app),
        platform_database_url=Secret(empty_database.platform),
        redis_url=Secret(redis_server.url),
        broker_url=broker.url,
        market_data_source="binance",
        binance_url=exchange.url,
        market_symbols=("BTC-USDT", "ETH-USDT"),
    )


@pytest.fixture
async def platform(empty_database: DatabaseUrls) -> AsyncIterator[PlatformDatabase]:
    opened = PlatformDatabase(empty_database.platform, application_name="test")
    yield opened
    await opened.close()


async def refresh(functions: Functions, *, status: int = 204) -> Any:
    answer = await functions.deliver("market_data", functions.tick("market-refresh"))
    assert answer.status_code == status, answer.text
    return answer


async def opens(platform: PlatformDatabase, symbol: str, interval: str = "1m") -> list[dt.datetime]:
    query = """SELECT open_time FROM candles
        WHERE exchange = 'paper' AND symbol = $1 AND interval = $2 ORDER BY open_time"""
    async with platform.session() as session:
        return [row["open_time"] for row in await session.fetch(query, symbol, interval)]


async def value(platform: PlatformDatabase, query: str, *arguments: Any) -> Any:
    async with platform.session() as session:
        return await session.fetchval(query, *arguments)


def klines(exchange: BinanceSimulator) -> Iterator[dict[str, str]]:
    return (one.parameters for one in exchange.requests if one.path == "/api/v3/klines")


def _listing(exchange: BinanceSimulator) -> Request:
    return next(one for one in exchange.requests if one.path == "/api/v3/exchangeInfo")


def minutes(first: dt.datetime, last: dt.datetime) -> list[dt.datetime]:
    return [first + n * MINUTE for n in range((last - first) // MINUTE + 1)]


async def test_a_first_refresh_stores_a_thousand_bars_of_every_interval(
    functions: Functions, platform: PlatformDatabase, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    await refresh(functions)

    for interval in Interval:
        assert len(await opens(platform, "BTC-USDT", interval)) == 1000
    assert (await opens(platform, "ETH-USDT"))[-1] == NOON.replace(second=0) - MINUTE
    assert await value(platform, "SELECT array_agg(DISTINCT source) FROM candles") == ["binance"]
    assert await value(platform, "SELECT tick FROM instruments WHERE symbol = 'BTC-USDT'") == Decimal("0.01")
    assert {event.data["source"] for event in broker.events} == {"binance"}


async def test_only_intervals_with_a_bar_that_has_closed_are_asked_for(
    functions: Functions, platform: PlatformDatabase, exchange: BinanceSimulator, clock: Clock
) -> None:
    await refresh(functions)
    exchange.requests.clear()

    await refresh(functions)
    within_the_minute = list(klines(exchange))
    clock.advance(minutes=1)
    await refresh(functions)

    assert within_the_minute == []
    asked = {(one["symbol"], one["interval"]) for one in klines(exchange)}
    assert asked == {("BTCUSDT", "1m"), ("ETHUSDT", "1m")}
    assert len(await opens(platform, "BTC-USDT")) == BEGUN + 1


async def test_a_correction_of_the_newest_bars_is_taken_over_with_the_next_one(
    functions: Functions, platform: PlatformDatabase, exchange: BinanceSimulator, clock: Clock
) -> None:
    await refresh(functions)
    corrected = NOON.replace(second=0) - 2 * MINUTE
    low = exchange.book.bar("BTC-USDT", Interval.MINUTE, int(corrected.timestamp()))[3]
    exchange.book.closes["BTC-USDT", Interval.MINUTE, corrected] = low
    clock.advance(minutes=1)

    await refresh(functions)

    query = "SELECT close FROM candles WHERE symbol = 'BTC-USDT' AND interval = '1m' AND open_time = $1"
    assert await value(platform, query, corrected) == Decimal(low)


async def test_an_outage_changes_nothing_and_leaves_no_hole(
    functions: Functions, platform: PlatformDatabase, exchange: BinanceSimulator, clock: Clock, broker: Broker
) -> None:
    await refresh(functions)
    before = await opens(platform, "BTC-USDT")
    broker.events.clear()
    exchange.down = 500
    for _ in range(3):
        # Longer than the instruments are remembered.
        clock.advance(minutes=100)
        answer = await refresh(functions, status=503)
        assert answer.json()["code"] == "dependency_down"
        assert exchange.url not in answer.text

    assert await opens(platform, "BTC-USDT") == before
    assert broker.events == []
    assert await value(platform, "SELECT count(*) FROM instruments WHERE status = 'trading'") == 2
    exchange.down = 0
    # Until then it is remembered that it did not answer.
    clock.advance(seconds=10)
    await refresh(functions)

    now = clock().replace(second=0)
    assert await opens(platform, "BTC-USDT") == minutes(before[0], now - MINUTE)
    assert (await opens(platform, "BTC-USDT", "1h"))[-1] == now.replace(minute=0) - dt.timedelta(hours=1)


async def test_after_days_without_it_bars_are_caught_up_with_oldest_first(
    functions: Functions, platform: PlatformDatabase, clock: Clock
) -> None:
    await refresh(functions)
    begun = (await opens(platform, "BTC-USDT"))[0]
    clock.advance(hours=10)

    await refresh(functions)
    first = await opens(platform, "BTC-USDT")
    clock.advance(minutes=1)
    await refresh(functions)
    clock.advance(minutes=1)
    await refresh(functions)

    assert len(first) == BEGUN + PORTION
    assert first == minutes(begun, first[-1])
    assert await opens(platform, "BTC-USDT") == minutes(begun, clock().replace(second=0) - MINUTE)


async def test_a_pause_of_the_exchange_longer_than_a_portion_is_passed_over(
    functions: Functions, platform: PlatformDatabase, exchange: BinanceSimulator, clock: Clock
) -> None:
    await refresh(functions)
    stopped = NOON.replace(second=0)
    clock.advance(hours=12)
    resumed = clock().replace(second=0) - 10 * MINUTE
    exchange.book.missing = {("BTC-USDT", Interval.MINUTE, at) for at in minutes(stopped, resumed - MINUTE)}

    await refresh(functions)

    assert (await opens(platform, "BTC-USDT"))[-11:] == [
        stopped - MINUTE,
        *minutes(resumed, resumed + 9 * MINUTE),
    ]


async def test_a_delisted_symbol_is_halted_and_the_others_go_on(
    functions: Functions, platform: PlatformDatabase, exchange: BinanceSimulator, clock: Clock
) -> None:
    await refresh(functions)
    exchange.book.symbols.discard("ETH-USDT")
    clock.advance(minutes=1)
    await refresh(functions)  # it is not noticed yet, and one series is missing
    clock.advance(minutes=6)

    await refresh(functions)

    query = "SELECT status FROM instruments WHERE symbol = $1"
    assert await value(platform, query, "ETH-USDT") == "halted"
    assert await value(platform, query, "BTC-USDT") == "trading"
    assert len(await opens(platform, "ETH-USDT")) == BEGUN
    assert len(await opens(platform, "BTC-USDT")) == BEGUN + 7


async def test_an_exchange_that_lists_nothing_halts_nothing(
    functions: Functions, platform: PlatformDatabase, exchange: BinanceSimulator, clock: Clock
) -> None:
    await refresh(functions)
    exchange.book.symbols.clear()
    clock.advance(minutes=6)

    await refresh(functions, status=503)

    assert await value(platform, "SELECT count(*) FROM instruments WHERE status = 'trading'") == 2


async def test_a_limit_in_the_middle_leaves_the_rest_for_the_next_refresh(
    functions: Functions,
    platform: PlatformDatabase,
    exchange: BinanceSimulator,
    clock: Clock,
    redis_server: EmbeddedRedis,
) -> None:
    await refresh(functions)
    clock.advance(hours=1)
    listed = exchange.answer(_listing(exchange))
    exchange.requests.clear()
    exchange.fail_next = [listed, 429]

    await refresh(functions)

    # Those under way are finished; the next ones are not sent.
    assert len(list(klines(exchange))) < 8
    async with redis.Redis.from_url(redis_server.url) as client:
        await client.delete(*await client.keys("meta:source:*"))
    functions = Functions(functions.settings, functions.signer, clock)  # a process that has not met the limit
    await refresh(functions)
    await functions.close()
    assert len(await opens(platform, "BTC-USDT")) == BEGUN + 60
    assert len(await opens(platform, "ETH-USDT", "1h")) == BEGUN + 1


async def test_simulated_bars_are_replaced_once_the_exchange_has_answered(
    functions: Functions, platform: PlatformDatabase, exchange: BinanceSimulator, clock: Clock
) -> None:
    simulated = Functions(functions.settings.replace(market_data_source="simulated"), functions.signer, clock)
    request = {"requested_at": NOON.isoformat(), "symbols": ["BTC-USDT"]}
    await simulated.deliver("market_data", simulated.event("market.refresh.requested", request))
    await simulated.close()
    await functions.resources("market_data").candles.instruments()
    exchange.fail_next = [500] * 20

    await refresh(functions)
    after_failure = await value(platform, "SELECT array_agg(DISTINCT source) FROM candles")
    exchange.fail_next = []
    await refresh(functions)

    assert after_failure == ["simulated"]
    query = "SELECT array_agg(DISTINCT source) FROM candles WHERE symbol IN ('BTC-USDT', 'ETH-USDT')"
    assert await value(platform, query) == ["binance"]
    assert len(await opens(platform, "BTC-USDT")) == BEGUN


async def test_ten_symbols_in_six_intervals_take_a_fraction_of_the_minute(
    functions: Functions, platform: PlatformDatabase, exchange: BinanceSimulator, clock: Clock
) -> None:
    everything = Functions(functions.settings.replace(market_symbols=()), functions.signer, clock)
    await refresh(everything)
    assert len(list(klines(exchange))) == SERIES
    # Midnight: a bar of every interval has closed.
    clock.advance(seconds=(dt.datetime(2026, 3, 5, 0, 0, 5, tzinfo=dt.UTC) - clock()).total_seconds())
    exchange.requests.clear()
    began = time.perf_counter()

    await refresh(everything)

    elapsed = time.perf_counter() - began
    await everything.close()
    assert len(list(klines(exchange))) == SERIES
    assert elapsed < 20
    assert await value(platform, "SELECT count(*) FROM candles WHERE interval = '1d'") == len(BASES) * (
        BEGUN + 1
    )
