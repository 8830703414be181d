"""What is asked of the tables of signals and outcomes reads what it returns, and not all there is."""

import datetime as dt
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import orjson
import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse_local.embedded.postgres import EmbeddedPostgres
from functions.agents.track_record import sql as track_record
from functions.signal_scoring.prices import sql as scoring

TENANT, OTHER = (uuid.UUID(int=n) for n in (1, 2))
ROWS = 10_000
#: More than a page and its neighbours, far less than there is.
FEW = 700
NEWEST = {"before_at": None, "before_id": None, "row_limit": 51}
# The newest wait, those of one agent for longer; another agent spoke a single time, long ago.
_FILL = f"""
    INSERT INTO agent_signals (tenant_id, id, run_id, agent, symbol, interval, signal, score, confidence,
        agent_version, created_at, expires_at)
    SELECT $1, gen_random_uuid(), gen_random_uuid(),
        CASE WHEN n = {ROWS} THEN 'buffett' WHEN n % 2 = 0 THEN 'technical' ELSE 'value' END,
        'S' || n % 7 || '-USD', '1m', 'buy', 0.5, 0.5, '1', now() - n * interval '1 min', now()
    FROM generate_series(1, {ROWS}) n;
    INSERT INTO signal_outcomes (tenant_id, id, agent, symbol, interval, agent_version, signal, confidence,
        horizon_at, due_at, status, reason, scored_at, created_at)
    SELECT tenant_id, id, agent, symbol, interval, '1', 'buy', 0.5, now(),
        now() + interval '1 day' * CASE WHEN tenant_id = '{OTHER}' THEN -1 ELSE 1 END,
        CASE WHEN waits THEN 'pending' WHEN agent = 'buffett' THEN 'unscorable' ELSE 'scored' END,
        CASE WHEN agent = 'buffett' THEN 'no bars' END, CASE WHEN NOT waits THEN now() END, created_at
    FROM (
        SELECT *, created_at > now() - interval '1 day' OR agent = 'value'
            AND created_at > now() - interval '5 days' AS waits
        FROM agent_signals WHERE tenant_id = $1
    ) AS s
"""


@pytest.fixture
async def admin(
    empty_database: DatabaseUrls, postgres: EmbeddedPostgres
) -> AsyncIterator[asyncpg.Connection]:
    name = empty_database.app.rpartition("/")[2].partition("?")[0]
    connection = await asyncpg.connect(
        postgres.url(database=name), server_settings={"search_path": "alphapulse"}
    )
    # Without triggers and foreign keys, and the figures of a score: how much is read alone matters here.
    await connection.execute("SET session_replication_role = replica")
    await connection.execute("ALTER TABLE signal_outcomes DROP CONSTRAINT signal_outcomes_check2")
    for tenant in (TENANT, OTHER):
        for statement in _FILL.split(";"):
            await connection.execute(statement, tenant)
    await connection.execute("VACUUM ANALYZE agent_signals")
    await connection.execute("VACUUM ANALYZE signal_outcomes")
    yield connection
    await connection.close()


def rows_read(plan: dict[str, Any]) -> float:
    """Return how many rows the scans of a plan have looked at."""
    seen = 0.0
    if "Relation Name" in plan:
        each = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        seen = (each + plan.get("Rows Removed by Index Recheck", 0)) * plan["Actual Loops"]
    return seen + sum(map(rows_read, plan.get("Plans", ())))


async def explained(url: str, statement: Any, **arguments: Any) -> tuple[list[Any], float]:
    """Return the statement's rows, and how many it has read, as the role and tenant that ask it."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            if "tenant_id" in arguments:
                await connection.execute(f"SET LOCAL app.current_tenant_id = '{TENANT}'")
            await connection.execute("SET LOCAL jit = off")
            values = list(arguments.values())
            found = await connection.fetch(statement.sql, *values)
            [[plan]] = await connection.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}", *values)
    finally:
        await connection.close()
    return found, rows_read(orjson.loads(plan)[0]["Plan"])


async def test_who_spoke_last_reads_a_row_of_each(
    empty_database: DatabaseUrls, admin: asyncpg.Connection
) -> None:
    found, read = await explained(empty_database.app, track_record.last_signals, tenant_id=TENANT)

    assert {row["agent"] for row in found} == {"technical", "value", "buffett"}
    assert read < FEW


# What is asked for, and how many there are of it on a page.
PAGES: list[tuple[dict[str, str], int]] = [
    ({}, 51),
    ({"agent": "value"}, 51),
    ({"agent": "value", "symbol": "S3-USD"}, 51),
    ({"symbol": "S3-USD"}, 51),
    ({"symbol": "ABSENT-USD"}, 0),
    ({"status": "scored", "agent": "value"}, 51),
    ({"status": "unscorable"}, 1),
    ({"status": "pending"}, 51),
]


async def test_page_of_outcomes_reads_little_more_than_itself(
    empty_database: DatabaseUrls, admin: asyncpg.Connection
) -> None:
    for wanted, count in PAGES:
        filters = {name: wanted.get(name) for name in ("agent", "symbol", "status")}

        found, read = await explained(
            empty_database.app, track_record.outcomes, tenant_id=TENANT, **filters, **NEWEST
        )

        assert (wanted, len(found)) == (wanted, count)
        assert read < FEW, wanted


async def test_whose_signals_are_due_is_found_without_those_that_wait(
    empty_database: DatabaseUrls, admin: asyncpg.Connection
) -> None:
    now, first = dt.datetime.now(dt.UTC), uuid.UUID(int=0)

    found, read = await explained(
        empty_database.platform,
        scoring.tenants_with_due_signals,
        after=first,
        due_before=now,
        row_limit=200,
    )

    assert [row["tenant_id"] for row in found] == [OTHER]
    assert read < FEW
