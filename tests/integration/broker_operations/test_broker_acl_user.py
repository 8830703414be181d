"""The ACL user of docs/broker.md: enough for every process and command, and for nothing else."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.exceptions import NoPermissionError

from alphapulse_broker.keys import Keys
from alphapulse_local.embedded.process import stop
from tests.integration.broker.rig import answers, dead_letters_to, replies, trigger
from tests.integration.broker_operations.servers import OperatedRig, Server

PASSWORD = uuid.uuid4().hex
DOCUMENT = Path(__file__).parents[3] / "docs" / "broker.md"


def documented_user() -> str:
    """Return the ACL line of the document, with this test's password."""
    block = re.search(r"```\nuser redisbroker(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert block is not None
    rules = " ".join(block[1].split())
    assert rules.count(">PASSWORD") == 1
    return "user redisbroker " + rules.replace(">PASSWORD", f">{PASSWORD}")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    auditor = f"user auditor on >{PASSWORD} +acl|log +ping"
    server = Server(tmp_path / "redis", "user default off", documented_user(), auditor)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
async def rig(server: Server, tmp_path: Path) -> AsyncIterator[OperatedRig]:
    rig = OperatedRig(
        tmp_path / "rig",
        f"redis://redisbroker:{PASSWORD}@127.0.0.1:{server.port}/0",
        BROKER_DEDUPE_SECONDS="60",
    )
    try:
        yield rig
    finally:
        await rig.close()


async def test_documented_user_suffices_for_ingress_dispatcher_and_tool(
    rig: OperatedRig, server: Server, tmp_path: Path
) -> None:
    await rig.start(
        trigger("asks", types="question"),
        trigger("hears", types="answer"),
        trigger("fails", types="bad", delivery=dead_letters_to("letters")),
    )
    rig.sinks.behaviours |= {"asks": replies("answer"), "fails": answers(500), "letters": answers(500)}
    await rig.send("q", event_type="question")
    await rig.send("b", event_type="bad")
    await rig.send("c", event_type="bad")
    await rig.until_delivered("hears", "reply-to-q")
    await rig.until(lambda: len(rig.sinks.of("letters")) == 8)
    # A dispatcher that is killed and one that stops: takeover and release need rights of their own.
    rig.kill("dispatcher")
    rig.launch("dispatcher")
    await rig.until_ready(rig.dispatcher_port)
    await rig.until_empty("fails")

    assert rig.run("status", "--json")["totals"]["parked"] == 2
    assert {row["trigger"] for row in rig.run("triggers", "--json")} == {"asks", "hears", "fails"}
    first, second = rig.run("dead-letters", "--json")["entries"]
    assert rig.run("dead-letters", "--show", first["id"], "--json")[0]["attributes"]["id"] == "b"
    rig.sinks.behaviours.clear()
    assert rig.run("replay", "fails", first["id"]) == "replayed 1"
    # In a thread, since the sinks of this event loop have to answer meanwhile.
    assert (await asyncio.to_thread(rig.attempt, "drain", "fails", "--deadline", "10s")).returncode == 0
    export = tmp_path / "export.jsonl"
    assert "removed 1" in rig.run("trim", "--all", "--yes", "--export", str(export))
    assert second["id"] in export.read_text()
    for process in rig.processes.values():
        await asyncio.to_thread(stop, process)
    denied = server.command("ACL", "LOG", username="auditor", password=PASSWORD)
    assert denied == [], str(denied)


@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",),
        ("CONFIG", "GET", "requirepass"),
        ("KEYS", "*"),
        ("GET", "another:key"),
        ("XADD", "another:stream", "*", "a", "b"),
        ("RENAME", Keys("alphapulse", "default").stream("work"), "mine"),
        ("XRANGE", Keys("alphapulse", "other").stream("work"), "-", "+"),
        ("ACL", "LIST"),
        ("SHUTDOWN",),
    ],
    ids=lambda command: "-".join(command[:2]),
)
def test_documented_user_may_do_nothing_else(server: Server, command: tuple[str, ...]) -> None:
    with pytest.raises(NoPermissionError):
        server.command(*command, username="redisbroker", password=PASSWORD)


async def test_wrong_password_is_named_and_not_shown(server: Server, tmp_path: Path) -> None:
    rig = OperatedRig(tmp_path / "rig", f"redis://redisbroker:not-it@127.0.0.1:{server.port}/0")

    done = rig.attempt("status")

    assert done.returncode == 1
    assert "AuthenticationError" in done.stderr
    assert "not-it" not in done.stderr
