"""The paper exchange as an exchange: idempotent, matched against the market, the same for the same data."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path

import pytest

from alphapulse.domain.orders import OrderStatus, OrderType, Side, TimeInForce
from alphapulse.domain.paper import PaperTerms
from alphapulse.providers.candles import candle_source
from alphapulse.tenancy.cache import CacheConnection
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse.venues.paper import PaperVenue
from alphapulse.venues.protocol import NewOrder, OrderRefused, PriceUnavailable, UnknownSymbol, Venue
from alphapulse.venues.tickers import CachedTickers
from alphapulse_local.embedded.redis import EmbeddedRedis

NOON = dt.datetime(2026, 3, 1, 12, 0, 30, tzinfo=dt.UTC)
MakeVenue = Callable[..., PaperVenue]


class Exchange:
    """Candle files, a clock, and accounts on the paper exchange that follows them."""

    def __init__(self, directory: Path, database: Database, cache: CacheConnection) -> None:
        self.now = NOON
        self.directory = directory
        self.rows: list[str] = []
        self._database = database
        self._cache = cache
        self._source = candle_source(directory, 1, clock=lambda: self.now)

    def bar(self, open_time: dt.datetime, prices: str) -> None:
        """Add a one-minute bar with `open,high,low,close` of BTC-USDT."""
        self.rows.append(f"{open_time:%Y-%m-%dT%H:%M:00Z},{prices},1")
        text = "\n".join(["timestamp,open,high,low,close,volume", *self.rows])
        (self.directory / "BTC-USDT_1m.csv").write_text(text + "\n")

    def account(self, tenant: TenantId, **terms: Decimal) -> PaperVenue:
        tickers = CachedTickers(
            # A name of its own, so that no other test's prices are found in the cache.
            f"paper-{self.directory.name[:40]}",
            cache=self._cache.market(),
            source=self._source,
            clock=lambda: self.now,
        )
        return PaperVenue(
            tenant,
            database=self._database,
            tickers=tickers,
            source=self._source,
            clock=lambda: self.now,
            terms=PaperTerms(**terms),
        )

    async def forget(self) -> None:
        """Let the cached last price expire."""
        await self._cache.market().drop(f"paper-{self.directory.name[:40]}", "BTC-USDT", "ticker")


@pytest.fixture
async def exchange(
    tmp_path: Path, app_database: Database, redis_server: EmbeddedRedis
) -> AsyncIterator[Exchange]:
    cache = CacheConnection(redis_server.url)
    exchange = Exchange(tmp_path, app_database, cache)
    exchange.bar(dt.datetime(2026, 3, 1, 11, 58, tzinfo=dt.UTC), "50000,50000,50000,50000")
    yield exchange
    await cache.close()


def order(client_order_id: str = "one", **change: object) -> NewOrder:
    fields: dict[str, object] = {
        "client_order_id": client_order_id,
        "symbol": "BTC-USDT",
        "side": Side.BUY,
        "type": OrderType.MARKET,
        "quantity": Decimal("0.1"),
        "price": None,
        "time_in_force": TimeInForce.GTC,
    }
    return NewOrder(**{**fields, **change})  # type: ignore[arg-type] # the fields' types are those above


def limit(client_order_id: str, price: str, side: Side = Side.BUY) -> NewOrder:
    return order(client_order_id, type=OrderType.LIMIT, price=Decimal(price), side=side)


async def test_paper_venue_is_a_venue(exchange: Exchange, tenant: TenantId) -> None:
    venue: Venue = exchange.account(tenant)

    assert venue.name == "paper"
    assert (await venue.instrument("BTC-USDT")).tick == Decimal("0.01")
    with pytest.raises(UnknownSymbol):
        await venue.instrument("NOPE-USDT")


async def test_same_client_order_id_is_the_same_order(exchange: Exchange, tenant: TenantId) -> None:
    venue = exchange.account(tenant)

    first = await venue.create_order(order())
    other_content = await venue.create_order(order(quantity=Decimal(5), side=Side.SELL))

    assert first.status is OrderStatus.FILLED
    assert other_content == first


async def test_same_client_order_id_at_the_same_moment_is_one_order(
    exchange: Exchange, tenant: TenantId, app_database: Database
) -> None:
    venue = exchange.account(tenant)

    orders = await asyncio.gather(*(venue.create_order(order()) for _ in range(20)))

    assert all(placed == orders[0] for placed in orders)
    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT count(*) FROM paper_fills") == 1


async def test_client_order_ids_of_two_tenants_do_not_meet(
    exchange: Exchange, tenant: TenantId, other_tenant: TenantId
) -> None:
    mine = await exchange.account(tenant).create_order(order())
    other = exchange.account(other_tenant)

    assert await other.order(client_order_id="one", symbol="BTC-USDT") is None
    theirs = await other.create_order(order())
    assert theirs.venue_order_id != mine.venue_order_id


async def test_terms_set_spread_and_fee(exchange: Exchange, tenant: TenantId) -> None:
    venue = exchange.account(tenant, half_spread_bps=Decimal(10), fee_bps=Decimal(20))

    (fill,) = (await venue.create_order(order())).fills

    assert fill.price == Decimal(50050)
    assert (fill.fee.amount, fill.fee.currency) == (Decimal("10.01"), "USDT")
    assert venue.cost_rate == Decimal("0.003")


async def test_limit_rests_until_a_later_candle_reaches_it(exchange: Exchange, tenant: TenantId) -> None:
    venue = exchange.account(tenant)
    resting = await venue.create_order(limit("one", "49000"))
    exchange.bar(dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC), "50000,50000,48000,50000")
    exchange.now = NOON + dt.timedelta(minutes=1)
    still = await venue.order(client_order_id="one", symbol="BTC-USDT")
    exchange.bar(dt.datetime(2026, 3, 1, 12, 1, tzinfo=dt.UTC), "50000,50000,48500,50000")
    exchange.now = NOON + dt.timedelta(minutes=2)

    filled = await venue.order(client_order_id="one", symbol="BTC-USDT")

    assert resting.status is OrderStatus.OPEN
    assert still is not None
    assert still.status is OrderStatus.OPEN  # the bar was under way when the order came
    assert filled is not None
    assert filled.status is OrderStatus.FILLED
    assert filled.fills[0].price == 49_000
    assert filled.fills[0].executed_at == dt.datetime(2026, 3, 1, 12, 2, tzinfo=dt.UTC)


async def test_candle_that_opens_beyond_the_limit_fills_at_its_open(
    exchange: Exchange, tenant: TenantId
) -> None:
    venue = exchange.account(tenant)
    await venue.create_order(limit("one", "51000", Side.SELL))
    exchange.bar(dt.datetime(2026, 3, 1, 12, 1, tzinfo=dt.UTC), "52000,52500,51500,52000")
    exchange.now = NOON + dt.timedelta(minutes=2)

    assert await venue.open_orders() == []
    filled = await venue.order(client_order_id="one", symbol="BTC-USDT")

    assert filled is not None
    assert filled.fills[0].price == 52_000


async def test_limit_fills_when_a_later_tick_reaches_it(exchange: Exchange, tenant: TenantId) -> None:
    venue = exchange.account(tenant)
    await venue.create_order(limit("one", "49000"))
    exchange.bar(dt.datetime(2026, 3, 1, 11, 59, tzinfo=dt.UTC), "49000,49000,49000,49000")
    exchange.now += dt.timedelta(seconds=6)
    await exchange.forget()

    filled = await venue.order(client_order_id="one", symbol="BTC-USDT")

    assert filled is not None
    assert filled.fills[0].price == 49_000
    assert filled.fills[0].executed_at == exchange.now


async def test_matching_at_the_same_moment_fills_once(
    exchange: Exchange, tenant: TenantId, app_database: Database
) -> None:
    venue = exchange.account(tenant)
    await venue.create_order(limit("one", "49000"))
    exchange.bar(dt.datetime(2026, 3, 1, 12, 1, tzinfo=dt.UTC), "50000,50000,48500,50000")
    exchange.now = NOON + dt.timedelta(minutes=2)

    await asyncio.gather(*(venue.order(client_order_id="one", symbol="BTC-USDT") for _ in range(10)))

    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT count(*) FROM paper_fills") == 1


@pytest.mark.parametrize("time_in_force", [TimeInForce.IOC, TimeInForce.FOK])
async def test_order_for_now_fills_at_once_or_expires(
    exchange: Exchange, tenant: TenantId, time_in_force: TimeInForce
) -> None:
    venue = exchange.account(tenant)

    def now_at(client_order_id: str, price: str) -> NewOrder:
        return order(client_order_id, type=OrderType.LIMIT, price=Decimal(price), time_in_force=time_in_force)

    expired = await venue.create_order(now_at("one", "49000"))
    filled = await venue.create_order(now_at("two", "50010"))

    assert (expired.status, expired.fills) == (OrderStatus.EXPIRED, [])
    assert filled.status is OrderStatus.FILLED


async def test_cancelled_order_fills_no_more(exchange: Exchange, tenant: TenantId) -> None:
    venue = exchange.account(tenant)
    await venue.create_order(limit("one", "49000"))

    cancelled = await venue.cancel_order(client_order_id="one", symbol="BTC-USDT")
    exchange.bar(dt.datetime(2026, 3, 1, 12, 1, tzinfo=dt.UTC), "50000,50000,48500,50000")
    exchange.now = NOON + dt.timedelta(minutes=2)

    assert cancelled.status is OrderStatus.CANCELLED
    assert await venue.order(client_order_id="one", symbol="BTC-USDT") == cancelled
    assert await venue.cancel_order(client_order_id="one", symbol="BTC-USDT") == cancelled


async def test_cancelling_what_there_is_not_is_refused(exchange: Exchange, tenant: TenantId) -> None:
    with pytest.raises(OrderRefused) as refused:
        await exchange.account(tenant).cancel_order(client_order_id="none", symbol="BTC-USDT")

    assert refused.value.code == "order_not_found"


async def test_order_without_a_price_is_not_accepted(
    exchange: Exchange, tenant: TenantId, app_database: Database
) -> None:
    with pytest.raises(PriceUnavailable):
        await exchange.account(tenant).create_order(order(symbol="NOPE-USDT"))

    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT count(*) FROM paper_orders") == 0


async def test_same_data_gives_the_same_fills(
    exchange: Exchange, tenant: TenantId, other_tenant: TenantId
) -> None:
    venues = [exchange.account(tenant), exchange.account(other_tenant)]
    for venue in venues:
        await venue.create_order(order("market"))
        await venue.create_order(limit("resting", "49000"))
    exchange.bar(dt.datetime(2026, 3, 1, 12, 1, tzinfo=dt.UTC), "50000,50000,48500,50000")
    exchange.bar(dt.datetime(2026, 3, 1, 12, 2, tzinfo=dt.UTC), "48000,50000,47000,50000")
    # The one looks after each bar, the other once.
    exchange.now = NOON + dt.timedelta(minutes=2)
    await venues[0].open_orders()
    exchange.now = NOON + dt.timedelta(minutes=5)

    figures = []
    for venue in venues:
        for name in ("market", "resting"):
            found = await venue.order(client_order_id=name, symbol="BTC-USDT")
            assert found is not None
            figures.append([(fill.quantity, fill.price, fill.fee, fill.executed_at) for fill in found.fills])

    assert figures[:2] == figures[2:]


async def test_balances_are_the_starting_cash_and_what_fills_moved(
    exchange: Exchange, tenant: TenantId
) -> None:
    venue = exchange.account(tenant)
    await venue.create_order(order("buy"))
    await venue.create_order(order("sell", side=Side.SELL, quantity=Decimal("0.04")))

    balances = await venue.balances()

    bought = Decimal("0.1") * 50_005 * Decimal("1.001")
    sold = Decimal("0.04") * 49_995 * Decimal("0.999")
    assert balances == {"BTC": Decimal("0.06"), "USD": 100_000 - bought + sold}


async def test_ticker_is_kept_for_all_and_never_trusted_when_malformed(
    exchange: Exchange, tenant: TenantId, redis_server: EmbeddedRedis
) -> None:
    venue = exchange.account(tenant)
    first = (await venue.tickers(["BTC-USDT"]))["BTC-USDT"]
    exchange.now += dt.timedelta(seconds=1)
    cached = (await venue.tickers(["BTC-USDT"]))["BTC-USDT"]
    cache = CacheConnection(redis_server.url)
    for value in ("text", [], {}, {"symbol": "BTC-USDT", "price": "-1", "as_of": "x", "source": "y"}):
        await cache.market().put(
            f"paper-{exchange.directory.name[:40]}", "BTC-USDT", "ticker", value=value, ttl_seconds=5
        )
        fresh = (await venue.tickers(["BTC-USDT"]))["BTC-USDT"]
        assert fresh.price == 50_000
    await cache.close()

    assert cached == first
    assert first.source == "directory"


async def test_without_redis_prices_come_from_the_source(
    exchange: Exchange, tenant: TenantId, app_database: Database
) -> None:
    cache = CacheConnection("redis://127.0.0.1:1/0")
    down = Exchange(exchange.directory, app_database, cache)

    assert (await down.account(tenant).create_order(order())).status is OrderStatus.FILLED
    await cache.close()
