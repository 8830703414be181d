"""Rate limits in a real Redis: exact under load, the same arithmetic as alone, nothing lost in an outage."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import redis.asyncio as redis
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse.tenancy import call_backlog
from alphapulse.tenancy.cache import CacheConnection, CacheUnavailable
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.limiter import RateLimiter, address_allowance, tenant_allowance, tenant_key
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tiers import LIMITS, TierLimits, limits_of
from alphapulse.tenancy.windows import Allowance, Counts, take
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.integration.broker_operations.servers import cluster

MIDNIGHT = 20_000 * 86_400.0


class Clock:
    """Seconds that a test moves."""

    def __init__(self, seconds: float = MIDNIGHT) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
async def cache(redis_server: EmbeddedRedis) -> AsyncIterator[CacheConnection]:
    opened = CacheConnection(redis_server.url, max_connections=8)
    yield opened
    await opened.close()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A server that a test may kill."""
    server = EmbeddedRedis(tmp_path, password=secrets.token_urlsafe(16))
    server.start()
    yield server
    server.stop()


def limits(**overrides: int | None) -> TierLimits:
    return limits_of(Tier.STARTER, overrides)


async def eventually(look: Callable[[], object]) -> None:
    async with asyncio.timeout(6):
        while not look():
            await asyncio.sleep(0.01)


async def test_fifty_at_once_never_pass_more_than_the_limit(cache: CacheConnection) -> None:
    allowance = tenant_allowance(TenantId.new(), LIMITS[Tier.STARTER])
    processes = [RateLimiter(cache, clock=Clock()) for _ in range(5)]

    async def client(number: int) -> int:
        limiter = processes[number % len(processes)]
        return sum([(await limiter.take(allowance)).refusing is None for _ in range(6)])

    assert sum(await asyncio.gather(*map(client, range(50)))) == 100


async def test_one_request_takes_from_address_and_tenant_or_from_neither(cache: CacheConnection) -> None:
    tenant_id, limiter = TenantId.new(), RateLimiter(cache, clock=Clock())
    address = address_allowance(secrets.token_hex(8), 1000)
    tenant = tenant_allowance(tenant_id, limits(requests_per_minute=2))

    verdicts = [await limiter.take(address, tenant) for _ in range(4)]

    assert [verdict.refusing for verdict in verdicts] == [None, None, 1, 1]
    assert verdicts[-1].standings[0].remaining == 998
    assert await limiter.calls_today(tenant_id) == 2


async def test_the_servers_clock_is_used_unless_another_is_given(cache: CacheConnection) -> None:
    limiter = RateLimiter(cache)
    verdict = await limiter.take(address_allowance(secrets.token_hex(8), 5))

    assert (verdict.refusing, verdict.standings[0].remaining) == (None, 4)
    assert 0 < verdict.standings[0].reset_seconds <= 60


async def test_the_days_quota_refuses_until_midnight(cache: CacheConnection) -> None:
    tenant_id, clock = TenantId.new(), Clock(MIDNIGHT + 80_000)
    limiter = RateLimiter(cache, clock=clock)
    allowance = tenant_allowance(tenant_id, limits(api_calls_per_day=3))
    for _ in range(3):
        assert (await limiter.take(allowance)).refusing is None

    spent = await limiter.take(allowance)
    assert (spent.refusing, spent.standings[0].day_spent, spent.standings[0].reset_seconds) == (0, True, 6400)
    open_still = tenant_allowance(tenant_id, limits(api_calls_per_day=3), daily=False)
    assert (await limiter.take(open_still)).refusing is None
    assert await limiter.calls_today(tenant_id) == 4
    clock.seconds = MIDNIGHT + 86_400
    assert (await limiter.take(allowance)).refusing is None
    assert await limiter.calls_today(tenant_id) == 1


