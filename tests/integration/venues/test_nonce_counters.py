"""Nonces only grow, for one key, over all processes, with Redis and without."""

import asyncio
import datetime as dt

from alphapulse.tenancy.cache import CacheConnection
from alphapulse.tenancy.nonces import NonceCounters
from alphapulse_local.embedded.redis import EmbeddedRedis

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
MICROSECONDS = int(NOW.timestamp()) * 1_000_000


async def test_processes_that_share_a_redis_never_give_out_a_nonce_twice(redis_server: EmbeddedRedis) -> None:
    # Few connections, opened before: on a busy machine opening dozens at once takes longer than a cache may,
    # and then each process counts for itself, which is another test's matter.
    connections = [CacheConnection(redis_server.url, max_connections=2) for _ in range(4)]
    counters = [NonceCounters(connection, "kraken") for connection in connections]
    for connection in connections:
        assert await connection.run("PING")

    nonces: list[int] = []
    for _ in range(10):
        nonces += await asyncio.gather(*(counters[n % 4].next("shared", now=NOW) for n in range(20)))

    assert sorted(nonces) == list(range(MICROSECONDS, MICROSECONDS + 200))
    for connection in connections:
        await connection.close()


async def test_nonce_follows_the_time_and_never_falls_behind_it(redis_server: EmbeddedRedis) -> None:
    connection = CacheConnection(redis_server.url)
    counters = NonceCounters(connection, "kraken")
    second = dt.timedelta(seconds=1)

    nonces = [await counters.next("timed", now=now) for now in (NOW, NOW + second, NOW, NOW - second)]

    later = MICROSECONDS + 1_000_000
    assert nonces == [MICROSECONDS, later, later + 1, later + 2]
    await connection.close()


async def test_keys_have_counters_of_their_own(redis_server: EmbeddedRedis) -> None:
    connection = CacheConnection(redis_server.url)
    counters = NonceCounters(connection, "kraken")

    assert await counters.next("one", now=NOW) == await counters.next("two", now=NOW)
    await connection.close()


async def test_nonces_grow_through_an_outage_of_redis(redis_server: EmbeddedRedis) -> None:
    up, down = CacheConnection(redis_server.url), CacheConnection("redis://127.0.0.1:1/0")
    counters = NonceCounters(up, "kraken")
    first = await counters.next("outage", now=NOW)

    counters._connection = down
    without = await asyncio.gather(*(counters.next("outage", now=NOW) for _ in range(10)))
    counters._connection = up
    after = await counters.next("outage", now=NOW)

    assert [first, *sorted(without), after] == list(range(MICROSECONDS, MICROSECONDS + 12))
    await up.close()
    await down.close()


async def test_key_itself_is_not_in_redis(redis_server: EmbeddedRedis) -> None:
    connection = CacheConnection(redis_server.url)
    await NonceCounters(connection, "kraken").next("visible-key", now=NOW)

    names = await connection.run("KEYS", "*")

    assert not [name for name in names if b"visible-key" in name]
    await connection.close()
