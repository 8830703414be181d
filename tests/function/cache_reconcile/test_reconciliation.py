"""The hourly round: accounts of all tenants made true, quotas of now enforced, late calls counted."""

import datetime as dt
import time

import pytest
import redis.asyncio as redis

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.runtime.settings import Secret, Settings
from alphapulse.tenancy import call_backlog
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.function.conftest import Broker, Functions
from tests.tenants import change_tenant


@pytest.fixture
async def seen(redis_server: EmbeddedRedis) -> redis.Redis:
    client = redis.Redis.from_url(redis_server.url, decode_responses=True)
    yield client
    await client.aclose()


async def run(functions: Functions) -> int:
    return (await functions.deliver("cache_reconcile", functions.tick("cache-reconcile"))).status_code


async def test_every_tenants_account_is_made_true(
    functions: Functions, tenant: TenantId, other_tenant: TenantId, seen: redis.Redis
) -> None:
    caches = {one: functions.resources("cache_reconcile").cache.tenant(one) for one in (tenant, other_tenant)}
    for cache in caches.values():
        for number in range(700):
            await cache.put("signal", f"S{number}", value="x" * 8, ttl_seconds=60)
    await seen.delete(caches[tenant].key("signal", "S3"), caches[tenant].key("signal", "S4"))
    await seen.set(caches[tenant].key("foreign"), "x" * 25, px=60_000)
    await seen.delete(f"meta:tenant:{{{other_tenant}}}:usage_bytes")

    assert await run(functions) == 204

    assert await caches[tenant].used_bytes() == 698 * 10 + 25
    assert await caches[other_tenant].used_bytes() == 7_000


async def test_a_tenant_that_is_over_its_quota_now_is_brought_down(
    functions: Functions, tenant: TenantId, database: DatabaseUrls
) -> None:
    cache = functions.resources("cache_reconcile").cache.tenant(tenant)
    for number in range(20):
        await cache.put("signal", f"S{number}", value="x" * 98, ttl_seconds=60)
    await change_tenant(database, tenant, limit_overrides={"cache_bytes": 1_000})

    assert await run(functions) == 204

    assert await cache.used_bytes() == 900
    assert await cache.get("signal", "S10") is None
    assert await cache.get("signal", "S11") is not None


async def test_calls_a_stopped_process_left_behind_are_counted_once(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    today = int(time.time() // 86_400)
    await call_backlog.keep(app_database, {(tenant, today): 12, (tenant, today - 9): 3})

    assert await run(functions) == 204
    assert await run(functions) == 204

    assert await functions.resources("cache_reconcile").limiter.calls_today(tenant) == 12
    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT count(*) FROM call_backlog") == 0


async def test_keys_of_nobody_stay_untouched(functions: Functions, seen: redis.Redis) -> None:
    stranger = TenantId.new()
    await seen.set(f"tenant:{{{stranger}}}:signal:x", "1", px=60_000)
    await seen.set("tenant:{not-a-tenant}:x", "1", px=60_000)

    assert await run(functions) == 204

    assert await seen.get(f"tenant:{{{stranger}}}:signal:x") == "1"
    assert await seen.get(f"meta:tenant:{{{stranger}}}:usage_bytes") is None


async def test_without_redis_the_round_is_tried_again_and_nothing_is_lost(
    function_settings: Settings, functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    functions.settings = function_settings.replace(redis_url=Secret("redis://127.0.0.1:1/0"))
    await call_backlog.keep(app_database, {(tenant, int(time.time() // 86_400)): 5})

    answer = await functions.deliver("cache_reconcile", functions.tick("cache-reconcile"))

    assert (answer.status_code, answer.json()["code"]) == (503, "dependency_down")
    assert int(answer.headers["retry-after"]) == 30
    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT sum(calls) FROM call_backlog") == 5


async def test_a_tenant_is_told_once_when_it_comes_near_its_quota(
    functions: Functions, tenant: TenantId, database: DatabaseUrls, broker: Broker
) -> None:
    await change_tenant(database, tenant, limit_overrides={"cache_bytes": 10_000})
    resources = functions.resources("cache_reconcile")
    await resources.facts.tenant(tenant)
    cache = resources.cache.tenant(tenant)
    for number in range(30):
        await cache.put("signal", f"S{number}", value="x" * 498, ttl_seconds=60)

    told = await broker.wait_for("notification.requested", count=2, tenant_id=tenant)
    await functions.settle()

    assert [event.data["parameters"]["level"] for event in told] == ["alert", "full"]
    assert {event.data["kind"] for event in told} == {"quota_alert"}
    assert told[0].data["parameters"] == {
        "quota": "cache_bytes",
        "level": "alert",
        "used": 8_000,
        "limit": 10_000,
        "alert_at": 8_000,
    }
    hour = f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H}"
    assert told[0].data["dedupe_key"].startswith(f"quota_alert:cache_bytes:alert:{hour[:10]}")
    assert len(broker.named("notification.requested", tenant)) == 2


async def test_an_alert_that_could_not_be_stored_is_tried_with_the_next_write(
    functions: Functions, tenant: TenantId, database: DatabaseUrls, broker: Broker
) -> None:
    await change_tenant(database, tenant, limit_overrides={"cache_bytes": 10_000})
    resources = functions.resources("cache_reconcile")
    await resources.facts.tenant(tenant)
    cache, real = resources.cache.tenant(tenant), resources.database
    resources.__dict__["database"] = Database("postgresql://u:p@127.0.0.1:1/x", application_name="test")
    for number in range(17):
        await cache.put("signal", f"S{number}", value="x" * 498, ttl_seconds=60)
    await functions.settle()
    assert broker.named("notification.requested", tenant) == []
    resources.__dict__["database"] = real

    await cache.put("signal", "S18", value="x", ttl_seconds=60)

    assert len(await broker.wait_for("notification.requested", tenant_id=tenant)) == 1