def test_redis_and_a_process_alone_judge_alike(redis_server: EmbeddedRedis) -> None:
    step = st.tuples(st.floats(0, 40), st.integers(0, 1))

    @settings(max_examples=30, deadline=None)
    @given(
        steps=st.lists(step, min_size=1, max_size=40),
        per_minute=st.integers(1, 6),
        per_day=st.integers(1, 25),
    )
    def alike(steps: list[tuple[float, int]], per_minute: int, per_day: int) -> None:
        async def compare(cache: CacheConnection) -> None:
            clock = Clock(MIDNIGHT - 300)
            limiter = RateLimiter(cache, clock=clock)
            name = secrets.token_hex(8)
            allowances = (
                Allowance(key=f"meta:ip:{{{name}}}:requests", per_minute=per_minute + 1),
                Allowance(
                    key=f"meta:x:{{{name}}}:r", per_minute=per_minute, per_day=per_day, counts_days=True
                ),
            )
            alone = (Counts(), Counts())
            for gap, count in steps:
                clock.seconds += round(gap, 3)
                for _ in range(count + 1):
                    there = await limiter.take(*allowances)
                    here = take(alone, allowances, seconds=clock.seconds)
                    assert there.refusing == here.refusing
                    for far, near in zip(there.standings, here.standings, strict=True):
                        assert (far.remaining, far.calls_today, far.day_spent) == (
                            near.remaining,
                            near.calls_today,
                            near.day_spent,
                        )
                        assert far.reset_seconds == pytest.approx(near.reset_seconds, abs=0.0011)

        async def run() -> None:
            cache = CacheConnection(redis_server.url)
            try:
                await compare(cache)
            finally:
                await cache.close()

        asyncio.run(run())

    alike()


async def test_without_redis_each_process_keeps_the_limits_alone(own_redis: EmbeddedRedis) -> None:
    cache, tenant_id = CacheConnection(own_redis.url), TenantId.new()
    limiter = RateLimiter(cache, clock=Clock())
    own = limits(requests_per_minute=4, api_calls_per_day=5)
    allowance = tenant_allowance(tenant_id, own)
    assert (await limiter.take(allowance)).counted
    own_redis.kill()

    verdicts = [await limiter.take(allowance) for _ in range(5)]

    assert not any(verdict.counted for verdict in verdicts)
    # The minute starts anew with nobody to ask; the day goes on from where it was.
    assert [verdict.refusing for verdict in verdicts] == [None] * 4 + [0]
    assert verdicts[-1].standings[0].day_spent
    assert await limiter.calls_today(tenant_id) is None
    await cache.close()


async def test_what_was_let_through_alone_is_counted_when_redis_is_back(own_redis: EmbeddedRedis) -> None:
    cache = CacheConnection(own_redis.url)
    limiter = RateLimiter(cache)
    tenants = [TenantId.new() for _ in range(3)]
    allowances = [tenant_allowance(tenant_id, LIMITS[Tier.STARTER]) for tenant_id in tenants]
    await limiter.take(allowances[0])
    own_redis.stop()
    dice = random.Random(5)
    made = [dice.randrange(1, 20) for _ in tenants]
    for allowance, count in zip(allowances, made, strict=True):
        for _ in range(count):
            assert not (await limiter.take(allowance)).counted
    own_redis.start()

    async def counted() -> bool:
        return (await limiter.take(allowances[1])).counted

    async with asyncio.timeout(6):
        while not await counted():
            made[1] += 1
            await asyncio.sleep(0.02)
    # Also of tenants that ask for nothing more.
    await eventually(lambda: not limiter.backlog)
    assert await limiter.close() == {}

    assert [made[0] + 1, made[1] + 1, made[2]] == [await limiter.calls_today(one) for one in tenants]
    assert limiter.backlog == {}
    await cache.close()


async def test_a_process_that_stops_in_an_outage_leaves_its_count_in_the_database(
    own_redis: EmbeddedRedis,
    tenant: TenantId,
    other_tenant: TenantId,
    app_database: Database,
    platform_database: PlatformDatabase,
) -> None:
    cache = CacheConnection(own_redis.url)
    stopping = RateLimiter(cache)
    own_redis.stop()
    for owner, count in ((tenant, 7), (other_tenant, 2)):
        for _ in range(count):
            await stopping.take(tenant_allowance(owner, LIMITS[Tier.STARTER]))

    left = await stopping.close()
    assert sorted(left.values()) == [2, 7]
    await call_backlog.keep(app_database, left)
    own_redis.start()
    later = RateLimiter(CacheConnection(own_redis.url))
    assert await call_backlog.hand_in(platform_database, later.count) >= 9
    assert await call_backlog.hand_in(platform_database, later.count) == 0

    assert (await later.calls_today(tenant), await later.calls_today(other_tenant)) == (7, 2)
    await later._cache.close()
    await cache.close()


