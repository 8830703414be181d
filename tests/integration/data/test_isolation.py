"""No tenant reaches another's rows, whatever the statement and however the setting is wrong.

Raw connections of the functions' role stand for code that has gone around the tenant session.
"""

import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from alphapulse import data
from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.postgres import EmbeddedPostgres
from tests.integration.data.rows import insertion, valid_row
from tests.integration.data.tenant_rules import SHARED_TABLES

_STATEMENTS = Path(data.__file__).with_name("schema.sql").read_text(encoding="utf-8")
TABLES = sorted(set(re.findall(r"^CREATE TABLE (\w+)", _STATEMENTS, re.MULTILINE)) - SHARED_TABLES)
PARTITIONS = [f"trades_{number}" for number in range(8)]

# What a connection may have done about the setting before its statement; {} is some other tenant.
SETTINGS = {
    "foreign": "SET LOCAL app.current_tenant_id = '{}'",
    "absent": "SELECT",
    "empty": "SET LOCAL app.current_tenant_id = ''",
    "malformed": "SET LOCAL app.current_tenant_id = 'x'' OR true --'",
}
REFUSED = (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidTextRepresentationError)


@dataclass
class Prey:
    """A row of one tenant, and connections of an administrator and of the functions' role."""

    table: str
    row: dict[str, Any]
    admin: asyncpg.Connection
    app: asyncpg.Connection

    @property
    def owner(self) -> uuid.UUID:
        value: uuid.UUID = self.row["id" if self.table == "tenants" else "tenant_id"]
        return value

    @property
    def where(self) -> str:
        return f"{'id' if self.table == 'tenants' else 'tenant_id'} = '{self.owner}'"

    async def versions(self) -> list[tuple[Any, ...]]:
        """Return what changes when any of the rows does."""
        rows = await self.admin.fetch(f"SELECT xmin::text, ctid::text FROM {self.table} WHERE {self.where}")
        return [tuple(row) for row in rows]

    async def attempt(self, setting: str, statement: str, *arguments: Any) -> str:
        """Return the command's status, or `refused`."""
        try:
            async with self.app.transaction():
                await self.app.execute(setting)
                query = await self.app.prepare(statement)
                await query.fetch(*arguments)
                return query.get_statusmsg()
        except REFUSED:
            return "refused"


@pytest.fixture(params=TABLES)
async def prey(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, database: DatabaseUrls
) -> AsyncIterator[Prey]:
    table: str = request.param
    path = {"search_path": "alphapulse"}
    admin = await asyncpg.connect(postgres.url(database="alphapulse"), server_settings=path)
    app = await asyncpg.connect(database.app)
    try:
        row = await valid_row(admin, table, uuid.uuid4())
        # Without triggers and foreign keys: the row alone matters here.
        await admin.execute("SET session_replication_role = replica")
        await admin.execute(insertion(table, row), *row.values())
        prey = Prey(table, row, admin, app)
        yield prey
        await admin.execute(f"DELETE FROM {table} WHERE {prey.where}")
    finally:
        await app.close()
        await admin.close()


@pytest.mark.parametrize("setting", SETTINGS)
async def test_nothing_of_another_tenant_is_read_or_changed(prey: Prey, setting: str) -> None:
    before = await prey.versions()
    as_other = SETTINGS[setting].format(uuid.uuid4())
    column = "id" if prey.table == "tenants" else "tenant_id"
    other_row = await valid_row(prey.admin, prey.table, prey.owner)
    insert, values = insertion(prey.table, other_row), list(other_row.values())

    assert await prey.attempt(as_other, f"SELECT {column} FROM {prey.table}") in {"SELECT 0", "refused"}
    assert await prey.attempt(as_other, insert, *values) == "refused"
    upsert = f"{insertion(prey.table, prey.row)} ON CONFLICT DO NOTHING"
    assert await prey.attempt(as_other, upsert, *prey.row.values()) == "refused"
    update = f"UPDATE {prey.table} SET {column} = {column}"
    assert await prey.attempt(as_other, update) in {"UPDATE 0", "refused"}
    assert await prey.attempt(as_other, f"DELETE FROM {prey.table}") in {"DELETE 0", "refused"}
    assert await prey.attempt(as_other, f"TRUNCATE {prey.table}") == "refused"
    assert await prey.versions() == before


