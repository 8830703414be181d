"""The relay sends what was left in the outbox: everything, once the broker takes it, and nothing lost."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from prometheus_client import REGISTRY

from alphapulse.data import outbox
from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.events import Event, event_type
from alphapulse.events.publish import Publisher
from alphapulse.runtime.sending import send
from alphapulse.runtime.settings import Secret, Settings
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.function.conftest import Broker, Functions


@pytest.fixture
def function_settings(empty_database: DatabaseUrls, redis_server: EmbeddedRedis, broker: Broker) -> Settings:
    """The relay takes every tenant's rows, so each of these tests has a database of its own."""
    return Settings(
        database_url=Secret(empty_database.app),
        platform_database_url=Secret(empty_database.platform),
        redis_url=Secret(redis_server.url),
        broker_url=broker.url,
    )


@pytest.fixture
async def platform(empty_database: DatabaseUrls) -> AsyncIterator[PlatformDatabase]:
    opened = PlatformDatabase(empty_database.platform, application_name="test")
    yield opened
    await opened.close()


def event(n: int, tenant_id: TenantId | None) -> Event:
    extensions = {} if tenant_id is None else {"tenantid": str(tenant_id)}
    return Event(
        type=event_type("portfolio.changed"), source="/functions/test", data={"n": n}, extensions=extensions
    )


async def leave(platform: PlatformDatabase, count: int, *, due: bool = True) -> list[Event]:
    """Leave events of two tenants and of the platform in the outbox, as a process that died would."""
    owners = [TenantId.new(), TenantId.new(), None]
    left = [event(n, owners[n % 3]) for n in range(count)]
    for one in left:
        owner = None if one.tenant_id is None else TenantId(one.tenant_id)
        async with platform.session(owner) as session:
            await outbox.enqueue(session, one)
    if due:
        await make_due(platform)
    return left


async def make_due(platform: PlatformDatabase) -> None:
    async with platform.session() as session:
        for table in ("outbox", "platform_outbox"):
            await session.execute(f"UPDATE {table} SET next_attempt_at = now() - interval '1 second'")


async def rows(platform: PlatformDatabase) -> list[Any]:
    columns = "id, attempts, last_error, next_attempt_at > now() AS later, refused_at IS NOT NULL AS refused"
    async with platform.session() as session:
        return await session.fetch(
            f"SELECT {columns} FROM outbox UNION ALL SELECT {columns} FROM platform_outbox"
        )


def refusals_counted() -> float:
    return REGISTRY.get_sample_value("alphapulse_events_published_total", {"outcome": "refused"}) or 0


async def sweep(functions: Functions) -> None:
    answer = await functions.deliver("outbox_relay", functions.tick("outbox-sweep"))

    assert answer.status_code == 204, answer.text


async def test_due_events_of_all_tenants_and_the_platform_are_sent_unchanged_and_deleted(
    functions: Functions, platform: PlatformDatabase, broker: Broker
) -> None:
    left = await leave(platform, 40)

    await sweep(functions)

    assert {e.id: e for e in broker.events} == {e.id: e for e in left}
    assert await rows(platform) == []


async def test_more_events_than_one_batch_are_all_sent(
    functions: Functions, platform: PlatformDatabase, broker: Broker
) -> None:
    left = await leave(platform, 250)

    await sweep(functions)

    assert sorted(e.id for e in broker.events) == sorted(e.id for e in left)
    assert await rows(platform) == []


async def test_event_whose_writer_is_about_to_send_it_is_left_alone(
    functions: Functions, platform: PlatformDatabase, broker: Broker
) -> None:
    await leave(platform, 3, due=False)

    await sweep(functions)

    assert broker.events == []
    assert len(await rows(platform)) == 3


async def test_refused_events_stay_with_reason_and_delay_and_go_out_later(
    functions: Functions, platform: PlatformDatabase, broker: Broker
) -> None:
    left = await leave(platform, 5)
    broker.up = False

    await sweep(functions)

    kept = await rows(platform)
    assert {(row["attempts"], row["last_error"], row["later"]) for row in kept} == {
        (1, "broker answered 503", True)
    }
    assert len(kept) == 5
    broker.up = True
    await make_due(platform)
    await sweep(functions)
    assert sorted(e.id for e in broker.events) == sorted(e.id for e in left)
    assert await rows(platform) == []


