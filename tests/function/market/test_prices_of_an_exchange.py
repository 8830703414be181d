"""The ticker route with an exchange behind it."""

import datetime as dt
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import redis.asyncio as redis

from alphapulse.runtime.settings import Settings
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.exchange_simulators.coinbase import CoinbaseSimulator
from tests.function.conftest import Clock, Functions

NOON = dt.datetime(2026, 3, 4, 12, 0, 30, tzinfo=dt.UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
async def exchange(clock: Clock, redis_server: EmbeddedRedis) -> AsyncIterator[CoinbaseSimulator]:
    client = redis.Redis.from_url(redis_server.url)
    for pattern in ("meta:source:*", "shared:provider:*"):
        if keys := await client.keys(pattern):
            await client.delete(*keys)
    await client.aclose()
    simulator = CoinbaseSimulator()
    await simulator.start()
    simulator.book.symbols = {"BTC-USD", "ETH-USD"}
    simulator.book.now = clock
    yield simulator
    await simulator.stop()


@pytest.fixture
async def at_exchange(
    functions: Functions, function_settings: Settings, exchange: CoinbaseSimulator
) -> AsyncIterator[Functions]:
    settings = function_settings.replace(
        market_data_source="coinbase", coinbase_url=exchange.url, price_max_age_seconds=30.0
    )
    built = Functions(settings, functions.signer, functions.clock)
    yield built
    await built.close()


async def test_ticker_names_the_exchange_and_the_moment_of_its_last_trade(
    at_exchange: Functions, tenant: TenantId, exchange: CoinbaseSimulator
) -> None:
    answer = await at_exchange.caller("market", tenant).get("/market/BTC-USD/ticker")

    ticker = answer.json()
    assert answer.status_code == 200, answer.text
    assert (ticker["source"], ticker["exchange"], ticker["stale"]) == ("coinbase", "paper", False)
    assert Decimal(ticker["price"]) == Decimal(exchange.book.price("BTC-USD")) / 100
    assert Decimal(ticker["bid"]) < Decimal(ticker["price"]) < Decimal(ticker["ask"])
    assert ticker["as_of"] == "2026-03-04T12:00:28Z"


async def test_a_market_without_trades_has_a_stale_price(
    at_exchange: Functions, tenant: TenantId, exchange: CoinbaseSimulator, clock: Clock
) -> None:
    exchange.book.now = lambda: clock() - dt.timedelta(minutes=5)

    ticker = (await at_exchange.caller("market", tenant).get("/market/BTC-USD/ticker")).json()

    assert ticker["stale"] is True


async def test_a_symbol_the_exchange_has_not_is_unknown(at_exchange: Functions, tenant: TenantId) -> None:
    answer = await at_exchange.caller("market", tenant).get("/market/DOGE-USD/ticker")

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_symbol")


async def test_an_exchange_that_is_down_is_a_dependency_that_is_down(
    at_exchange: Functions, tenant: TenantId, exchange: CoinbaseSimulator
) -> None:
    exchange.down = 502

    answer = await at_exchange.caller("market", tenant).get("/market/BTC-USD/ticker")

    assert (answer.status_code, answer.json()["code"]) == (503, "dependency_down")
    assert exchange.url not in answer.text