async def test_an_upsert_does_not_overwrite_another_tenants_row(prey: Prey) -> None:
    before = await prey.versions()
    other = uuid.uuid4()
    column = "id" if prey.table == "tenants" else "tenant_id"
    key = ", ".join(await _primary_key(prey))
    upsert = (
        f"{insertion(prey.table, prey.row)} ON CONFLICT ({key}) DO UPDATE SET {column} = EXCLUDED.{column}"
    )

    assert await prey.attempt(SETTINGS["foreign"].format(other), upsert, *prey.row.values()) == "refused"
    assert await prey.versions() == before


async def test_the_tenant_itself_reads_its_row_where_functions_may_read(prey: Prey) -> None:
    own = SETTINGS["foreign"].format(prey.owner)
    column = "id" if prey.table == "tenants" else "tenant_id"
    readable = await prey.admin.fetchval(
        "SELECT has_column_privilege('alphapulse_app', 'alphapulse.' || $1, $2, 'SELECT')", prey.table, column
    )

    status = await prey.attempt(own, f"SELECT {column} FROM {prey.table}")
    assert status == ("SELECT 1" if readable else "refused")
    assert readable or prey.table in {"sessions", "stripe_events"}


async def test_a_row_cannot_be_given_to_another_tenant(prey: Prey) -> None:
    before = await prey.versions()
    column = "id" if prey.table == "tenants" else "tenant_id"
    own = SETTINGS["foreign"].format(prey.owner)
    update = f"UPDATE {prey.table} SET {column} = $1"

    assert await prey.attempt(own, update, uuid.uuid4()) == "refused"
    assert await prey.versions() == before


async def test_the_live_schema_has_no_table_these_tests_leave_out(database: DatabaseUrls) -> None:
    connection = await asyncpg.connect(database.owner)
    try:
        rows = await connection.fetch(
            "SELECT relname::text FROM pg_class"
            " WHERE relnamespace = 'alphapulse'::regnamespace AND relkind IN ('r', 'p')"
        )
    finally:
        await connection.close()

    assert sorted({row["relname"] for row in rows}) == sorted({*TABLES, *PARTITIONS, *SHARED_TABLES})


