"""API keys: shown once, no more than their maker, and worth nothing once they end."""

import datetime as dt
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from alphapulse.runtime.trace import continue_trace
from alphapulse.runtime.work import Scope
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from tests.function.accounts.conftest import People, Person, audited, eventually
from tests.function.conftest import Clock, Functions

IssueKey = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def caller(functions: Functions, address: str) -> Callable[..., httpx.AsyncClient]:
    """`caller("trade", key)`: a client of a function with an API key."""

    def make(function: str, key: str) -> httpx.AsyncClient:
        client = functions.caller(function)
        client.headers.update({"X-API-Key": key, "X-Forwarded-For": address})
        return client

    return make


async def test_a_key_is_shown_once_and_stored_as_its_hash(
    owner: Person, issue_key: IssueKey, functions: Functions, tenant: TenantId
) -> None:
    created = await issue_key(owner, name="bot")

    listed = (await owner.api.get("/auth/api-keys")).json()["items"]
    async with functions.resources("accounts").platform.session(tenant) as session:
        row = await session.fetchrow("SELECT * FROM api_keys WHERE tenant_id = $1", tenant.value)
    assert row is not None
    assert created["key"].startswith(f"ak_{tenant.value.hex}_")
    assert len(created["key"].rpartition(tenant.value.hex + "_")[2]) == 43
    assert row["key_hash"] == hashlib.sha256(created["key"].encode()).digest()
    assert created["key"] not in str(dict(row))
    assert [("bot", "owner", [], created["key"][:40])] == [
        (key["name"], key["role"], key["scopes"], key["prefix"]) for key in listed
    ]
    assert "key" not in listed[0]


async def test_a_key_works_in_every_function(
    owner: Person, issue_key: IssueKey, caller: Callable[..., httpx.AsyncClient]
) -> None:
    key = (await issue_key(owner))["key"]

    assert (await caller("portfolio", key).get("/portfolio")).status_code == 200
    assert (await caller("trade", key).get("/trades")).status_code == 200
    assert (await caller("accounts", key).get("/tenants/me")).json()["id"] == str(owner.tenant_id)


async def test_scopes_restrict_a_key_to_their_segments(
    owner: Person, issue_key: IssueKey, caller: Callable[..., httpx.AsyncClient]
) -> None:
    reading = (await issue_key(owner, scopes=["read"]))["key"]
    trading = (await issue_key(owner, scopes=["trade", "trade"]))["key"]

    answers = {
        "read trades": await caller("trade", reading).get("/trades"),
        "halt": await caller("trade", reading).post("/trades/cancel-all"),
        "read account": await caller("accounts", reading).get("/tenants/me"),
        "trade trades": await caller("trade", trading).get("/trades"),
        "trade halt": await caller("trade", trading).post("/trades/cancel-all"),
        "trade portfolio": await caller("portfolio", trading).get("/portfolio"),
    }

    assert {name: answer.status_code for name, answer in answers.items()} == {
        "read trades": 200,
        "halt": 403,
        "read account": 403,
        "trade trades": 200,
        "trade halt": 200,
        "trade portfolio": 403,
    }
    assert answers["halt"].json()["code"] == "scope_missing"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/auth/api-keys"),
        ("POST", "/auth/api-keys"),
        ("DELETE", "/auth/api-keys/0197c9d2-0000-7000-8000-000000000001"),
        ("GET", "/auth/sessions"),
        ("POST", "/auth/logout-all"),
        ("POST", "/auth/password"),
        ("GET", "/auth/totp"),
        ("POST", "/auth/totp"),
        ("POST", "/auth/email/verification"),
        ("GET", "/tenants/me/users"),
        ("POST", "/tenants/me/users"),
        ("DELETE", "/tenants/me/users/0197c9d2-0000-7000-8000-000000000001"),
    ],
)
async def test_an_owners_key_cannot_make_itself_last_or_take_the_account_over(
    owner: Person, issue_key: IssueKey, caller: Callable[..., httpx.AsyncClient], method: str, path: str
) -> None:
    client = caller("accounts", (await issue_key(owner, scopes=["account"]))["key"])
    bodies: dict[str, Any] = {
        "/auth/api-keys": {"name": "another"},
        "/auth/password": {"current_password": "x", "new_password": "another horse battery"},
        "/auth/totp": {"password": "x"},
        "/tenants/me/users": {"email": "a@example.com", "role": "owner"},
    }

    answer = await client.request(method, path, json=bodies.get(path) if method == "POST" else None)

    assert (answer.status_code, answer.json()["code"]) == (403, "login_required")


