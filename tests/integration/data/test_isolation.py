"""No tenant reaches another's rows, whatever the statement and however the setting is wrong.

Raw connections of the functions' role stand for code that has gone around the tenant session.
"""

import contextlib
import datetime as dt
import hashlib
import io
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
# With the rights of the owner on purpose: functions may add to evidence all tenants share, and may neither
# change nor remove what is there. They touch no table of a tenant.
OF_SHARED_EVIDENCE = {"keep_evidence(bytea[])", "evidence_in_use(bytea[])"}
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
        value: uuid.UUID = self.row[self.column]
        return value

    @property
    def column(self) -> str:
        return "id" if self.table == "tenants" else "tenant_id"

    @property
    def where(self) -> str:
        return f"{self.column} = '{self.owner}'"

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

    async def copy_in(self, setting: str, row: dict[str, Any]) -> str:
        """Copy a row into the table; return `copied` or `refused`."""
        try:
            async with self.app.transaction():
                await self.app.execute(setting)
                await self.app.copy_records_to_table(
                    self.table, records=[tuple(row.values())], columns=list(row)
                )
        # PostgreSQL has no COPY FROM for tables with row-level security, whoever asks.
        except (*REFUSED, asyncpg.FeatureNotSupportedError):
            return "refused"
        return "copied"

    async def copied_out(self, setting: str) -> bytes:
        """Return what COPY TO gives away."""
        given = io.BytesIO()
        with contextlib.suppress(*REFUSED):
            async with self.app.transaction():
                await self.app.execute(setting)
                await self.app.copy_from_table(self.table, columns=[self.column], output=given)
        return given.getvalue()


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


# Ways at a row, each with the answers that give nothing away. {t} is the table, {c} its tenant column.
OPERATIONS: dict[str, tuple[str, set[str]]] = {
    "select": ("SELECT {c} FROM {t}", {"SELECT 0"}),
    "select by tenant": ("SELECT {c} FROM {t} WHERE {c} = '{owner}'", {"SELECT 0"}),
    "select for update": ("SELECT {c} FROM {t} FOR UPDATE", {"SELECT 0"}),
    "update": ("UPDATE {t} SET {c} = {c}", {"UPDATE 0"}),
    "update returning": ("UPDATE {t} SET {c} = {c} RETURNING {c}", {"UPDATE 0"}),
    "delete": ("DELETE FROM {t}", {"DELETE 0"}),
    "delete returning": ("DELETE FROM {t} WHERE {c} = '{owner}' RETURNING {c}", {"DELETE 0"}),
    "merge": (
        "MERGE INTO {t} USING (SELECT '{owner}'::uuid AS k) s ON {t}.{c} = s.k WHEN MATCHED THEN DELETE",
        {"MERGE 0"},
    ),
    "truncate": ("TRUNCATE {t}", set()),
}
# These write a row of another tenant, so that only a refusal will do.
FORGERIES = ("insert", "upsert", "copy in")


@pytest.mark.parametrize("setting", SETTINGS)
async def test_nothing_of_another_tenant_is_read_or_changed(prey: Prey, setting: str) -> None:
    before = await prey.versions()
    as_other = SETTINGS[setting].format(uuid.uuid4())
    leaks = {}
    for operation, (statement, harmless) in OPERATIONS.items():
        text = statement.format(t=prey.table, c=prey.column, owner=prey.owner)
        status = await prey.attempt(as_other, text)
        if status not in {*harmless, "refused"}:
            leaks[operation] = status
    if given := await prey.copied_out(as_other):
        leaks["copy out"] = repr(given)

    assert leaks == {}
    assert await prey.versions() == before


@pytest.mark.parametrize("setting", SETTINGS)
async def test_no_row_is_written_for_another_tenant(prey: Prey, setting: str) -> None:
    before = await prey.versions()
    as_other = SETTINGS[setting].format(uuid.uuid4())
    row = await valid_row(prey.admin, prey.table, prey.owner)
    upsert = f"{insertion(prey.table, prey.row)} ON CONFLICT DO NOTHING"
    statuses = {
        "insert": await prey.attempt(as_other, insertion(prey.table, row), *row.values()),
        "upsert": await prey.attempt(as_other, upsert, *prey.row.values()),
        "copy in": await prey.copy_in(as_other, row),
    }

    assert statuses == dict.fromkeys(FORGERIES, "refused")
    assert await prey.versions() == before


