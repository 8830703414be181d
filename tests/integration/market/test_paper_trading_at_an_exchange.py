"""Paper orders at the prices and rules of an exchange, and without any while it does not answer."""

import datetime as dt
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from alphapulse.domain.orders import OrderStatus, OrderType, Side, TimeInForce
from alphapulse.domain.paper import PaperTerms
from alphapulse.providers.candles.exchange import ExchangeCandles
from alphapulse.tenancy.cache import CacheConnection
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse.venues.paper import PaperVenue
from alphapulse.venues.protocol import NewOrder, PriceUnavailable, UnknownSymbol, VenueUnavailable
from alphapulse.venues.tickers import CachedTickers
from tests.integration.market.conftest import Market

SYMBOL = "BTC-USD"


@pytest.fixture
async def kraken(open_market: Callable[[str], Awaitable[Market]]) -> Market:
    return await open_market("kraken")


def account(market: Market, tenant: TenantId, database: Database, source: ExchangeCandles) -> PaperVenue:
    cache: CacheConnection = market.opened[-1][1]
    tickers = CachedTickers("paper", cache=cache.market(), source=source, clock=market.clock)
    terms = PaperTerms()
    return PaperVenue(
        tenant, database=database, tickers=tickers, source=source, clock=market.clock, terms=terms
    )


def order(client_order_id: str, price: Decimal | None = None) -> NewOrder:
    return NewOrder(
        client_order_id=client_order_id,
        symbol=SYMBOL,
        side=Side.BUY,
        type=OrderType.MARKET if price is None else OrderType.LIMIT,
        quantity=Decimal("0.1"),
        price=price,
        time_in_force=TimeInForce.GTC,
    )


async def test_a_market_order_fills_at_the_exchanges_price_rounded_to_its_tick(
    kraken: Market, tenant: TenantId, app_database: Database
) -> None:
    venue = account(kraken, tenant, app_database, kraken.source(SYMBOL, "ETH-USD"))

    rules = await venue.instrument(SYMBOL)
    placed = await venue.create_order(order("one"))

    last = Decimal(kraken.simulator.book.price(SYMBOL)) / 100
    assert (rules.tick, rules.min_notional) == (Decimal("0.1"), Decimal("0.5"))
    assert placed.status is OrderStatus.FILLED
    assert last < placed.fills[0].price <= last + Decimal("0.2")
    assert placed.fills[0].price % rules.tick == 0


async def test_prices_of_several_symbols_take_one_request(
    kraken: Market, tenant: TenantId, app_database: Database
) -> None:
    symbols = [SYMBOL, "ETH-USD", "SOL-USD"]
    venue = account(kraken, tenant, app_database, kraken.source(*symbols))

    found = await venue.tickers([*symbols, "NOPE-USD"])

    assert set(found) == set(symbols)
    assert {ticker.source for ticker in found.values()} == {"kraken"}
    assert kraken.asked("Ticker") == 1


async def test_resting_orders_of_a_symbol_are_matched_with_one_request_a_minute(
    kraken: Market, tenant: TenantId, app_database: Database
) -> None:
    venue = account(kraken, tenant, app_database, kraken.source(SYMBOL))
    for n in range(6):
        await venue.create_order(order(f"resting-{n}", Decimal(1)))
    kraken.now += dt.timedelta(minutes=3)

    assert len(await venue.open_orders()) == 6

    assert kraken.asked("OHLC") == 1


async def test_an_order_is_filled_by_a_bar_that_reached_it(
    kraken: Market, tenant: TenantId, app_database: Database
) -> None:
    venue = account(kraken, tenant, app_database, kraken.source(SYMBOL))
    book = kraken.simulator.book
    before = book.price(SYMBOL)
    wanted = (Decimal(before) / 100 - 10).quantize(Decimal("0.1"))
    placed = await venue.create_order(order("below", wanted))
    book.price = lambda _symbol: before - 3000  # type: ignore[method-assign]  # the market falls
    kraken.now += dt.timedelta(minutes=3)

    later = await venue.order(client_order_id="below", symbol=SYMBOL)

    assert placed.status is OrderStatus.OPEN
    assert later is not None
    assert later.status is OrderStatus.FILLED
    assert later.fills[0].price <= wanted


async def test_while_the_exchange_does_not_answer_nothing_is_traded_and_nothing_is_forgotten(
    kraken: Market, tenant: TenantId, app_database: Database
) -> None:
    source = kraken.source(SYMBOL)
    venue = account(kraken, tenant, app_database, source)
    await venue.create_order(order("resting", Decimal(1)))
    kraken.simulator.down = 500
    kraken.now += dt.timedelta(minutes=10)

    with pytest.raises(PriceUnavailable):
        await venue.create_order(order("two"))
    with pytest.raises(VenueUnavailable):
        await venue.instrument(SYMBOL)
    assert len(await venue.open_orders()) == 1
    assert await venue.tickers([SYMBOL]) == {}
    kraken.simulator.down = 0
    kraken.now += dt.timedelta(seconds=5)

    assert (await venue.create_order(order("two"))).status is OrderStatus.FILLED


async def test_a_symbol_that_is_not_served_is_not_traded(
    kraken: Market, tenant: TenantId, app_database: Database
) -> None:
    venue = account(kraken, tenant, app_database, kraken.source("ETH-USD"))

    with pytest.raises(UnknownSymbol):
        await venue.instrument(SYMBOL)
