"""The operator's operations and commands on a real Redis, without servers in the way."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis import Redis

from alphapulse_broker import operations
from alphapulse_broker.__main__ import main
from alphapulse_broker.cloudevents import Event
from alphapulse_broker.errors import NoTriggerTable, UnknownEntry, UnknownTrigger
from alphapulse_broker.event_log import EventLog
from alphapulse_broker.operations import ReplayResult, Selection
from alphapulse_broker.settings import Settings
from alphapulse_broker.triggers import Trigger, TriggerTable
from alphapulse_local.embedded.redis import EmbeddedRedis

BODY = "what nobody may see in a list"
Command = Callable[..., Awaitable[tuple[int, str, str]]]


def table(*names: str) -> TriggerTable:
    spec = {"subscriber": {"uri": "http://sink.example"}, "delivery": {"retry": 3, "backoffDelay": "PT1S"}}
    return TriggerTable(Trigger.model_validate({"name": name, "spec": spec}) for name in names)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"), password=uuid.uuid4().hex)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def log(server: EmbeddedRedis) -> AsyncIterator[EventLog]:
    with Redis.from_url(server.url) as client:
        client.flushdb()
    log = EventLog(Settings(redis_url=SecretStr(server.url), max_stream_length=500))
    await log.publish(table("a", "b"))
    try:
        yield log
    finally:
        await log.close()


@pytest.fixture
def command(
    server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run the command line in this process, which saves half a second for each."""
    monkeypatch.setenv("BROKER_REDIS_URL", server.url)

    async def run(*arguments: str) -> tuple[int, str, str]:
        status = await asyncio.to_thread(main, arguments)
        return status, *capsys.readouterr()

    return run


async def enqueue(log: EventLog, trigger: str, event_id: str, *, kind: str = "t", tenant: str = "") -> None:
    attributes = {"specversion": "1.0", "id": event_id, "source": "/s", "type": kind, "knativebrokerttl": "9"}
    if tenant:
        attributes["tenantid"] = tenant
    revision = (await log.published() or ("", b""))[0]
    await log.enqueue(Event(attributes, BODY.encode(), {}), triggers=[trigger], revision=revision)


async def park(log: EventLog, trigger: str, event_id: str, *, kind: str = "t", tenant: str = "") -> None:
    """Park an event the way the dispatcher does."""
    await enqueue(log, trigger, event_id, kind=kind, tenant=tenant)
    (entry,) = await log.read(trigger, consumer="test", count=1, block_seconds=1)
    note = {"reason": "no_dead_letter_sink", "detail": "status 503: broken", "status": 503, "at_ms": 1}
    await log.park(trigger, entry, consumer="test", reason=note)


async def ids(log: EventLog, **wanted: object) -> list[str]:
    return [entry.event_id for entry in (await operations.dead_letters(log, Selection(**wanted))).entries]


async def test_listing_says_all_but_the_data(log: EventLog) -> None:
    await park(log, "a", "one", tenant="t-1")

    (entry,) = (await operations.dead_letters(log)).entries

    assert (entry.trigger, entry.event_id, entry.event_type, entry.tenant_id) == ("a", "one", "t", "t-1")
    assert (entry.reason, entry.error_code, entry.attempts) == ("no_dead_letter_sink", 503, 1)
    assert datetime.now(UTC) - entry.parked_at < timedelta(minutes=1)
    assert entry.data_bytes == len(BODY)
    assert BODY not in str(entry)