@pytest.mark.parametrize("status", ["400 Bad Request", "413 Content Too Large", "422 Unprocessable Content"])
async def test_event_refused_for_good_is_kept_untried_and_does_not_hold_up_the_others(
    functions: Functions, platform: PlatformDatabase, broker: Broker, status: str
) -> None:
    left = await leave(platform, 40)
    # A whole group of them, so that refusals are not taken for a broker that is down.
    bad, good = left[:17], left[17:]
    broker.refusals = {one.id: status for one in bad}
    before = refusals_counted()

    with structlog.testing.capture_logs() as logs:
        await sweep(functions)
    await make_due(platform)
    broker.refusals = {}
    await sweep(functions)

    assert sorted(e.id for e in broker.events) == sorted(e.id for e in good)
    kept = await rows(platform)
    assert {row["id"] for row in kept} == {outbox.row_id(e.id) for e in bad}
    assert {(row["attempts"], row["last_error"], row["refused"]) for row in kept} == {
        (1, f"broker answered {status[:3]}", True)
    }
    assert refusals_counted() - before == len(bad)
    told = [line for line in logs if line["event"] == "event_refused"]
    assert {line["event_id"] for line in told} == {e.id for e in bad}
    assert {(line["type"], line["log_level"]) for line in told} == {(bad[0].type, "error")}


async def test_refused_event_is_sent_once_an_operator_takes_the_mark_away(
    functions: Functions, platform: PlatformDatabase, broker: Broker
) -> None:
    (one,) = await leave(platform, 1)
    broker.refusals = {one.id: "413 Content Too Large"}
    await sweep(functions)
    broker.refusals = {}

    async with platform.session() as session:
        await session.execute("UPDATE outbox SET refused_at = NULL WHERE id = $1", outbox.row_id(one.id))
    await make_due(platform)
    await sweep(functions)

    assert [e.id for e in broker.events] == [one.id]
    assert await rows(platform) == []


async def test_event_for_a_broker_that_is_not_there_yet_is_tried_again(
    functions: Functions, platform: PlatformDatabase, broker: Broker
) -> None:
    (one,) = await leave(platform, 1)
    broker.refusals = {one.id: "404 Not Found"}

    await sweep(functions)

    (kept,) = await rows(platform)
    assert (kept["refused"], kept["later"]) == (False, True)


async def test_direct_send_leaves_a_refused_event_to_the_relay_and_sends_the_next(
    platform: PlatformDatabase, broker: Broker
) -> None:
    left = await leave(platform, 3)
    broker.refusals = {left[1].id: "400 Bad Request"}
    publisher = Publisher(broker.url)
    try:
        sent = await send(publisher, left)
    finally:
        await publisher.close()

    assert sent == [left[0].id, left[2].id]
    assert [row["refused"] for row in await rows(platform)] == [False] * 3


async def test_broker_that_is_down_ends_the_sweep_after_the_first_group(
    functions: Functions, platform: PlatformDatabase, broker: Broker
) -> None:
    await leave(platform, 60)
    broker.up = False

    await sweep(functions)

    kept = await rows(platform)
    assert len(kept) == 60
    assert sum(row["last_error"] is not None for row in kept) == 16
    assert all(row["later"] for row in kept)


async def test_relay_that_is_killed_in_the_middle_loses_nothing(
    functions: Functions, platform: PlatformDatabase, broker: Broker
) -> None:
    left = await leave(platform, 120)
    running = asyncio.create_task(sweep(functions))
    async with asyncio.timeout(10):
        while len(broker.events) < 20:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    waiting = {row["id"] for row in await rows(platform)}
    assert {outbox.row_id(e.id) for e in left} <= waiting | {outbox.row_id(e.id) for e in broker.events}
    await make_due(platform)  # as the lease's end would
    await sweep(functions)

    assert {e.id for e in broker.events} == {e.id for e in left}
    assert await rows(platform) == []


async def test_two_relays_at_once_send_each_event_once(
    functions: Functions, platform: PlatformDatabase, broker: Broker
) -> None:
    left = await leave(platform, 100)

    await asyncio.gather(sweep(functions), sweep(functions))

    assert sorted(e.id for e in broker.events) == sorted(e.id for e in left)


async def test_unknown_schedule_is_refused_for_good(functions: Functions) -> None:
    answer = await functions.deliver("outbox_relay", functions.tick("lunch"))

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_schedule")
