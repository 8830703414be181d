"""What the controller does to a broker's log, against a real Redis."""

import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from alphapulse_broker.cloudevents import Event
from alphapulse_broker.controller.logs import BrokerLogs
from alphapulse_broker.controller.manifests import Key
from alphapulse_broker.errors import LogUnavailable
from alphapulse_broker.event_log import EventLog
from alphapulse_broker.settings import Settings
from alphapulse_broker.table_agent import TableAgent
from alphapulse_broker.triggers import Trigger, TriggerTable
from alphapulse_local.embedded.redis import EmbeddedRedis

BROKER = Key("alphapulse", "default")
EMPTY = TriggerTable([])
CLOSED = TriggerTable([], closed=True)


def table(*names: str) -> TriggerTable:
    return TriggerTable(
        Trigger.model_validate({"name": name, "spec": {"subscriber": {"uri": "http://x"}}}) for name in names
    )


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"), password=uuid.uuid4().hex)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def settings(redis: EmbeddedRedis) -> Settings:
    return Settings(redis_url=SecretStr(redis.url))


@pytest.fixture
async def logs(settings: Settings) -> AsyncIterator[BrokerLogs]:
    logs = BrokerLogs(settings)
    yield logs
    await logs.close()


@pytest.fixture
async def log(settings: Settings) -> AsyncIterator[EventLog]:
    log = EventLog(settings)
    await log.command("FLUSHDB")
    yield log
    await log.close()


async def store(log: EventLog, *, into: str, count: int, revision: str) -> None:
    for n in range(count):
        event = Event({"id": f"e{n}", "source": "/s", "type": "t"}, b"{}", {})
        await log.enqueue(event, triggers=[into], revision=revision)


async def test_4_table_replaces_only_the_one_it_was_made_from(log: EventLog, logs: BrokerLogs) -> None:
    first, second, late = table("a"), table("a", "b"), table("c")

    assert await logs.publish(BROKER, first, replacing=None)
    assert await logs.publish(BROKER, second, replacing=first.revision)
    assert not await logs.publish(BROKER, late, replacing=first.revision)

    assert (await logs.in_force(BROKER))[0] == second.revision
    assert await log.command("EXISTS", log.keys.stream("c")) == 0


async def test_13_dispatcher_with_an_older_table_does_not_bring_a_removed_trigger_back(
    log: EventLog, logs: BrokerLogs, settings: Settings
) -> None:
    agent = TableAgent(settings, log)
    await log.publish(table("a", "b"))
    await agent.refresh()
    await logs.publish(BROKER, table("a"), replacing=agent.table.revision)
    await logs.retire(BROKER, "b")

    await agent.repair()

    assert (await logs.in_force(BROKER))[0] == table("a").revision
    assert await log.command("EXISTS", log.keys.stream("b")) == 0


async def test_15_lost_data_is_still_repaired(log: EventLog, settings: Settings) -> None:
    agent = TableAgent(settings, log)
    await log.publish(table("a"))
    await agent.refresh()
    await log.command("FLUSHDB")

    await agent.repair()

    assert await log.published() is not None
    assert await log.command("EXISTS", log.keys.stream("a")) == 1


async def test_13_retiring_parks_what_waits_what_is_in_flight_and_what_is_delayed(
    log: EventLog, logs: BrokerLogs
) -> None:
    full = table("gone")
    await log.publish(full)
    await store(log, into="gone", count=450, revision=full.revision)
    in_flight = await log.read("gone", consumer="c", count=20, block_seconds=1)
    for entry in in_flight[:10]:
        await log.retry("gone", entry, consumer="c", delay=timedelta(hours=1))
    before = await logs.undelivered(BROKER, "gone")
    await logs.publish(BROKER, EMPTY, replacing=full.revision)

    parked = await logs.retire(BROKER, "gone")

    assert before == parked == 450
    assert await log.command("XLEN", log.keys.parked("gone")) == 450
    assert await log.command("SMEMBERS", log.keys.names) == [b"gone"]  # for whoever lists what is parked
    left = [log.keys.stream("gone"), log.keys.delayed("gone"), log.keys.bodies("gone")]
    assert await log.command("EXISTS", *left) == 0
    await log.command("DEL", log.keys.parked("gone"))
    assert await logs.retire(BROKER, "gone") == 0
    assert await log.command("EXISTS", log.keys.names) == 0


async def test_13_trigger_is_retired_even_when_redis_is_full(log: EventLog, logs: BrokerLogs) -> None:
    full = table("gone")
    await log.publish(full)
    await store(log, into="gone", count=50, revision=full.revision)
    (first, *_) = await log.read("gone", consumer="c", count=20, block_seconds=1)
    await log.retry("gone", first, consumer="c", delay=timedelta(hours=1))
    await logs.publish(BROKER, EMPTY, replacing=full.revision)
    await log.command("CONFIG", "SET", "maxmemory", 1)
    try:
        with pytest.raises(LogUnavailable, match="maxmemory"):
            await log.command("SET", log.keys.table + "-other", "x")

        parked = await logs.retire(BROKER, "gone")
    finally:
        await log.command("CONFIG", "SET", "maxmemory", 0)

    assert parked == 50
    assert await log.command("XLEN", log.keys.parked("gone")) == 50
    assert await log.command("EXISTS", log.keys.stream("gone")) == 0


async def test_13_table_of_a_deleted_broker_expires_unless_the_broker_comes_back(
    log: EventLog, logs: BrokerLogs
) -> None:
    await logs.publish(BROKER, CLOSED, replacing=None)

    await logs.close_broker(BROKER)
    expiring = await log.command("TTL", log.keys.table)
    await logs.publish(BROKER, EMPTY, replacing=CLOSED.revision)

    assert 60 < expiring <= 120
    assert await log.command("TTL", log.keys.table) == -1


async def test_13_closing_leaves_a_table_with_triggers_alone(log: EventLog, logs: BrokerLogs) -> None:
    await log.publish(table("a"))

    await logs.close_broker(BROKER)

    assert await log.command("TTL", log.keys.table) == -1


async def test_13_brokers_of_two_namespaces_do_not_see_each_other(log: EventLog, logs: BrokerLogs) -> None:
    other = Key("elsewhere", "default")
    await logs.publish(BROKER, table("a"), replacing=None)

    assert await logs.in_force(other) == (None, None)
    await logs.publish(other, table("a"), replacing=None)
    await logs.retire(other, "a")

    assert await log.command("EXISTS", log.keys.stream("a")) == 1


async def test_13_table_of_a_newer_version_is_known_by_its_revision(log: EventLog, logs: BrokerLogs) -> None:
    await log.command("HSET", log.keys.table, "revision", "r9", "triggers", '[{"newer": true}]')

    assert await logs.in_force(BROKER) == ("r9", None)
