"""A tenant's users: who invites, changes and removes them, and that somebody always owns the tenant."""

import asyncio
import re
import secrets
from typing import Any

import asyncpg
import httpx
import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from tests.function.accounts.conftest import People, Person, audited, eventually
from tests.function.conftest import Clock, Functions
from tests.mailboxes import Mailbox

PASSWORD = "a password of one's own"
TOKEN = re.compile(r"ot_[0-9a-f]{32}_[A-Za-z0-9_-]{43}")


def new_address() -> str:
    return f"{secrets.token_hex(8)}@example.com"


async def invite(by: Person, email: str, role: str = "trader", **headers: str) -> httpx.Response:
    return await by.api.post("/tenants/me/users", json={"email": email, "role": role}, headers=headers)


async def accept(api: httpx.AsyncClient, mailbox: Mailbox, email: str, *, mails: int = 1) -> httpx.Response:
    found = TOKEN.search((await mailbox.wait_for(email, count=mails))[0].text)
    assert found is not None
    return await api.post("/auth/password/reset", json={"token": found[0], "password": PASSWORD})


async def change(by: Person, user_id: str, **changes: Any) -> httpx.Response:
    return await by.api.patch(f"/tenants/me/users/{user_id}", json=changes)


async def owners(database: DatabaseUrls, tenant: TenantId) -> int:
    connection = await asyncpg.connect(database.platform)
    try:
        count: int = await connection.fetchval(
            "SELECT count(*) FROM users WHERE tenant_id = $1 AND role = 'owner' AND status = 'active'",
            tenant.value,
        )
    finally:
        await connection.close()
    return count


@pytest.fixture
async def tenant(new_tenant: Any, database: DatabaseUrls) -> TenantId:
    """A tenant without the users that other tests have."""
    created: TenantId = await new_tenant()
    connection = await asyncpg.connect(database.platform)
    try:
        await connection.execute("DELETE FROM users WHERE tenant_id = $1", created.value)
    finally:
        await connection.close()
    return created


async def test_an_invited_user_sets_a_password_and_has_their_role(
    owner: Person, mailbox: Mailbox, tenant: TenantId, api: httpx.AsyncClient, app_database: Database
) -> None:
    email = new_address()

    invited = await invite(owner, email, "viewer")
    before = await api.post("/auth/login", json={"email": email, "password": "!"})
    accepted = await accept(api, mailbox, email)
    tokens = (await api.post("/auth/login", json={"email": email, "password": PASSWORD})).json()
    api.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    assert (invited.status_code, before.status_code, accepted.status_code) == (201, 401, 204)
    assert (invited.json()["status"], invited.json()["role"]) == ("invited", "viewer")
    assert (await api.get("/tenants/me")).json()["id"] == str(tenant)
    assert (await api.get("/tenants/me/users")).status_code == 403
    users = (await owner.api.get("/tenants/me/users")).json()["items"]
    assert [(owner.email, "owner", "active"), (email, "viewer", "active")] == [
        (user["email"], user["role"], user["status"]) for user in users
    ]
    assert users[1]["email_verified_at"] is not None
    assert {"user.invited", "user.invitation_accepted"} <= set(await audited(app_database, tenant))


async def test_an_invitation_expires_and_can_be_sent_again(
    owner: Person, mailbox: Mailbox, api: httpx.AsyncClient, clock: Clock
) -> None:
    email = new_address()
    user_id = (await invite(owner, email)).json()["id"]
    await mailbox.wait_for(email)
    clock.advance(days=7, seconds=1)
    await owner.log_in()

    expired = await accept(api, mailbox, email)
    again = await owner.api.post(f"/tenants/me/users/{user_id}/invitation")
    accepted = await accept(api, mailbox, email, mails=2)
    too_late = await owner.api.post(f"/tenants/me/users/{user_id}/invitation")

    assert [a.status_code for a in (expired, again, accepted, too_late)] == [422, 202, 204, 409]


async def test_an_address_has_one_account_on_the_whole_platform(owner: Person, stranger: Person) -> None:
    answer = await invite(owner, stranger.email.upper())

    assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")


async def test_the_same_invitation_again_with_its_key_invites_once(
    owner: Person, mailbox: Mailbox, functions: Functions
) -> None:
    email, key = new_address(), {"Idempotency-Key": secrets.token_hex(8)}

    answers = [await invite(owner, email, **key) for _ in range(3)]
    await functions.settle()

    assert {201} == {answer.status_code for answer in answers}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(mailbox.to(email)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"email": "nobody", "role": "trader"},
        {"email": "a@example.com", "role": "platform_admin"},
        {"email": "a@example.com", "role": "god"},
        {"email": "a@example.com"},
        {"email": "a@example.com", "role": "trader", "password": "given by somebody else"},
    ],
)
async def test_a_bad_invitation_is_422(owner: Person, body: dict[str, str]) -> None:
    assert (await owner.api.post("/tenants/me/users", json=body)).status_code == 422


