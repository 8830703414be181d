"""Storing keys: what is asked of the exchange, what is kept where, who may."""

from typing import Any

import pytest

from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from tests.function.conftest import Broker, Functions
from tests.function.credentials.conftest import Venues, credential_rows, secret_of
from tests.vault_for_functions import FunctionVault


async def test_key_that_the_exchange_confirms_is_stored_in_vault_and_described_in_the_database(
    functions: Functions,
    tenant: TenantId,
    venues: Venues,
    vault: FunctionVault,
    broker: Broker,
    app_database: Database,
) -> None:
    body = venues.binance_key()

    answer = await functions.caller("credentials", tenant).post("/credentials", json=body | {"label": "main"})

    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert {name: view[name] for name in ("exchange", "label", "key_hint", "status", "version")} == {
        "exchange": "binance",
        "label": "main",
        "key_hint": body["api_key"][-4:],
        "status": "valid",
        "version": 1,
    }
    assert (view["permissions"], view["ip_restricted"]) == (["read", "trade"], True)
    assert vault.secret(tenant, "binance") == secret_of(body)
    (event,) = await broker.wait_for("credential.stored", tenant_id=tenant)
    assert event.data["credential_id"] == view["id"]
    assert (event.data["exchange"], event.data["vault_version"]) == ("binance", 1)
    (row,) = await credential_rows(app_database, tenant)
    assert body["api_secret"] not in str(row)
    assert body["api_key"] not in str(row)


async def test_no_answer_event_or_audit_entry_holds_the_secret(
    functions: Functions, tenant: TenantId, venues: Venues, broker: Broker, app_database: Database
) -> None:
    body = venues.binance_key()
    caller = functions.caller("credentials", tenant)
    stored = await caller.post("/credentials", json=body, headers={"Idempotency-Key": "k"})
    listed = await caller.get("/credentials")
    checked = await caller.post(f"/credentials/{stored.json()['id']}/check")
    await broker.wait_for("credential.stored", tenant_id=tenant)

    async with app_database.tenant(tenant) as session:
        audited = await session.fetch("SELECT * FROM audit_log")
        replays = await session.fetch("SELECT * FROM idempotency_keys")
    told = " ".join(
        [
            stored.text,
            listed.text,
            checked.text,
            str(audited),
            str(replays),
            str(broker.named("credential.stored")),
        ]
    )
    assert [entry["action"] for entry in audited] == ["credential.stored"]
    assert body["api_secret"] not in told
    assert body["api_key"] not in told


@pytest.mark.parametrize(
    ("permissions", "code"),
    [
        ({"may_withdraw": True}, "withdrawal_permission"),
        ({"may_trade": False}, "trade_permission_missing"),
        ({"may_read": False}, "read_permission_missing"),
    ],
)
async def test_key_that_may_do_too_much_or_too_little_is_refused_and_not_kept(
    functions: Functions,
    tenant: TenantId,
    venues: Venues,
    vault: FunctionVault,
    app_database: Database,
    permissions: dict[str, bool],
    code: str,
) -> None:
    answer = await functions.caller("credentials", tenant).post(
        "/credentials", json=venues.binance_key(**permissions)
    )

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert vault.secret(tenant, "binance") is None
    assert await credential_rows(app_database, tenant) == []


async def test_key_that_the_exchange_does_not_know_is_refused(
    functions: Functions, tenant: TenantId, venues: Venues, vault: FunctionVault
) -> None:
    body = venues.binance_key() | {"api_secret": "of another key"}

    answer = await functions.caller("credentials", tenant).post("/credentials", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "key_refused")
    assert "of another key" not in answer.text
    assert vault.secret(tenant, "binance") is None


@pytest.mark.parametrize(
    ("failure", "code", "retry_after"),
    [(503, "exchange_unavailable", "30"), ((429, {"code": -1003}), "exchange_rate_limited", "7")],
)
async def test_exchange_that_cannot_be_asked_leaves_nothing_behind(
    functions: Functions,
    tenant: TenantId,
    venues: Venues,
    vault: FunctionVault,
    failure: int | tuple[int, Any],
    code: str,
    retry_after: str,
) -> None:
    venues.binance.fail_next = [failure]
    body, caller = venues.binance_key(), functions.caller("credentials", tenant)

    answer = await caller.post("/credentials", json=body, headers={"Idempotency-Key": "k"})

    assert (answer.status_code, answer.json()["code"]) == (502, code)
    assert answer.headers["retry-after"] == retry_after
    assert vault.secret(tenant, "binance") is None
    assert (await caller.get("/credentials")).json()["items"] == []
    again = await caller.post("/credentials", json=body, headers={"Idempotency-Key": "k"})
    assert again.status_code == 201


