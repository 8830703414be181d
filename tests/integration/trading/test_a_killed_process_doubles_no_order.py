"""`kill -9` of the trade process between its two transactions, and a retry at another process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.domain.orders import client_order_id
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.killable_function import KillableFunction, eventually, running_function

KEY = "order-1"
ORDER = {"symbol": "BTC-USDT", "side": "buy", "type": "market", "quantity": "0.1"}

HOLD_ORDER = """INSERT INTO paper_orders (tenant_id, id, client_order_id, symbol, side, type, quantity)
    VALUES ($1, gen_random_uuid(), $2, 'BTC-USDT', 'buy', 'market', 1)"""
HOLD_ACCOUNT = "SELECT pg_advisory_xact_lock(hashtextextended('account ' || $1::uuid || ' paper', 0))"


@pytest.fixture
async def trade_process(
    database: DatabaseUrls,
    redis_server: EmbeddedRedis,
    signing_key: bytes,
    tenant: TenantId,
    tmp_path: Path,
) -> AsyncIterator[KillableFunction]:
    prices = tmp_path / "prices"
    prices.mkdir()
    (prices / "BTC-USDT_1m.csv").write_text(
        "timestamp,open,high,low,close,volume\n2024-01-01T00:00:00Z,50000,50000,50000,50000,1\n"
    )
    async with running_function(
        "trade",
        tmp_path,
        database=database,
        redis_server=redis_server,
        signing_key=signing_key,
        tenant=tenant,
        environment={"MARKET_DATA_DIR": str(prices)},
    ) as running:
        yield running


async def order(process: KillableFunction) -> httpx.Response:
    return await process.send("POST", "/trades", ORDER, **{"Idempotency-Key": KEY})


async def _figures(database: Database, tenant: TenantId) -> dict[str, Any]:
    async with database.tenant(tenant) as session:
        row = await session.fetchrow(
            """SELECT (SELECT count(*) FROM trades) AS trades, (SELECT count(*) FROM paper_orders) AS sent,
            (SELECT count(*) FROM trade_executions) AS executions, (SELECT amount FROM balances) AS cash,
            (SELECT min(status) FROM trades) AS status"""
        )
    assert row is not None
    return dict(row)


async def _let_time_pass(database: Database, tenant: TenantId) -> None:
    """End the claim's lease and the grace of the order, as ten seconds would."""
    async with database.tenant(tenant) as session:
        await session.execute("UPDATE idempotency_keys SET locked_until = now()")
        await session.execute("UPDATE trades SET created_at = created_at - interval '10 seconds'")


class _Release(Exception):
    """Ends a transaction that only held something, without a trace."""


async def test_order_that_was_never_sent_is_not_sent_by_the_retry(
    trade_process: KillableFunction, tenant: TenantId, app_database: Database
) -> None:
    async def committed() -> bool:
        return (await _figures(app_database, tenant))["status"] == "pending_submit"

    with contextlib.suppress(_Release):
        async with app_database.tenant(tenant) as exchange:
            # The exchange hangs over this very order.
            await exchange.execute(HOLD_ORDER, tenant.value, client_order_id(tenant.value, KEY))
            request = asyncio.create_task(order(trade_process))
            await eventually(committed)
            trade_process.kill()
            raise _Release
    with pytest.raises(httpx.TransportError):
        await request
    await _let_time_pass(app_database, tenant)
    await trade_process.start()

    retry = await order(trade_process)
    again = await order(trade_process)

    assert retry.status_code == 201, retry.text
    assert retry.json()["status"] == "rejected"
    assert again.content == retry.content
    figures = await _figures(app_database, tenant)
    assert (figures["trades"], figures["sent"], figures["cash"]) == (1, 0, 100_000)


async def test_order_that_the_exchange_took_before_the_process_was_killed_is_booked_by_the_retry(
    trade_process: KillableFunction, tenant: TenantId, app_database: Database
) -> None:
    async def committed() -> bool:
        return (await _figures(app_database, tenant))["status"] == "pending_submit"

    async def taken() -> bool:
        return bool((await _figures(app_database, tenant))["sent"])

    with contextlib.suppress(_Release):
        async with app_database.tenant(tenant) as account:
            with contextlib.suppress(_Release):
                async with app_database.tenant(tenant) as exchange:
                    await exchange.execute(HOLD_ORDER, tenant.value, client_order_id(tenant.value, KEY))
                    request = asyncio.create_task(order(trade_process))
                    await eventually(committed)
                    # The answer of the exchange will find the account busy.
                    await account.execute(HOLD_ACCOUNT, tenant.value)
                    raise _Release
            await eventually(taken)
            trade_process.kill()
            raise _Release
    with pytest.raises(httpx.TransportError):
        await request
    between = await _figures(app_database, tenant)
    await _let_time_pass(app_database, tenant)
    await trade_process.start()

    retry = await order(trade_process)

    assert (between["status"], between["executions"], between["cash"]) == ("pending_submit", 0, 100_000)
    assert retry.status_code == 201, retry.text
    assert retry.json()["status"] == "filled"
    figures = await _figures(app_database, tenant)
    assert (figures["trades"], figures["sent"], figures["executions"]) == (1, 1, 1)
    assert figures["cash"] == 100_000 - Decimal("5000.5") * Decimal("1.001")
