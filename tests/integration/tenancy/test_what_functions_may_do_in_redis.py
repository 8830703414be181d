"""The user functions have in the cache: all they need, below the product's prefixes, and no more."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio as redis
from redis.exceptions import NoPermissionError

from alphapulse.tenancy.cache import CacheConnection
from alphapulse.tenancy.cache_reconciliation import reconcile
from alphapulse.tenancy.keyspace import TenantKeyspace
from alphapulse.tenancy.limiter import RateLimiter, address_allowance, tenant_allowance
from alphapulse.tenancy.nonces import NonceCounters
from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tiers import LIMITS, CacheQuota
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.function.conftest import Clock


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    server = EmbeddedRedis(
        tmp_path, password=secrets.token_urlsafe(16), function_password=secrets.token_urlsafe(16)
    )
    server.start()
    yield server.function_url
    server.stop()


@pytest.fixture
async def intruder(url: str) -> AsyncIterator[redis.Redis]:
    client = redis.Redis.from_url(url)
    yield client
    await client.aclose()


async def test_everything_functions_do_works(url: str) -> None:
    quota, tenant_id = CacheQuota(bytes=1_000, alert_at=800), TenantId.new()
    cache = CacheConnection(url, quota_of=lambda _: quota)
    own, limiter, keyspace = cache.tenant(tenant_id), RateLimiter(cache), TenantKeyspace(url)

    async def quota_of(_: TenantId) -> CacheQuota:
        return quota

    await keyspace.create(tenant_id)
    for number in range(30):
        assert await own.put("signal", f"S{number}", value="x" * 98, ttl_seconds=60)
    assert await own.get("signal", "S29") == "x" * 98
    await own.drop("signal", "S29")
    assert (await own.used_bytes() or 0) <= quota.bytes
    verdict = await limiter.take(
        address_allowance("192.0.2.1", 10), tenant_allowance(tenant_id, LIMITS[Tier.PRO])
    )
    assert verdict.counted
    await limiter.count(tenant_id, 1, 1)
    assert (await reconcile(cache, quota_of)).tenants == 1
    assert await cache.market().put("paper", "BTC-USDT", "ticker", value=1, ttl_seconds=5)
    assert await cache.market().get_many([("paper", "BTC-USDT", "ticker")]) == [1]
    assert await NonceCounters(cache, "kraken").next("key", now=Clock()()) > 0
    assert await keyspace.remove(tenant_id) > 0
    await keyspace.close()
    await cache.close()


@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("KEYS", "*"),
        ("CONFIG", "GET", "requirepass"),
        ("CONFIG", "SET", "dir", "/"),
        ("ACL", "LIST"),
        ("INFO",),
        ("MONITOR",),
        ("CLIENT", "KILL", "ID", "1"),
        ("REPLICAOF", "127.0.0.1", "1"),
        ("DEBUG", "SLEEP", "0"),
        ("SHUTDOWN", "NOSAVE"),
        ("SAVE",),
        ("MODULE", "LIST"),
        ("GET", "other:key"),
        ("SET", "other", "1"),
        ("RENAME", "tenant:x", "other"),
        ("EVAL", "return redis.call('GET', KEYS[1])", "1", "other"),
        ("EVAL", "return redis.call('FLUSHALL')", "0"),
        ("PUBLISH", "channel", "x"),
    ],
    ids=" ".join,
)
async def test_what_is_not_needed_is_refused(intruder: redis.Redis, command: tuple[str, ...]) -> None:
    with pytest.raises((NoPermissionError, redis.ResponseError)) as refused:
        await intruder.execute_command(*command)

    told = str(refused.value).lower()
    assert any(words in told for words in ("permission", "can't run this command"))
