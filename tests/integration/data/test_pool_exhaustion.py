"""A process that has used up its connections: others wait, then are told; nothing is torn down."""

import asyncio
import contextlib

import pytest

from alphapulse.data import pool
from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.data.errors import PoolExhausted
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId

BACKEND = "SELECT pg_backend_pid()"


async def test_a_used_up_pool_is_told_once_and_keeps_its_connections(
    database: DatabaseUrls, tenant: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_ACQUIRE_TIMEOUT_SECONDS", 0.2)
    small = Database(database.app, application_name="exhausted", max_size=2)
    async with contextlib.AsyncExitStack() as held:
        sessions = [await held.enter_async_context(small.tenant(tenant)) for _ in range(2)]
        before = {await session.fetchval(BACKEND) for session in sessions}

        with pytest.raises(PoolExhausted):
            async with asyncio.timeout(1):
                await small.tenant(tenant).__aenter__()

        assert await small.ping()
    async with small.tenant(tenant) as one, small.tenant(tenant) as other:
        after = {await one.fetchval(BACKEND), await other.fetchval(BACKEND)}
    await small.close()

    assert before == after
