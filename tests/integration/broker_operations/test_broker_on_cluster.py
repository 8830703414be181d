"""A real Redis Cluster of three masters, with ingress, dispatcher and tool on top of it."""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.crc import key_slot

from alphapulse_broker.keys import Keys
from tests.integration.broker.rig import answers, replies, trigger
from tests.integration.broker_operations.servers import OperatedRig, Server, cluster, poll, stop_all

PASSWORD = uuid.uuid4().hex


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
    rig = OperatedRig(tmp_path / "rig", f"redis+cluster://:{PASSWORD}@{seeds}")
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
    slot = key_slot(Keys("alphapulse", "default").prefix.encode())
    with_keys = [node.port for node in nodes if node.command("DBSIZE", password=PASSWORD)]
    assert with_keys == [owner(nodes, slot).port]


async def test_slot_that_moves_to_another_node_is_followed_without_restart(
    rig: OperatedRig, nodes: list[Server]
) -> None:
    await rig.start(trigger("work", types="t"))
    await rig.send("before")
    await rig.until_delivered("work", "before")
    await rig.until_empty("work")

    slot = key_slot(Keys("alphapulse", "default").prefix.encode())
    source = owner(nodes, slot)
    target = next(node for node in nodes if node is not source)
    move_slot(slot, source, target, nodes)
    poll(lambda: owner(nodes, slot) is target)

    async def accepted() -> bool:
        return (await rig.send("after")).status == 202

    await rig.until(accepted)
    await rig.until_delivered("work", "after")
    assert target.command("DBSIZE", password=PASSWORD)


def move_slot(slot: int, source: Server, target: Server, nodes: list[Server]) -> None:
    """Move a slot and its keys, as `redis-cli --cluster reshard` does."""
    ids = {node.port: node.command("CLUSTER", "MYID", password=PASSWORD).decode() for node in nodes}
    target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source.port], password=PASSWORD)
    source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target.port], password=PASSWORD)
    while keys := source.command("CLUSTER", "GETKEYSINSLOT", slot, 100, password=PASSWORD):
        move = ["MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "AUTH", PASSWORD, "KEYS", *keys]
        source.command(*move, password=PASSWORD)
    for node in (target, source, *nodes):
        node.command("CLUSTER", "SETSLOT", slot, "NODE", ids[target.port], password=PASSWORD)
