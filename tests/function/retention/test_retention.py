"""The hourly removal of what is kept for a time only: old rows go, in batches, and young ones stay."""

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.runtime.settings import Secret, Settings
from alphapulse_local.embedded.postgres import EmbeddedPostgres
from alphapulse_local.embedded.redis import EmbeddedRedis
from functions.retention import service
from tests.function.conftest import Broker, Functions
from tests.integration.data.rows import insertion, valid_row

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
# The time a row's age is counted from, and how old it may become.
KEPT = {
    "processed_events": ("processed_at", 30 * DAY),
    "platform_processed_events": ("processed_at", 30 * DAY),
    "idempotency_keys": ("created_at", DAY),
    "sessions": ("expires_at", DAY),
    "one_time_tokens": ("expires_at", DAY),
    "login_throttles": ("last_attempt_at", 2 * DAY),
}


@pytest.fixture
def function_settings(empty_database: DatabaseUrls, redis_server: EmbeddedRedis, broker: Broker) -> Settings:
    """Rows of every tenant go, so each of these tests has a database of its own."""
    return Settings(
        platform_database_url=Secret(empty_database.platform),
        redis_url=Secret(redis_server.url),
        broker_url=broker.url,
    )


@pytest.fixture
async def admin(
    empty_database: DatabaseUrls, postgres: EmbeddedPostgres
) -> AsyncIterator[asyncpg.Connection]:
    """An administrator that writes rows of any age without the rows they refer to."""
    name = empty_database.owner.rpartition("/")[2].partition("?")[0]
    connection = await asyncpg.connect(
        postgres.url(database=name),
        server_settings={"search_path": "alphapulse", "session_replication_role": "replica"},
    )
    yield connection
    await connection.close()


async def put(admin: asyncpg.Connection, table: str, age: dt.timedelta, **values: Any) -> None:
    """Write a row of some tenant whose age is counted from so long ago."""
    column, _ = KEPT[table]
    at = dt.datetime.now(dt.UTC) - age
    row = await valid_row(admin, table, uuid.uuid4()) | {column: at}
    if column == "expires_at":
        row |= {"created_at": at - 30 * DAY, "token_hash": uuid.uuid4().bytes * 2}
    row |= values
    await admin.execute(insertion(table, row), *row.values())


async def count(admin: asyncpg.Connection, table: str) -> int:
    found: int = await admin.fetchval(f"SELECT count(*) FROM {table}")
    return found


def pruned(table: str) -> float:
    return REGISTRY.get_sample_value("alphapulse_rows_pruned_total", {"table": table}) or 0


async def sweep(functions: Functions) -> None:
    answer = await functions.deliver("retention", functions.tick("retention"))

    assert answer.status_code == 204, answer.text


@pytest.mark.parametrize("table", KEPT)
async def test_rows_past_their_time_go_and_younger_ones_stay(
    functions: Functions, admin: asyncpg.Connection, table: str
) -> None:
    column, age = KEPT[table]
    for older in (HOUR, DAY, 400 * DAY):
        await put(admin, table, age + older)
    for younger in (HOUR, age, age + DAY):
        await put(admin, table, age - younger)

    await sweep(functions)

    assert await count(admin, table) == 3
    assert dt.datetime.now(dt.UTC) - await admin.fetchval(f"SELECT min({column}) FROM {table}") < age


async def keep_evidence(admin: asyncpg.Connection, *, days_ago: int) -> bytes:
    """Keep a document that a signal was last made from so many days ago."""
    document = uuid.uuid4().bytes
    digest: bytes = await admin.fetchval(
        """INSERT INTO evidence_snapshots (digest, document, used_on)
        VALUES (sha256($1), $1, current_date - $2::int) RETURNING digest""",
        document,
        days_ago,
    )
    return digest


@pytest.mark.parametrize("days", [7, 90])
async def test_evidence_goes_when_no_signal_was_made_from_it_for_long(
    functions: Functions, function_settings: Settings, admin: asyncpg.Connection, days: int
) -> None:
    functions.settings = function_settings.replace(evidence_days=days)
    await keep_evidence(admin, days_ago=days + 2)
    young = await keep_evidence(admin, days_ago=days - 1)
    used_again = await keep_evidence(admin, days_ago=400)
    in_use = await admin.fetch("SELECT evidence_in_use(ARRAY[$1::bytea])", used_again)

    await sweep(functions)

    assert [row[0] for row in in_use] == [used_again]
    assert {row["digest"] for row in await admin.fetch("SELECT digest FROM evidence_snapshots")} == {
        young,
        used_again,
    }


