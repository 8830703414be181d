"""The namespaced cache: what it keeps, what it survives, and what cannot climb out of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis.asyncio as redis

from alphapulse.tenancy.cache import CacheConnection
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.redis import EmbeddedRedis


@pytest.fixture
async def connection(redis_server: EmbeddedRedis) -> AsyncIterator[CacheConnection]:
    opened = CacheConnection(redis_server.url, max_connections=4)
    yield opened
    await opened.close()


@pytest.fixture
async def outsider(redis_server: EmbeddedRedis) -> AsyncIterator[redis.Redis]:
    client = redis.Redis.from_url(redis_server.url)
    yield client
    await client.aclose()


async def test_a_value_is_kept_for_its_tenant_alone_until_it_is_dropped(connection: CacheConnection) -> None:
    mine, theirs = connection.tenant(TenantId.new()), connection.tenant(TenantId.new())

    await mine.put("signal", "technical", value={"score": "0.5"}, ttl_seconds=60)

    assert await mine.get("signal", "technical") == {"score": "0.5"}
    assert await theirs.get("signal", "technical") is None
    await mine.drop("signal", "technical")
    assert await mine.get("signal", "technical") is None


async def test_more_requests_at_once_than_connections_all_get_their_value(
    connection: CacheConnection,
) -> None:
    cache = connection.tenant(TenantId.new())
    await cache.put("x", value=1, ttl_seconds=60)

    values = await asyncio.gather(*(cache.get("x") for _ in range(100)))

    assert set(values) == {1}


async def test_a_value_that_cannot_be_read_is_missing(
    connection: CacheConnection, outsider: redis.Redis
) -> None:
    cache = connection.tenant(TenantId.new())
    await outsider.set(cache.key("broken"), b'{"score": ', px=60_000)
    await cache.put("whole", value=1, ttl_seconds=60)

    assert await cache.get("broken") is None
    assert await cache.get_many([("broken",), ("whole",), ("absent",)]) == [None, 1, None]


async def test_without_redis_reads_miss_and_writes_are_skipped() -> None:
    absent = CacheConnection("redis://127.0.0.1:1/0")
    cache = absent.market()

    await cache.put("paper", "BTC-USD", "ticker", value=1, ttl_seconds=5)

    assert await cache.get("paper", "BTC-USD", "ticker") is None
    assert await cache.get_many([("a",), ("b",)]) == [None, None]
    await absent.close()


@pytest.mark.parametrize("part", ["", "a:b", "a b", "*", "{x}", "a\n", "é", "x" * 65, "../x/y"])
async def test_a_part_that_could_climb_out_of_the_namespace_is_refused(
    connection: CacheConnection, part: str
) -> None:
    with pytest.raises(ValueError, match="cache key part"):
        connection.tenant(TenantId.new()).key("signal", part)
