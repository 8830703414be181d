"""What is left over in Vault goes: retired versions, secrets without a row, removals that were cut off."""

import asyncio
from typing import Any

import pytest

from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from functions.credentials import storing
from tests.function.conftest import Clock, Functions
from tests.function.credentials.conftest import Venues, credential_rows, stored, swept
from tests.tcp_proxy import TcpProxy
from tests.vault_for_functions import FunctionVault


async def _rotated(functions: Functions, tenant: TenantId, credential_id: str, venues: Venues) -> None:
    keys = {name: value for name, value in venues.binance_key().items() if name != "exchange"}
    answer = await functions.caller("credentials", tenant).put(f"/credentials/{credential_id}", json=keys)
    assert answer.status_code == 200, answer.text


async def test_retired_version_is_destroyed_when_its_day_is_over_and_not_before(
    functions: Functions, tenant: TenantId, venues: Venues, vault: FunctionVault, clock: Clock
) -> None:
    credential_id = await stored(functions, tenant, venues.binance_key())
    await _rotated(functions, tenant, credential_id, venues)
    clock.advance(hours=12)
    await _rotated(functions, tenant, credential_id, venues)

    kept = []
    for hours in (11, 2, 10, 2):
        clock.advance(hours=hours)
        await swept(functions, tenant, clock)
        kept.append(vault.versions(tenant, "binance"))

    # Versions 1 and 2 were retired in the hours 0 and 12; these are the hours 23, 25, 35 and 37.
    assert kept == [[1, 2, 3], [2, 3], [2, 3], [3]]
    (view,) = (await functions.caller("credentials", tenant).get("/credentials")).json()["items"]
    assert view["grace_ends_at"] is None


async def test_secret_without_a_row_is_removed(
    functions: Functions, tenant: TenantId, vault: FunctionVault, clock: Clock
) -> None:
    vault.write(tenant, "kraken", {"api_key": "left", "api_secret": "over"})

    answer = await swept(functions, tenant, clock)

    assert answer.status_code == 204
    assert vault.versions(tenant, "kraken") == []


async def test_removal_that_was_cut_off_is_ended(
    functions: Functions,
    tenant: TenantId,
    venues: Venues,
    vault: FunctionVault,
    clock: Clock,
    way_to_vault: TcpProxy,
    app_database: Database,
) -> None:
    credential_id = await stored(functions, tenant, venues.binance_key())
    await way_to_vault.down()
    await functions.caller("credentials", tenant).delete(f"/credentials/{credential_id}")
    await way_to_vault.up()

    await swept(functions, tenant, clock)

    assert vault.versions(tenant, "binance") == []
    assert await credential_rows(app_database, tenant) == []


async def test_sweep_leaves_a_key_alone_that_is_being_stored(
    functions: Functions,
    tenant: TenantId,
    venues: Venues,
    vault: FunctionVault,
    clock: Clock,
    app_database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    insert, written = storing._insert, asyncio.Event()

    async def insert_when_the_sweep_waits(*args: Any, **options: Any) -> Any:
        written.set()
        await _somebody_waits_for_a_lock(app_database, tenant)
        return await insert(*args, **options)

    monkeypatch.setattr(storing, "_insert", insert_when_the_sweep_waits)
    storing_now = asyncio.create_task(stored(functions, tenant, venues.binance_key()))
    await written.wait()
    # The version is in Vault, and its row is not committed.
    assert vault.versions(tenant, "binance") == [1]

    await swept(functions, tenant, clock)

    await storing_now
    assert vault.versions(tenant, "binance") == [1]


async def _somebody_waits_for_a_lock(database: Database, tenant: TenantId) -> None:
    async with asyncio.timeout(5):
        while True:
            async with database.tenant(tenant) as session:
                if await session.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                    return
            await asyncio.sleep(0.02)
