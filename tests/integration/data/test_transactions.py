"""Transactions of tenants against a real server."""

import asyncio
import uuid
from decimal import Decimal

import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.data.errors import (
    DatabaseUnavailable,
    NotCommitted,
    ReferenceMissing,
    StatementRefused,
    UniqueViolated,
)
from alphapulse.data.session import TransactionOver
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.postgres import EmbeddedPostgres

INSERT_POSITION = (
    "INSERT INTO positions (tenant_id, exchange, symbol, quantity, average_price)"
    " VALUES ($1, 'paper', $2, $3, 1)"
)


async def test_a_tenant_sees_its_own_rows_and_no_others(
    app_database: Database, tenant: TenantId, other_tenant: TenantId
) -> None:
    async with app_database.tenant(tenant) as session:
        await session.execute(INSERT_POSITION, tenant.value, "BTC-USD", Decimal(1))

    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT count(*) FROM positions") == 1
    async with app_database.tenant(other_tenant) as session:
        assert await session.fetchval("SELECT count(*) FROM positions") == 0


async def test_a_block_that_raises_leaves_nothing(app_database: Database, tenant: TenantId) -> None:
    async def work() -> None:
        async with app_database.tenant(tenant) as session:
            await session.execute(INSERT_POSITION, tenant.value, "BTC-USD", Decimal(1))
            raise LookupError

    with pytest.raises(LookupError):
        await work()

    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT count(*) FROM positions") == 0


async def test_a_cancelled_block_leaves_nothing_and_the_pool_usable(
    database: DatabaseUrls, tenant: TenantId
) -> None:
    single = Database(database.app, application_name="test", max_size=1)

    async def work() -> None:
        async with single.tenant(tenant) as session:
            await session.execute(INSERT_POSITION, tenant.value, "BTC-USD", Decimal(1))
            await session.fetchval("SELECT pg_sleep(30)")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(work(), 0.3)
    async with single.tenant(tenant) as session:
        assert await session.fetchval("SELECT count(*) FROM positions") == 0
    await single.close()


async def test_a_swallowed_error_is_not_reported_as_a_commit(
    app_database: Database, tenant: TenantId
) -> None:
    async def work() -> None:
        async with app_database.tenant(tenant) as session:
            await session.execute(INSERT_POSITION, tenant.value, "BTC-USD", Decimal(1))
            with pytest.raises(UniqueViolated):
                await session.execute(INSERT_POSITION, tenant.value, "BTC-USD", Decimal(1))

    with pytest.raises(NotCommitted):
        await work()


async def test_violations_name_the_constraint_and_no_value(app_database: Database, tenant: TenantId) -> None:
    async with app_database.tenant(tenant) as session:
        await session.execute(INSERT_POSITION, tenant.value, "SECRET-USD", Decimal(1))
    with pytest.raises(UniqueViolated) as unique:
        async with app_database.tenant(tenant) as session:
            await session.execute(INSERT_POSITION, tenant.value, "SECRET-USD", Decimal(1))
    with pytest.raises(ReferenceMissing) as reference:
        async with app_database.tenant(tenant) as session:
            await session.execute(
                "INSERT INTO agent_run_tasks (tenant_id, run_id, agent, symbol)"
                " VALUES ($1, $2, 'value', 'BTC-USD')",
                tenant.value,
                uuid.uuid4(),
            )

    assert unique.value.constraint == "positions_tenant_id_exchange_symbol_key"
    assert "SECRET" not in str(unique.value)
    assert unique.value.__cause__ is None
    assert unique.value.__suppress_context__
    assert reference.value.table == "agent_run_tasks"


async def test_a_session_ends_with_its_transaction(app_database: Database, tenant: TenantId) -> None:
    async with app_database.tenant(tenant) as session:
        await session.fetchval("SELECT 1")

    with pytest.raises(TransactionOver):
        await session.fetchval("SELECT 1")


