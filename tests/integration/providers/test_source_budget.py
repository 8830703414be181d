"""Budgets of sources: one for all processes, spread over time, with the pauses a source asks for."""

import asyncio
import time

import pytest

from alphapulse.providers.budget import Pace, SourceBudget
from alphapulse.providers.errors import SourceBusy
from alphapulse.tenancy.cache import CacheConnection
from alphapulse_local.embedded.redis import EmbeddedRedis

#: A request in 10 seconds, after three at once: nothing refills while a test runs.
SLOW = Pace(per_minute=6, burst=3)


def budget(connection: CacheConnection, *, pace: Pace = SLOW, patience_seconds: float = 0) -> SourceBudget:
    return SourceBudget(connection, "example", pace=pace, patience_seconds=patience_seconds)


async def granted(*budgets: SourceBudget, tries: int) -> int:
    """Ask all at once, and count who may go."""
    asked = [one.take() for one in budgets for _ in range(tries)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {type(None), SourceBusy}
    return sum(outcome is None for outcome in outcomes)


async def test_all_processes_together_get_the_burst_and_no_more(
    connection: CacheConnection, other_connection: CacheConnection
) -> None:
    assert await granted(budget(connection), budget(other_connection), tries=20) == 3


async def test_one_too_many_is_told_when_to_ask_again(connection: CacheConnection) -> None:
    own = budget(connection)
    for _ in range(3):
        await own.take()

    with pytest.raises(SourceBusy, match=r"^example takes no more requests for \d+ s$") as caught:
        await own.take()

    assert 9 < caught.value.retry_after_seconds <= 10


async def test_who_is_patient_waits_for_the_turn_and_the_pace_is_kept(
    connection: CacheConnection, other_connection: CacheConnection
) -> None:
    pace = Pace(per_minute=1_200, burst=2)  # one in 50 ms
    both = [budget(each, pace=pace, patience_seconds=5) for each in (connection, other_connection)]
    began = time.monotonic()

    assert await granted(*both, tries=5) == 10

    assert time.monotonic() - began >= 8 * 0.05 * 0.95


async def test_budgets_of_different_sources_do_not_touch(connection: CacheConnection) -> None:
    assert await granted(budget(connection), tries=4) == 3
    other = SourceBudget(connection, "another", pace=SLOW, patience_seconds=0)

    assert await granted(other, tries=4) == 3


async def test_a_pause_holds_for_every_process_and_ends(
    connection: CacheConnection, other_connection: CacheConnection
) -> None:
    own, other = budget(connection), budget(other_connection)
    await own.pause(0.4)

    for each in (own, other):
        with pytest.raises(SourceBusy):
            await each.take()

    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            await other.take()
            break
        except SourceBusy:
            await asyncio.sleep(0.05)
    else:
        pytest.fail("the pause did not end")


async def test_a_pause_reaches_those_who_wait_for_their_turn(
    connection: CacheConnection, other_connection: CacheConnection
) -> None:
    pace = Pace(per_minute=120, burst=1)  # one in 500 ms
    own, other = (budget(each, pace=pace, patience_seconds=5) for each in (connection, other_connection))
    await own.take()
    waiting = asyncio.create_task(own.take())
    await asyncio.sleep(0)

    await other.pause(30)

    with pytest.raises(SourceBusy):
        await waiting


async def test_a_longer_pause_is_not_cut_short_by_a_shorter_one(connection: CacheConnection) -> None:
    own = budget(connection)
    await own.pause(60)
    await own.pause(1)

    with pytest.raises(SourceBusy) as caught:
        await own.take()

    assert caught.value.retry_after_seconds > 50


async def test_without_redis_each_process_keeps_the_same_budget_and_pauses() -> None:
    own = budget(CacheConnection(None))

    assert await granted(own, tries=10) == 3
    await own.pause(60)
    with pytest.raises(SourceBusy) as caught:
        await own.take()
    assert caught.value.retry_after_seconds > 50


async def test_a_pause_learnt_while_redis_was_up_holds_when_it_is_gone(
    own_redis: EmbeddedRedis, connection: CacheConnection
) -> None:
    own = budget(connection)
    await own.pause(60)
    own_redis.kill()

    with pytest.raises(SourceBusy):
        await own.take()


@pytest.mark.parametrize("field", ["t", "p"])
async def test_a_clock_that_was_put_back_does_not_close_a_source(
    connection: CacheConnection, field: str
) -> None:
    tomorrow = int((time.time() + 86_400) * 1000)
    await connection.run("HSET", "meta:source:{example}:pace", field, tomorrow)

    assert await granted(budget(connection, patience_seconds=11), tries=1) >= 1
    assert await granted(budget(connection), tries=10) <= 2
