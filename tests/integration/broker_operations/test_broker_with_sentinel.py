"""A real fail-over: master, replica and a Sentinel; the master is killed under a running broker."""

import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from alphapulse_broker.keys import Keys
from alphapulse_local.embedded.process import free_port
from tests.integration.broker.rig import trigger
from tests.integration.broker_operations.servers import OperatedRig, Server, poll, stop_all

PASSWORD = uuid.uuid4().hex
SENTINEL_PASSWORD = uuid.uuid4().hex


@dataclass
class Watched:
    master: Server
    replica: Server
    sentinel: Server


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    secured = (f"requirepass {PASSWORD}", f"masterauth {PASSWORD}")
    master = Server(tmp_path / "master", *secured, "repl-diskless-sync yes", "repl-diskless-sync-delay 0")
    replica = Server(tmp_path / "replica", *secured, f"replicaof 127.0.0.1 {master.port}")
    sentinel = Server(
        tmp_path / "sentinel",
        f"requirepass {SENTINEL_PASSWORD}",
        f"sentinel monitor events 127.0.0.1 {master.port} 1",
        f"sentinel auth-pass events {PASSWORD}",
        "sentinel down-after-milliseconds events 500",
        "sentinel failover-timeout events 3000",
        sentinel=True,
    )
    try:
        for server in (master, replica, sentinel):
            server.start()
        poll(lambda: b"master_link_status:up" in replica.command("INFO", password=PASSWORD))
        poll(lambda: sentinel.command("SENTINEL", "REPLICAS", "events", password=SENTINEL_PASSWORD))
        yield Watched(master, replica, sentinel)
    finally:
        stop_all([sentinel, replica, master])


@pytest.fixture
def misled(tmp_path: Path) -> Iterator[Server]:
    """A Sentinel that is cut off from the others and names a master that is long dead."""
    sentinel = Server(
        tmp_path / "misled",
        f"requirepass {SENTINEL_PASSWORD}",
        f"sentinel monitor events 127.0.0.1 {free_port()} 2",
        sentinel=True,
    )
    try:
        sentinel.start()
        yield sentinel
    finally:
        sentinel.stop()


@pytest.fixture
async def rig(watched: Watched, tmp_path: Path) -> AsyncIterator[OperatedRig]:
    # The first Sentinel is not there: the broker must ask the next one.
    rig = OperatedRig(
        tmp_path / "rig",
        f"redis+sentinel://:{PASSWORD}@127.0.0.1:1,127.0.0.1:{watched.sentinel.port}/events/0",
        BROKER_REDIS_SENTINEL_PASSWORD=SENTINEL_PASSWORD,
        BROKER_REDIS_TIMEOUT_SECONDS="2",
    )
    try:
        yield rig
    finally:
        await rig.close()


async def test_fail_over_is_followed_without_restart_and_no_replicated_event_is_lost(
    rig: OperatedRig, watched: Watched
) -> None:
    await rig.start(trigger("work", types="t"))
    await rig.send("before")
    await rig.until_delivered("work", "before")
    await rig.until_empty("work")
    rig.kill("dispatcher")
    waiting = [f"w{number}" for number in range(20)]
    for event_id in waiting:
        assert (await rig.send(event_id)).status == 202
    stream = Keys("alphapulse", "default").stream("work")
    await rig.until(lambda: watched.replica.command("XLEN", stream, password=PASSWORD) == len(waiting))

    watched.master.stop(how=signal.SIGKILL)
    refused = await rig.send("during")
    rig.launch("dispatcher")

    async def accepted() -> bool:
        return (await rig.send("after")).status == 202

    await rig.until(accepted, seconds=20)
    await rig.until_delivered("work", *waiting, "after")

    assert refused.status == 503
    assert refused.headers["Retry-After"] == "1"
    assert rig.run("status", "--json")["redis"]["role"] == "master"


async def test_sentinel_that_is_cut_off_leads_nobody_to_a_dead_master_for_long(
    watched: Watched, misled: Server, tmp_path: Path
) -> None:
    rig = OperatedRig(
        tmp_path / "rig",
        f"redis+sentinel://:{PASSWORD}@127.0.0.1:{misled.port},127.0.0.1:{watched.sentinel.port}/events/0",
        BROKER_REDIS_SENTINEL_PASSWORD=SENTINEL_PASSWORD,
    )
    try:
        await rig.start(trigger("work", types="t"))
        assert (await rig.send("a")).status == 202
        await rig.until_delivered("work", "a")
    finally:
        await rig.close()


@pytest.mark.parametrize(
    ("service", "password", "said"),
    [("events", "not-it", "AuthenticationError"), ("others", SENTINEL_PASSWORD, "NodeUnknown")],
    ids=["wrong password", "unknown service"],
)
def test_what_sentinels_refuse_is_said(
    watched: Watched, service: str, password: str, said: str, tmp_path: Path
) -> None:
    rig = OperatedRig(
        tmp_path / "rig",
        f"redis+sentinel://:{PASSWORD}@127.0.0.1:{watched.sentinel.port},127.0.0.1:1/{service}/0",
        BROKER_REDIS_SENTINEL_PASSWORD=password,
    )

    done = rig.attempt("status")

    assert done.returncode == 1
    assert said in done.stderr
    assert password not in done.stderr
