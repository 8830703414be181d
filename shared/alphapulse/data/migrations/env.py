"""Alembic's entry: all pending revisions in one transaction over asyncpg."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

# A migration that cannot get a lock at once would queue every query of the table behind itself.
_LOCK_TIMEOUT = "5s"
# Any constant works that all migrating processes share.
_ONE_MIGRATOR = 7_305_801_992_204_163


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=None,
        version_table="alembic_version",
        version_table_schema="alphapulse",
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ONE_MIGRATOR})
        connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
        connection.execute(text("SET LOCAL search_path = alphapulse"))
        context.run_migrations()


async def _run(url: str) -> None:
    connect_args: dict[str, Any] = {"statement_cache_size": 0, "server_settings": {"statement_timeout": "0"}}
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1),
        poolclass=pool.NullPool,
        connect_args=connect_args,
    )
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate)
    finally:
        await engine.dispose()


asyncio.run(_run(context.config.attributes["url"]))
