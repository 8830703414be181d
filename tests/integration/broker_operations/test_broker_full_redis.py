"""Redis at its memory limit, and Redis gone: nothing is accepted that is not stored."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from alphapulse_broker.keys import Keys
from tests.integration.broker.rig import Delivery, replies, trigger
from tests.integration.broker_operations.servers import OperatedRig, Server

PASSWORD = uuid.uuid4().hex
BODY = b"x" * 15_000
KEYS = Keys("alphapulse", "default")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "redis", f"requirepass {PASSWORD}")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
async def rig(server: Server, tmp_path: Path) -> AsyncIterator[OperatedRig]:
    url = f"redis://:{PASSWORD}@127.0.0.1:{server.port}/0"
    rig = OperatedRig(tmp_path / "rig", url, BROKER_REDIS_TIMEOUT_SECONDS="1")
    try:
        yield rig
    finally:
        await rig.close()


def limit_memory(server: Server, *, room: int) -> None:
    """Leave so many bytes above what is used now."""
    info = server.command("INFO", "memory", password=PASSWORD).decode()
    used = next(int(line.split(":")[1]) for line in info.splitlines() if line.startswith("used_memory:"))
    server.command("CONFIG", "SET", "maxmemory", used + room, password=PASSWORD)


async def fill(rig: OperatedRig) -> list[str]:
    """Send until Redis is full; return the ids of what was accepted."""
    accepted: list[str] = []
    refusals = 0
    while refusals < 10:
        event_id = f"e{len(accepted)}-{refusals}"
        answer = await rig.send(event_id, body=BODY)
        if answer.status == 202:
            accepted.append(event_id)
            continue
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
        refusals += 1
    return accepted


async def test_3_full_redis_stores_exactly_what_was_accepted(rig: OperatedRig, server: Server) -> None:
    await rig.start(trigger("one", types="t"), trigger("two", types="t"))
    rig.kill("dispatcher")
    limit_memory(server, room=600_000)

    accepted = await fill(rig)

    assert accepted
    for name in ("one", "two"):
        entries = server.command("XRANGE", KEYS.stream(name), "-", "+", password=PASSWORD)
        stored = [dict(zip(fields[::2], fields[1::2], strict=True)) for _, fields in entries]
        assert [eval_id(entry[b"attributes"]) for entry in stored] == accepted


def eval_id(attributes: bytes) -> str:
    return attributes.decode().split('"id":"')[1].split('"')[0]


async def test_3_full_redis_goes_on_delivering_and_accepts_again_by_itself(
    rig: OperatedRig, server: Server
) -> None:
    await rig.start(trigger("work", types="t"), trigger("hears", types="answer"))
    rig.kill("dispatcher")
    limit_memory(server, room=2_000_000)
    accepted = await fill(rig)
    seen: Counter[str] = Counter()

    async def fails_twice_then_replies(delivery: Delivery) -> web.Response:
        seen[delivery.id] += 1
        if seen[delivery.id] <= 2:
            return web.Response(status=500)
        return await replies("answer")(delivery)

    rig.sinks.behaviours["work"] = fails_twice_then_replies
    rig.launch("dispatcher")
    await rig.until_delivered("hears", *(f"reply-to-{event_id}" for event_id in accepted), seconds=20)
    await rig.until_empty("work")
    answer = await rig.send("later", body=BODY)

    assert answer.status == 202
    assert len(accepted) > 64
    assert rig.processes["ingress"].poll() is None


async def test_3_redis_that_is_gone_is_503_until_it_is_back(rig: OperatedRig, server: Server) -> None:
    await rig.start(trigger("work", types="t"))
    await rig.send("before")
    await rig.until_delivered("work", "before")

    await asyncio.to_thread(server.stop, how=9)
    refused = [await rig.send(f"lost{number}") for number in range(5)]
    ready, _ = await rig.get(rig.ingress_port, "/ready")
    healthy, _ = await rig.get(rig.ingress_port, "/health")
    await asyncio.to_thread(server.start)

    async def accepted() -> bool:
        return (await rig.send("after")).status == 202

    await rig.until(accepted)
    await rig.until_delivered("work", "after")

    assert {answer.status for answer in refused} == {503}
    assert {answer.headers["Retry-After"] for answer in refused} == {"1"}
    assert (ready, healthy) == (503, 200)
    assert not [event_id for event_id in rig.sinks.ids("work") if event_id.startswith("lost")]
