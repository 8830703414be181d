"""What order synchronisation does with orders that are open, stuck, or unknown."""

import datetime as dt
from decimal import Decimal
from typing import Any

import httpx
import pytest

from alphapulse.domain.orders import OrderType, Side, TimeInForce
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse.trading import dispatch
from alphapulse.trading.venues import Venues
from alphapulse.venues.protocol import NewOrder
from tests.conftest import TenantFactory
from tests.function.conftest import Broker, Clock, Functions, Market

RESTING = {"symbol": "BTC-USDT", "side": "buy", "type": "limit", "quantity": "0.01", "price": "40000"}


async def _sync(functions: Functions, tenant: TenantId, **data: str) -> httpx.Response:
    data = {"requested_at": "2026-01-01T00:00:00Z", **data}
    return await functions.deliver("order_sync", functions.event("order.sync.requested", data, tenant))


async def _trade(functions: Functions, tenant: TenantId, trade_id: str) -> dict[str, Any]:
    trade: dict[str, Any] = (await functions.caller("trade", tenant).get(f"/trades/{trade_id}")).json()
    return trade


async def _resting(functions: Functions, tenant: TenantId) -> str:
    answer = await functions.caller("trade", tenant).post("/trades", json=RESTING)
    assert answer.json()["status"] == "open", answer.text
    trade_id: str = answer.json()["id"]
    return trade_id


async def _make(database: Database, tenant: TenantId, trade_id: str, status: str) -> None:
    async with database.tenant(tenant) as session:
        await session.execute("UPDATE trades SET status = $2 WHERE id = $1::text::uuid", trade_id, status)


async def test_resting_order_that_the_last_price_reached_is_filled_at_its_limit(
    functions: Functions, tenant: TenantId, market: Market, broker: Broker, app_database: Database
) -> None:
    trade_id = await _resting(functions, tenant)
    await market.price("BTC-USDT", "39990")

    answer = await _sync(functions, tenant)

    assert answer.status_code == 204, answer.text
    trade = await _trade(functions, tenant, trade_id)
    assert (trade["status"], trade["average_price"]) == ("filled", "40000")
    (event,) = await broker.wait_for("trade.filled", tenant_id=tenant)
    assert event.data == trade
    async with app_database.tenant(tenant) as session:
        balance = await session.fetchrow("SELECT amount, reserved FROM balances")
    assert balance is not None
    assert balance["amount"] == Decimal(100000) - 400 - Decimal("0.4")
    assert balance["reserved"] == 0


async def test_resting_order_that_a_candle_reached_in_between_is_filled(
    functions: Functions, tenant: TenantId, market: Market, clock: Clock
) -> None:
    clock.fixed = dt.datetime(2026, 3, 1, 12, 0, 30, tzinfo=dt.UTC)
    trade_id = await _resting(functions, tenant)
    minute = dt.datetime(2026, 3, 1, 12, 1, tzinfo=dt.UTC)
    await market.bar("BTC-USDT", minute, open_="45000", low="39000", high="51000", close="50500")
    clock.advance(minutes=3)

    await _sync(functions, tenant)

    trade = await _trade(functions, tenant, trade_id)
    assert (trade["status"], trade["average_price"]) == ("filled", "40000")
    assert trade["executions"][0]["executed_at"] == "2026-03-01T12:02:00Z"


async def test_candle_that_was_under_way_when_the_order_came_does_not_fill_it(
    functions: Functions, tenant: TenantId, market: Market, clock: Clock
) -> None:
    clock.fixed = dt.datetime(2026, 3, 1, 12, 0, 30, tzinfo=dt.UTC)
    trade_id = await _resting(functions, tenant)
    under_way = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
    await market.bar("BTC-USDT", under_way, open_="45000", low="39000", high="51000", close="50500")
    clock.advance(minutes=3)

    await _sync(functions, tenant)

    assert (await _trade(functions, tenant, trade_id))["status"] == "open"


async def test_unknown_order_that_the_exchange_has_is_settled_by_its_client_order_id(
    functions: Functions, tenant: TenantId, app_database: Database, broker: Broker
) -> None:
    trade_id = await _resting(functions, tenant)
    await _make(app_database, tenant, trade_id, "unknown")

    answer = await _sync(functions, tenant, trade_id=trade_id)

    assert answer.status_code == 204
    assert (await _trade(functions, tenant, trade_id))["status"] == "open"


@pytest.mark.parametrize("status", ["unknown", "pending_submit"])
async def test_order_that_the_exchange_never_received_is_rejected(
    functions: Functions,
    tenant: TenantId,
    app_database: Database,
    clock: Clock,
    broker: Broker,
    status: str,
) -> None:
    trade_id = await _resting(functions, tenant)
    async with app_database.tenant(tenant) as session:
        await session.execute("UPDATE paper_orders SET client_order_id = 'another'")
    await _make(app_database, tenant, trade_id, status)
    clock.advance(seconds=dispatch.SUBMIT_GRACE.total_seconds())

    answer = await _sync(functions, tenant)

    assert answer.status_code == 204
    trade = await _trade(functions, tenant, trade_id)
    assert trade["status"] == "rejected"
    assert "never received" in trade["reason"]
    await broker.wait_for("trade.rejected", tenant_id=tenant)
    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT reserved FROM balances") == 0


