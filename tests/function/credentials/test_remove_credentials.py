"""Removing keys: out of Vault in all versions, not while orders are open, and to the end after a failure."""

import asyncio
from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from tests.function.conftest import Clock, Functions
from tests.function.credentials.conftest import Venues, credential_rows, stored, swept
from tests.tcp_proxy import TcpProxy
from tests.vault_for_functions import FunctionVault


async def _remove(
    functions: Functions, tenant: TenantId, credential_id: str, **options: Any
) -> httpx.Response:
    return await functions.caller("credentials", tenant).delete(f"/credentials/{credential_id}", **options)


async def _order(database: Database, tenant: TenantId, *, exchange: str, status: str) -> None:
    async with database.tenant(tenant) as session:
        await session.execute(
            """INSERT INTO trades (tenant_id, id, client_order_id, exchange, symbol, side, type,
                time_in_force, quantity, reference_price, status, fee_currency)
            VALUES ($1, $2, $2::uuid::text, $3, 'BTC-USD', 'buy', 'market', 'gtc', 1, 1, $4, 'USD')""",
            tenant.value,
            uuid7(),
            exchange,
            status,
        )


async def test_removed_key_is_gone_with_all_its_versions(
    functions: Functions, tenant: TenantId, venues: Venues, vault: FunctionVault, app_database: Database
) -> None:
    credential_id = await stored(functions, tenant, venues.binance_key())
    keys = {name: value for name, value in venues.binance_key().items() if name != "exchange"}
    await functions.caller("credentials", tenant).put(f"/credentials/{credential_id}", json=keys)

    answer = await _remove(functions, tenant, credential_id)

    assert (answer.status_code, answer.content) == (204, b"")
    assert vault.versions(tenant, "binance") == []
    assert await credential_rows(app_database, tenant) == []
    async with app_database.tenant(tenant) as session:
        actions = await session.fetch("SELECT action FROM audit_log ORDER BY sequence")
    assert [row["action"] for row in actions][-2:] == ["credential.revoked", "credential.removed"]


async def test_key_may_be_stored_anew_after_its_removal(
    functions: Functions, tenant: TenantId, venues: Venues, vault: FunctionVault
) -> None:
    await _remove(functions, tenant, await stored(functions, tenant, venues.binance_key()))

    await stored(functions, tenant, venues.binance_key())

    assert vault.versions(tenant, "binance") == [1]


async def test_removed_key_is_not_used_for_the_one_stored_after_it(
    functions: Functions, tenant: TenantId, venues: Venues, clock: Clock
) -> None:
    old, new = venues.binance_key(), venues.binance_key()
    credential_id = await stored(functions, tenant, old)
    clock.advance(hours=6)
    await swept(functions, tenant, clock)  # from now on that process remembers the key and its version
    await _remove(functions, tenant, credential_id)
    await stored(functions, tenant, new)
    del venues.binance.keys[old["api_key"]]
    clock.advance(hours=6)

    answer = await swept(functions, tenant, clock)

    assert answer.status_code == 204, answer.text
    (view,) = (await functions.caller("credentials", tenant).get("/credentials")).json()["items"]
    assert (view["version"], view["status"], view["failures"]) == (1, "valid", 0)


@pytest.mark.parametrize("status", ["suspended", "cancelled"])
async def test_tenant_that_may_only_read_may_still_remove_its_key(
    functions: Functions,
    tenant: TenantId,
    venues: Venues,
    platform_database: PlatformDatabase,
    status: str,
) -> None:
    credential_id = await stored(functions, tenant, venues.binance_key())
    async with platform_database.session(tenant) as session:
        await session.execute("UPDATE tenants SET status = $2 WHERE id = $1", tenant.value, status)
    caller = functions.caller("credentials", tenant)
    async with asyncio.timeout(5):  # what a process knows of a tenant is a second old at most
        while (await caller.post(f"/credentials/{credential_id}/check")).status_code != 403:
            await asyncio.sleep(0.05)

    stored_now = await caller.post("/credentials", json=venues.kraken_key())
    removed = await caller.delete(f"/credentials/{credential_id}")

    assert (stored_now.status_code, removed.status_code) == (403, 204)


async def test_removal_is_answered_again_with_its_key_and_is_404_without(
    functions: Functions, tenant: TenantId, venues: Venues
) -> None:
    credential_id = await stored(functions, tenant, venues.binance_key())
    headers = {"Idempotency-Key": "gone"}

    answers = [
        await _remove(functions, tenant, credential_id, headers=headers),
        await _remove(functions, tenant, credential_id, headers=headers),
        await _remove(functions, tenant, credential_id),
    ]

    assert [answer.status_code for answer in answers] == [204, 204, 404]


@pytest.mark.parametrize("status", ["pending_submit", "open", "partially_filled", "unknown"])
async def test_key_whose_orders_are_open_stays_unless_its_removal_is_forced(
    functions: Functions,
    tenant: TenantId,
    venues: Venues,
    vault: FunctionVault,
    app_database: Database,
    status: str,
) -> None:
    credential_id = await stored(functions, tenant, venues.binance_key())
    await _order(app_database, tenant, exchange="binance", status=status)

    refused = await _remove(functions, tenant, credential_id)

    assert (refused.status_code, refused.json()["code"]) == (409, "open_orders")
    assert refused.json()["open_orders"] == 1
    assert vault.versions(tenant, "binance") == [1]
    forced = await _remove(functions, tenant, credential_id, params={"force": "true"})
    assert forced.status_code == 204
    assert vault.versions(tenant, "binance") == []


async def test_ended_orders_and_those_of_another_exchange_are_no_obstacle(
    functions: Functions, tenant: TenantId, venues: Venues, app_database: Database
) -> None:
    credential_id = await stored(functions, tenant, venues.binance_key())
    await _order(app_database, tenant, exchange="binance", status="filled")
    await _order(app_database, tenant, exchange="paper", status="open")

    assert (await _remove(functions, tenant, credential_id)).status_code == 204


async def test_removal_while_vault_is_down_revokes_at_once_and_is_ended_later(
    functions: Functions,
    tenant: TenantId,
    venues: Venues,
    vault: FunctionVault,
    way_to_vault: TcpProxy,
    app_database: Database,
) -> None:
    credential_id = await stored(functions, tenant, venues.binance_key())
    await way_to_vault.down()

    answer = await _remove(functions, tenant, credential_id)

    assert (answer.status_code, answer.json()["code"]) == (503, "dependency_down")
    (row,) = await credential_rows(app_database, tenant)
    assert row["status"] == "revoked"
    caller = functions.caller("credentials", tenant)
    second = await caller.post("/credentials", json=venues.binance_key())
    checked = await caller.post(f"/credentials/{credential_id}/check")
    order = {"symbol": "BTC-USDT", "side": "buy", "type": "market", "quantity": "1", "exchange": "binance"}
    traded = await functions.caller("trade", tenant).post("/trades", json=order)
    codes = [refused.json()["code"] for refused in (second, checked, traded)]
    assert codes == ["credential_revoked", "credential_revoked", "credentials_failed"]
    await way_to_vault.up()
    assert (await _remove(functions, tenant, credential_id)).status_code == 204
    assert vault.versions(tenant, "binance") == []
    assert await credential_rows(app_database, tenant) == []


@pytest.mark.parametrize("text", ["1", "not-an-id", "01997AAA-0000-7000-8000-000000000001", "%2e%2e"])
async def test_malformed_id_is_the_id_of_nothing(functions: Functions, tenant: TenantId, text: str) -> None:
    answer = await _remove(functions, tenant, text)

    assert answer.status_code == 404