async def test_listing_filters_by_trigger_tenant_type_and_time(log: EventLog) -> None:
    await park(log, "a", "one", tenant="t-1")
    await park(log, "b", "two", tenant="t-2", kind="other")

    assert await ids(log, trigger="b") == ["two"]
    assert await ids(log, tenant="t-1") == ["one"]
    assert await ids(log, event_type="other") == ["two"]
    assert await ids(log, since=datetime.now(UTC) - timedelta(hours=1)) == ["one", "two"]
    assert await ids(log, since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert await ids(log, before=datetime.now(UTC) - timedelta(hours=1)) == []


async def test_listing_comes_in_pages_without_gap_or_repetition(log: EventLog) -> None:
    expected = [f"a{number}" for number in range(5)] + [f"b{number}" for number in range(4)]
    for event_id in expected:
        await park(log, event_id[0], event_id)

    found, after = [], None
    while True:
        page = await operations.dead_letters(log, limit=2, after=after)
        found += [entry.event_id for entry in page.entries]
        after = page.following
        if after is None:
            break

    assert found == expected


async def test_show_gives_attributes_and_data_of_one_entry(log: EventLog) -> None:
    await park(log, "a", "one")
    (entry,) = (await operations.dead_letters(log)).entries

    (shown,) = await operations.show(log, entry.id)

    assert shown.attributes["id"] == "one"
    assert shown.data == BODY.encode()
    with pytest.raises(UnknownEntry):
        await operations.show(log, "1-1")
    with pytest.raises(UnknownEntry, match="is no id"):
        await operations.show(log, "nonsense")


async def test_replay_moves_each_entry_once_also_when_run_twice_at_once(log: EventLog) -> None:
    for number in range(20):
        await park(log, "a", f"e{number}")

    results = await asyncio.gather(*(operations.replay(log, Selection(trigger="a")) for _ in range(3)))
    (row,) = await operations.lag(log, trigger="a")

    assert sum(result.total for result in results) == 20
    assert (row.waiting, row.parked) == (20, 0)
    assert (await operations.replay(log, Selection())).total == 0


async def test_replay_by_filter_moves_only_what_is_meant(log: EventLog) -> None:
    await park(log, "a", "one", tenant="t-1")
    await park(log, "b", "two", tenant="t-2")

    result = await operations.replay(log, Selection(tenant="t-2"))

    assert dict(result.replayed) == {"b": 1}
    assert await ids(log) == ["one"]


async def test_dry_run_moves_nothing_and_counts_the_same(log: EventLog) -> None:
    await park(log, "a", "one")

    result = await operations.replay(log, Selection(), dry_run=True)

    assert result.total == 1
    assert await ids(log) == ["one"]


async def test_replay_stops_at_the_stream_cap_and_reports_progress(log: EventLog) -> None:
    for number in range(110):
        await park(log, "a", f"p{number}")
    for number in range(450):
        await enqueue(log, "a", f"w{number}")
    seen: list[int] = []

    def progress(result: ReplayResult) -> None:
        seen.append(result.total)

    result = await operations.replay(log, Selection(), progress=progress)

    assert (result.total, result.held_back["a"]) == (50, 60)
    assert seen == [50, 50]
    assert len(await ids(log)) == 60


async def test_entries_of_a_removed_trigger_are_listed_and_not_replayed(log: EventLog) -> None:
    await park(log, "b", "orphan")
    await log.publish(table("a"))

    status = await operations.status(log)
    result = await operations.replay(log, Selection())

    assert status.leftovers == ["b"]
    assert await ids(log) == ["orphan"]
    assert (result.total, result.held_back["b"]) == (0, 1)
    with pytest.raises(UnknownTrigger):
        await operations.replay(log, Selection(trigger="b"))


async def test_trim_removes_only_what_is_old_and_only_when_confirmed(log: EventLog) -> None:
    await park(log, "a", "one")
    young = Selection(before=datetime.now(UTC) - timedelta(hours=1))
    old = Selection(before=datetime.now(UTC) + timedelta(hours=1))

    assert (await operations.trim(log, young, confirmed=True)).total == 0
    assert (await operations.trim(log, old)).total == 1
    assert await ids(log) == ["one"]
    assert dict((await operations.trim(log, old, confirmed=True)).removed) == {"a": 1}
    assert await ids(log) == []


async def test_trim_removes_nothing_that_could_not_be_kept(log: EventLog) -> None:
    await park(log, "a", "one")

    def disk_is_full(_: object) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        await operations.trim(log, Selection(), confirmed=True, keep=disk_is_full)

    assert await ids(log) == ["one"]


async def test_lag_counts_each_state_and_the_age_of_the_oldest(log: EventLog) -> None:
    for event_id in ("waits", "flies", "fails"):
        await enqueue(log, "a", event_id)
    first, *_ = await log.read("a", consumer="test", count=2, block_seconds=1)
    await log.retry("a", first, consumer="test", delay=timedelta(minutes=1))

    (row, _) = await operations.lag(log)

    assert (row.waiting, row.in_flight, row.delayed, row.parked, row.dispatchers) == (1, 1, 1, 0, 1)
    assert 0 <= row.oldest_seconds < 30
    assert row.next_retry_seconds is not None
    assert 50 < row.next_retry_seconds <= 60


async def test_drain_waits_until_nothing_is_left_or_the_deadline_has_passed(log: EventLog) -> None:
    await enqueue(log, "a", "one")
    late = await operations.drain(log, "a", deadline_seconds=0.1)

    async def deliver() -> None:
        (entry,) = await log.read("a", consumer="test", count=1, block_seconds=1)
        await log.complete("a", entry.id)

    drained, _ = await asyncio.gather(operations.drain(log, "a", deadline_seconds=10), deliver())

    assert (late.drained, late.lag.waiting) == (False, 1)
    assert drained.drained
    with pytest.raises(UnknownTrigger):
        await operations.drain(log, "none", deadline_seconds=1)


async def test_without_a_table_every_operation_says_so(log: EventLog) -> None:
    await log.command("DEL", log.keys.table)

    for operation in (operations.status, operations.triggers, operations.lag, operations.dead_letters):
        with pytest.raises(NoTriggerTable):
            await operation(log)


async def test_commands_print_tables_and_json_and_end_with_their_status(
    log: EventLog, command: Command, tmp_path: Path
) -> None:
    await park(log, "a", "one", tenant="t-1")
    await park(log, "a", "two", tenant="t-1")
    export = tmp_path / "export.jsonl"

    async def result(*arguments: str, status: int = 0) -> str:
        found, output, complaint = await command(*arguments)
        assert found == status, complaint
        return output

    assert "append-only on" in await result("status")
    assert json.loads(await result("triggers", "a", "--json"))[0]["delivery"] == {
        "backoffDelay": "PT1S",
        "retry": 3,
    }
    assert (await result("lag")).splitlines()[1].split()[:5] == ["a", "0", "0", "0", "2"]
    listing = await result("dead-letters", "--tenant", "t-1", "--since", "1h", "--limit", "1")
    assert "more: --after a/" in listing
    assert BODY not in listing + await result("dead-letters", "--json")
    first = json.loads(await result("dead-letters", "--json"))["entries"][0]["id"]
    assert BODY in await result("dead-letters", "--show", first)
    assert await result("replay", "a", first, "--dry-run") == "would replay 1\n"
    assert await result("replay", "a", first) == "replayed 1\n"
    await result("replay", "a", first, status=3)
    await result("replay", status=2)
    await result("trim", status=2)
    assert "would remove 1" in await result("trim", "--all", status=3)
    assert "removed 1" in await result("trim", "--all", "--yes", "--export", str(export))
    await result("drain", "a", "--deadline", "0s", status=3)
    await result("lag", "none", status=1)

    (kept,) = [json.loads(line) for line in export.read_text().splitlines()]
    assert (kept["attributes"]["id"], kept["data"]) == ("two", BODY)
    assert export.stat().st_mode & 0o077 == 0


async def test_export_never_overwrites_a_file(log: EventLog, command: Command, tmp_path: Path) -> None:
    await park(log, "a", "one")
    export = tmp_path / "export.jsonl"
    export.write_text("precious")

    status, _, complaint = await command("trim", "--all", "--yes", "--export", str(export))

    assert status == 1
    assert "nothing unsaved was removed" in complaint
    assert export.read_text() == "precious"
    assert await ids(log) == ["one"]


async def test_next_page_begins_after_the_last_entry_even_at_the_moment_asked_for(log: EventLog) -> None:
    for number in range(3):
        await park(log, "a", f"e{number}")
    first = (await operations.dead_letters(log, limit=1)).entries[0]
    wanted = Selection(since=first.parked_at)

    page = await operations.dead_letters(log, wanted, limit=1)
    rest = await operations.dead_letters(log, wanted, after=page.following)

    assert [entry.event_id for entry in (*page.entries, *rest.entries)] == ["e0", "e1", "e2"]


async def test_drain_ends_when_a_removed_trigger_has_nothing_left(log: EventLog) -> None:
    await enqueue(log, "b", "late")
    await log.publish(table("a"))
    (entry,) = await log.read("b", consumer="test", count=1, block_seconds=1)
    draining = asyncio.create_task(operations.drain(log, "b", deadline_seconds=10))
    seen = asyncio.Event()
    watching = asyncio.create_task(
        operations.drain(log, "b", deadline_seconds=10, progress=lambda _: seen.set())
    )
    await seen.wait()
    await log.complete("b", entry.id)

    assert [(found.drained, found.lag.in_table) for found in (await draining, await watching)] == [
        (True, False),
        (True, False),
    ]
    with pytest.raises(UnknownTrigger):
        await operations.drain(log, "b", deadline_seconds=1)
