"""An agent's function is killed in each of its steps; the redelivery ends the task, once."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis.asyncio as redis
from uuid_utils.compat import uuid7

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.events import Event, event_type
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.postgres import EmbeddedPostgres
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.function.agent_functions.conftest import GatedSource
from tests.function.agent_functions.conftest import redis_server as redis_server  # noqa: PLC0414 - a fixture
from tests.function.agent_functions.conftest import source as source  # noqa: PLC0414 - a fixture
from tests.held_rows import held, waits_for_a_lock
from tests.killable_function import DEADLINE_SECONDS, KillableFunction, running_function

HeldTask = Callable[[], contextlib.AbstractAsyncContextManager[Awaitable[None]]]


@pytest.fixture
async def killable(
    tmp_path: Path,
    database: DatabaseUrls,
    redis_server: EmbeddedRedis,
    signing_key: bytes,
    tenant: TenantId,
    source: GatedSource,
) -> AsyncIterator[KillableFunction]:
    async with running_function(
        "signal_activist",
        tmp_path,
        database=database,
        redis_server=redis_server,
        signing_key=signing_key,
        tenant=tenant,
        environment={"SNAPSHOT_URL": source.url, "DEFILLAMA_URL": source.url, "TALLY_URL": source.url},
    ) as running:
        yield running


@pytest.fixture
async def event(app_database: Database, tenant: TenantId) -> Event:
    """A request whose run waits for it."""
    run_id = uuid7()
    now = dt.datetime.now(dt.UTC)
    async with app_database.tenant(tenant) as session:
        await session.execute(
            """INSERT INTO agent_runs (tenant_id, id, symbols, agents, interval, deadline_at)
            VALUES ($1, $2, '{CRV-USD}', '{activist}', '1d', $3)""",
            tenant.value,
            run_id,
            now + dt.timedelta(minutes=5),
        )
        await session.execute(
            """INSERT INTO agent_run_tasks (tenant_id, run_id, agent, symbol)
            VALUES ($1, $2, 'activist', 'CRV-USD')""",
            tenant.value,
            run_id,
        )
    data = {
        "run_id": str(run_id),
        "agent": "activist",
        "symbol": "CRV-USD",
        "interval": "1d",
        "requested_at": now.isoformat(),
        "deadline_at": (now + dt.timedelta(minutes=5)).isoformat(),
    }
    extensions = {"tenantid": str(tenant), "agent": "activist", "symbol": "CRV-USD"}
    return Event(type=event_type("signal.requested"), source="/test", data=data, extensions=extensions)


@pytest.fixture
def held_task(database: DatabaseUrls, postgres: EmbeddedPostgres, tenant: TenantId) -> HeldTask:
    """Hold the row of the task; what is yielded waits until the function wants it."""

    @contextlib.asynccontextmanager
    async def hold() -> AsyncIterator[Awaitable[None]]:
        statement = "SELECT FROM agent_run_tasks WHERE tenant_id = $1 FOR UPDATE"
        async with held(database, tenant, statement, tenant.value):
            yield waits_for_a_lock(postgres, "signal_activist")

    return hold


async def deliver(function: KillableFunction, event: Event) -> httpx.Response:
    headers, body = event.to_http()
    async with httpx.AsyncClient(timeout=DEADLINE_SECONDS, trust_env=False) as client:
        return await client.post(function.url + "/", headers=headers, content=body)


async def rows(database: Database, tenant: TenantId, table: str) -> list[Any]:
    async with database.tenant(tenant) as session:
        return await session.fetch(f"SELECT * FROM {table} WHERE tenant_id = $1", tenant.value)


async def killed(
    function: KillableFunction, delivery: "asyncio.Task[httpx.Response]", redis_server: EmbeddedRedis
) -> None:
    function.kill()
    with contextlib.suppress(httpx.TransportError):
        await delivery
    # As if the time had passed after which others no longer wait for what it was asking a source for.
    async with redis.Redis.from_url(redis_server.url) as client:
        async for key in client.scan_iter("shared:provider:*"):
            await client.delete(key)
    await function.start()


async def ends_once(
    function: KillableFunction, event: Event, app_database: Database, tenant: TenantId
) -> None:
    answer = await deliver(function, event)
    again = await deliver(function, event)

    assert answer.status_code == 200, answer.text
    assert (again.status_code, again.json()) == (200, answer.json())
    assert again.headers["ce-id"] == answer.headers["ce-id"]
    [signal] = await rows(app_database, tenant, "agent_signals")
    assert str(signal["id"]) == answer.json()["id"]
    [task] = await rows(app_database, tenant, "agent_run_tasks")
    assert task["status"] == "abstained"


async def test_killed_while_it_gathers_the_redelivery_takes_the_task_up_again(
    killable: KillableFunction,
    source: GatedSource,
    event: Event,
    app_database: Database,
    redis_server: EmbeddedRedis,
    tenant: TenantId,
) -> None:
    source.gate.clear()
    delivery = asyncio.create_task(deliver(killable, event))
    await source.asked()
    await killed(killable, delivery, redis_server)
    source.gate.set()
    [task] = await rows(app_database, tenant, "agent_run_tasks")

    assert task["status"] == "running"
    await ends_once(killable, event, app_database, tenant)
    [ended] = await rows(app_database, tenant, "agent_run_tasks")
    assert ended["started_at"] == task["started_at"]


async def test_killed_while_it_stores_nothing_is_stored_and_the_redelivery_stores_it(
    killable: KillableFunction,
    source: GatedSource,
    event: Event,
    app_database: Database,
    held_task: HeldTask,
    redis_server: EmbeddedRedis,
    tenant: TenantId,
) -> None:
    source.gate.clear()
    delivery = asyncio.create_task(deliver(killable, event))
    await source.asked()
    async with held_task() as reached:
        source.gate.set()
        await reached
        await killed(killable, delivery, redis_server)

    assert await rows(app_database, tenant, "agent_signals") == []
    await ends_once(killable, event, app_database, tenant)


async def test_killed_after_it_has_stored_the_redelivery_gets_the_stored_reply(
    killable: KillableFunction,
    event: Event,
    app_database: Database,
    redis_server: EmbeddedRedis,
    tenant: TenantId,
) -> None:
    answer = await deliver(killable, event)
    await killed(killable, asyncio.create_task(deliver(killable, event)), redis_server)

    again = await deliver(killable, event)

    assert (again.status_code, again.json()) == (200, answer.json())
    assert len(await rows(app_database, tenant, "agent_signals")) == 1
