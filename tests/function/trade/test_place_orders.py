"""Placing orders: what a trader is answered, and what is in the books afterwards."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse.trading.venues import Venues
from functions.trade.schemas import TradeView
from tests.conftest import TenantFactory
from tests.function.conftest import Broker, Functions, Market

MARKET_BUY = {"symbol": "BTC-USDT", "side": "buy", "type": "market", "quantity": "0.1"}


def limit_buy(price: str, quantity: str = "0.1", **more: str) -> dict[str, str]:
    return {
        "symbol": "BTC-USDT",
        "side": "buy",
        "type": "limit",
        "quantity": quantity,
        "price": price,
        **more,
    }


async def _books(database: Database, tenant: TenantId) -> dict[str, Any]:
    async with database.tenant(tenant) as session:
        row = await session.fetchrow(
            """SELECT (SELECT amount FROM balances) AS cash, (SELECT reserved FROM balances) AS reserved,
            (SELECT count(*) FROM trades) AS trades, (SELECT count(*) FROM paper_orders) AS sent,
            (SELECT count(*) FROM trade_executions) AS executions"""
        )
        assert row is not None
        return dict(row)


async def test_market_buy_fills_and_moves_position_and_cash(
    functions: Functions, tenant: TenantId, app_database: Database, broker: Broker
) -> None:
    answer = await functions.caller("trade", tenant).post("/trades", json=MARKET_BUY)

    assert answer.status_code == 201, answer.text
    trade = answer.json()
    TradeView.model_validate(trade)
    # 50,000 and half a spread of 1 bp, 10 bps fee.
    assert trade["status"] == "filled"
    assert trade["filled_quantity"] == trade["quantity"] == "0.1"
    assert trade["average_price"] == "50005"
    assert trade["fee"] == {"amount": "5.0005", "currency": "USDT"}
    assert [fill["quantity"] for fill in trade["executions"]] == ["0.1"]
    books = await _books(app_database, tenant)
    assert books["cash"] == Decimal(100000) - Decimal("5000.5") - Decimal("5.0005")
    assert books["reserved"] == 0
    async with app_database.tenant(tenant) as session:
        position = await session.fetchrow("SELECT quantity, average_price FROM positions")
    assert position is not None
    assert position["quantity"] == Decimal("0.1")
    assert position["average_price"] == Decimal("50055.005")
    submitted = await broker.wait_for("trade.submitted", tenant_id=tenant)
    filled = await broker.wait_for("trade.filled", tenant_id=tenant)
    assert submitted[0].data["status"] == "pending_submit"
    assert filled[0].data == trade


async def test_sell_realises_profit_net_of_both_fees(
    functions: Functions, tenant: TenantId, market: Market, app_database: Database
) -> None:
    trader = functions.caller("trade", tenant)
    await trader.post("/trades", json=MARKET_BUY)
    await market.price("BTC-USDT", "60000")

    answer = await trader.post("/trades", json={**MARKET_BUY, "side": "sell"})

    assert answer.json()["average_price"] == "59994"
    bought, sold = Decimal("5000.5") + Decimal("5.0005"), Decimal("5999.4") - Decimal("5.9994")
    async with app_database.tenant(tenant) as session:
        position = await session.fetchrow("SELECT quantity, realised_pnl FROM positions")
    assert position is not None
    assert position["quantity"] == 0
    assert position["realised_pnl"] == sold - bought
    assert (await _books(app_database, tenant))["cash"] == 100_000 + sold - bought


async def test_limit_buy_below_the_market_rests_and_reserves_its_cost(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    answer = await functions.caller("trade", tenant).post("/trades", json=limit_buy("40000"))

    assert answer.status_code == 201
    assert answer.json()["status"] == "open"
    assert answer.json()["average_price"] is None
    books = await _books(app_database, tenant)
    assert books["cash"] == 100_000
    assert books["reserved"] == Decimal(4000) * (1 + Decimal("0.0011"))


async def test_marketable_limit_buy_fills_at_the_touch(functions: Functions, tenant: TenantId) -> None:
    answer = await functions.caller("trade", tenant).post("/trades", json=limit_buy("51000"))

    assert answer.json()["status"] == "filled"
    assert answer.json()["average_price"] == "50005"


@pytest.mark.parametrize("time_in_force", ["ioc", "fok", "IOC"])
async def test_order_for_now_that_cannot_fill_expires(
    functions: Functions, tenant: TenantId, time_in_force: str, broker: Broker, app_database: Database
) -> None:
    answer = await functions.caller("trade", tenant).post(
        "/trades", json=limit_buy("40000", time_in_force=time_in_force)
    )

    assert answer.json()["status"] == "expired"
    assert "could not fill" in answer.json()["reason"]
    (event,) = await broker.wait_for("trade.cancelled", tenant_id=tenant)
    assert event.data["status"] == "expired"
    assert (await _books(app_database, tenant))["reserved"] == 0


async def test_quantity_rounds_down_to_the_lot_and_price_to_the_tick_in_the_buyers_favour(
    functions: Functions, tenant: TenantId
) -> None:
    answer = await functions.caller("trade", tenant).post(
        "/trades", json=limit_buy("40000.019", quantity="0.100009")
    )

    assert answer.json()["quantity"] == "0.1"
    assert answer.json()["price"] == "40000.01"


REFUSED = {
    "unknown symbol": ({"symbol": "NOPE-USDT"}, "unknown_symbol"),
    "malformed symbol": ({"symbol": "btcusdt"}, "unknown_symbol"),
    "symbol that climbs out of a cache key": ({"symbol": "BTC:USDT"}, "unknown_symbol"),
    "quote that the account cannot settle": ({"symbol": "ETH-BTC"}, "unsupported_quote_currency"),
    "stop limit": ({"type": "stop_limit", "price": "1", "stop_price": "1"}, "unsupported_order_type"),
    "stop price of a market order": ({"stop_price": "1"}, "invalid_price"),
    "limit without price": ({"type": "limit"}, "invalid_price"),
    "market with price": ({"price": "50000"}, "invalid_price"),
    "price below the tick": ({"type": "limit", "price": "0.001"}, "invalid_price"),
    "less than one lot": ({"quantity": "0.000001"}, "invalid_quantity"),
    "too small a notional": ({"quantity": "0.00001"}, "below_min_notional"),
    "sell without position": ({"side": "sell"}, "insufficient_position"),
    "unknown exchange": ({"exchange": "mtgox"}, "unsupported_exchange"),
    "exchange without adapter": ({"exchange": "kraken"}, "unsupported_exchange"),
    "zero quantity": ({"quantity": "0"}, "validation_failed"),
    "negative quantity": ({"quantity": "-1"}, "validation_failed"),
    "not a number": ({"quantity": "NaN"}, "validation_failed"),
    "infinity": ({"quantity": "Infinity"}, "validation_failed"),
    "exponent": ({"quantity": "1e-2"}, "validation_failed"),
    "huge exponent": ({"quantity": "1e400"}, "validation_failed"),
    "too many places": ({"quantity": "0.0000000000000000001"}, "validation_failed"),
    "too many digits": ({"quantity": "1" * 21}, "validation_failed"),
    "float": ({"quantity": 0.1}, "validation_failed"),
    "boolean": ({"quantity": True}, "validation_failed"),
    "null quantity": ({"quantity": None}, "validation_failed"),
    "list quantity": ({"quantity": ["1"]}, "validation_failed"),
    "full-width digits": ({"quantity": "\uff11"}, "validation_failed"),
    "blank in quantity": ({"quantity": " 1"}, "validation_failed"),
    "negative price": ({"type": "limit", "price": "-1"}, "validation_failed"),
    "unknown side": ({"side": "short"}, "validation_failed"),
    "unknown type": ({"type": "iceberg"}, "validation_failed"),
    "unknown time in force": ({"time_in_force": "day"}, "validation_failed"),
    "unknown field": ({"leverage": "5"}, "validation_failed"),
}


@pytest.mark.parametrize(("change", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_unacceptable_order_is_422_with_a_code_and_leaves_nothing(
    functions: Functions,
    tenant: TenantId,
    market: Market,
    app_database: Database,
    change: dict[str, Any],
    code: str,
) -> None:
    await market.price("ETH-BTC", "0.05")

    answer = await functions.caller("trade", tenant).post("/trades", json={**MARKET_BUY, **change})

    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    books = await _books(app_database, tenant)
    assert (books["trades"], books["sent"], books["cash"]) == (0, 0, 100_000)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"symbol": "BTC\\u0000-USDT"}', b"{" * 5000])
async def test_malformed_body_is_422(functions: Functions, tenant: TenantId, body: bytes) -> None:
    answer = await functions.caller("trade", tenant).post(
        "/trades", content=body, headers={"content-type": "application/json"}
    )

    assert answer.status_code == 422
    assert answer.json()["code"] in {"malformed_json", "validation_failed"}


async def test_order_beyond_a_limit_is_403_naming_limit_value_and_bound(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    answer = await functions.caller("trade", tenant).post("/trades", json={**MARKET_BUY, "quantity": "0.5"})

    assert answer.status_code == 403
    problem = answer.json()
    assert problem["code"] == "risk_limit_exceeded"
    assert (problem["limit"], problem["value"], problem["bound"]) == ("max_position_pct", "0.25", "0.2")
    assert (await _books(app_database, tenant))["trades"] == 0


async def test_limit_counts_open_orders_and_the_position(functions: Functions, tenant: TenantId) -> None:
    trader = functions.caller("trade", tenant)
    assert (await trader.post("/trades", json=MARKET_BUY)).status_code == 201  # 5 %
    assert (await trader.post("/trades", json=limit_buy("40000", quantity="0.3"))).status_code == 201  # 12 %

    answer = await trader.post("/trades", json=MARKET_BUY)

    assert answer.status_code == 403
    assert answer.json()["limit"] == "max_position_pct"


async def test_limits_value_all_positions_also_those_of_other_symbols(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    async with app_database.tenant(tenant) as session:
        await session.execute("UPDATE risk_limits SET max_leverage = 0.25")
    trader = functions.caller("trade", tenant)
    eth = {**MARKET_BUY, "symbol": "ETH-USDT", "quantity": "8"}
    assert (await trader.post("/trades", json=eth)).status_code == 201  # 16 %

    answer = await trader.post("/trades", json={**MARKET_BUY, "quantity": "0.2"})

    assert answer.status_code == 403
    assert answer.json()["limit"] == "max_leverage"


async def test_sell_that_reduces_is_allowed_when_limits_are_breached(
    functions: Functions, tenant: TenantId, market: Market
) -> None:
    trader = functions.caller("trade", tenant)
    await trader.post("/trades", json={**MARKET_BUY, "quantity": "0.3"})
    await market.price("BTC-USDT", "20000")  # a daily loss of 9 %

    refused = await trader.post("/trades", json=MARKET_BUY)
    sold = await trader.post("/trades", json={**MARKET_BUY, "side": "sell"})

    assert (refused.status_code, refused.json()["limit"]) == (403, "daily_loss_pct")
    assert sold.status_code == 201


async def test_cash_must_cover_the_cost_with_fees(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    async with app_database.tenant(tenant) as session:
        await session.execute("UPDATE risk_limits SET max_position_pct = 1")
    trader = functions.caller("trade", tenant)

    # Exactly all cash as notional is within leverage 1, but there is nothing left for the fee.
    answer = await trader.post("/trades", json=limit_buy("50000", quantity="2"))

    assert answer.status_code == 422
    assert answer.json()["code"] == "insufficient_balance"
    assert answer.json()["required"] == "100110.00"
    assert answer.json()["available"] == "100000.00"


async def test_leverage_above_one_lends_cash_up_to_the_limit(
    functions: Functions, new_tenant: TenantFactory, app_database: Database
) -> None:
    tenant = await new_tenant(tier="pro")
    async with app_database.tenant(tenant) as session:
        await session.execute("UPDATE risk_limits SET max_position_pct = 2, max_leverage = 2")
    trader = functions.caller("trade", tenant, tier="pro")

    borrowed = await trader.post("/trades", json={**MARKET_BUY, "quantity": "3"})
    too_much = await trader.post("/trades", json={**MARKET_BUY, "quantity": "1.5"})

    assert borrowed.status_code == 201
    assert (await _books(app_database, tenant))["cash"] < 0
    assert (too_much.status_code, too_much.json()["limit"]) == (403, "max_position_pct")


async def test_books_agree_with_the_exchange_after_trades_of_every_kind(
    functions: Functions, tenant: TenantId, market: Market, app_database: Database
) -> None:
    trader = functions.caller("trade", tenant)
    orders = [
        MARKET_BUY,
        limit_buy("49000", quantity="0.05"),
        limit_buy("48000", quantity="0.05"),
        {**MARKET_BUY, "side": "sell", "quantity": "0.03"},
        {**limit_buy("52000", quantity="0.02"), "side": "sell"},
        {**MARKET_BUY, "symbol": "ETH-USDT", "quantity": "1.2345"},
        limit_buy("1", time_in_force="fok", quantity="10"),
    ]
    for order in orders:
        assert (await trader.post("/trades", json=order)).status_code == 201
    await market.price("BTC-USDT", "48500")
    requested = {"requested_at": "2026-01-01T00:00:00Z"}
    await functions.deliver("order_sync", functions.event("order.sync.requested", requested, tenant))
    await trader.post("/trades/cancel-all")

    at_exchange = await Venues(functions.resources("trade")).account("paper", tenant).balances()

    async with app_database.tenant(tenant) as session:
        positions = await session.fetch("SELECT symbol, quantity FROM positions")
        statuses = await session.fetch("SELECT status, count(*) FROM trades GROUP BY status")
    books = await _books(app_database, tenant)
    assert dict(map(tuple, statuses)) == {"filled": 4, "cancelled": 2, "expired": 1}
    assert {row["symbol"].partition("-")[0]: row["quantity"] for row in positions} | {
        "USD": books["cash"]
    } == at_exchange
    assert books["reserved"] == 0


async def test_price_that_is_stale_refuses_new_exposure_but_not_a_sell(
    functions: Functions, tenant: TenantId, market: Market
) -> None:
    trader = functions.caller("trade", tenant)
    assert (await trader.post("/trades", json=MARKET_BUY)).status_code == 201
    old = functions.clock() - dt.timedelta(seconds=31)
    await market.cached("BTC-USDT", "50000", as_of=old)

    refused = await trader.post("/trades", json=MARKET_BUY)
    await market.cached("BTC-USDT", "50000", as_of=old)
    sold = await trader.post("/trades", json={**MARKET_BUY, "side": "sell"})

    assert refused.status_code == 503
    assert refused.json()["code"] == "price_stale"
    assert "retry-after" in refused.headers
    assert sold.status_code == 201


async def test_price_that_is_gone_refuses_with_503(
    functions: Functions, tenant: TenantId, market: Market
) -> None:
    (market.directory / "BTC-USDT_1m.csv").write_text("timestamp,open,high,low,close,volume\nbroken\n")
    await market.forget("BTC-USDT")

    answer = await functions.caller("trade", tenant).post("/trades", json=MARKET_BUY)

    assert answer.status_code == 503
    assert answer.json()["code"] == "price_unavailable"


@pytest.mark.parametrize(("tier", "status"), [("starter", 403), ("pro", 201)])
async def test_a_tier_includes_so_many_open_positions(
    functions: Functions, new_tenant: TenantFactory, market: Market, tier: str, status: int
) -> None:
    tenant = await new_tenant(tier=tier)
    trader = functions.caller("trade", tenant, tier=tier)
    symbols = [f"COIN{letter}-USDT" for letter in "ABCDEF"]
    for symbol in symbols:
        await market.price(symbol, "100")

    answers = [
        await trader.post("/trades", json={**MARKET_BUY, "symbol": symbol, "quantity": "1"})
        for symbol in symbols
    ]

    assert [answer.status_code for answer in answers[:5]] == [201] * 5
    assert status == answers[5].status_code
    if status == 403:
        assert answers[5].json()["limit"] == "max_open_positions"
