"""Every route x {anonymous, viewer, restricted key, suspended, cancelled, owner}, from the merged document.

A new route is met here without being named: what it may do beyond reading must be listed below.
"""

import re
import time
from typing import Any

import httpx
import pytest

from alphapulse_local.testing import RunningPlatform
from tests.e2e.conftest import User
from tests.e2e.isolation.conftest import PUBLIC, Execute, invited, routes

pytestmark = pytest.mark.e2e

# A change of state holds everywhere within this time.
PROMISED_SECONDS = 1.0
NOBODYS = "0197c9d2-0000-7000-8000-000000000001"
# Changes that concern a user's own login, so that a viewer may make them too.
OWN_LOGIN = {
    "POST /auth/api-keys",
    "DELETE /auth/api-keys/{key_id}",
    "DELETE /auth/sessions/{session_id}",
    "POST /auth/email/verification",
    "POST /auth/logout-all",
    "POST /auth/password",
    "POST /auth/totp",
    "POST /auth/totp/confirm",
    "POST /auth/totp/disable",
    "POST /auth/totp/recovery-codes",
}
# Changes that lessen risk or end something: open while the tenant is suspended.
LESSENING = {
    "DELETE /credentials/{credential_id}",
    "DELETE /trades/{trade_id}",
    "POST /trades/cancel-all",
    "POST /tenants/me/delete",
}
SUSPENDED_MAY = (OWN_LOGIN - {"POST /auth/api-keys"}) | LESSENING
CANCELLED_MAY = SUSPENDED_MAY - {"DELETE /trades/{trade_id}", "POST /trades/cancel-all"}
# These would end the very login that asks.
ENDS_THE_LOGIN = {"POST /auth/logout-all"}


def asked(client: httpx.Client, method: str, path: str, **headers: str) -> tuple[int, str]:
    """Return status and code of a request with an empty body and ids that nobody has."""
    address = re.sub(r"\{symbol\}", "BTC-USD", path)
    address = re.sub(r"\{\w+\}", NOBODYS, address)
    answer = client.request(method, address, headers=headers, json=None if method == "GET" else {})
    problem = answer.headers["content-type"] == "application/problem+json" if answer.content else False
    return answer.status_code, answer.json()["code"] if problem else ""


def answers_of(
    client: httpx.Client, document: dict[str, Any], *, unsafe: bool | None = None, **headers: str
) -> dict[str, tuple[int, str]]:
    """Return what each route that needs a token answers; `unsafe` chooses changes or reads."""
    return {
        f"{method} {path}": asked(client, method, path, **headers)
        for method, path, _ in routes(document)
        if path not in PUBLIC
        and f"{method} {path}" not in ENDS_THE_LOGIN
        and (unsafe is None or unsafe == (method != "GET"))
    }


def refused_with(answers: dict[str, tuple[int, str]], status: int, code: str) -> set[str]:
    return {route for route, answer in answers.items() if answer == (status, code)}


def test_without_credentials_every_route_but_the_public_ones_is_closed(
    user: User, document: dict[str, Any]
) -> None:
    with httpx.Client(base_url=user.http.base_url, timeout=60, trust_env=False) as anybody:
        answers = answers_of(anybody, document)

    assert len(answers) > 30
    assert {status for status, _ in answers.values()} == {401}, answers


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer x.y.z"},
        {"Authorization": "Basic YTpi"},
        {"X-API-Key": "ak_" + "0" * 32 + "_" + "A" * 43},
        {"X-API-Key": "' OR true --"},
        {"Cookie": "alphapulse_access=x.y.z"},
    ],
    ids=["bearer", "basic", "key-of-nobody", "key-injection", "cookie"],
)
def test_credentials_that_do_not_hold_open_nothing(
    user: User, document: dict[str, Any], headers: dict[str, str]
) -> None:
    with httpx.Client(base_url=user.http.base_url, timeout=60, trust_env=False) as impostor:
        answers = answers_of(impostor, document, **headers)

    assert {status for status, _ in answers.values()} == {401}, answers


def test_a_viewer_changes_nothing_but_their_own_login(
    platform: RunningPlatform, user: User, document: dict[str, Any]
) -> None:
    with invited(platform, user, role="viewer") as viewer:
        changes = answers_of(viewer, document, unsafe=True)
        reads = answers_of(viewer, document, unsafe=False)

    assert set(changes) - refused_with(changes, 403, "not_permitted") <= OWN_LOGIN
    assert not {route for route, (status, _) in reads.items() if status == 401}


def test_a_key_for_reading_changes_nothing_and_sees_no_account(user: User, document: dict[str, Any]) -> None:
    key = user.post("/auth/api-keys", {"name": "reader", "role": "viewer", "scopes": ["read"]})["key"]
    with httpx.Client(base_url=user.http.base_url, timeout=60, trust_env=False) as reader:
        reader.headers["X-API-Key"] = key
        changes = answers_of(reader, document, unsafe=True)
        reads = answers_of(reader, document, unsafe=False)

    assert refused_with(changes, 403, "scope_missing") == set(changes)
    closed = refused_with(reads, 403, "scope_missing")
    assert closed == {route for route in reads if re.match(r"GET /(auth|tenants|credentials)\b", route)}


def test_while_suspended_only_reads_and_what_lessens_risk(
    user: User, document: dict[str, Any], execute: Execute
) -> None:
    _become(user, execute, "suspended")

    changes = answers_of(user.http, document, unsafe=True)
    reads = answers_of(user.http, document, unsafe=False)
    assert set(changes) - refused_with(changes, 403, "tenant_suspended") <= SUSPENDED_MAY
    assert not {route for route, (status, _) in reads.items() if status in (401, 403)}


def test_once_cancelled_only_reads(user: User, document: dict[str, Any], execute: Execute) -> None:
    _become(user, execute, "cancelled")

    changes = answers_of(user.http, document, unsafe=True)
    reads = answers_of(user.http, document, unsafe=False)
    assert set(changes) - refused_with(changes, 403, "tenant_cancelled") <= CANCELLED_MAY
    assert not {route for route, (status, _) in reads.items() if status in (401, 403)}


@pytest.mark.parametrize("status", ["pending", "provisioning", "failed"])
def test_before_it_is_active_a_tenant_has_its_account_only(
    user: User, document: dict[str, Any], execute: Execute, status: str
) -> None:
    _become(user, execute, status)

    answers = answers_of(user.http, document, unsafe=False)
    open_ones = set(answers) - refused_with(answers, 403, "tenant_not_active")
    assert open_ones == {route for route in answers if re.match(r"GET /(auth|tenants)/", route)}


def test_once_deleted_nobody_comes_in(user: User, document: dict[str, Any], execute: Execute) -> None:
    _become(user, execute, "deleted")

    answers = answers_of(user.http, document)
    assert {status for status, _ in answers.values()} == {401}, answers
    login = user.http.post("/auth/login", json={"email": user.email, "password": user.password})
    assert login.status_code == 401


def test_an_owner_is_kept_out_of_nothing(user: User, document: dict[str, Any]) -> None:
    answers = answers_of(user.http, document)

    # Who the caller is stops nothing; a password that an action asks for again may.
    closed = {
        route: answer for route, answer in answers.items() if answer[0] in (401, 403) or answer[0] >= 500
    }
    assert closed == {}


def _become(user: User, execute: Execute, status: str) -> None:
    statement = f"UPDATE tenants SET status = '{status}' WHERE id = '{user.tenant_id}'"
    assert execute(statement) == "UPDATE 1"
    time.sleep(PROMISED_SECONDS)
