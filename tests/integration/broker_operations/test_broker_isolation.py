"""A bad subscriber slows no other trigger, and one tenant's burst no other tenant."""

import asyncio
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from redis import Redis

from alphapulse_local.embedded.process import free_port, spawn, stop, wait_until
from tests.integration.broker.rig import Delivery, Rig, trigger
from tests.integration.broker_operations import bad_subscriber

MISBEHAVIOURS = ("hangs", "answers500", "answersgarbage", "closes", "answers10megabytes")
UNTIRING = {"retry": 1000, "backoffPolicy": "linear", "backoffDelay": "PT0.3S", "timeout": "PT20S"}
BAD_EVENTS = 20
SINGLE_EVENTS = 50
GOOD_EVENTS = 60
TURNS = 4
MEGABYTE = 1_000_000


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path / "rig")
    rig.settings["BROKER_SHUTDOWN_SECONDS"] = "0.5"
    try:
        yield rig
    finally:
        await rig.close()


@pytest.fixture
def bad_port(tmp_path: Path) -> Iterator[int]:
    """Port of a subscriber that misbehaves as the path says."""
    port = free_port()
    log = tmp_path / "bad.log"
    process = spawn([sys.executable, str(bad_subscriber.__file__), str(port)], log=log)

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(answers, process, log=log, name="bad subscriber", timeout_seconds=10)
    yield port
    stop(process, how=9)


def resident(rig: Rig) -> int:
    """Return the dispatcher's memory in bytes."""
    status = Path(f"/proc/{rig.processes['dispatcher'].pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) * 1024


async def median_latency(rig: Rig, label: str) -> float:
    """Send events one after another to the good trigger; return the median time to delivery."""
    sent: dict[str, float] = {}
    for number in range(GOOD_EVENTS):
        event_id = f"{label}-{number}"
        sent[event_id] = time.monotonic()
        await rig.send(event_id, event_type="good")
    await rig.until_delivered("good", *sent)
    return statistics.median(
        delivery.at - sent[delivery.id] for delivery in rig.sinks.of("good") if delivery.id in sent
    )


@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS)
async def test_14_bad_subscriber_slows_no_other_trigger_and_takes_no_memory(
    misbehaviour: str, rig: Rig, bad_port: int
) -> None:
    uri = f"http://127.0.0.1:{bad_port}/{misbehaviour}"
    good, bad = (
        trigger("good", types="good"),
        trigger("bad", types="bad", delivery=UNTIRING, subscriber={"uri": uri}),
    )
    await rig.start(good, bad)
    await median_latency(rig, "warm")
    before = resident(rig)
    alone = [await median_latency(rig, f"alone{turn}") for turn in range(TURNS)]
    await asyncio.gather(*(rig.send(f"bad-{n}", event_type="bad") for n in range(BAD_EVENTS)))
    beside = [await median_latency(rig, f"beside{turn}") for turn in range(TURNS)]
    growth = (resident(rig) - before) / MEGABYTE
    ratio = min(beside) / min(alone)

    print(
        f"{misbehaviour}: alone {min(alone) * 1000:.1f} ms, beside {min(beside) * 1000:.1f} ms,"
        f" ratio {ratio:.2f}, memory {growth:+.0f} MB"
    )
    # On two cores that run other tests meanwhile, a bound of 10 % on some milliseconds would say more
    # about those: `make bench-isolation` is for that. Waiting for a bad subscriber would cost hundreds.
    assert min(beside) < min(alone) + 0.1
    assert growth < 25


async def test_11_reply_of_ten_megabytes_is_parked_and_not_held_in_memory(rig: Rig, bad_port: int) -> None:
    uri = f"http://127.0.0.1:{bad_port}/replies10megabytes"
    await rig.start(trigger("large", types="t", subscriber={"uri": uri}))
    before = resident(rig)

    await asyncio.gather(*(rig.send(f"e{number}") for number in range(40)))
    await rig.until_empty("large")
    parked = await rig.parked()

    assert len(parked) == 40
    assert parked[0].detail == "status 200: the reply is longer than 20000 bytes"
    assert (resident(rig) - before) / MEGABYTE < 40


@pytest.mark.parametrize("burst", [4_000])
async def test_14_burst_of_one_tenant_delays_no_event_of_another(rig: Rig, burst: int) -> None:
    """The burst waits in full before the first event of the other tenant comes behind it."""
    await rig.start(trigger("work", types="t"))
    rig.kill("dispatcher")

    async def crowd(start: int) -> None:
        for number in range(start, burst, 32):
            assert (await rig.send(f"crowd-{number}", tenantid="loud")).status == 202

    async def takes_its_time(delivery: Delivery) -> web.Response:
        if delivery.headers["ce-tenantid"] == "loud":
            await asyncio.sleep(0.05)
        return web.Response(status=204)

    rig.sinks.behaviours["work"] = takes_its_time
    await asyncio.gather(*(crowd(start) for start in range(32)))
    rig.launch("dispatcher")
    await rig.until_ready(rig.dispatcher_port)
    await rig.until(lambda: len(rig.sinks.of("work")) > 100)
    sent: dict[str, float] = {}
    for number in range(SINGLE_EVENTS):
        sent[f"single-{number}"] = time.monotonic()
        await rig.send(f"single-{number}", tenantid="quiet")
        await asyncio.sleep(0.03)
    await rig.until_delivered("work", *sent)
    late = sorted(delivery.at - sent[delivery.id] for delivery in rig.sinks.of("work") if delivery.id in sent)
    left = burst + len(sent) - len(rig.sinks.of("work"))
    p99 = late[int(len(late) * 0.99)]

    print(f"p99 of single events {p99 * 1000:.0f} ms, while {left} of a burst of {burst} were waiting")
    assert left > burst / 3
    assert p99 < 0.25


async def test_14_lane_that_stays_full_costs_redis_nothing(rig: Rig) -> None:
    rig.settings |= {"BROKER_READ_AHEAD": "4", "BROKER_IN_FLIGHT": "2", "BROKER_CLAIM_EVERY_SECONDS": "1"}
    rig.settings |= {"BROKER_PROMOTE_SECONDS": "0.15", "BROKER_HEARTBEAT_SECONDS": "1"}

    async def hangs(_: Delivery) -> web.Response:
        await asyncio.sleep(30)
        return web.Response(status=204)

    rig.sinks.behaviours["full"] = hangs
    await rig.start(trigger("full", types="t"), *(trigger(f"idle{n}", types="none") for n in range(10)))
    for number in range(10):
        await rig.send(f"e{number}")
    await rig.until(lambda: len(rig.sinks.of("full")) == 2)
    with Redis.from_url(rig.redis.url) as client:
        # Past a round of takeovers: from then on the lane is known to be full.
        await asyncio.sleep(1.5)
        before = client.info("commandstats")["cmdstat_evalsha"]["calls"]
        await asyncio.sleep(2)
        calls = client.info("commandstats")["cmdstat_evalsha"]["calls"] - before

    print(f"{calls} scripts in two seconds")
    assert calls < 100
