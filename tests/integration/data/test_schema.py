"""The migrated schema against the readable one, and against the rules of tenancy."""

import asyncio
import os
import sys
import uuid
from pathlib import Path

import asyncpg
import pytest

from alphapulse import data
from alphapulse.data import migrate
from alphapulse.data.bootstrap import DatabaseUrls, RolePasswords, create_database
from alphapulse_local.embedded.postgres import EmbeddedPostgres
from tests.integration.data.catalogue import describe
from tests.integration.data.tenant_rules import violations

SCHEMA_FILE = Path(data.__file__).with_name("schema.sql")


@pytest.fixture
async def bare_database(postgres: EmbeddedPostgres, role_passwords: RolePasswords) -> DatabaseUrls:
    """A database with the empty schema and no migration."""
    name = f"bare_{uuid.uuid4().hex}"
    return await create_database(postgres.url(), database=name, passwords=role_passwords)


async def test_migrations_produce_the_readable_schema(
    database: DatabaseUrls, bare_database: DatabaseUrls
) -> None:
    written = await asyncpg.connect(bare_database.owner)
    migrated = await asyncpg.connect(database.owner)
    try:
        await written.execute(SCHEMA_FILE.read_text(encoding="utf-8"))
        expected, actual = await describe(written), await describe(migrated)
    finally:
        await written.close()
        await migrated.close()

    for part, contents in expected.items():
        assert contents == actual[part], part
    assert len(actual["tables"]) > 30


async def test_every_table_keeps_the_rules_of_tenancy(database: DatabaseUrls) -> None:
    connection = await asyncpg.connect(database.owner)
    try:
        assert await violations(connection) == []
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("statements", "complaint"),
    [
        ("CREATE TABLE leaky (id uuid PRIMARY KEY)", "leaky has no tenant_id"),
        (
            "CREATE TABLE leaky (tenant_id uuid NOT NULL, id uuid, PRIMARY KEY (tenant_id, id))",
            "row-level security of leaky is not enabled and forced",
        ),
        ("ALTER TABLE trades NO FORCE ROW LEVEL SECURITY", "row-level security of trades"),
        ("DROP POLICY tenant_isolation ON positions", "positions has no policy tenant_isolation"),
        ("ALTER POLICY tenant_isolation ON balances WITH CHECK (true)", "tenant_isolation of balances is"),
        ("CREATE POLICY open ON balances USING (true)", "policy open of balances is for"),
        ("GRANT SELECT ON trades_0 TO alphapulse_app", "partition trades_0 is granted"),
        ("GRANT TRUNCATE ON trades TO alphapulse_app", "more than row access to trades"),
        ("GRANT SELECT ON candles TO PUBLIC", "candles is granted to PUBLIC"),
        ("GRANT INSERT ON candles TO alphapulse_app", "may write the shared table candles"),
        ("CREATE INDEX slow ON positions (symbol)", "index slow of positions does not begin with tenant_id"),
    ],
)
async def test_a_change_that_breaks_a_rule_is_found(
    empty_database: DatabaseUrls, statements: str, complaint: str
) -> None:
    connection = await asyncpg.connect(empty_database.owner)
    try:
        await connection.execute(statements)
        found = await violations(connection)
    finally:
        await connection.close()

    assert any(complaint in sentence for sentence in found), found


async def test_roles_have_no_power_over_the_schema(database: DatabaseUrls) -> None:
    connection = await asyncpg.connect(database.owner)
    try:
        roles = await connection.fetch("""
            SELECT rolname,
                rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication AS mighty,
                EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid) AS member,
                EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid) AS owner,
                has_schema_privilege(r.oid, 'alphapulse', 'CREATE')
                    OR has_schema_privilege(r.oid, 'public', 'CREATE')
                    OR has_database_privilege(r.oid, current_database(), 'CREATE, TEMPORARY') AS creator
            FROM pg_roles r WHERE rolname LIKE 'alphapulse\\_%' ORDER BY rolname""")
    finally:
        await connection.close()

    powers = {role["rolname"]: tuple(role)[1:] for role in roles}
    nothing = (False, False, False, False)
    assert powers == {
        "alphapulse_app": nothing,
        "alphapulse_owner": (False, False, True, True),
        "alphapulse_platform": nothing,
        "alphapulse_readonly": nothing,
    }


async def test_making_the_database_again_changes_nothing_but_the_passwords(
    postgres: EmbeddedPostgres, database: DatabaseUrls, role_passwords: RolePasswords
) -> None:
    again = await create_database(postgres.url(), passwords=role_passwords)

    assert again == database
    assert not await migrate.upgrade(again.owner)


def test_passwords_and_urls_are_not_shown() -> None:
    passwords = RolePasswords.random()
    urls = DatabaseUrls(owner="postgresql://a:geheim@h/d", app="x", platform="y", readonly="z")

    assert passwords.app not in repr(passwords)
    assert "geheim" not in repr(urls)
    with pytest.raises(ValueError, match="'app' must not be empty"):
        RolePasswords(owner="a", app="", platform="c", readonly="d")


async def test_the_command_line_tells_whether_the_database_is_current(
    database: DatabaseUrls, bare_database: DatabaseUrls
) -> None:
    async def run(action: str, url: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "alphapulse.data.migrate",
            action,
            env={**os.environ, "OWNER_DATABASE_URL": url},
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        return process.returncode, output.decode()

    newest = migrate.head()
    assert await run("check", database.owner) == (0, f"database at {newest}, newest {newest}\n")
    assert await run("check", bare_database.owner) == (1, f"database at nothing, newest {newest}\n")
    assert await run("upgrade", bare_database.owner) == (0, f"migrated to {newest}\n")
    assert await run("upgrade", bare_database.owner) == (0, f"already at {newest}\n")
    code, _ = await run("current", "")
    assert code == 1


async def test_a_database_of_newer_code_is_left_alone(empty_database: DatabaseUrls) -> None:
    connection = await asyncpg.connect(empty_database.owner)
    try:
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    finally:
        await connection.close()

    with pytest.raises(migrate.SchemaTooNew, match="9999"):
        await migrate.upgrade(empty_database.owner)
