"""What a source answered is read once: by all coroutines, by all processes, and after a failure too."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from alphapulse.providers.candles.exchange_client import RequestRefused
from alphapulse.providers.errors import NotConfigured, ProviderError, SourceBusy, SourceDown, SourceRefuses
from alphapulse.providers.shared_reads import ReadKey, SharedReads
from alphapulse.tenancy.cache import CacheConnection
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.integration.providers import answers
from tests.integration.providers.conftest import Clock
from tests.processes import ROOT, minimal_environment
from tests.provider_counts import Counts
from tests.source_server import SourceServer

KEY = ReadKey("example", "supply", "BTC")
FRESH = 300.0


class Plain:
    """Numbers, which are JSON as they are."""

    def encode(self, value: float) -> Any:
        return value

    def decode(self, document: Any) -> float:
        return float(document)


class Loads:
    """A source that counts its questions."""

    def __init__(self, *outcomes: float | Exception, seconds: float = 0.05) -> None:
        self.outcomes = list(outcomes)
        self.seconds = seconds
        self.count = 0

    async def __call__(self) -> float:
        self.count += 1
        await asyncio.sleep(self.seconds)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def reads(connection: CacheConnection, clock: Clock, counts: Counts) -> SharedReads:
    return SharedReads(connection, clock=clock, observer=counts)


@pytest.fixture
def other(other_connection: CacheConnection, clock: Clock, counts: Counts) -> SharedReads:
    """As another process has them."""
    return SharedReads(other_connection, clock=clock, observer=counts)


async def read(reads: SharedReads, load: Callable[[], Awaitable[float]], key: ReadKey = KEY) -> float:
    return await reads.read(key, load, codec=Plain(), fresh_seconds=FRESH)


async def test_a_thousand_coroutines_ask_the_source_once(reads: SharedReads, counts: Counts) -> None:
    load = Loads(1.5)

    values = await asyncio.gather(*(read(reads, load) for _ in range(1_000)))

    assert set(values) == {1.5}
    assert load.count == 1
    assert counts.reads == {("supply", "miss"): 1, ("supply", "waited"): 999}
    assert counts.fetches == {("example", "supply", "ok"): 1}


async def test_coroutines_of_two_processes_ask_the_source_once(
    reads: SharedReads, other: SharedReads, counts: Counts
) -> None:
    load = Loads(1.5, seconds=0.2)

    values = await asyncio.gather(*(read(each, load) for each in (reads, other) for _ in range(100)))

    assert set(values) == {1.5}
    assert load.count == 1
    assert counts.reads[("supply", "miss")] == 1
    assert counts.reads[("supply", "waited")] == 199


async def test_a_value_is_read_again_only_when_it_is_no_longer_fresh(
    reads: SharedReads, other: SharedReads, clock: Clock, counts: Counts
) -> None:
    load = Loads(1.0, 2.0)
    assert await read(reads, load) == 1.0
    clock.forward(FRESH - 1)
    assert await read(reads, load) == 1.0
    assert await read(other, load) == 1.0
    assert counts.reads[("supply", "hit")] == 2
    clock.forward(2)

    assert await read(other, load) == 2.0
    assert await read(reads, load) == 2.0
    assert load.count == 2


async def test_an_old_value_is_not_passed_off_when_the_source_is_down(
    reads: SharedReads, clock: Clock
) -> None:
    load = Loads(1.0, SourceDown("example does not answer"))
    assert await read(reads, load) == 1.0
    clock.forward(FRESH + 1)

    with pytest.raises(SourceDown):
        await read(reads, load)


async def test_a_clock_that_was_ahead_keeps_no_value_for_longer(
    reads: SharedReads, other: SharedReads, clock: Clock, connection: CacheConnection
) -> None:
    load = Loads(1.0, 2.0, 3.0)
    clock.forward(86_400)
    assert await read(reads, load) == 1.0
    clock.forward(-86_400)

    # What Redis still has is fresh from now on for as long as always, here and elsewhere.
    assert await read(other, load) == 1.0
    assert await read(reads, load) == 1.0
    await connection.providers().drop(*KEY.parts)
    clock.forward(FRESH + 1)
    assert await read(other, load) == 2.0
    await connection.providers().drop(*KEY.parts)
    assert await read(reads, load) == 3.0


async def test_a_refusal_that_an_exchange_explains_is_remembered_for_all(
    reads: SharedReads, other: SharedReads
) -> None:
    load = Loads(RequestRefused("example does not know a symbol", status=400, unknown_symbol=True), 1.0)

    for each in (reads, other, reads):
        with pytest.raises(SourceRefuses, match="does not know a symbol"):
            await read(each, load)

    assert load.count == 1


async def test_assets_and_sources_are_kept_apart(reads: SharedReads) -> None:
    assert await read(reads, Loads(1.0), ReadKey("example", "supply", "BTC")) == 1.0
    assert await read(reads, Loads(2.0), ReadKey("example", "supply", "ETH")) == 2.0
    assert await read(reads, Loads(3.0), ReadKey("another", "supply", "BTC")) == 3.0
    assert await read(reads, Loads(4.0), ReadKey("example", "on_chain", "BTC")) == 4.0


async def test_a_failure_is_remembered_for_all_and_then_tried_again(
    reads: SharedReads, other: SharedReads, clock: Clock, counts: Counts
) -> None:
    load = Loads(SourceDown("example answered 500"), 1.0)

    for each in (reads, reads, other, other):
        with pytest.raises(SourceDown, match=r"^example answered 500$"):
            await read(each, load)
    assert load.count == 1
    assert counts.fetches == {("example", "supply", "down"): 1}

    clock.forward(31)
    assert await read(other, load) == 1.0
    assert load.count == 2


async def test_who_waits_for_a_question_that_fails_gets_the_failure_and_does_not_ask_again(
    reads: SharedReads, other: SharedReads
) -> None:
    load = Loads(SourceDown("example answered 500"), seconds=0.2)

    asked = [read(each, load) for each in (reads, other) for _ in range(50)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)

    assert {str(outcome) for outcome in outcomes} == {"example answered 500"}
    assert load.count == 1


async def test_a_busy_source_is_asked_again_when_it_said_so(reads: SharedReads, clock: Clock) -> None:
    load = Loads(SourceBusy("example takes no more requests for 5 s", retry_after_seconds=5), 1.0)
    with pytest.raises(SourceBusy) as caught:
        await read(reads, load)
    assert caught.value.retry_after_seconds == 5
    clock.forward(4)
    with pytest.raises(SourceBusy):
        await read(reads, load)

    clock.forward(2)
    assert await read(reads, load) == 1.0


async def test_a_missing_key_is_no_other_processes_failure(
    reads: SharedReads, other: SharedReads, counts: Counts
) -> None:
    load = Loads(NotConfigured("example needs a key"))
    for _ in range(20):
        with pytest.raises(NotConfigured):
            await read(reads, load)

    assert await read(other, Loads(1.0)) == 1.0
    # And it costs this one no more than a failure of the source would.
    assert load.count == 1
    assert counts.reads == {("supply", "miss"): 2, ("supply", "hit"): 19}


async def test_a_mistake_in_the_code_is_raised_and_not_remembered(reads: SharedReads) -> None:
    with pytest.raises(ZeroDivisionError):
        await read(reads, Loads(ZeroDivisionError()))

    assert await read(reads, Loads(1.0)) == 1.0


async def test_an_entry_that_cannot_be_read_counts_as_missing(
    reads: SharedReads, connection: CacheConnection
) -> None:
    until = Clock()().timestamp() + 100
    broken: list[Any] = ["?", 7, [], {}, {"until": until, "value": "x"}]
    for document in (*broken, {"until": until, "failure": {"kind": "?"}}):
        await connection.providers().put(*KEY.parts, value=document, ttl_seconds=100)
        fresh = SharedReads(connection, clock=Clock(), observer=Counts())

        assert await read(fresh, Loads(1.0)) == 1.0


async def test_the_claim_of_a_killed_process_holds_nobody_up_for_long(
    reads: SharedReads, connection: CacheConnection
) -> None:
    load = Loads(1.0)
    assert await connection.providers().claim(*KEY.parts, token="the dead one's", seconds=0.3)
    assert not await connection.providers().claim(*KEY.parts, token="another", seconds=0.3)

    assert await asyncio.wait_for(read(reads, load), 5) == 1.0


async def test_a_claim_is_given_up_by_its_holder_only(connection: CacheConnection) -> None:
    cache = connection.providers()
    assert await cache.claim("a", token="mine", seconds=30)

    await cache.release("a", token="not mine")
    assert not await cache.claim("a", token="another", seconds=30)

    await cache.release("a", token="mine")
    assert await cache.claim("a", token="another", seconds=30)


async def test_without_redis_the_source_is_still_asked_once_by_this_process(
    clock: Clock, counts: Counts
) -> None:
    reads, load = SharedReads(CacheConnection(None), clock=clock, observer=counts), Loads(1.0, 2.0)

    assert set(await asyncio.gather(*(read(reads, load) for _ in range(100)))) == {1.0}
    assert await read(reads, load) == 1.0
    assert load.count == 1
    clock.forward(FRESH + 1)
    assert await read(reads, load) == 2.0


async def test_redis_dies_while_a_value_is_made(
    reads: SharedReads, own_redis: EmbeddedRedis, clock: Clock
) -> None:
    async def load() -> float:
        own_redis.kill()
        return 1.0

    assert await read(reads, load) == 1.0
    assert await read(reads, load) == 1.0


async def test_a_redis_that_is_silent_for_a_moment_does_not_send_every_process_to_the_source(
    own_redis: EmbeddedRedis, clock: Clock, counts: Counts
) -> None:
    load = Loads(1.0, 2.0)
    processes = [CacheConnection(own_redis.url) for _ in range(3)]
    try:
        for connection in processes:
            assert await connection.run("PING")
        os.kill(own_redis.process.pid, signal.SIGSTOP)
        reading = [
            asyncio.create_task(read(SharedReads(connection, clock=clock, observer=counts), load))
            for connection in processes
        ]
        # Longer than an answer is waited for, so that each has been told that there is none.
        await asyncio.sleep(0.7)
        os.kill(own_redis.process.pid, signal.SIGCONT)

        assert await asyncio.gather(*reading) == [1.0, 1.0, 1.0]
    finally:
        os.kill(own_redis.process.pid, signal.SIGCONT)
        for connection in processes:
            await connection.close()

    assert load.count == 1


async def test_a_caller_that_gives_up_does_not_take_the_question_from_the_others(reads: SharedReads) -> None:
    load = Loads(1.0, seconds=0.2)
    impatient = asyncio.create_task(read(reads, load))
    patient = asyncio.create_task(read(reads, load))
    while not load.count:
        await asyncio.sleep(0.005)

    impatient.cancel()

    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert await patient == 1.0
    assert load.count == 1


async def test_the_memory_of_a_process_is_bounded(clock: Clock, counts: Counts) -> None:
    reads = SharedReads(CacheConnection(None), clock=clock, observer=counts)

    for number in range(600):
        await read(reads, Loads(1.0, seconds=0), ReadKey("example", "supply", f"A{number}"))

    assert len(reads._kept) <= 512


async def test_errors_that_are_raised_again_do_not_grow(reads: SharedReads) -> None:
    load = Loads(SourceDown("example answered 500"), seconds=0)
    raised: list[ProviderError] = []
    for _ in range(3):
        with pytest.raises(SourceDown) as caught:
            await read(reads, load)
        raised.append(caught.value)

    assert len({id(error) for error in raised}) == 3


_READER = """
import asyncio, datetime, sys
from alphapulse.providers.providers import ProviderOptions, Providers, SourceKind
from alphapulse.tenancy.cache import CacheConnection
from tests.provider_counts import Counts

