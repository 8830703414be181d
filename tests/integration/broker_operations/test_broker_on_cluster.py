"""A real Redis Cluster of three masters, with ingress, dispatcher and tool on top of it."""

import asyncio
import signal
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.crc import key_slot

from alphapulse_broker.keys import Keys
from tests.integration.broker.rig import answers, replies, trigger
from tests.integration.broker_operations.servers import (
    OperatedRig,
    Server,
    add_replica,
    cluster,
    poll,
    stop_all,
)

PASSWORD = uuid.uuid4().hex
KEYS = Keys("alphapulse", "default")
SLOT = key_slot(KEYS.prefix.encode())


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Server]]:
    servers = cluster(tmp_path / "cluster", password=PASSWORD)
    try:
        yield servers
    finally:
        stop_all(servers)


@pytest.fixture
async def rig(nodes: list[Server], tmp_path: Path) -> AsyncIterator[OperatedRig]:
    seeds = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    url = f"redis+cluster://:{PASSWORD}@{seeds}"
    rig = OperatedRig(tmp_path / "rig", url, BROKER_REDIS_TIMEOUT_SECONDS="2")
    try:
        yield rig
    finally:
        await rig.close()


def owner(nodes: list[Server], slot: int) -> Server:
    for first, last, (_, port, *_), *_ in nodes[0].command("CLUSTER", "SLOTS", password=PASSWORD):
        if first <= slot <= last:
            return next(node for node in nodes if node.port == port)
    raise AssertionError(f"slot {slot} is served by nobody")


async def test_events_replies_retries_and_parked_entries_stay_in_one_slot(
    rig: OperatedRig, nodes: list[Server]
) -> None:
    await rig.start(
        trigger("asks", types="question"), trigger("hears", types="answer"), trigger("no", types="bad")
    )
    rig.sinks.behaviours["asks"] = replies("answer")
    rig.sinks.behaviours["no"] = answers(500)

    for number in range(20):
        assert (await rig.send(f"q{number}", event_type="question")).status == 202
    await rig.send("b", event_type="bad")
    await rig.until_delivered("hears", *(f"reply-to-q{number}" for number in range(20)))
    await rig.until(lambda: len(rig.sinks.of("no")) == 4)
    await rig.until_empty("no")

    listed = rig.run("dead-letters", "--json")["entries"]
    assert [entry["event_id"] for entry in listed] == ["b"]
    rig.sinks.behaviours.pop("no")
    assert rig.run("replay", "--all") == "replayed 1"
    await rig.until(lambda: len(rig.sinks.of("no")) == 5)
    with_keys = [node.port for node in nodes if node.command("DBSIZE", password=PASSWORD)]
    assert with_keys == [owner(nodes, SLOT).port]


async def test_slot_that_moves_to_another_node_is_followed_without_restart(
    rig: OperatedRig, nodes: list[Server]
) -> None:
    await rig.start(trigger("work", types="t"))
    await rig.send("before")
    await rig.until_delivered("work", "before")
    await rig.until_empty("work")

    source = owner(nodes, SLOT)
    target = next(node for node in nodes if node is not source)
    begin_move(SLOT, source, target)
    move_keys(SLOT, source, target)
    end_move(SLOT, source, target, nodes)
    poll(lambda: owner(nodes, SLOT) is target)

    async def accepted() -> bool:
        return (await rig.send("after")).status == 202

    await rig.until(accepted)
    await rig.until_delivered("work", "after")
    assert target.command("DBSIZE", password=PASSWORD)


async def test_3_event_sent_while_the_slot_is_between_two_nodes_is_refused_or_delivered_once(
    rig: OperatedRig, nodes: list[Server]
) -> None:
    await rig.start(trigger("work", types="t"), trigger("other", types="t"))
    source = owner(nodes, SLOT)
    target = next(node for node in nodes if node is not source)
    answers_by_id: dict[str, int] = {}

    async def send_some(stage: str) -> set[int]:
        """Send as a sender does: again, under the same id, after a 503."""
        for number in range(10):
            event_id = f"{stage}-{number}"
            answers_by_id[event_id] = (await rig.send(event_id)).status
        return {answers_by_id[f"{stage}-{number}"] for number in range(10)}

    await send_some("whole")
    begin_move(SLOT, source, target)
    # Some keys there, some here: the table already at the target, the streams still at the source.
    source.command(*migration(target, [KEYS.table.encode()]), password=PASSWORD)
    between = await send_some("between")
    move_keys(SLOT, source, target)
    await send_some("before-the-end")
    end_move(SLOT, source, target, nodes)

    async def accepted_again() -> bool:
        left = [event_id for event_id, status in answers_by_id.items() if status != 202]
        for event_id in left:
            answers_by_id[event_id] = (await rig.send(event_id)).status
        return not left

    await rig.until(accepted_again)
    for name in ("work", "other"):
        await rig.until_delivered(name, *answers_by_id)
        await rig.until_empty(name)

    assert between == {503}
    for name in ("work", "other"):
        assert set(Counter(rig.sinks.ids(name)).values()) == {1}


async def test_15_master_that_dies_is_replaced_by_its_replica_and_nothing_replicated_is_lost(
    rig: OperatedRig, nodes: list[Server], tmp_path: Path
) -> None:
    await rig.start(trigger("work", types="t"))
    master = owner(nodes, SLOT)
    replica = add_replica(tmp_path / "replica", master, nodes, password=PASSWORD)
    try:
        rig.kill("dispatcher")
        waiting = [f"w{number}" for number in range(20)]
        for event_id in waiting:
            assert (await rig.send(event_id)).status == 202
        # WAIT counts the replicas that have all of it.
        poll(lambda: master.command("WAIT", 1, 1000, password=PASSWORD) == 1)

        await asyncio.to_thread(master.stop, how=signal.SIGKILL)
        refused = await rig.send("during")
        rig.launch("dispatcher")

        async def accepted() -> bool:
            return (await rig.send("after")).status == 202

        await rig.until(accepted, seconds=30)
        await rig.until_delivered("work", *waiting, "after")
        # The old master comes back as a replica of the new one; nobody may be led astray by it.
        master.start()
        await rig.until(lambda: b"role:slave" in master.command("INFO", password=PASSWORD))
        statuses = {(await rig.send(f"later{number}")).status for number in range(10)}
        await rig.until_delivered("work", *(f"later{number}" for number in range(10)))
    finally:
        replica.stop()

    assert refused.status == 503
    assert refused.headers["Retry-After"] == "1"
    assert statuses == {202}


def begin_move(slot: int, source: Server, target: Server) -> None:
    """Move a slot and its keys in three steps, as `redis-cli --cluster reshard` does."""
    target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", node_id(source), password=PASSWORD)
    source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", node_id(target), password=PASSWORD)


def move_keys(slot: int, source: Server, target: Server) -> None:
    while keys := source.command("CLUSTER", "GETKEYSINSLOT", slot, 100, password=PASSWORD):
        source.command(*migration(target, keys), password=PASSWORD)


def end_move(slot: int, source: Server, target: Server, nodes: list[Server]) -> None:
    new_owner = node_id(target)
    for node in (target, source, *nodes):
        node.command("CLUSTER", "SETSLOT", slot, "NODE", new_owner, password=PASSWORD)


def migration(target: Server, keys: list[bytes]) -> list[str | int | bytes]:
    return ["MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "AUTH", PASSWORD, "KEYS", *keys]


def node_id(node: Server) -> str:
    found: bytes = node.command("CLUSTER", "MYID", password=PASSWORD)
    return found.decode()
