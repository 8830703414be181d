"""What a process remembers of secrets, and for how long."""

import asyncio
from collections.abc import Callable

import pytest

from alphapulse.tenancy.vault import VaultDenied, VaultSecret, VaultUnavailable
from alphapulse.tenancy.vault.cache import SecretCache, SecretKey

_KEY: SecretKey = ("tenants/a/exchanges/kraken", None)


class Source:
    """Stands where Vault does; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: VaultSecret | Exception | None = VaultSecret({"api_key": "k1"}, version=1)
        self.gate: asyncio.Event | None = None

    async def __call__(self) -> VaultSecret | None:
        self.asked += 1
        answer = self.answer
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Callable[[], float]) -> SecretCache:
    return SecretCache(clock=clock)


@pytest.fixture
def source() -> Source:
    return Source()


async def test_a_secret_is_read_once_in_five_minutes(
    cache: SecretCache, source: Source, clock: Clock
) -> None:
    for _ in range(3):
        secret = await cache.read(_KEY, source)
    clock.now += 299.9
    again = await cache.read(_KEY, source)

    assert (secret, again, source.asked) == (source.answer, source.answer, 1)

    clock.now += 0.2
    await cache.read(_KEY, source)
    assert source.asked == 2


async def test_readers_at_the_same_time_share_one_request(cache: SecretCache, source: Source) -> None:
    source.gate = asyncio.Event()
    readers = [asyncio.create_task(cache.read(_KEY, source)) for _ in range(50)]
    await asyncio.sleep(0)
    readers[0].cancel()
    await asyncio.sleep(0)
    source.gate.set()
    done = await asyncio.gather(*readers, return_exceptions=True)

    assert source.asked == 1
    assert isinstance(done[0], asyncio.CancelledError)
    assert done[1:] == [source.answer] * 49


async def test_a_failure_is_shared_too_and_not_kept(cache: SecretCache, source: Source) -> None:
    source.answer = VaultUnavailable("down")
    done = await asyncio.gather(*(cache.read(_KEY, source) for _ in range(5)), return_exceptions=True)
    assert [type(each) for each in done] == [VaultUnavailable] * 5
    assert source.asked == 1

    source.answer = VaultSecret({"a": "b"}, version=1)
    assert await cache.read(_KEY, source) == source.answer


async def test_while_vault_is_down_the_last_value_is_given_marked_stale_for_an_hour(
    cache: SecretCache, source: Source, clock: Clock
) -> None:
    value = await cache.read(_KEY, source)
    source.answer = VaultUnavailable("down")
    for minutes in (6, 20, 59):
        clock.now = 1000 + 60 * minutes
        stale = await cache.read(_KEY, source)

        assert stale is not None
        assert value is not None
        assert (stale.data, stale.version, stale.stale) == (value.data, 1, True)

    clock.now = 1000 + 3600
    with pytest.raises(VaultUnavailable):
        await cache.read(_KEY, source)


async def test_a_fresh_value_is_never_marked_stale(cache: SecretCache, source: Source, clock: Clock) -> None:
    await cache.read(_KEY, source)
    source.answer = VaultUnavailable("down")
    clock.now += 200

    secret = await cache.read(_KEY, source)

    assert secret is not None
    assert not secret.stale


async def test_a_stale_value_does_not_cost_a_request_each_time(
    cache: SecretCache, source: Source, clock: Clock
) -> None:
    await cache.read(_KEY, source)
    source.answer = VaultUnavailable("down")
    clock.now += 400
    for _ in range(10):
        await cache.read(_KEY, source)
    assert source.asked == 2

    clock.now += 2.1
    source.answer = VaultSecret({"api_key": "k2"}, version=2)
    assert await cache.read(_KEY, source) == source.answer


@pytest.mark.parametrize("answer", [VaultDenied("no"), None])
async def test_what_is_denied_or_gone_leaves_nothing_behind(
    cache: SecretCache, source: Source, clock: Clock, answer: Exception | None
) -> None:
    await cache.read(_KEY, source)
    source.answer = answer
    clock.now += 301
    if answer is None:
        assert await cache.read(_KEY, source) is None
    else:
        with pytest.raises(VaultDenied):
            await cache.read(_KEY, source)

    source.answer = VaultUnavailable("down")
    with pytest.raises(VaultUnavailable):
        await cache.read(_KEY, source)


async def test_that_there_is_no_secret_is_not_remembered(cache: SecretCache, source: Source) -> None:
    source.answer = None
    assert await cache.read(_KEY, source) is None
    source.answer = VaultSecret({"a": "b"}, version=1)

    assert await cache.read(_KEY, source) == source.answer


async def test_a_forgotten_secret_is_read_again_in_all_its_versions(
    cache: SecretCache, source: Source
) -> None:
    other: SecretKey = ("tenants/a/exchanges/binance", None)
    for key in (_KEY, (_KEY[0], 1), other):
        await cache.read(key, source)
    cache.forget(_KEY[0])
    for key in (_KEY, (_KEY[0], 1), other):
        await cache.read(key, source)

    assert source.asked == 5


async def test_a_value_read_before_it_was_forgotten_is_not_kept(cache: SecretCache, source: Source) -> None:
    source.gate = asyncio.Event()
    early = asyncio.create_task(cache.read(_KEY, source))
    while source.asked < 1:
        await asyncio.sleep(0)
    cache.forget(_KEY[0])
    source.answer = VaultSecret({"api_key": "k2"}, version=2)
    late = asyncio.create_task(cache.read(_KEY, source))
    while source.asked < 2:
        await asyncio.sleep(0)
    source.gate.set()
    before, after = await early, await late

    assert before is not None
    assert after is not None
    assert (before.version, after.version, source.asked) == (1, 2, 2)
    newest = await cache.read(_KEY, source)
    assert newest is not None
    assert newest.version == 2


async def test_a_cleared_cache_holds_nothing(cache: SecretCache, source: Source) -> None:
    await cache.read(_KEY, source)
    cache.clear()

    assert not cache._entries


async def test_secrets_nobody_asks_for_are_dropped_after_an_hour(
    cache: SecretCache, source: Source, clock: Clock
) -> None:
    for number in range(10):
        await cache.read((f"tenants/{number}", None), source)
    clock.now += 3601
    await cache.read(_KEY, source)

    assert list(cache._entries) == [_KEY]


def test_no_value_shows_in_a_secrets_text() -> None:
    secret = VaultSecret({"api_secret": "hunter2"}, version=3)

    assert "hunter2" not in f"{secret!r} {secret}"