async def test_an_upsert_does_not_overwrite_another_tenants_row(prey: Prey) -> None:
    before = await prey.versions()
    other = uuid.uuid4()
    key = ", ".join(await _primary_key(prey))
    overwrite = f"ON CONFLICT ({key}) DO UPDATE SET {prey.column} = EXCLUDED.{prey.column}"
    upsert = f"{insertion(prey.table, prey.row)} {overwrite}"

    assert await prey.attempt(SETTINGS["foreign"].format(other), upsert, *prey.row.values()) == "refused"
    assert await prey.versions() == before


async def test_the_tenant_itself_reads_its_row_where_functions_may_read(prey: Prey) -> None:
    own = SETTINGS["foreign"].format(prey.owner)
    readable = await prey.admin.fetchval(
        "SELECT has_column_privilege('alphapulse_app', 'alphapulse.' || $1, $2, 'SELECT')",
        prey.table,
        prey.column,
    )

    status = await prey.attempt(own, f"SELECT {prey.column} FROM {prey.table}")
    assert status == ("SELECT 1" if readable else "refused")
    assert readable or prey.table in {"one_time_tokens", "recovery_codes", "sessions", "stripe_events"}


async def test_a_row_cannot_be_given_to_another_tenant(prey: Prey) -> None:
    before = await prey.versions()
    own = SETTINGS["foreign"].format(prey.owner)
    update = f"UPDATE {prey.table} SET {prey.column} = $1"

    assert await prey.attempt(own, update, uuid.uuid4()) == "refused"
    assert await prey.versions() == before


async def test_functions_of_the_schema_give_nothing_of_another_tenant(
    database: DatabaseUrls, tenant: TenantId
) -> None:
    """Generated from the catalogue: a new function that the functions' role may call is met here."""
    connection = await asyncpg.connect(database.app)
    try:
        callable_ones = await connection.fetch(
            "SELECT oid::regprocedure::text AS name, prosecdef AS as_owner FROM pg_proc"
            " WHERE pronamespace = 'alphapulse'::regnamespace"
            " AND has_function_privilege(oid, 'EXECUTE') AND prokind = 'f'"
        )
        async with connection.transaction():
            await connection.execute(SETTINGS["foreign"].format(uuid.uuid4()))
            hashes = await connection.fetch("SELECT audit_hash(audit_log) FROM audit_log")
    finally:
        await connection.close()

    # One that runs with its owner's rights may be a way around every policy that names roles.
    assert {row["name"] for row in callable_ones if row["as_owner"]} == OF_SHARED_EVIDENCE
    assert {row["name"] for row in callable_ones} == {"audit_hash(audit_log)", *OF_SHARED_EVIDENCE}
    assert hashes == []


async def test_functions_with_the_owners_rights_reach_shared_evidence_and_no_tenants_table(
    database: DatabaseUrls,
) -> None:
    connection = await asyncpg.connect(database.owner)
    try:
        found = await connection.fetch(
            "SELECT oid::regprocedure::text AS name, prosrc AS body, proconfig AS settings,"
            " proacl::text[] AS grants"
            " FROM pg_proc WHERE pronamespace = 'alphapulse'::regnamespace AND prosecdef"
            " AND has_function_privilege('alphapulse_app', oid, 'EXECUTE')"
        )
    finally:
        await connection.close()

    assert {row["name"] for row in found} == OF_SHARED_EVIDENCE
    for row in found:
        words = set(re.findall(r"\w+", row["body"]))
        assert "evidence_snapshots" in words
        assert not words & {*TABLES, *PARTITIONS, *SHARED_TABLES} - {"evidence_snapshots"}
        # No statement is put together out of what comes in, and no name is looked up elsewhere.
        assert not words & {"EXECUTE", "execute", "format", "query_to_xml"}
        assert row["settings"] == ["search_path=alphapulse, pg_temp"]
        assert {grant.partition("=")[0] for grant in row["grants"]} == {"alphapulse_owner", "alphapulse_app"}