async def test_a_rotated_token_stays_as_long_as_its_login_lasts(
    functions: Functions, admin: asyncpg.Connection
) -> None:
    tenant, lasting, over = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    for family, ages in ((lasting, (60 * DAY, 5 * DAY, -10 * DAY)), (over, (60 * DAY, 5 * DAY, 2 * DAY))):
        for age in ages:
            await put(admin, "sessions", age, tenant_id=tenant, family_id=family)

    await sweep(functions)

    rows = await admin.fetch("SELECT family_id FROM sessions")
    assert [row["family_id"] for row in rows] == [lasting] * 3


@pytest.mark.parametrize("table", ["idempotency_keys", "login_throttles"])
async def test_what_is_locked_at_the_moment_stays_however_old(
    functions: Functions, admin: asyncpg.Connection, table: str
) -> None:
    now = dt.datetime.now(dt.UTC)
    await put(admin, table, 10 * DAY, locked_until=now + HOUR)
    await put(admin, table, 10 * DAY, locked_until=now - HOUR)

    await sweep(functions)

    assert await count(admin, table) == 1


async def test_a_transaction_removes_one_batch_and_the_sweep_all_of_them(
    functions: Functions, admin: asyncpg.Connection
) -> None:
    resources = functions.resources("retention")
    for number in range(25):
        await put(admin, "processed_events", (31 + number) * DAY)
    await put(admin, "idempotency_keys", 2 * DAY)
    before = pruned("processed_events")

    first = await service.remove_batch(resources.platform, "processed_events", 30 * DAY, batch=10)
    assert (first, await count(admin, "processed_events")) == (10, 15)
    # The oldest first.
    oldest = await admin.fetchval("SELECT min(processed_at) FROM processed_events")
    assert dt.datetime.now(dt.UTC) - oldest < 46 * DAY

    removed = await service.sweep(resources, batch=10)
    assert {table: rows for table, rows in removed.items() if rows} == {
        "processed_events": 15,
        "idempotency_keys": 1,
    }
    assert pruned("processed_events") - before == 15


async def test_a_sweep_whose_time_is_up_leaves_the_rest_for_the_next(
    functions: Functions, admin: asyncpg.Connection
) -> None:
    await put(admin, "processed_events", 40 * DAY)

    removed = await service.sweep(functions.resources("retention"), budget_seconds=0)

    assert set(removed.values()) == {0}
    await sweep(functions)
    assert await count(admin, "processed_events") == 0


async def test_an_event_that_comes_twice_also_at_once_does_no_harm(
    functions: Functions, admin: asyncpg.Connection
) -> None:
    for table, (_, age) in KEPT.items():
        await put(admin, table, age + HOUR)
        await put(admin, table, age - HOUR)
    tick = functions.tick("retention")

    answers = await asyncio.gather(*(functions.deliver("retention", tick) for _ in range(2)))
    answers.append(await functions.deliver("retention", tick))

    assert {answer.status_code for answer in answers} == {204}
    assert [await count(admin, table) for table in KEPT] == [1] * len(KEPT)


async def test_marks_are_kept_as_long_as_the_setting_says(
    function_settings: Settings, functions: Functions, admin: asyncpg.Connection
) -> None:
    functions.settings = function_settings.replace(processed_events_days=90)
    for age in (89, 91):
        await put(admin, "processed_events", age * DAY)
        await put(admin, "platform_processed_events", age * DAY)

    await sweep(functions)

    assert await count(admin, "processed_events") == 1
    assert await count(admin, "platform_processed_events") == 1


async def test_a_batch_of_a_large_table_reads_the_old_rows_only(
    empty_database: DatabaseUrls, admin: asyncpg.Connection
) -> None:
    await admin.execute(
        "INSERT INTO processed_events (tenant_id, consumer, source, event_id, processed_at)"
        " SELECT gen_random_uuid(), 'test', '/test', n::text, now() - n * interval '3 minutes'"
        " FROM generate_series(1, 20000) AS n"
    )
    await admin.execute("ANALYZE processed_events")
    statement = (Path(service.__file__).with_name("queries.sql").read_text()).split("-- name: ")[1]
    statement = statement.partition("\n")[2].replace(":age", "$1").replace(":batch", "$2")
    connection = await asyncpg.connect(empty_database.platform)
    try:
        plan = await connection.fetch(f"EXPLAIN (ANALYZE) {statement}", 30 * DAY, 100)
    finally:
        await connection.close()

    text = "\n".join(row[0] for row in plan)
    assert "using processed_events_age" in text, text
    assert "Tid Scan" in text, text
    assert "Seq Scan" not in text
