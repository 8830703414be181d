"""The verifier of audit logs, against what a superuser does to them."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from alphapulse.data.audit import AuditEntry, append
from alphapulse.data.audit_verify import Head, Verdict, verify_all
from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.postgres import EmbeddedPostgres

ROWS = 6


@pytest.fixture
async def chain(app_database: Database, tenant: TenantId) -> uuid.UUID:
    """A tenant with some entries."""
    for number in range(ROWS):
        details = {"number": number, "text": 'é \u2603 "quoted"', "nested": {"a": [1, 2.5, None]}}
        async with app_database.tenant(tenant) as session:
            entry = AuditEntry(actor_type="user", actor_id="u", action="trade.placed", details=details)
            await append(session, tenant.value, entry)
    return tenant.value


@pytest.fixture
async def superuser(postgres: EmbeddedPostgres, database: DatabaseUrls) -> AsyncIterator[asyncpg.Connection]:
    """Whoever owns the server: no policy and no trigger stops them."""
    connection = await asyncpg.connect(
        postgres.url(database="alphapulse"), server_settings={"search_path": "alphapulse"}
    )
    await connection.execute("SET session_replication_role = replica")
    yield connection
    await connection.close()


async def verdict(database: DatabaseUrls, chain: uuid.UUID, *, seen: Head | None = None) -> Verdict:
    known = {} if seen is None else {chain: seen}
    return (await verify_all(database.platform, [chain], seen=known))[0]


async def test_a_chain_as_it_was_written_is_whole(database: DatabaseUrls, chain: uuid.UUID) -> None:
    found = await verdict(database, chain)

    assert (found.entries, found.broken_at) == (ROWS, None)
    assert found.head is not None
    assert found.head.sequence == ROWS


async def test_a_tenant_without_entries_has_a_whole_chain(database: DatabaseUrls) -> None:
    found = await verdict(database, uuid.uuid4())

    assert (found.entries, found.head, found.broken_at) == (0, None, None)


OF_ROW_3 = "WHERE tenant_id = $1 AND sequence = 3"
REHASHED = f"UPDATE audit_log a SET hash = audit_hash(a) {OF_ROW_3}"


@pytest.mark.parametrize(
    ("statements", "broken_at"),
    [
        ([f"UPDATE audit_log SET details = '{{}}' {OF_ROW_3}"], 3),
        ([f"UPDATE audit_log SET actor_id = 'somebody else' {OF_ROW_3}"], 3),
        ([f"UPDATE audit_log SET action = 'trade.cancelled' {OF_ROW_3}"], 3),
        ([f"UPDATE audit_log SET created_at = created_at - interval '1 microsecond' {OF_ROW_3}"], 3),
        ([f"UPDATE audit_log SET trace_id = 'x' {OF_ROW_3}"], 3),
        ([f"UPDATE audit_log SET hash = sha256('x') {OF_ROW_3}"], 3),
        ([f"DELETE FROM audit_log {OF_ROW_3}"], 3),
        (["DELETE FROM audit_log WHERE tenant_id = $1 AND sequence = 1"], 1),
        # Changed with its hash made anew: the row after it tells.
        ([f"UPDATE audit_log SET actor_id = 'somebody else' {OF_ROW_3}", REHASHED], 4),
        # Removed with the others moved up.
        (
            [
                f"DELETE FROM audit_log {OF_ROW_3}",
                "UPDATE audit_log SET sequence = 3 WHERE tenant_id = $1 AND sequence = 6",
            ],
            3,
        ),
        # Two rows exchanged.
        (
            [
                "UPDATE audit_log SET sequence = sequence + 100 WHERE tenant_id = $1 AND sequence IN (2, 3)",
                "UPDATE audit_log SET sequence = 105 - sequence WHERE tenant_id = $1 AND sequence > 100",
            ],
            2,
        ),
    ],
)
async def test_what_a_superuser_changes_is_found_at_its_place(
    database: DatabaseUrls, superuser: asyncpg.Connection, chain: uuid.UUID,
    statements: list[str], broken_at: int,
) -> None:  # fmt: skip
    for statement in statements:
        await superuser.execute(statement, chain)

    found = await verdict(database, chain)

    assert found.broken_at == broken_at
    assert found.reason


async def test_rows_removed_at_the_end_are_missed_by_who_saw_them(
    database: DatabaseUrls, superuser: asyncpg.Connection, chain: uuid.UUID
) -> None:
    seen = (await verdict(database, chain)).head
    await superuser.execute("DELETE FROM audit_log WHERE tenant_id = $1 AND sequence > 4", chain)

    unseen, missed = await verdict(database, chain), await verdict(database, chain, seen=seen)

    assert (unseen.broken_at, missed.broken_at) == (None, 5)


async def test_a_chain_that_was_written_anew_is_not_the_one_seen(
    app_database: Database, database: DatabaseUrls, superuser: asyncpg.Connection, chain: uuid.UUID
) -> None:
    seen = (await verdict(database, chain)).head
    await superuser.execute("DELETE FROM audit_log WHERE tenant_id = $1", chain)
    for _ in range(ROWS + 2):
        async with app_database.tenant(TenantId(chain)) as session:
            entry = AuditEntry(actor_type="user", actor_id="u", action="trade.placed")
            await append(session, chain, entry)

    found = await verdict(database, chain, seen=seen)

    assert (found.broken_at, (await verdict(database, chain)).broken_at) == (ROWS, None)


def run(database: DatabaseUrls, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alphapulse.data.audit_verify", *options],
        env=os.environ | {"PLATFORM_DATABASE_URL": database.platform},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_the_command_names_the_first_bad_row_and_fails(
    database: DatabaseUrls, superuser: asyncpg.Connection, chain: uuid.UUID, tmp_path: Path
) -> None:
    heads = tmp_path / "heads.json"
    before = run(database, "--tenant", str(chain), "--heads", str(heads))
    await superuser.execute("DELETE FROM audit_log WHERE tenant_id = $1 AND sequence > 4", chain)
    table = run(database, "--tenant", str(chain), "--heads", str(heads))
    document = run(database, "--tenant", str(chain), "--heads", str(heads), "--json")

    assert (before.returncode, table.returncode, document.returncode) == (0, 1, 1)
    assert "BROKEN at 5: rows up to 6 were there and are gone" in table.stdout
    found = json.loads(document.stdout)
    assert (found["broken"], found["chains"][0]["broken_at"]) == (1, 5)


async def test_the_command_verifies_all_tenants(empty_database: DatabaseUrls) -> None:
    done = run(empty_database)

    assert (done.returncode, done.stdout) == (0, "0 chains, 0 broken\n")


def test_the_command_says_what_it_needs_and_shows_no_password(database: DatabaseUrls) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PLATFORM_DATABASE_URL"}
    command = [sys.executable, "-m", "alphapulse.data.audit_verify"]
    unset = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    url = "postgresql://someone:a-password@127.0.0.1:1/alphapulse"
    down = subprocess.run(
        command, env=environment | {"PLATFORM_DATABASE_URL": url}, capture_output=True, text=True, check=False
    )

    assert (unset.returncode, "PLATFORM_DATABASE_URL" in unset.stderr) == (2, True)
    assert (down.returncode, "a-password" in down.stdout + down.stderr) == (2, False)