@pytest.mark.parametrize(
    "statement",
    [
        "COMMIT",
        "/* harmless */ ROLLBACK",
        "-- harmless\nSET app.current_tenant_id = 'x'",
        "RESET ALL",
        "DISCARD ALL",
        "SELECT set_config('app.current_tenant_id', 'x', false)",
        "SELECT \"set_config\"('app.' || 'x', 'x', false)",
        "SELECT U&\"set\\005fconfig\"('a.b', 'x', false)",
        "DO $$ BEGIN NULL; END $$",
        "SELECT pg_advisory_lock(1)",
        "CREATE TEMPORARY TABLE t ()",
        "",
    ],
)
async def test_a_session_refuses_to_leave_its_transaction_or_tenant(
    app_database: Database, tenant: TenantId, statement: str
) -> None:
    async with app_database.tenant(tenant) as session:
        for run in (session.fetch, session.fetchrow, session.fetchval, session.execute):
            with pytest.raises(StatementRefused):
                await run(statement)
        with pytest.raises(StatementRefused):
            await session.executemany(statement, [])


async def test_a_script_of_two_commands_is_not_run(app_database: Database, tenant: TenantId) -> None:
    with pytest.raises(Exception, match="multiple commands"):
        async with app_database.tenant(tenant) as session:
            await session.execute("SELECT 1; COMMIT")


async def test_values_keep_their_kind(app_database: Database, tenant: TenantId) -> None:
    amount = Decimal("0.000000000000000001")
    async with app_database.tenant(tenant) as session:
        row = await session.fetchrow(
            "SELECT $1::numeric AS amount, $2::jsonb AS document",
            amount,
            {"price": Decimal("1.50"), "n": [1]},
        )

    assert row is not None
    assert row["amount"] == amount
    assert row["document"] == {"price": "1.50", "n": [1]}


async def test_execute_tells_what_it_did(app_database: Database, tenant: TenantId) -> None:
    async with app_database.tenant(tenant) as session:
        assert await session.execute("UPDATE tenant_configs SET trading_halted = false") == "UPDATE 1"
        assert await session.execute("DELETE FROM positions WHERE tenant_id = $1", tenant.value) == "DELETE 0"


async def test_an_exhausted_pool_is_unavailable_instead_of_waiting(
    database: DatabaseUrls, tenant: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alphapulse.data.pool._ACQUIRE_TIMEOUT_SECONDS", 0.1)
    single = Database(database.app, application_name="test", max_size=1)
    async with single.tenant(tenant):
        with pytest.raises(DatabaseUnavailable):
            async with single.tenant(tenant):
                pass
    await single.close()


async def test_no_server_is_unavailable_and_the_text_has_no_password(
    tenant: TenantId,
) -> None:
    absent = Database("postgresql://someone:geheim@127.0.0.1:1/nothing", application_name="test")

    with pytest.raises(DatabaseUnavailable) as raised:
        async with absent.tenant(tenant):
            pass
    assert "geheim" not in str(raised.value)
    assert not await absent.ping()
    await absent.close()


async def test_the_platform_acts_without_a_tenant_or_for_one(
    platform_database: PlatformDatabase, tenant: TenantId, other_tenant: TenantId
) -> None:
    async with platform_database.session() as session:
        found = await session.fetch(
            "SELECT id FROM tenants WHERE id = ANY($1)", [tenant.value, other_tenant.value]
        )
        limits = await session.fetchval("SELECT count(*) FROM risk_limits")
    async with platform_database.session(tenant) as session:
        own = await session.fetchval("SELECT count(*) FROM risk_limits")

    assert len(found) == 2
    assert limits == 0
    assert own == 1


async def test_the_pool_recovers_from_a_restart_of_the_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("restarted"), password="restarted", durable=False)
    server.start()
    tenant_id = TenantId.new()
    database = Database(server.url(), application_name="test")
    try:
        async with database.tenant(tenant_id) as session:
            assert await session.fetchval("SELECT 1") == 1
        server.stop()
        with pytest.raises(DatabaseUnavailable):
            async with database.tenant(tenant_id):
                pass
        server.start()
        async with database.tenant(tenant_id) as session:
            assert await session.fetchval("SELECT 1") == 1
        server.stop()
        server.start()
        async with database.tenant(tenant_id) as session:
            assert await session.fetchval("SELECT 1") == 1
    finally:
        await database.close()
        server.stop()


@pytest.mark.parametrize(
    "value",
    ["x'; RESET ROLE; --", "", None, 1, b"1" * 16, uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"],
)
async def test_only_a_tenant_id_opens_a_tenant_transaction(app_database: Database, value: object) -> None:
    with pytest.raises(TypeError):
        app_database.tenant(value)  # type: ignore[arg-type] # the point of the test