@pytest.mark.parametrize(
    ("maker", "role", "expected"),
    [
        ("viewer", None, 201),
        ("viewer", "viewer", 201),
        ("viewer", "trader", 403),
        ("viewer", "owner", 403),
        ("trader", "trader", 201),
        ("trader", "owner", 403),
        ("owner", "viewer", 201),
        ("owner", "platform_admin", 422),
        ("platform_admin", None, 403),
        ("platform_admin", "viewer", 403),
    ],
)
async def test_nobody_makes_a_key_with_more_than_they_have(
    people: People, tenant: TenantId, maker: str, role: str | None, expected: int
) -> None:
    person = await (await people(tenant, maker)).log_in()

    answer = await person.api.post("/auth/api-keys", json={"name": "a key", "role": role})

    assert answer.status_code == expected, answer.text


async def test_a_viewers_key_changes_nothing_and_a_demoted_users_key_is_demoted(
    owner: Person, people: People, tenant: TenantId, issue_key: IssueKey,
    caller: Callable[..., httpx.AsyncClient],
) -> None:  # fmt: skip
    trader = await (await people(tenant, "trader")).log_in()
    client = caller("trade", (await issue_key(trader))["key"])
    assert (await client.post("/trades/cancel-all")).status_code == 200

    changed = await owner.api.patch(f"/tenants/me/users/{trader.user_id}", json={"role": "viewer"})

    assert changed.status_code == 200
    await eventually(403, lambda: client.post("/trades/cancel-all"))
    assert (await client.get("/trades")).status_code == 200


async def test_a_revoked_key_is_refused_within_a_second(
    owner: Person, issue_key: IssueKey, caller: Callable[..., httpx.AsyncClient], app_database: Database
) -> None:
    created = await issue_key(owner)
    client = caller("portfolio", created["key"])
    assert (await client.get("/portfolio")).status_code == 200

    revoked = await owner.api.delete(f"/auth/api-keys/{created['id']}")
    answer = await eventually(401, lambda: client.get("/portfolio"))

    assert revoked.status_code == 204
    assert answer.json()["code"] in {"invalid_api_key", "session_ended"}
    assert (await owner.api.delete(f"/auth/api-keys/{created['id']}")).status_code == 404
    assert (await owner.api.get("/auth/api-keys")).json()["items"] == []
    assert await audited(app_database, owner.tenant_id) == [
        "user.logged_in",
        "api_key.created",
        "api_key.revoked",
    ]


async def test_a_key_expires(
    owner: Person, issue_key: IssueKey, caller: Callable[..., httpx.AsyncClient], clock: Clock
) -> None:
    expires_at = clock() + dt.timedelta(hours=1)
    client = caller("portfolio", (await issue_key(owner, expires_at=expires_at.isoformat()))["key"])
    assert (await client.get("/portfolio")).status_code == 200

    clock.advance(hours=1, seconds=1)

    assert (await client.get("/portfolio")).status_code == 401


async def test_the_key_of_a_disabled_user_is_refused(
    owner: Person, people: People, tenant: TenantId, issue_key: IssueKey,
    caller: Callable[..., httpx.AsyncClient],
) -> None:  # fmt: skip
    trader = await (await people(tenant, "trader")).log_in()
    client = caller("portfolio", (await issue_key(trader))["key"])
    assert (await client.get("/portfolio")).status_code == 200

    await owner.api.patch(f"/tenants/me/users/{trader.user_id}", json={"status": "disabled"})

    await eventually(401, lambda: client.get("/portfolio"))


async def test_a_key_with_another_tenants_id_finds_nothing(
    owner: Person, other_tenant: TenantId, issue_key: IssueKey, caller: Callable[..., httpx.AsyncClient]
) -> None:
    key = (await issue_key(owner))["key"]
    forged = key.replace(owner.tenant_id.value.hex, other_tenant.value.hex)

    answer = await caller("portfolio", forged).get("/portfolio")

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ak_",
        "x",
        "ak_" + "0" * 32 + "_" + "x" * 43,
        "ak_" + "0" * 32 + "_" + "x" * 44,
        "AK_" + "0" * 32 + "_" + "x" * 43,
        "ak_" + "g" * 32 + "_" + "x" * 43,
        "ak_" + "0" * 32 + "_" + "'" * 43,
        "ak_" + "0" * 5000,
    ],
)
async def test_a_malformed_or_invented_key_is_401(caller: Callable[..., httpx.AsyncClient], key: str) -> None:
    answer = await caller("portfolio", key).get("/portfolio")

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key")
    assert not key or key not in answer.text


