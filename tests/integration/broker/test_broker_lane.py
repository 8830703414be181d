"""One trigger's lane over a real log: what it takes over, and what it holds on to."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from pydantic import SecretStr
from redis import Redis

from alphapulse_broker.cloudevents import HOPS, Event
from alphapulse_broker.dispatcher import Dispatcher
from alphapulse_broker.event_log import EventLog
from alphapulse_broker.lane import Lane, LaneParts
from alphapulse_broker.metrics import Metrics
from alphapulse_broker.sender import Sender
from alphapulse_broker.settings import Settings
from alphapulse_broker.settlement import Settlement
from alphapulse_broker.table_agent import TableAgent
from alphapulse_broker.triggers import Resolver, TriggerTable
from alphapulse_local.embedded.process import free_port
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.integration.broker.rig import Delivery, Sinks, accepts, trigger

CLAIM_IDLE_SECONDS = 0.2
# More entries than one claim looks at.
HELD_BY_OTHERS = 1_200


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"), password=uuid.uuid4().hex)
    server.start()
    yield server
    server.stop()


@dataclass
class Bench:
    """The parts of one dispatcher, and the sinks that it delivers to."""

    log: EventLog
    agent: TableAgent
    parts: LaneParts
    sinks: Sinks

    async def store(self, *ids: str) -> None:
        await asyncio.gather(*(self._store(event_id) for event_id in ids))

    async def _store(self, event_id: str) -> None:
        attributes = {"specversion": "1.0", "id": event_id, "source": "/s", "type": "t", HOPS: "9"}
        table = self.agent.table
        await self.log.enqueue(Event(attributes, b"{}", {}), triggers=["work"], revision=table.revision)

    def lane(self) -> Lane:
        return Lane(self.agent.table.by_name["work"], self.parts)


@pytest.fixture
async def bench(redis: EmbeddedRedis, tmp_path: Path) -> AsyncIterator[Bench]:
    (tmp_path / "triggers").mkdir()
    (tmp_path / "triggers" / "all.yaml").write_text(yaml.safe_dump(trigger("work")))
    sinks = Sinks(port=free_port())
    await sinks.start()
    settings = Settings(
        redis_url=SecretStr(redis.url),
        triggers=tmp_path / "triggers",
        subscribers=f"http://127.0.0.1:{sinks.port}/{{name}}",
        claim_idle_seconds=CLAIM_IDLE_SECONDS,
        in_flight=2,
    )
    with Redis.from_url(redis.url) as client:
        client.flushdb()
    log, metrics = EventLog(settings), Metrics()
    agent = TableAgent(settings, log)
    agent.load()
    await agent.refresh()
    async with Sender(namespace=settings.namespace, max_reply_bytes=1000) as sender:
        parts = LaneParts(
            settings=settings,
            log=log,
            agent=agent,
            sender=sender,
            settlement=Settlement(log, agent, metrics, consumer="mine"),
            resolver=Resolver(settings.subscribers, settings.namespace),
            metrics=metrics,
            consumer="mine",
        )
        yield Bench(log, agent, parts, sinks)
    await log.close()
    await sinks.stop()


async def until(holds: Callable[[], bool], *, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


async def test_15_abandoned_entry_behind_many_that_others_hold_is_taken_over(bench: Bench) -> None:
    held = [f"held-{number}" for number in range(HELD_BY_OTHERS)]
    await bench.store(*held)
    taken = await bench.log.read("work", consumer="alive", count=HELD_BY_OTHERS, block_seconds=1)
    await bench.store("abandoned")
    await bench.log.read("work", consumer="dead", count=1, block_seconds=1)
    await asyncio.sleep(CLAIM_IDLE_SECONDS * 2)
    await bench.log.heartbeat("work", consumer="alive", ids=[entry.id for entry in taken])

    lane = bench.lane()
    crowded = await lane.rescue()
    await until(lambda: bench.sinks.ids("work") == ["abandoned"])
    await lane.stop(within_seconds=5)

    assert len(taken) == HELD_BY_OTHERS
    assert not crowded
    assert bench.sinks.ids("work") == ["abandoned"]


async def test_5_entry_that_was_lost_and_came_back_while_it_waited_is_delivered_once(bench: Bench) -> None:
    answer = asyncio.Event()

    async def waits(delivery: Delivery) -> web.Response:
        await answer.wait()
        await asyncio.sleep(0.1)
        return await accepts(delivery)

    bench.sinks.behaviours["work"] = waits
    lane = bench.lane()
    await bench.store("first", "second", "third")
    reading = asyncio.create_task(lane.run())
    await until(lambda: len(bench.sinks.deliveries) == 2)
    await asyncio.sleep(CLAIM_IDLE_SECONDS * 2)
    _, stolen = await bench.log.claim("work", consumer="other")
    await lane.heartbeat()
    await asyncio.sleep(CLAIM_IDLE_SECONDS * 2)
    await lane.rescue()
    answer.set()
    await until(lambda: len(bench.sinks.deliveries) >= 3)
    reading.cancel()
    await asyncio.wait([reading])
    await lane.stop(within_seconds=5)

    assert len(stolen) == 3
    assert sorted(bench.sinks.ids("work")) == ["first", "second", "third"]
    assert (await bench.log.survey("work")).undelivered == 0


async def test_3_script_that_cannot_be_sent_fails_and_nobody_waits_for_ever(bench: Bench) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(RuntimeError, match="could not be sent"):
            await bench.log.run_script("survey", ["a", "b", "c"], [object()])  # type: ignore[list-item]
        assert (await bench.log.survey("work")).undelivered == 0


async def test_5_trigger_that_comes_back_keeps_its_deliveries_when_its_old_lane_ends(bench: Bench) -> None:
    async def waits(delivery: Delivery) -> web.Response:
        await asyncio.sleep(2 if delivery.id == "old" else 5)
        return await accepts(delivery)

    bench.sinks.behaviours["work"] = waits
    patient = bench.parts.settings.model_copy(update={"claim_idle_seconds": 30})
    log = EventLog(patient)
    dispatcher = Dispatcher(patient, log, bench.agent, bench.parts.metrics)
    bench.agent.on_change(bench.agent.table)
    running = asyncio.create_task(dispatcher.run())
    await bench.store("old")
    await until(lambda: bench.sinks.ids("work") == ["old"])
    bench.agent.on_change(TriggerTable([]))
    # Until Redis has seen the end of the old lane's read: before, it may give that the next entry.
    while b"blocked_clients:0" not in await log.command("INFO", "clients"):
        await asyncio.sleep(0.02)
    bench.agent.on_change(bench.agent.table)
    await bench.store("new")
    await until(lambda: bench.sinks.ids("work") == ["old", "new"])
    while (await log.survey("work")).in_flight > 1:
        await asyncio.sleep(0.02)
    # Time for the old lane to hand back what is not its own.
    await asyncio.sleep(0.2)
    _, taken = await log.claim("work", consumer="other")
    running.cancel()
    await asyncio.wait([running])
    await log.close()

    assert taken == []
    assert bench.sinks.ids("work") == ["old", "new"]
