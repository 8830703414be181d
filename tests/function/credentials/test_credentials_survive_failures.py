"""Vault down or a crash between Vault and the database: never a row without its secret."""

from typing import Any

import pytest

from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from functions.credentials import storing
from tests.function.conftest import Functions
from tests.function.credentials.conftest import Venues, credential_rows, secret_of
from tests.tcp_proxy import TcpProxy
from tests.vault_for_functions import FunctionVault


async def test_vault_that_goes_down_in_the_middle_leaves_no_row(
    functions: Functions,
    tenant: TenantId,
    venues: Venues,
    vault: FunctionVault,
    way_to_vault: TcpProxy,
    app_database: Database,
) -> None:
    caller, body = functions.caller("credentials", tenant), venues.binance_key()
    venues.binance.before_answer = way_to_vault.down

    answer = await caller.post("/credentials", json=body, headers={"Idempotency-Key": "k"})

    assert (answer.status_code, answer.json()["code"]) == (503, "dependency_down")
    assert "retry-after" in answer.headers
    assert await credential_rows(app_database, tenant) == []
    venues.binance.before_answer = None
    await way_to_vault.up()
    assert (await caller.post("/credentials", json=body, headers={"Idempotency-Key": "k"})).status_code == 201
    assert vault.secret(tenant, "binance") == secret_of(body)


async def test_crash_between_vault_and_database_leaves_no_row_and_the_next_request_takes_over(
    functions: Functions,
    tenant: TenantId,
    venues: Venues,
    vault: FunctionVault,
    app_database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caller, lost, body = functions.caller("credentials", tenant), venues.binance_key(), venues.binance_key()

    async def crash(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(storing, "_insert", crash)
        answer = await caller.post("/credentials", json=lost)
    assert answer.status_code == 500
    assert await credential_rows(app_database, tenant) == []
    assert vault.versions(tenant, "binance") == [1]

    again = await caller.post("/credentials", json=body)

    assert (again.status_code, again.json()["version"]) == (201, 2)
    assert vault.secret(tenant, "binance") == secret_of(body)
    # What no row names is gone.
    assert vault.versions(tenant, "binance") == [2]
