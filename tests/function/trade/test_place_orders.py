"""Placing orders: what a trader is answered, and what is in the books afterwards."""

from decimal import Decimal

import pytest

from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from functions.trade.schemas import TradeView
from tests.function.conftest import Broker, Functions

MARKET_BUY = {"symbol": "BTC-USDT", "side": "buy", "type": "market", "quantity": "0.01"}


async def test_market_buy_fills_and_moves_position_and_cash(
    functions: Functions, tenant: TenantId, app_database: Database, broker: Broker
) -> None:
    answer = await functions.caller("trade", tenant).post("/trades", json=MARKET_BUY)

    assert answer.status_code == 201, answer.text
    trade = answer.json()
    TradeView.model_validate(trade)
    assert trade["status"] == "filled"
    assert trade["filled_quantity"] == "0.01"
    price, fee = Decimal(trade["average_price"]), Decimal(trade["fee"]["amount"])
    assert fee == Decimal("0.01") * price / 1000
    async with app_database.tenant(tenant) as session:
        cash = await session.fetchval("SELECT amount FROM balances")
        position = await session.fetchrow("SELECT quantity, average_price FROM positions")
    assert cash == 100_000 - Decimal("0.01") * price - fee
    assert position["quantity"] == Decimal("0.01")
    assert position["average_price"] == price + fee / Decimal("0.01")
    await broker.wait_for("trade.submitted", tenant_id=tenant)
    (filled,) = await broker.wait_for("trade.filled", tenant_id=tenant)
    assert filled.data["id"] == trade["id"]