async def test_second_key_for_the_same_exchange_is_refused_before_the_exchange_is_asked(
    functions: Functions, tenant: TenantId, venues: Venues, vault: FunctionVault
) -> None:
    caller, body = functions.caller("credentials", tenant), venues.binance_key()
    first = await caller.post("/credentials", json=body)
    asked = len(venues.binance.requests)

    second = await caller.post("/credentials", json=venues.binance_key())

    assert (second.status_code, second.json()["code"]) == (409, "credential_exists")
    assert second.json()["credential_id"] == first.json()["id"]
    assert len(venues.binance.requests) == asked
    assert vault.secret(tenant, "binance") == secret_of(body)


async def test_tenants_have_keys_of_their_own(
    functions: Functions, tenant: TenantId, other_tenant: TenantId, venues: Venues, vault: FunctionVault
) -> None:
    mine, theirs = venues.binance_key(), venues.binance_key()
    first = await functions.caller("credentials", tenant).post("/credentials", json=mine)
    other = functions.caller("credentials", other_tenant)
    await other.post("/credentials", json=theirs)
    path = f"/credentials/{first.json()['id']}"

    answers = [
        await other.put(path, json={name: theirs[name] for name in ("api_key", "api_secret")}),
        await other.delete(path),
        await other.post(f"{path}/check"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    listed = (await other.get("/credentials")).json()["items"]
    assert [item["key_hint"] for item in listed] == [theirs["api_key"][-4:]]
    assert vault.secret(tenant, "binance") == secret_of(mine)
    assert vault.secret(other_tenant, "binance") == secret_of(theirs)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("viewer", {"list"}),
        ("trader", {"list", "check"}),
        ("owner", {"list", "check", "rotate", "store", "remove"}),
    ],
)
async def test_roles_may_do_what_is_theirs(
    functions: Functions, tenant: TenantId, venues: Venues, role: str, allowed: set[str]
) -> None:
    owner = functions.caller("credentials", tenant)
    stored = (await owner.post("/credentials", json=venues.binance_key())).json()
    caller, keys = functions.caller("credentials", tenant, role=role), venues.binance_key()
    del keys["exchange"]

    answers = {
        "list": await caller.get("/credentials"),
        "check": await caller.post(f"/credentials/{stored['id']}/check"),
        "rotate": await caller.put(f"/credentials/{stored['id']}", json=keys),
        "store": await caller.post("/credentials", json=venues.kraken_key()),
        "remove": await caller.delete(f"/credentials/{stored['id']}"),
    }

    assert {name for name, answer in answers.items() if answer.is_success} == allowed
    assert {answer.status_code for name, answer in answers.items() if name not in allowed} <= {403}


async def test_anonymous_caller_is_turned_away(functions: Functions) -> None:
    caller = functions.caller("credentials")

    assert (await caller.get("/credentials")).status_code == 401
    assert (await caller.post("/credentials", json={})).status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        {"exchange": "mtgox"},
        {"exchange": "paper"},
        {"api_key": ""},
        {"api_key": "with a blank"},
        {"api_key": "x" * 301},
        {"api_key": "../../kraken"},
        {"api_secret": ""},
        {"api_secret": "x" * 8193},
        {"api_secret": "ümläut-secret"},
        {"api_secret": ["a-secret-list"]},
        {"api_secret": None},
        {"passphrase": ""},
        {"label": "two\nlines"},
        {"label": "x" * 101},
        {"note": "unknown"},
    ],
)
async def test_malformed_request_is_refused_without_showing_what_it_held(
    functions: Functions, tenant: TenantId, venues: Venues, change: dict[str, Any]
) -> None:
    body = venues.binance_key() | change

    answer = await functions.caller("credentials", tenant).post("/credentials", json=body)

    assert answer.status_code == 422
    assert answer.json()["code"] in ("validation_failed", "key_refused")
    for secret in (body["api_secret"], body["api_key"]):
        assert not secret or str(secret) not in answer.text


async def test_body_that_is_no_object_is_refused_without_showing_it(
    functions: Functions, tenant: TenantId
) -> None:
    caller = functions.caller("credentials", tenant)

    for content in (b'"a-very-secret-text"', b'{"api_secret": a-very-secret-text'):
        answer = await caller.post(
            "/credentials", content=content, headers={"content-type": "application/json"}
        )
        assert answer.status_code == 422
        assert "very-secret" not in answer.text
