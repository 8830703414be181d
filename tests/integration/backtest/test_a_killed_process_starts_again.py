"""A backtest in a process of its own: health while it walks, `kill -9`, and being told to stop."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.domain.instruments import Interval
from alphapulse.events import Event, event_type
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.killable_function import KillableFunction, eventually, running_function
from tests.stored_candles import store, wave

SYMBOL = "BTK-USD"
BARS = 8_000


@pytest.fixture
async def process(
    database: DatabaseUrls,
    redis_server: EmbeddedRedis,
    signing_key: bytes,
    tenant: TenantId,
    tmp_path: Path,
) -> AsyncIterator[KillableFunction]:
    async with running_function(
        "backtest",
        tmp_path,
        database=database,
        redis_server=redis_server,
        signing_key=signing_key,
        tenant=tenant,
        environment={"SHUTDOWN_SECONDS": "1"},
    ) as running:
        yield running


@pytest.fixture
async def event(tenant: TenantId, app_database: Database, platform_database: PlatformDatabase) -> Event:
    """The event of a stored run over some seconds' worth of bars."""
    hour = Interval.HOUR
    await store(platform_database, SYMBOL, wave(BARS, interval=hour), interval=hour)
    asked = {"symbol": SYMBOL, "interval": "1h", "agent": "technical"}
    run_id = str(uuid7())
    async with app_database.tenant(tenant) as session:
        await session.execute(
            """INSERT INTO backtest_runs (tenant_id, id, agent, symbol, interval, request, deadline_at)
            VALUES ($1, $2, 'technical', $3, '1h', $4, now() + interval '1 hour')""",
            tenant.value,
            run_id,
            SYMBOL,
            asked,
        )
    data = {"run_id": run_id, **asked, "requested_at": "2026-01-01T00:00:00Z"}
    return Event(
        type=event_type("backtest.requested"),
        source="/functions/test",
        data=data,
        extensions={"tenantid": str(tenant)},
    )


async def deliver(process: KillableFunction, event: Event) -> httpx.Response:
    headers, body = event.to_http()
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        return await client.post(process.url, headers=headers, content=body)


async def run_of(database: Database, tenant: TenantId) -> Any:
    async with database.tenant(tenant) as session:
        return await session.fetchrow("SELECT * FROM backtest_runs WHERE tenant_id = $1", tenant.value)


async def walking(
    process: KillableFunction, event: Event, database: Database, tenant: TenantId
) -> "asyncio.Task[httpx.Response]":
    """Deliver the event and return once the walk is under way."""
    task = asyncio.create_task(deliver(process, event))

    async def under_way() -> bool:
        assert not task.done(), task.result().text
        return bool((await run_of(database, tenant))["progress"] > 0)

    await eventually(under_way)
    return task


async def test_health_is_answered_while_a_backtest_runs_and_a_kill_in_the_middle_doubles_nothing(
    process: KillableFunction, event: Event, app_database: Database, tenant: TenantId
) -> None:
    task = await walking(process, event, app_database, tenant)
    begun = time.monotonic()
    assert (await process.send("GET", "/health")).status_code == 200
    assert time.monotonic() - begun < 1

    process.kill()
    with pytest.raises(httpx.TransportError):
        await task
    await process.start()
    # The broker delivers again: at first too early to know that the worker is gone.
    early = await deliver(process, event)
    async with app_database.tenant(tenant) as session:
        await session.execute(
            """UPDATE backtest_runs SET heartbeat_at = heartbeat_at - interval '20 s'
            WHERE tenant_id = $1""",
            tenant.value,
        )
    answer = await deliver(process, event)
    again = await deliver(process, event)

    assert (early.status_code, early.headers["retry-after"]) == (503, "20")
    assert (answer.status_code, again.status_code) == (200, 200)
    assert answer.headers["ce-id"] == again.headers["ce-id"]
    row = await run_of(app_database, tenant)
    assert (row["status"], row["attempt"], row["result"]["bars"]) == ("done", 2, BARS)


async def test_a_process_that_is_told_to_stop_ends_and_leaves_the_run_to_the_next(
    process: KillableFunction, event: Event, app_database: Database, tenant: TenantId
) -> None:
    task = await walking(process, event, app_database, tenant)
    assert process.process is not None

    process.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.process.wait, 15)

    await asyncio.gather(task, return_exceptions=True)
    row = await run_of(app_database, tenant)
    assert (row["status"], row["result"]) == ("running", None)
