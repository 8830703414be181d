"""Sign-up answers at once with a pending tenant, and asks for the rest by an event."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from alphapulse.runtime.settings import Settings
from alphapulse.tenancy.tenant import TenantId
from tests.function.conftest import Broker, Functions

PASSWORD = "correct horse battery"


@pytest.fixture
def function_settings(function_settings: Settings, signing_key: bytes, tmp_path: Path) -> Settings:
    key_file = tmp_path / "key.pem"
    key_file.write_bytes(signing_key)
    return function_settings.replace(token_signing_key_file=key_file)


@pytest.fixture
async def api(functions: Functions) -> AsyncIterator[httpx.AsyncClient]:
    yield functions.caller("accounts")
    await functions.settle()


@pytest.fixture
async def account(api: httpx.AsyncClient, tmp_path: Path) -> dict[str, Any]:
    """A fresh account, with the headers of its owner under `headers`."""
    email = f"{TenantId.new()}@example.com"
    body = {"email": email, "password": PASSWORD, "company": "Acme", "tier": "pro"}
    answer = await api.post("/auth/signup", json=body)
    assert answer.status_code == 202, answer.text
    tokens = (await api.post("/auth/login", json={"email": email, "password": PASSWORD})).json()
    return {**answer.json(), "headers": {"Authorization": f"Bearer {tokens['access_token']}"}}


async def test_the_answer_names_where_to_watch(account: dict[str, Any]) -> None:
    assert (account["status"], f"/tenants/{account['tenant_id']}/provisioning") == (
        "pending",
        account["status_url"],
    )


async def test_all_six_steps_wait_and_nothing_is_made_yet(
    api: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    found = (await api.get(account["status_url"], headers=account["headers"])).json()

    assert [(step["step"], step["status"], step["attempts"]) for step in found["steps"]] == [
        (name, "waiting", 0) for name in ("database", "vault", "cache", "billing", "verify", "activate")
    ]
    assert (found["status"], found["run"]["kind"], found["run"]["status"]) == (
        "pending",
        "provision",
        "running",
    )


async def test_the_event_that_starts_the_saga_names_its_run(
    api: httpx.AsyncClient, account: dict[str, Any], broker: Broker
) -> None:
    tenant = TenantId.parse(account["tenant_id"])
    (event,) = await broker.wait_for("tenant.signup.requested", tenant_id=tenant)
    found = (await api.get(account["status_url"], headers=account["headers"])).json()

    assert found["run"]["id"] == event.data["run_id"] == event.extensions["correlationid"]


async def test_a_provisioning_that_has_not_failed_is_not_tried_again(
    api: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    answer = await api.post(f"{account['status_url']}/retry", headers=account["headers"])

    assert (answer.status_code, answer.json()["code"]) == (409, "provisioning_not_failed")


async def test_another_tenant_can_neither_watch_nor_try_again(
    api: httpx.AsyncClient, account: dict[str, Any], functions: Functions, other_tenant: TenantId
) -> None:
    stranger = functions.authorization(other_tenant)

    watched = await api.get(account["status_url"], headers=stranger)
    retried = await api.post(f"{account['status_url']}/retry", headers=stranger)

    assert (watched.status_code, retried.status_code) == (404, 404)


async def test_a_tenant_that_is_being_provisioned_cannot_be_deleted(
    api: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    answer = await api.post("/tenants/me/delete", json={"password": PASSWORD}, headers=account["headers"])

    assert (answer.status_code, answer.json()["code"]) == (409, "provisioning_running")
