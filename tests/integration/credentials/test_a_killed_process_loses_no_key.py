"""`kill -9` of the credentials process between Vault and the database."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.exchange_simulators.running import RunningExchanges
from tests.killable_function import KillableFunction, eventually, running_function
from tests.vault_for_functions import FunctionVault, running_vault

HOLD_NEW_ROW = """INSERT INTO tenant_credentials (tenant_id, id, exchange, key_hint)
    VALUES ($1, gen_random_uuid(), 'binance', 'held')"""
HOLD_ROW = "SELECT 1 FROM tenant_credentials FOR UPDATE"


@pytest.fixture
def exchanges() -> Iterator[RunningExchanges]:
    simulated = RunningExchanges()
    simulated.start()
    yield simulated
    simulated.stop()


@pytest.fixture
def vault(tmp_path: Path, tenant: TenantId) -> Iterator[FunctionVault]:
    with running_vault(tmp_path) as running:
        running.admit(tenant)
        yield running


@pytest.fixture
async def process(
    database: DatabaseUrls,
    redis_server: EmbeddedRedis,
    signing_key: bytes,
    tenant: TenantId,
    vault: FunctionVault,
    exchanges: RunningExchanges,
) -> AsyncIterator[KillableFunction]:
    environment = {
        "VAULT_ADDR": vault.store.url,
        "VAULT_ROLE_ID_FILE": str(vault.role_id_file),
        "VAULT_SECRET_ID_FILE": str(vault.secret_id_file),
        **exchanges.environment,
    }
    async with running_function(
        "credentials",
        vault.store.directory.parent,
        database=database,
        redis_server=redis_server,
        signing_key=signing_key,
        tenant=tenant,
        environment=environment,
    ) as running:
        yield running


class _Release(Exception):
    """Ends a transaction that only held something, without a trace."""


async def _killed_before_its_commit(
    process: KillableFunction,
    request: Awaitable[httpx.Response],
    *,
    written: Callable[[], Awaitable[bool]],
    database: Database,
    tenant: TenantId,
    hold: tuple[Any, ...],
) -> None:
    """Send the request, and kill the process when Vault has the key and the row waits."""
    with contextlib.suppress(_Release):
        async with database.tenant(tenant) as holder:
            await holder.execute(*hold)
            sent = asyncio.ensure_future(request)
            await eventually(written)
            process.kill()
            raise _Release
    with pytest.raises(httpx.TransportError):
        await sent


async def test_key_whose_row_was_never_committed_is_not_there_and_the_next_one_takes_its_place(
    process: KillableFunction,
    tenant: TenantId,
    app_database: Database,
    vault: FunctionVault,
    exchanges: RunningExchanges,
) -> None:
    async def written() -> bool:
        return await asyncio.to_thread(vault.versions, tenant, "binance") == [1]

    await _killed_before_its_commit(
        process,
        process.send("POST", "/credentials", exchanges.binance_key()),
        written=written,
        database=app_database,
        tenant=tenant,
        hold=(HOLD_NEW_ROW, tenant.value),
    )
    await process.start()
    assert (await process.send("GET", "/credentials")).json()["items"] == []

    again = await process.send("POST", "/credentials", body := exchanges.binance_key())

    assert (again.status_code, again.json()["version"]) == (201, 2), again.text
    assert vault.versions(tenant, "binance") == [2]
    stored = vault.secret(tenant, "binance")
    assert stored is not None
    assert stored["api_secret"] == body["api_secret"]
    log = process.log.read_text()
    assert body["api_secret"] not in log
    assert all(json.loads(line) for line in log.splitlines() if line.startswith("{"))


async def test_rotation_whose_row_was_never_committed_leaves_the_old_key_in_use(
    process: KillableFunction,
    tenant: TenantId,
    app_database: Database,
    vault: FunctionVault,
    exchanges: RunningExchanges,
) -> None:
    old, lost, new = (exchanges.binance_key() for _ in range(3))
    for body in (lost, new):
        del body["exchange"]
    path = "/credentials/" + (await process.send("POST", "/credentials", old)).json()["id"]

    async def written() -> bool:
        return await asyncio.to_thread(vault.versions, tenant, "binance") == [1, 2]

    await _killed_before_its_commit(
        process,
        process.send("PUT", path, lost),
        written=written,
        database=app_database,
        tenant=tenant,
        hold=(HOLD_ROW,),
    )
    await process.start()
    # Were the lost one in use, the exchange would refuse it.
    del exchanges.binance.keys[lost["api_key"]]
    checked = await process.send("POST", f"{path}/check")
    rotated = await process.send("PUT", path, new)

    assert (checked.json()["status"], checked.json()["version"]) == ("valid", 1)
    assert (rotated.status_code, rotated.json()["version"]) == (200, 3)
    assert vault.versions(tenant, "binance") == [1, 3]