async def main():
    redis, source = sys.stdin.readline().split()
    now = datetime.datetime(2026, 6, 15, 12, 30, tzinfo=datetime.UTC)
    options = ProviderOptions(kind=SourceKind.LIVE, addresses={"coin_metrics": source})
    cache = CacheConnection(redis)
    providers = Providers(options, cache=cache, clock=lambda: now, observer=Counts())
    print("ready", flush=True)
    sys.stdin.readline()
    found = await asyncio.gather(*(providers.on_chain("ETH") for _ in range(50)))
    print(len({series["mvrv"].as_of for series in found}), len(found), flush=True)
    await providers.close()
    await cache.close()

asyncio.run(main())
"""


async def test_two_processes_with_fifty_readers_each_send_one_request(
    own_redis: EmbeddedRedis, server: SourceServer
) -> None:
    server.answer, server.delay_seconds = answers.everything, 0.3
    environment = minimal_environment() | {"PYTHONPATH": f"{ROOT}"}
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _READER, env=environment, cwd=ROOT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]  # fmt: skip
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(f"{own_redis.function_url} {server.url}\n".encode())
    for process in processes:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
    said = [await asyncio.wait_for(process.communicate(), 20) for process in processes]

    assert [out for out, _ in said] == [b"1 50\n"] * 2
    assert [question.path for question in server.questions] == ["/v4/timeseries/asset-metrics"]
