"""The audit log against a real server: chained by the database, never changed."""

import asyncio
import hashlib
import uuid

import asyncpg
import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId

APPEND = (
    "INSERT INTO audit_log (tenant_id, id, actor_type, actor_id, action, details)"
    " VALUES ($1, $2, 'user', 'u1', 'trade.placed', $3)"
)


async def append(database: Database, tenant_id: TenantId, **details: object) -> None:
    async with database.tenant(tenant_id) as session:
        await session.execute(APPEND, tenant_id.value, uuid.uuid4(), details)


async def chain(database: Database, tenant_id: TenantId) -> list[asyncpg.Record]:
    async with database.tenant(tenant_id) as session:
        return await session.fetch(
            "SELECT sequence, previous_hash, hash, audit_hash(audit_log) AS recomputed FROM audit_log"
            " ORDER BY sequence"
        )


async def test_rows_written_at_once_form_one_chain(app_database: Database, tenant: TenantId) -> None:
    await asyncio.gather(*(append(app_database, tenant, number=n) for n in range(8)))

    rows = await chain(app_database, tenant)
    expected = hashlib.sha256(tenant.value.bytes).digest()
    assert [row["sequence"] for row in rows] == list(range(1, 9))
    for row in rows:
        assert row["previous_hash"] == expected
        assert row["hash"] == row["recomputed"]
        expected = row["hash"]


async def test_tenants_have_chains_of_their_own(
    app_database: Database, tenant: TenantId, other_tenant: TenantId
) -> None:
    await append(app_database, tenant)
    await append(app_database, other_tenant)

    for each in (tenant, other_tenant):
        assert [row["sequence"] for row in await chain(app_database, each)] == [1]


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_log SET action = 'x.y'", "DELETE FROM audit_log", "TRUNCATE audit_log"]
)
@pytest.mark.parametrize("role", ["app", "platform", "owner"])
async def test_nobody_changes_what_was_written(database: DatabaseUrls, role: str, statement: str) -> None:
    connection = await asyncpg.connect(getattr(database, role))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()