async def test_order_on_its_way_is_left_to_the_request_that_sends_it(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    trade_id = await _resting(functions, tenant)
    await _make(app_database, tenant, trade_id, "pending_submit")

    answer = await _sync(functions, tenant)

    assert answer.status_code == 204
    assert (await _trade(functions, tenant, trade_id))["status"] == "pending_submit"


async def test_young_order_of_unknown_outcome_is_asked_about_again_later(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    trade_id = await _resting(functions, tenant)
    async with app_database.tenant(tenant) as session:
        await session.execute("UPDATE paper_orders SET client_order_id = 'another'")
    await _make(app_database, tenant, trade_id, "unknown")

    answer = await _sync(functions, tenant, trade_id=trade_id)

    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert (await _trade(functions, tenant, trade_id))["status"] == "unknown"


async def test_fill_reported_again_is_booked_once(
    functions: Functions, tenant: TenantId, market: Market, app_database: Database
) -> None:
    trade_id = await _resting(functions, tenant)
    await market.price("BTC-USDT", "39990")
    await _sync(functions, tenant)
    async with app_database.tenant(tenant) as session:
        cash = await session.fetchval("SELECT amount FROM balances")
    # As if the answer that was booked had been forgotten.
    await _make(app_database, tenant, trade_id, "unknown")

    await _sync(functions, tenant)

    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT amount FROM balances") == cash
        assert await session.fetchval("SELECT count(*) FROM trade_executions") == 1
    assert (await _trade(functions, tenant, trade_id))["status"] == "filled"


async def test_partly_filled_order_is_booked_fill_by_fill(
    functions: Functions, tenant: TenantId, app_database: Database, broker: Broker
) -> None:
    trade_id = await _resting(functions, tenant)

    async def exchange_fills(quantity: str, *, whole: bool) -> None:
        async with app_database.tenant(tenant) as session:
            await session.execute(
                """INSERT INTO paper_fills
                    (tenant_id, id, order_id, quantity, price, fee_amount, fee_currency, filled_at)
                SELECT tenant_id, gen_random_uuid(), id, $1::text::numeric, 40000, 0.1, 'USDT', now()
                FROM paper_orders""",
                quantity,
            )
            if whole:
                await session.execute("UPDATE paper_orders SET status = 'filled'")

    await exchange_fills("0.004", whole=False)
    await _sync(functions, tenant)
    partly = await _trade(functions, tenant, trade_id)
    await exchange_fills("0.006", whole=True)
    await _sync(functions, tenant)
    whole = await _trade(functions, tenant, trade_id)

    assert (partly["status"], partly["filled_quantity"]) == ("partially_filled", "0.004")
    assert (whole["status"], whole["filled_quantity"]) == ("filled", "0.01")
    assert whole["fee"] == {"amount": "0.2", "currency": "USDT"}
    await broker.wait_for("trade.partially_filled", tenant_id=tenant)
    await broker.wait_for("trade.filled", tenant_id=tenant)
    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT amount FROM balances") == Decimal("99599.8")


async def test_key_that_was_stored_has_the_waiting_orders_settled(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    trade_id = await _resting(functions, tenant)
    await _make(app_database, tenant, trade_id, "unknown")
    stored = {
        "exchange": "binance",
        "credential_id": "01997aaa-0000-7000-8000-000000000001",
        "vault_version": 2,
        "stored_at": "2026-01-01T00:00:00Z",
    }

    answer = await functions.deliver("order_sync", functions.event("credential.stored", stored, tenant))

    assert answer.status_code == 204, answer.text
    assert (await _trade(functions, tenant, trade_id))["status"] == "open"


async def test_schedule_asks_once_for_each_tenant_with_open_orders(
    functions: Functions, new_tenant: TenantFactory, broker: Broker
) -> None:
    busy = [await new_tenant() for _ in range(2)]
    idle = await new_tenant()
    for tenant in busy:
        await _resting(functions, tenant)
        await _resting(functions, tenant)

    answer = await functions.deliver("order_sync", functions.tick("order-sync"))

    assert answer.status_code == 204, answer.text
    for tenant in busy:
        assert len(broker.named("order.sync.requested", tenant)) == 1
    assert broker.named("order.sync.requested", idle) == []


async def test_schedule_is_tried_again_when_the_broker_is_down(
    functions: Functions, tenant: TenantId, broker: Broker
) -> None:
    await _resting(functions, tenant)
    await functions.settle()
    broker.up = False

    answer = await functions.deliver("order_sync", functions.tick("order-sync"))

    assert answer.status_code == 503


async def test_event_without_tenant_and_unknown_types_go_to_the_dead_letter(functions: Functions) -> None:
    data = {"requested_at": "2026-01-01T00:00:00Z"}

    no_tenant = await functions.deliver("order_sync", functions.event("order.sync.requested", data))
    unknown = await functions.deliver("order_sync", functions.event("trade.filled", data))
    no_schedule = await functions.deliver("order_sync", functions.tick("lunch"))

    assert {a.status_code for a in (no_tenant, unknown, no_schedule)} == {422}


async def test_event_of_one_tenant_settles_no_other_tenants_order(
    functions: Functions, tenant: TenantId, other_tenant: TenantId, market: Market
) -> None:
    trade_id = await _resting(functions, tenant)
    await market.price("BTC-USDT", "39990")

    answer = await _sync(functions, other_tenant, trade_id=trade_id)

    assert answer.status_code == 204
    assert (await _trade(functions, tenant, trade_id))["status"] == "open"


async def test_order_at_the_exchange_that_we_never_placed_is_left_alone(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    venue = Venues(functions.resources("order_sync")).account("paper", tenant)
    await venue.create_order(
        NewOrder(
            client_order_id="by-hand",
            symbol="BTC-USDT",
            side=Side.BUY,
            type=OrderType.MARKET,
            quantity=Decimal("0.1"),
            price=None,
            time_in_force=TimeInForce.GTC,
        )
    )

    assert (await _sync(functions, tenant)).status_code == 204
    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT amount FROM balances") == 100_000