@pytest.mark.parametrize("how", ["demote", "disable", "remove"])
async def test_the_last_owner_stays(owner: Person, people: People, tenant: TenantId, how: str) -> None:
    await people(tenant, "trader")
    path = f"/tenants/me/users/{owner.user_id}"

    answer = {
        "demote": lambda: change(owner, owner.user_id, role="trader"),
        "disable": lambda: change(owner, owner.user_id, status="disabled"),
        "remove": lambda: owner.api.delete(path),
    }[how]()

    refused = await answer
    assert (refused.status_code, refused.json()["code"]) == (409, "last_owner")


async def test_two_owners_who_remove_each_other_at_once_leave_one(
    owner: Person, people: People, tenant: TenantId, database: DatabaseUrls
) -> None:
    other = await (await people(tenant)).log_in()

    answers = await asyncio.gather(
        owner.api.delete(f"/tenants/me/users/{other.user_id}"),
        change(other, owner.user_id, role="viewer"),
    )

    assert 409 in {answer.status_code for answer in answers} or 401 in {a.status_code for a in answers}
    assert await owners(database, tenant) == 1


async def test_an_invited_owner_does_not_count_as_one(owner: Person) -> None:
    await invite(owner, new_address(), "owner")

    assert (await owner.api.delete(f"/tenants/me/users/{owner.user_id}")).status_code == 409


async def test_a_disabled_user_is_out_within_a_second_and_back_when_enabled(
    owner: Person, people: People, tenant: TenantId
) -> None:
    trader = await (await people(tenant, "trader")).log_in()

    await change(owner, trader.user_id, status="disabled")
    await eventually(401, lambda: trader.api.get("/tenants/me"))
    out = [await trader.refresh(), await trader.try_to_log_in()]
    await change(owner, trader.user_id, status="active")

    assert [answer.status_code for answer in out] == [401, 401]
    assert (await trader.try_to_log_in()).status_code == 200


async def test_a_new_role_holds_within_a_second_in_tokens_that_exist(
    owner: Person, people: People, tenant: TenantId, app_database: Database
) -> None:
    trader = await (await people(tenant, "trader")).log_in()

    changed = await change(owner, trader.user_id, role="owner")

    assert changed.json()["role"] == "owner"
    await eventually(200, lambda: trader.api.get("/tenants/me/users"))
    async with app_database.tenant(tenant) as session:
        details = await session.fetchval("SELECT details FROM audit_log WHERE action = 'user.changed'")
    assert details == {"from": ["trader", "active"], "to": ["owner", "active"]}


async def test_a_removed_user_is_gone_with_logins_and_keys(
    owner: Person, people: People, tenant: TenantId, functions: Functions
) -> None:
    trader = await (await people(tenant, "trader")).log_in()
    await trader.api.post("/auth/api-keys", json={"name": "bot"})

    removed = await owner.api.delete(f"/tenants/me/users/{trader.user_id}")

    assert removed.status_code == 204
    await eventually(401, lambda: trader.api.get("/tenants/me"))
    async with functions.resources("accounts").platform.session(tenant) as session:
        for table in ("sessions", "api_keys"):
            count = f"SELECT count(*) FROM {table} WHERE tenant_id = $1 AND user_id <> $2"
            assert await session.fetchval(count, tenant.value, owner.user_id) == 0


async def test_an_invited_user_cannot_be_enabled_without_accepting(owner: Person) -> None:
    user_id = (await invite(owner, new_address())).json()["id"]

    answer = await change(owner, user_id, status="active")

    assert (answer.status_code, answer.json()["code"]) == (422, "not_accepted")


async def test_users_of_another_tenant_are_not_there(owner: Person, stranger: Person) -> None:
    path = f"/tenants/me/users/{owner.user_id}"

    answers = [
        await change(stranger, owner.user_id, role="viewer"),
        await stranger.api.delete(path),
        await stranger.api.post(f"{path}/invitation"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    listed = (await stranger.api.get("/tenants/me/users")).json()["items"]
    assert owner.email not in str(listed)


async def test_users_are_listed_by_page(owner: Person) -> None:
    for _ in range(3):
        await invite(owner, new_address())

    pages, cursor = [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await owner.api.get("/tenants/me/users", params=params)).json()
        pages.append(len(page["items"]))
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert pages == [2, 2]


async def test_the_same_change_again_with_its_key_gets_the_first_answer(
    owner: Person, people: People, tenant: TenantId
) -> None:
    trader = await people(tenant, "trader")
    path, headers = f"/tenants/me/users/{trader.user_id}", {"Idempotency-Key": secrets.token_hex(8)}

    changed = [await owner.api.patch(path, json={"role": "viewer"}, headers=headers) for _ in range(2)]
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    removed = [await owner.api.delete(path, headers=headers) for _ in range(2)]

    assert changed[0].json() == changed[1].json()
    assert [answer.status_code for answer in removed] == [204, 204]