async def test_the_last_use_is_noted_now_and_then_and_not_per_request(
    owner: Person, issue_key: IssueKey, caller: Callable[..., httpx.AsyncClient], clock: Clock
) -> None:
    client = caller("portfolio", (await issue_key(owner))["key"])

    async def last_used() -> str:
        items = (await owner.api.get("/auth/api-keys")).json()["items"]
        return str(items[0]["last_used_at"])

    unused = await last_used()
    await client.get("/portfolio")
    first = await last_used()
    clock.advance(minutes=5)
    await client.get("/portfolio")
    second = await last_used()
    clock.advance(minutes=6)
    await client.get("/portfolio")
    third = await last_used()

    assert (unused, first == second, first < third) == ("None", True, True)


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"scopes": ["everything"]},
        {"scopes": "read"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2120-01-01T00:00:00Z"},
        {"expires_at": "2026-12-01T00:00:00"},
        {"key": "ak_mine"},
    ],
)
async def test_a_bad_request_for_a_key_is_422(owner: Person, change: dict[str, Any]) -> None:
    answer = await owner.api.post("/auth/api-keys", json={"name": "a key"} | change)

    assert answer.status_code == 422


async def test_the_same_request_again_with_its_key_makes_one_api_key_and_shows_it_once(
    owner: Person,
) -> None:
    headers = {"Idempotency-Key": secrets.token_hex(8)}

    first = await owner.api.post("/auth/api-keys", json={"name": "bot"}, headers=headers)
    again = await owner.api.post("/auth/api-keys", json={"name": "bot"}, headers=headers)
    other = await owner.api.post("/auth/api-keys", json={"name": "other"}, headers=headers)

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert (again.json()["id"], again.json()["key"]) == (first.json()["id"], None)
    assert again.headers["idempotent-replayed"] == "true"
    assert first.json()["key"] is not None


async def test_one_users_idempotency_key_gives_another_user_no_answer(
    owner: Person, people: People, tenant: TenantId
) -> None:
    headers, body = {"Idempotency-Key": secrets.token_hex(8)}, {"name": "bot", "role": "viewer"}
    colleague = await (await people(tenant, "viewer")).log_in()

    first = await owner.api.post("/auth/api-keys", json=body, headers=headers)
    other = await colleague.api.post("/auth/api-keys", json=body, headers=headers)

    assert first.status_code == 201
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_an_owner_sees_and_revokes_everybodys_keys_and_others_their_own(
    owner: Person, stranger: Person, people: People, tenant: TenantId, issue_key: IssueKey
) -> None:
    viewer = await (await people(tenant, "viewer")).log_in()
    key = await issue_key(owner)
    await issue_key(viewer)

    counts = [len((await p.api.get("/auth/api-keys")).json()["items"]) for p in (owner, viewer, stranger)]
    refused = [await p.api.delete(f"/auth/api-keys/{key['id']}") for p in (viewer, stranger)]

    assert counts == [2, 1, 0]
    assert [answer.status_code for answer in refused] == [404, 404]


async def test_keys_are_listed_by_page(owner: Person, issue_key: IssueKey) -> None:
    names = [(await issue_key(owner, name=f"key {n}"))["name"] for n in range(3)]

    first = (await owner.api.get("/auth/api-keys", params={"limit": 2})).json()
    second = (await owner.api.get("/auth/api-keys", params={"cursor": first["next_cursor"]})).json()

    found = [key["name"] for page in (first, second) for key in page["items"]]
    assert (found, second["next_cursor"]) == (names[::-1], None)


async def test_what_a_key_does_is_audited_as_the_keys_doing(
    owner: Person, issue_key: IssueKey, functions: Functions, app_database: Database
) -> None:
    created = await issue_key(owner)
    resources = functions.resources("trade")
    principal = await resources.api_keys.principal(created["key"])
    trace = continue_trace("")
    scope = Scope(resources=resources, tenant_id=owner.tenant_id, trace=trace, principal=principal)

    async with scope.transaction() as work:
        await work.audit("trading.halted")

    async with app_database.tenant(owner.tenant_id) as session:
        row = await session.fetchrow("SELECT * FROM audit_log ORDER BY sequence DESC LIMIT 1")
    assert row is not None
    assert (row["actor_type"], row["actor_id"]) == ("api_key", created["id"])
