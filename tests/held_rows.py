"""Hold rows in an open transaction, so that another process stops in the middle of its work."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.postgres import EmbeddedPostgres
from tests.killable_function import eventually


@contextlib.asynccontextmanager
async def held(
    database: DatabaseUrls, tenant: TenantId, statement: str, *arguments: Any
) -> AsyncIterator[None]:
    """Run a statement as a tenant and keep its transaction open; undo it at the end."""
    connection = await asyncpg.connect(database.app)
    try:
        await connection.execute(f"BEGIN; SET LOCAL app.current_tenant_id = '{tenant}'")
        await connection.execute(statement, *arguments)
        yield
        await connection.execute("ROLLBACK")
    finally:
        await connection.close()


async def waits_for_a_lock(postgres: EmbeddedPostgres, application_name: str) -> None:
    """Return when a connection of this name waits for a lock."""
    observer = await asyncpg.connect(postgres.url())

    async def waits() -> bool:
        return bool(
            await observer.fetchval(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE application_name = $1 AND wait_event_type = 'Lock'",
                application_name,
            )
        )

    try:
        await eventually(waits)
    finally:
        await observer.close()