async def test_what_was_handed_in_before_redis_went_away_is_not_handed_in_twice(
    tenant: TenantId, other_tenant: TenantId, app_database: Database, platform_database: PlatformDatabase
) -> None:
    counted: list[TenantId] = []
    own = {tenant, other_tenant}
    await call_backlog.keep(app_database, {(tenant, 20_000): 3, (other_tenant, 20_000): 4})

    async def count_one(tenant_id: TenantId, _day: int, _calls: int) -> None:
        if own & set(counted):
            raise CacheUnavailable
        counted.append(tenant_id)

    async def count(tenant_id: TenantId, _day: int, _calls: int) -> None:
        counted.append(tenant_id)

    with pytest.raises(CacheUnavailable):
        await call_backlog.hand_in(platform_database, count_one)
    await call_backlog.hand_in(platform_database, count)

    assert sorted(map(str, own)) == sorted(str(one) for one in counted if one in own)


async def test_counts_vanish_by_themselves(cache: CacheConnection, redis_server: EmbeddedRedis) -> None:
    tenant_id, limiter = TenantId.new(), RateLimiter(cache)
    address = address_allowance(secrets.token_hex(8), 10)
    await limiter.take(address, tenant_allowance(tenant_id, LIMITS[Tier.PRO]))

    seen = redis.Redis.from_url(redis_server.url)
    assert 0 < await seen.ttl(address.key) <= 150
    assert 86_400 < await seen.ttl(tenant_key(tenant_id)) <= 172_800
    await seen.aclose()


async def test_an_address_known_to_be_over_its_limit_is_refused_without_asking(
    cache: CacheConnection,
) -> None:
    clock = Clock()
    limiter = RateLimiter(cache, clock=clock)
    address = address_allowance(secrets.token_hex(8), 1)
    await limiter.take(address)
    assert limiter.refused_for(address) is None
    verdict = await limiter.take(address)

    wait = verdict.standings[0].reset_seconds
    assert limiter.refused_for(address) == pytest.approx(wait)
    clock.seconds += wait
    assert limiter.refused_for(address) is None
    assert (await limiter.take(address)).refusing is None


@pytest.fixture
async def on_cluster(tmp_path: Path) -> AsyncIterator[CacheConnection]:
    """A cache on three masters."""
    password = secrets.token_urlsafe(16)
    nodes = await asyncio.to_thread(cluster, tmp_path, password=password)
    opened = CacheConnection(f"redis+cluster://:{password}@127.0.0.1:{nodes[0].port}")
    yield opened
    await opened.close()
    for node in nodes:
        node.stop()


async def test_on_a_cluster_both_limits_hold_and_the_cache_keeps_its_account(
    on_cluster: CacheConnection,
) -> None:
    limiter, tenant_id = RateLimiter(on_cluster, clock=Clock()), TenantId.new()
    address = address_allowance("203.0.113.7", 50)
    tenant = tenant_allowance(tenant_id, limits(requests_per_minute=3))
    own, market = on_cluster.tenant(tenant_id), on_cluster.market()

    verdicts = [await limiter.take(address, tenant) for _ in range(4)]
    for number in range(5):
        assert await own.put("signal", f"S{number}", value="x" * 98, ttl_seconds=60)
    await market.put("a", value=1, ttl_seconds=60)
    await market.put("b", value=2, ttl_seconds=60)

    assert [verdict.refusing for verdict in verdicts] == [None, None, None, 1]
    assert await own.get("signal", "S3") == "x" * 98
    assert await own.get_many([("signal", "S1"), ("signal", "none")]) == ["x" * 98, None]
    assert await market.get_many([("a",), ("b",), ("c",)]) == [1, 2, None]
    assert await own.used_bytes() == 500
    assert len([name async for name in on_cluster.keys("tenant:*")]) == 5