@pytest.mark.parametrize("role", ["app", "platform", "readonly"])
async def test_partitions_are_out_of_reach(database: DatabaseUrls, role: str) -> None:
    connection = await asyncpg.connect(getattr(database, role))
    try:
        for partition in PARTITIONS:
            for statement in (
                f"SELECT FROM {partition}",
                f"INSERT INTO {partition} DEFAULT VALUES",
                f"UPDATE {partition} SET reason = 'x'",
                f"DELETE FROM {partition}",
                f"TRUNCATE {partition}",
                f"ALTER TABLE trades DETACH PARTITION {partition}",
            ):
                with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)):
                    await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE alphapulse_owner",
        "SET SESSION AUTHORIZATION alphapulse_owner",
        "SET session_replication_role = replica",
        "ALTER TABLE trades DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant_isolation ON trades",
        "CREATE TABLE alphapulse.own (id int)",
        "CREATE TEMPORARY TABLE own (id int)",
        "CREATE FUNCTION alphapulse.f() RETURNS int LANGUAGE sql RETURN 1",
        "CALL alphapulse.isolate('trades')",
        "COPY trades TO PROGRAM 'true'",
    ],
)
async def test_functions_cannot_lift_the_isolation(database: DatabaseUrls, statement: str) -> None:
    connection = await asyncpg.connect(database.app)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_turning_row_security_off_is_an_error_and_not_a_way_around(database: DatabaseUrls) -> None:
    connection = await asyncpg.connect(database.app)
    try:
        await connection.execute("SET row_security = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.fetch("SELECT id FROM trades")
    finally:
        await connection.close()


async def test_the_owner_is_bound_by_the_policies_too(database: DatabaseUrls, tenant: TenantId) -> None:
    connection = await asyncpg.connect(database.owner)
    try:
        assert await connection.fetchval("SELECT count(*) FROM balances") == 0
        assert await connection.fetchval("SELECT count(*) FROM tenants") == 0
    finally:
        await connection.close()


async def test_a_setting_ends_with_its_transaction(database: DatabaseUrls, tenant: TenantId) -> None:
    connection = await asyncpg.connect(database.app)
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL app.current_tenant_id = '{tenant}'")
            assert await connection.fetchval("SELECT count(*) FROM balances") == 1
        assert await connection.fetchval("SELECT count(*) FROM balances") == 0
    finally:
        await connection.close()


async def test_the_platform_without_a_tenant_sees_the_registry_and_no_business(prey: Prey) -> None:
    await prey.admin.execute("SET ROLE alphapulse_platform")
    column = "id" if prey.table == "tenants" else "tenant_id"
    try:
        seen = await prey.admin.fetchval(f"SELECT count(*) FROM {prey.table} WHERE {column} = $1", prey.owner)
    except asyncpg.InsufficientPrivilegeError:
        seen = 0
    finally:
        await prey.admin.execute("RESET ROLE")

    assert bool(seen) == (
        prey.table
        in {
            "agent_runs",
            "api_keys",
            "outbox",
            "provisioning_runs",
            "provisioning_steps",
            "sessions",
            "stripe_events",
            "subscriptions",
            "tenants",
            "trades",
            "users",
        }
    )


@pytest.mark.parametrize(
    ("table", "readable"),
    [
        ("trades", {"tenant_id", "exchange", "status"}),
        ("agent_runs", {"tenant_id", "id", "status", "deadline_at"}),
    ],
)
async def test_the_platform_learns_whose_work_is_unfinished_and_nothing_of_it(
    database: DatabaseUrls, table: str, readable: set[str]
) -> None:
    connection = await asyncpg.connect(database.platform)
    try:
        rows = await connection.fetch(
            "SELECT attname::text, has_column_privilege(attrelid, attnum, 'SELECT') AS readable,"
            " has_column_privilege(attrelid, attnum, 'INSERT, UPDATE') AS writable"
            " FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0",
            table,
        )
    finally:
        await connection.close()

    assert {row["attname"] for row in rows if row["readable"]} == readable
    assert not any(row["writable"] for row in rows)


async def test_the_platform_does_not_learn_of_finished_work(
    postgres: EmbeddedPostgres, database: DatabaseUrls, tenant: TenantId
) -> None:
    admin = await asyncpg.connect(
        postgres.url(database="alphapulse"), server_settings={"search_path": "alphapulse"}
    )
    platform = await asyncpg.connect(database.platform)
    try:
        for table, finished in (("trades", "cancelled"), ("agent_runs", "failed")):
            row = await valid_row(admin, table, tenant.value) | {"status": finished}
            await admin.execute(insertion(table, row), *row.values())
            of_tenant = f"SELECT count(*) FROM {table} WHERE tenant_id = $1"
            assert await platform.fetchval(of_tenant, tenant.value) == 0
            await admin.execute(f"UPDATE {table} SET status = DEFAULT WHERE tenant_id = $1", tenant.value)
            assert await platform.fetchval(of_tenant, tenant.value) == 1
    finally:
        await platform.close()
        await admin.close()


async def _primary_key(prey: Prey) -> list[str]:
    rows = await prey.admin.fetch(
        "SELECT a.attname::text FROM pg_constraint c CROSS JOIN unnest(c.conkey) AS k (number)"
        " JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number"
        " WHERE c.contype = 'p' AND c.conrelid = ('alphapulse.' || $1)::regclass",
        prey.table,
    )
    return [row["attname"] for row in rows]
