"""Rotating keys: the old one is kept for a day, and of two at once one wins."""

import asyncio
from typing import Any

import httpx
import pytest

from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.vault.tenant import TenantVault
from functions.credentials import storing
from tests.function.conftest import Broker, Clock, Functions
from tests.function.credentials.conftest import Venues, credential_rows, secret_of
from tests.vault_for_functions import FunctionVault


async def _stored(functions: Functions, tenant: TenantId, body: dict[str, Any]) -> dict[str, Any]:
    answer = await functions.caller("credentials", tenant).post("/credentials", json=body)
    assert answer.status_code == 201, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def _rotate(functions: Functions, tenant: TenantId, id_: str, body: dict[str, Any]) -> httpx.Response:
    keys = {name: value for name, value in body.items() if name != "exchange"}
    return await functions.caller("credentials", tenant).put(f"/credentials/{id_}", json=keys)


async def test_rotation_uses_the_new_key_and_keeps_the_old_one_for_a_day(
    functions: Functions,
    tenant: TenantId,
    venues: Venues,
    vault: FunctionVault,
    broker: Broker,
    clock: Clock,
) -> None:
    old, new = venues.binance_key(), venues.binance_key()
    stored = await _stored(functions, tenant, old | {"label": "main"})

    answer = await _rotate(functions, tenant, stored["id"], new)

    assert answer.status_code == 200, answer.text
    view = answer.json()
    assert (view["version"], view["label"], view["key_hint"]) == (2, "main", new["api_key"][-4:])
    assert view["grace_ends_at"] is not None
    assert vault.secret(tenant, "binance") == secret_of(new)
    assert vault.secret(tenant, "binance", 1) == secret_of(old)
    events = await broker.wait_for("credential.stored", count=2, tenant_id=tenant)
    assert [event.data["vault_version"] for event in events] == [1, 2]


async def test_rotation_to_an_unfit_key_changes_nothing(
    functions: Functions, tenant: TenantId, venues: Venues, vault: FunctionVault
) -> None:
    old = venues.binance_key()
    stored = await _stored(functions, tenant, old)

    answer = await _rotate(functions, tenant, stored["id"], venues.binance_key(may_withdraw=True))

    assert (answer.status_code, answer.json()["code"]) == (422, "withdrawal_permission")
    assert vault.versions(tenant, "binance") == [1]
    listed = (await functions.caller("credentials", tenant).get("/credentials")).json()["items"]
    assert listed == [stored]


async def test_of_two_rotations_at_once_one_wins_and_the_other_is_told(
    functions: Functions, tenant: TenantId, venues: Venues, vault: FunctionVault, app_database: Database
) -> None:
    stored = await _stored(functions, tenant, venues.binance_key())
    bodies = [venues.binance_key() for _ in range(3)]
    asking = 0
    together = asyncio.Event()

    async def all_at_the_exchange() -> None:
        nonlocal asking
        asking += 1
        if asking == 3:
            together.set()
        await together.wait()

    venues.binance.before_answer = all_at_the_exchange

    answers = await asyncio.gather(*(_rotate(functions, tenant, stored["id"], body) for body in bodies))

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"credential_changed"}
    (row,) = await credential_rows(app_database, tenant)
    won = next(body for body, answer in zip(bodies, answers, strict=True) if answer.status_code == 200)
    assert vault.secret(tenant, "binance", row["vault_version"]) == secret_of(won)


async def test_version_that_somebody_else_wrote_meanwhile_is_a_conflict(
    functions: Functions,
    tenant: TenantId,
    venues: Venues,
    vault: FunctionVault,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored = await _stored(functions, tenant, venues.binance_key())
    # A writer without the lock, between this one's look at the newest version and its write.
    look = TenantVault.versions

    async def look_and_lose(self: TenantVault, *parts: str) -> Any:
        found = await look(self, *parts)
        await asyncio.to_thread(vault.write, tenant, "binance", {"api_key": "x", "api_secret": "y"})
        return found

    with monkeypatch.context() as patch:
        patch.setattr(TenantVault, "versions", look_and_lose)
        answer = await _rotate(functions, tenant, stored["id"], venues.binance_key())

    assert (answer.status_code, answer.json()["code"]) == (409, "credential_changed")


async def test_crash_of_a_rotation_between_vault_and_database_leaves_the_old_key_in_use(
    functions: Functions,
    tenant: TenantId,
    venues: Venues,
    vault: FunctionVault,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new = venues.binance_key(), venues.binance_key()
    stored = await _stored(functions, tenant, old)

    async def crash(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(storing, "_update", crash)
        assert (await _rotate(functions, tenant, stored["id"], venues.binance_key())).status_code == 500
    # The exchange forgets the key that was lost; the one that is in use is still good.
    checked = await functions.caller("credentials", tenant).post(f"/credentials/{stored['id']}/check")
    again = await _rotate(functions, tenant, stored["id"], new)

    assert checked.json()["status"] == "valid"
    assert again.json()["version"] == 3
    assert vault.versions(tenant, "binance") == [1, 3]


async def test_rotation_that_is_sent_again_with_its_key_makes_no_second_version(
    functions: Functions, tenant: TenantId, venues: Venues, vault: FunctionVault
) -> None:
    stored = await _stored(functions, tenant, venues.binance_key())
    keys = {name: value for name, value in venues.binance_key().items() if name != "exchange"}
    caller, headers = functions.caller("credentials", tenant), {"Idempotency-Key": "r"}

    first = await caller.put(f"/credentials/{stored['id']}", json=keys, headers=headers)
    again = await caller.put(f"/credentials/{stored['id']}", json=keys, headers=headers)

    assert (again.status_code, again.json()) == (200, first.json())
    assert vault.versions(tenant, "binance") == [1, 2]
