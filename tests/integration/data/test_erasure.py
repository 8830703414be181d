"""Rows are erased for the transaction's own tenant, by the platform's role, and never from the audit log."""

import asyncpg
import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.tenancy.tenant import TenantId

ERASE = "SELECT erase_tenant_rows('risk_limits', 100)"


async def run(url: str, tenant: TenantId | None, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            if tenant is not None:
                await connection.execute(f"SET LOCAL app.current_tenant_id = '{tenant}'")
            return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_only_the_own_tenants_rows_go(
    database: DatabaseUrls, tenant: TenantId, other_tenant: TenantId
) -> None:
    erased = await run(database.platform, tenant, ERASE)

    left = [
        await run(database.platform, whose, "SELECT tenant_has_rows('risk_limits')")
        for whose in (tenant, other_tenant)
    ]
    assert (erased, left) == (1, [False, True])


@pytest.mark.parametrize("setting", ["absent", "empty"])
async def test_without_a_tenant_nothing_goes(database: DatabaseUrls, tenant: TenantId, setting: str) -> None:
    connection = await asyncpg.connect(database.platform)
    try:
        async with connection.transaction():
            if setting == "empty":
                await connection.execute("SET LOCAL app.current_tenant_id = ''")
            erased = await connection.fetchval(ERASE)
    finally:
        await connection.close()

    assert erased == 0
    assert await run(database.platform, tenant, "SELECT tenant_has_rows('risk_limits')") is True


@pytest.mark.parametrize("statement", [ERASE, "SELECT tenant_has_rows('risk_limits')"])
@pytest.mark.parametrize("role", ["app", "readonly"])
async def test_other_roles_may_not_call_it(
    database: DatabaseUrls, tenant: TenantId, role: str, statement: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run(getattr(database, role), tenant, statement)


async def test_the_audit_log_is_not_erased(database: DatabaseUrls, tenant: TenantId) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await run(database.platform, tenant, "SELECT erase_tenant_rows('audit_log', 100)")


@pytest.mark.parametrize(
    "relation", ["risk_limits; DROP TABLE trades", 'risk_limits" WHERE true --', "pg_authid", "candles"]
)
async def test_a_name_that_is_no_tenant_table_is_refused(
    database: DatabaseUrls, tenant: TenantId, relation: str
) -> None:
    quoted = relation.replace("'", "''")

    with pytest.raises((asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)):
        await run(database.platform, tenant, f"SELECT erase_tenant_rows('{quoted}', 100)")


async def test_a_batch_is_no_larger_than_asked_for(database: DatabaseUrls, tenant: TenantId) -> None:
    await run(
        database.app,
        tenant,
        f"""INSERT INTO trades (tenant_id, id, client_order_id, exchange, symbol, side, type, quantity)
        SELECT '{tenant}', gen_random_uuid(), 'o' || n, 'paper', 'BTC-USD', 'buy', 'market', 1
        FROM generate_series(1, 25) n""",
    )

    erased = [
        await run(database.platform, tenant, "SELECT erase_tenant_rows('trades', 10)") for _ in range(4)
    ]

    assert erased == [10, 10, 5, 0]
