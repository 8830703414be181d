"""The account of a tenant's cached values: always the sum of what is there, held within the quota."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import redis.asyncio as redis

from alphapulse.tenancy.cache import MAX_VALUE_BYTES, CacheConnection, TenantCache
from alphapulse.tenancy.cache_account import ALERT, FULL, CacheAccount, QuotaCrossing
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tiers import CacheQuota
from alphapulse_local.embedded.redis import EmbeddedRedis

QUOTA = CacheQuota(bytes=10_000, alert_at=8_000)


class Bed:
    """A cache under test, and a client that sees all of Redis."""

    def __init__(self, url: str) -> None:
        self.crossings: list[QuotaCrossing] = []
        self.quota = QUOTA
        self.cache = CacheConnection(
            url, max_connections=8, quota_of=lambda _: self.quota, on_crossing=self.crossings.append
        )
        self.redis = redis.Redis.from_url(url, decode_responses=True)
        self.tenant_id = TenantId.new()

    @property
    def own(self) -> TenantCache:
        return self.cache.tenant(self.tenant_id)

    def account(self, tenant_id: TenantId | None = None) -> CacheAccount:
        return CacheAccount(self.cache.evaluate, tenant_id or self.tenant_id)

    def meta(self, name: str, tenant_id: TenantId | None = None) -> str:
        return f"meta:tenant:{{{tenant_id or self.tenant_id}}}:{name}"

    async def used(self, tenant_id: TenantId | None = None) -> int:
        return int(await self.redis.get(self.meta("usage_bytes", tenant_id)) or 0)

    async def keys(self, tenant_id: TenantId | None = None) -> set[str]:
        return set(await self.redis.keys(f"tenant:{{{tenant_id or self.tenant_id}}}:*"))

    async def really_used(self, tenant_id: TenantId | None = None) -> int:
        return sum([await self.redis.strlen(key) for key in await self.keys(tenant_id)])

    async def check(self) -> None:
        """The counter is the sum of sizes, and every account names exactly the keys there are."""
        keys = await self.keys()
        assert await self.really_used() == await self.used()
        assert keys == set(await self.redis.zrange(self.meta("lru"), 0, -1))
        assert keys == set(await self.redis.hkeys(self.meta("sizes")))
        assert keys == set(await self.redis.zrange(self.meta("expiries"), 0, -1))


@pytest.fixture
async def bed(redis_server: EmbeddedRedis) -> AsyncIterator[Bed]:
    opened = Bed(redis_server.url)
    yield opened
    await opened.cache.close()
    await opened.redis.aclose()


async def put(bed: Bed, name: str, size: int, *, ttl: float = 60) -> None:
    """Store a value of exactly `size` bytes of JSON."""
    assert await bed.own.put("signal", name, value="x" * (size - 2), ttl_seconds=ttl)


async def eventually(look: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await look():
            await asyncio.sleep(0.01)


async def test_set_overwrite_and_drop_keep_the_count(bed: Bed) -> None:
    await put(bed, "A", 100)
    await put(bed, "B", 300)
    await put(bed, "A", 40)
    assert await bed.own.used_bytes() == 340
    await bed.own.drop("signal", "B")
    await bed.own.drop("signal", "never-there")

    assert await bed.used() == 40
    await bed.check()


async def test_fifty_writers_at_once_lose_no_byte(bed: Bed) -> None:
    bed.quota = CacheQuota(bytes=10**9, alert_at=10**9)
    dice = random.Random(7)
    plans = [[(dice.randrange(20), dice.randrange(2, 400)) for _ in range(20)] for _ in range(50)]

    async def write(plan: list[tuple[int, int]]) -> None:
        for number, size in plan:
            if size % 7 == 0:
                await bed.own.drop("signal", f"S{number}")
            else:
                await put(bed, f"S{number}", size)

    await asyncio.gather(*map(write, plans))

    await bed.check()


@pytest.mark.parametrize("seed", range(3))
async def test_random_operations_with_expiry_leave_a_true_account(bed: Bed, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(300):
        name = f"S{dice.randrange(15)}"
        match dice.randrange(5):
            case 0:
                await bed.own.drop("signal", name)
            case 1:
                await bed.own.get("signal", name)
            case 2:
                await put(bed, name, dice.randrange(2, 900), ttl=dice.choice([0.001, 0.01]))
            case _:
                await put(bed, name, dice.randrange(2, 900))
        assert await bed.used() <= QUOTA.bytes

    async def nothing_short_lived_is_left() -> bool:
        return all([await bed.redis.pttl(key) > 1000 for key in await bed.keys()])

    await eventually(nothing_short_lived_is_left)
    await put(bed, "last", 2)

    await bed.check()


async def test_a_value_that_expired_leaves_the_account_when_it_is_asked_for(bed: Bed) -> None:
    await put(bed, "brief", 500, ttl=0.01)
    key = bed.own.key("signal", "brief")

    async def gone() -> bool:
        return not await bed.redis.exists(key)

    await eventually(gone)
    assert await bed.own.get("signal", "brief") is None

    assert await bed.used() == 0
    await bed.check()


async def test_over_the_quota_the_oldest_go_until_nine_tenths_are_left(bed: Bed) -> None:
    for number in range(10):
        await put(bed, f"S{number}", 1000)
    assert await bed.used() == 10_000
    await put(bed, "S10", 1000)

    assert {bed.own.key("signal", f"S{n}") for n in range(2, 11)} == await bed.keys()
    assert await bed.used() == QUOTA.trimmed == 9_000
    await bed.check()


async def test_what_was_read_last_is_not_the_oldest(bed: Bed) -> None:
    for number in range(10):
        await put(bed, f"S{number}", 1000)
    await bed.own.get("signal", "S0")
    await put(bed, "S10", 1000)

    assert await bed.own.get("signal", "S0") is not None
    assert await bed.own.get("signal", "S1") is None


async def test_what_has_expired_goes_before_what_lives(bed: Bed) -> None:
    await put(bed, "oldest", 1000)
    for number in range(30):
        await put(bed, f"brief{number}", 290, ttl=0.02)

    async def expired() -> bool:
        return len(await bed.keys()) == 1

    await eventually(expired)
    await put(bed, "new", 2000)
    await put(bed, "newer", 2000)

    assert await bed.own.get("signal", "oldest") is not None
    await bed.check()


async def test_another_tenants_values_are_never_touched(bed: Bed) -> None:
    neighbour = TenantId.new()
    theirs = bed.cache.tenant(neighbour)
    await theirs.put("signal", "mine", value="y" * 998, ttl_seconds=60)
    # Even if its name has got into this tenant's order of use.
    foreign = theirs.key("signal", "mine")
    await bed.redis.zadd(bed.meta("lru"), {foreign: 1})
    await bed.redis.hset(bed.meta("sizes"), foreign, 1000)
    for number in range(30):
        await put(bed, f"S{number}", 1000)

    assert await theirs.get("signal", "mine") == "y" * 998
    assert (await bed.used(neighbour), await bed.really_used(neighbour)) == (1000, 1000)
    await bed.account().reconcile(sorted(await bed.keys()), quota=QUOTA)
    await bed.check()


async def test_many_values_go_in_small_steps_until_there_is_room(bed: Bed) -> None:
    bed.quota = CacheQuota(bytes=10**9, alert_at=10**9)
    for number in range(1_200):
        await put(bed, f"S{number}", 10)

    removed = await bed.account().trim(CacheQuota(bytes=1_000, alert_at=800))

    assert (removed, await bed.used()) == (1_110, 900)
    await bed.check()


async def test_each_level_is_told_of_once_until_usage_was_clearly_below(bed: Bed) -> None:
    def told() -> list[int]:
        levels = [crossing.level for crossing in bed.crossings]
        bed.crossings.clear()
        return levels

    for number in range(8):
        await put(bed, f"S{number}", 1000)
    assert told() == [ALERT]
    for number in range(8, 14):
        await put(bed, f"S{number}", 1000)
    assert told() == [FULL]
    await bed.own.drop("signal", "S13")
    await put(bed, "S13", 1000)
    assert told() == []
    for number in range(14):
        await bed.own.drop("signal", f"S{number}")
    for number in range(9):
        await put(bed, f"S{number}", 1000)

    assert told() == [ALERT]
    assert bed.crossings == []


async def test_without_a_known_quota_a_write_is_counted_and_not_limited(redis_server: EmbeddedRedis) -> None:
    opened = CacheConnection(redis_server.url)
    cache = opened.tenant(TenantId.new())
    await cache.put("signal", "A", value="x" * 50_000, ttl_seconds=60)

    assert await cache.used_bytes() == 50_002
    await opened.close()


async def test_a_value_over_the_size_limit_is_refused_and_the_one_before_stays(bed: Bed) -> None:
    bed.quota = CacheQuota(bytes=10**9, alert_at=10**9)
    await put(bed, "A", 100)

    assert not await bed.own.put("signal", "A", value="x" * MAX_VALUE_BYTES, ttl_seconds=60)
    assert await bed.own.get("signal", "A") == "x" * 98
    await put(bed, "A", MAX_VALUE_BYTES)
    await bed.check()


async def test_reconciliation_makes_a_damaged_account_true(bed: Bed) -> None:
    for number in range(6):
        await put(bed, f"S{number}", 1000)
    key = bed.own.key
    await bed.redis.delete(key("signal", "S0"))  # by a foreign hand
    await bed.redis.set(key("signal", "S1"), "longer" * 500, px=60_000)
    await bed.redis.set(key("probe"), "not accounted", px=60_000)
    await bed.redis.zrem(bed.meta("lru"), key("signal", "S2"))
    await bed.redis.set(bed.meta("usage_bytes"), 123_456)
    names = {*await bed.keys(), *await bed.redis.hkeys(bed.meta("sizes"))}

    found = await bed.account().reconcile(sorted(names), quota=QUOTA)

    assert found.used == await bed.really_used() == 4_000 + 3_000 + len("not accounted")
    assert found.wrong == 3
    await bed.check()
    again = await bed.account().reconcile(sorted(names), quota=QUOTA)
    assert (again.wrong, again.before) == (0, found.used)


async def test_values_named_in_scripts_are_data(bed: Bed) -> None:
    evil = "'); redis.call('FLUSHALL') --"
    await bed.own.put("signal", "A", value=evil, ttl_seconds=60)

    assert await bed.own.get("signal", "A") == evil
    for part in (evil, "A}:B", "{A", "a\nb", "\x00"):
        with pytest.raises(ValueError, match="cache key part"):
            await bed.own.put("signal", part, value=1, ttl_seconds=60)


async def test_a_killed_redis_costs_values_and_not_the_truth(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path, password=secrets.token_urlsafe(16), append_only=True)
    server.start()
    bed = Bed(server.url)
    try:
        for number in range(5):
            await put(bed, f"S{number}", 1000)

        async def write_on() -> None:
            for number in range(40):
                await bed.own.put("signal", f"W{number % 6}", value="x" * 500, ttl_seconds=60)

        writing = asyncio.gather(*(write_on() for _ in range(4)))
        await asyncio.sleep(0)
        server.kill()
        await writing
        assert await bed.own.get("signal", "S0") is None
        assert await bed.own.used_bytes() is None
        server.start()

        async def answers() -> bool:
            return await bed.own.put("signal", "S9", value="x", ttl_seconds=60)

        await eventually(answers)
        await bed.check()
    finally:
        await bed.cache.close()
        await bed.redis.aclose()
        server.stop()