@pytest.mark.parametrize("setting", SETTINGS)
async def test_shared_evidence_tells_one_tenant_nothing_of_another(
    database: DatabaseUrls, tenant: TenantId, setting: str
) -> None:
    """What a tenant's agents read is found by who has read the very same, and names nobody."""
    document = uuid.uuid4().bytes
    digest = hashlib.sha256(document).digest()
    own, other = (f"SET LOCAL app.current_tenant_id = '{one}'" for one in (tenant, uuid.uuid4()))
    connection = await asyncpg.connect(database.app)
    try:
        async with connection.transaction():
            await connection.execute(own)
            kept = await connection.fetch("SELECT * FROM keep_evidence($1)", [document])
        async with connection.transaction():
            await connection.execute(SETTINGS[setting].format(uuid.uuid4()))
            guessed = await connection.fetch("SELECT * FROM evidence_in_use($1)", [uuid.uuid4().bytes * 2])
            known = await connection.fetch("SELECT * FROM evidence_in_use($1)", [digest])
        async with connection.transaction():
            await connection.execute(other)
            # Kept again it is the same row: nobody puts another content in its place.
            await connection.fetch("SELECT keep_evidence($1)", [document])
            rows = await connection.fetch("SELECT * FROM evidence_snapshots WHERE digest = $1", digest)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("UPDATE evidence_snapshots SET document = $1", b"x")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("INSERT INTO evidence_snapshots (digest, document) VALUES ('', '')")
    finally:
        await connection.close()

    assert [tuple(row) for row in kept] == [(None,)]
    assert guessed == []
    assert [row["evidence_in_use"] for row in known] == [digest]
    assert [row["document"] for row in rows] == [document]
    assert set(rows[0].keys()) == {"digest", "document", "used_on", "created_at"}


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
    try:
        seen = await prey.admin.fetchval(
            f"SELECT count(*) FROM {prey.table} WHERE {prey.column} = $1", prey.owner
        )
    except asyncpg.InsufficientPrivilegeError:
        seen = 0
    finally:
        await prey.admin.execute("RESET ROLE")

    assert bool(seen) == (
        prey.table
        in {
            "agent_runs",
            "agent_subscriptions",
            "api_keys",
            "call_backlog",
            "outbox",
            "provisioning_runs",
            "provisioning_steps",
            "sessions",
            "signal_outcomes",
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
        ("agent_subscriptions", {"tenant_id", "interval", "enabled"}),
        ("signal_outcomes", {"tenant_id", "status", "due_at"}),
        ("evidence_snapshots", {"digest", "used_on"}),
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


@pytest.mark.parametrize(
    ("table", "column", "age"),
    [
        ("processed_events", "processed_at", dt.timedelta(days=7)),
        ("idempotency_keys", "created_at", dt.timedelta(days=1)),
        ("one_time_tokens", "expires_at", dt.timedelta(days=1)),
    ],
)
async def test_only_the_platform_without_a_tenant_removes_rows_and_only_old_ones(
    empty_database: DatabaseUrls, postgres: EmbeddedPostgres, table: str, column: str, age: dt.timedelta
) -> None:
    name = empty_database.owner.rpartition("/")[2].partition("?")[0]
    admin = await asyncpg.connect(
        postgres.url(database=name),
        server_settings={"search_path": "alphapulse", "session_replication_role": "replica"},
    )
    roles = {
        role: await asyncpg.connect(getattr(empty_database, role)) for role in ("app", "platform", "owner")
    }
    now, hour = dt.datetime.now(dt.UTC), dt.timedelta(hours=1)
    try:
        for at in (now - age - hour, now - age + hour):
            row = await valid_row(admin, table, uuid.uuid4()) | {column: at}
            if column == "expires_at":
                row |= {"created_at": at - age, "token_hash": uuid.uuid4().bytes * 2}
            await admin.execute(insertion(table, row), *row.values())
        for role, setting in (
            ("app", SETTINGS["absent"]),
            ("app", SETTINGS["foreign"].format(uuid.uuid4())),
            ("owner", SETTINGS["absent"]),
            ("platform", SETTINGS["foreign"].format(uuid.uuid4())),
        ):
            with contextlib.suppress(asyncpg.InsufficientPrivilegeError):
                async with roles[role].transaction():
                    await roles[role].execute(setting)
                    assert await roles[role].execute(f"DELETE FROM {table}") == "DELETE 0", role
        # Nothing else may be done with what it finds.
        assert await roles["platform"].execute(f"UPDATE {table} SET {column} = now()") == "UPDATE 0"
        assert await roles["platform"].execute(f"DELETE FROM {table}") == "DELETE 1"
        assert now - await admin.fetchval(f"SELECT {column} FROM {table}") < age
    finally:
        for connection in (*roles.values(), admin):
            await connection.close()


async def _primary_key(prey: Prey) -> list[str]:
    rows = await prey.admin.fetch(
        "SELECT a.attname::text FROM pg_constraint c CROSS JOIN unnest(c.conkey) AS k (number)"
        " JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number"
        " WHERE c.contype = 'p' AND c.conrelid = ('alphapulse.' || $1)::regclass",
        prey.table,
    )
    return [row["attname"] for row in rows]
