"""`kill -9` of the trade process between its two transactions, and a retry at another process."""

import asyncio
import contextlib
import datetime as dt
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.domain.orders import client_order_id
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tokens import TokenSigner
from alphapulse_local.embedded.process import free_port, log_tail, stop
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.logins import login_of
from tests.processes import ROOT, minimal_environment

KEY = "order-1"
ORDER = {"symbol": "BTC-USDT", "side": "buy", "type": "market", "quantity": "0.1"}
DEADLINE_SECONDS = 30

HOLD_ORDER = """INSERT INTO paper_orders (tenant_id, id, client_order_id, symbol, side, type, quantity)
    VALUES ($1, gen_random_uuid(), $2, 'BTC-USDT', 'buy', 'market', 1)"""
HOLD_ACCOUNT = "SELECT pg_advisory_xact_lock(hashtextextended('account ' || $1::uuid || ' paper', 0))"


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await condition():
            await asyncio.sleep(0.02)


@pytest.fixture
async def neighbours(signing_key: bytes) -> AsyncIterator[str]:
    """One server for what the process asks for: public keys, and a broker that takes every event."""
    jwks = orjson.dumps(TokenSigner(signing_key).jwks)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            status, body = (b"200 OK", jwks) if head.startswith(b"GET") else (b"202 Accepted", b"")
            writer.write(
                b"HTTP/1.1 %s\r\ncontent-type: application/json\r\nconnection: close\r\n"
                b"content-length: %d\r\n\r\n%s" % (status, len(body), body)
            )
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


class TradeProcess:
    """`python -m alphapulse.serve` of the trade function."""

    def __init__(self, environment: dict[str, str], folder: Path, headers: dict[str, str]) -> None:
        self.environment = environment
        self.log = folder / "trade.log"
        self.headers = headers
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    async def start(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "alphapulse.serve"],
                cwd=ROOT,
                env=minimal_environment() | self.environment | {"PORT": str(port)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        await eventually(self._is_ready)

    def kill(self) -> None:
        if self.process is not None:
            stop(self.process, how=signal.SIGKILL)

    async def order(self) -> httpx.Response:
        async with httpx.AsyncClient(timeout=DEADLINE_SECONDS, trust_env=False) as client:
            headers = self.headers | {"Idempotency-Key": KEY}
            return await client.post(f"{self.url}/trades", json=ORDER, headers=headers)

    async def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, log_tail(self.log)
        async with httpx.AsyncClient(trust_env=False) as client:
            with contextlib.suppress(httpx.TransportError):
                return (await client.get(f"{self.url}/ready")).status_code == 200
        return False


@pytest.fixture
async def trade_process(
    database: DatabaseUrls,
    redis_server: EmbeddedRedis,
    neighbours: str,
    signing_key: bytes,
    tenant: TenantId,
    tmp_path: Path,
) -> AsyncIterator[TradeProcess]:
    prices = tmp_path / "prices"
    prices.mkdir()
    (prices / "BTC-USDT_1m.csv").write_text(
        "timestamp,open,high,low,close,volume\n2024-01-01T00:00:00Z,50000,50000,50000,50000,1\n"
    )
    now = dt.datetime.now(dt.UTC)
    token = TokenSigner(signing_key).sign(login_of(tenant), now=now, lifetime=dt.timedelta(hours=1))
    environment = {
        "FUNCTION": "trade",
        "HOST": "127.0.0.1",
        "DATABASE_URL": database.app,
        "REDIS_URL": redis_server.url,
        "JWKS_URL": f"{neighbours}/.well-known/jwks.json",
        "BROKER_URL": f"{neighbours}/alphapulse/default",
        "MARKET_DATA_DIR": str(prices),
    }
    process = TradeProcess(environment, tmp_path, {"Authorization": f"Bearer {token}"})
    await process.start()
    yield process
    process.kill()


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
    trade_process: TradeProcess, tenant: TenantId, app_database: Database
) -> None:
    async def committed() -> bool:
        return (await _figures(app_database, tenant))["status"] == "pending_submit"

    with contextlib.suppress(_Release):
        async with app_database.tenant(tenant) as exchange:
            # The exchange hangs over this very order.
            await exchange.execute(HOLD_ORDER, tenant.value, client_order_id(tenant.value, KEY))
            request = asyncio.create_task(trade_process.order())
            await eventually(committed)
            trade_process.kill()
            raise _Release
    with pytest.raises(httpx.TransportError):
        await request
    await _let_time_pass(app_database, tenant)
    await trade_process.start()

    retry = await trade_process.order()
    again = await trade_process.order()

    assert retry.status_code == 201, retry.text
    assert retry.json()["status"] == "rejected"
    assert again.content == retry.content
    figures = await _figures(app_database, tenant)
    assert (figures["trades"], figures["sent"], figures["cash"]) == (1, 0, 100_000)


async def test_order_that_the_exchange_took_before_the_process_was_killed_is_booked_by_the_retry(
    trade_process: TradeProcess, tenant: TenantId, app_database: Database
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
                    request = asyncio.create_task(trade_process.order())
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

    retry = await trade_process.order()

    assert (between["status"], between["executions"], between["cash"]) == ("pending_submit", 0, 100_000)
    assert retry.status_code == 201, retry.text
    assert retry.json()["status"] == "filled"
    figures = await _figures(app_database, tenant)
    assert (figures["trades"], figures["sent"], figures["executions"]) == (1, 1, 1)
    assert figures["cash"] == 100_000 - Decimal("5000.5") * Decimal("1.001")
