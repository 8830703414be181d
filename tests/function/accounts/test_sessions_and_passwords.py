"""Logins as a user sees and ends them; changing and resetting a password; proving an address."""

import asyncio
import re
import secrets
from typing import Any

import httpx
import pytest

from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from functions.accounts import password_changes, passwords
from tests.function.accounts.conftest import PASSWORD, People, Person, audited, eventually
from tests.function.conftest import Clock, Functions
from tests.mailboxes import Mailbox

NEW_PASSWORD = "another horse battery"
TOKEN = re.compile(r"ot_[0-9a-f]{32}_[A-Za-z0-9_-]{43}")


async def token_for(mailbox: Mailbox, email: str, *, count: int = 1) -> str:
    """Return the token of the newest mail to an address."""
    letter = (await mailbox.wait_for(email, count=count))[0]
    found = TOKEN.search(letter.text)
    assert found is not None
    return found[0]


async def forgotten(person: Person) -> httpx.Response:
    return await person.api.post("/auth/password/forgot", json={"email": person.email})


async def reset(person: Person, token: str, password: str = NEW_PASSWORD) -> httpx.Response:
    return await person.api.post("/auth/password/reset", json={"token": token, "password": password})


async def test_a_user_sees_their_logins_and_what_began_them(people: People, tenant: TenantId) -> None:
    person = await people(tenant)
    person.api.headers["User-Agent"] = "Firefox\u0007/1.0" + "x" * 300
    await person.log_in()
    person.api.headers["User-Agent"] = "curl/8"
    await person.log_in()
    await person.refresh()

    items = (await person.api.get("/auth/sessions")).json()["items"]

    assert [(item["client"], item["current"]) for item in items] == [
        ("curl/8", True),
        ("Firefox/1.0" + "x" * 189, False),
    ]
    assert items[0]["address"] is not None
    assert items[0]["created_at"] < items[0]["last_used_at"]


async def test_answers_with_tokens_are_kept_by_no_cache(people: People, tenant: TenantId) -> None:
    person = await people(tenant)

    answers = [await person.try_to_log_in(), await (await person.log_in()).refresh()]

    assert [(a.status_code, a.headers["cache-control"]) for a in answers] == [(200, "no-store")] * 2


async def test_a_login_that_is_ended_ends_within_a_second_and_the_others_go_on(
    people: People, tenant: TenantId
) -> None:
    person = await (await people(tenant)).log_in()
    stolen = dict(person.tokens)
    await person.log_in()
    other = next(i for i in (await person.api.get("/auth/sessions")).json()["items"] if not i["current"])

    ended = await person.api.delete(f"/auth/sessions/{other['id']}")

    bearer = {"Authorization": f"Bearer {stolen['access_token']}"}
    await eventually(401, lambda: person.api.get("/tenants/me", headers=bearer))
    assert ended.status_code == 204
    assert (await person.refresh(stolen)).status_code == 401
    assert (await person.refresh()).status_code == 200
    assert (await person.api.delete(f"/auth/sessions/{other['id']}")).status_code == 404


async def test_nobody_ends_the_login_of_another_user_or_tenant(
    people: People, owner: Person, stranger: Person, tenant: TenantId
) -> None:
    colleague = await (await people(tenant, "trader")).log_in()
    theirs = (await owner.api.get("/auth/sessions")).json()["items"][0]["id"]

    answers = [await each.api.delete(f"/auth/sessions/{theirs}") for each in (colleague, stranger)]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert (await owner.refresh()).status_code == 200


@pytest.mark.parametrize("how", ["by itself", "with a refresh token"])
async def test_logging_out_everywhere_ends_every_login(people: People, tenant: TenantId, how: str) -> None:
    person = await (await people(tenant, "viewer")).log_in()
    first = dict(person.tokens)
    await person.log_in()

    if how == "by itself":
        answer = await person.api.post("/auth/logout-all")
    else:
        body = {"refresh_token": first["refresh_token"], "everywhere": True}
        answer = await person.api.post("/auth/logout", json=body)

    assert answer.status_code == 204
    assert [(await person.refresh(each)).status_code for each in (first, person.tokens)] == [401, 401]
    await eventually(401, lambda: person.api.get("/tenants/me"))
    assert (await person.try_to_log_in()).status_code == 200


async def test_a_logout_does_not_let_a_token_escape_that_is_being_refreshed(owner: Person) -> None:
    refreshed, _ = await asyncio.gather(owner.refresh(), owner.api.post("/auth/logout-all"))

    if refreshed.status_code == 200:
        assert (await owner.refresh(refreshed.json())).status_code == 401
    assert (await owner.refresh()).status_code == 401


async def test_a_login_that_is_ended_does_not_live_on_in_a_token_being_refreshed(owner: Person) -> None:
    current = (await owner.api.get("/auth/sessions")).json()["items"][0]["id"]

    refreshed, ended = await asyncio.gather(owner.refresh(), owner.api.delete(f"/auth/sessions/{current}"))

    assert ended.status_code == 204
    if refreshed.status_code == 200:
        assert (await owner.refresh(refreshed.json())).status_code == 401


async def test_a_changed_password_ends_the_other_logins_and_keeps_this_one(
    people: People, tenant: TenantId, app_database: Database
) -> None:
    person = await (await people(tenant, "viewer")).log_in()
    other = dict(person.tokens)
    await person.log_in()
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}

    answer = await person.api.post("/auth/password", json=body)

    assert answer.status_code == 204
    assert [(await person.refresh(each)).status_code for each in (other, person.tokens)] == [401, 200]
    assert [
        (await person.try_to_log_in(password=password)).status_code for password in (PASSWORD, NEW_PASSWORD)
    ] == [401, 200]
    assert "user.password_changed" in await audited(app_database, tenant)


async def test_a_login_that_runs_while_the_password_changes_does_not_survive_it(
    people: People, tenant: TenantId
) -> None:
    person = await (await people(tenant)).log_in()
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}

    changed, *logins = await asyncio.gather(
        person.api.post("/auth/password", json=body), *(person.try_to_log_in() for _ in range(5))
    )

    assert changed.status_code == 204
    begun = [login.json() for login in logins if login.status_code == 200]
    assert {401} >= {(await person.refresh(tokens)).status_code for tokens in begun}


async def test_a_wrong_password_changes_nothing_and_guesses_are_slowed(owner: Person) -> None:
    body = {"current_password": "a wrong guess", "new_password": NEW_PASSWORD}

    answers = [await owner.api.post("/auth/password", json=body) for _ in range(12)]

    assert answers[0].json()["code"] == "wrong_password"
    assert [answer.status_code for answer in answers[:10]] == [403] * 10
    assert 429 in {answer.status_code for answer in answers[10:]} | {
        (await owner.api.post("/auth/password", json=body)).status_code
    }
    # Guesses with a stolen token do not lock the user out of logging in.
    assert (await owner.try_to_log_in()).status_code == 200


@pytest.mark.parametrize("password", ["short", "x" * 129])
async def test_a_bad_new_password_is_422_and_not_repeated(owner: Person, password: str) -> None:
    body = {"current_password": PASSWORD, "new_password": password}

    answer = await owner.api.post("/auth/password", json=body)

    assert answer.status_code == 422
    assert PASSWORD not in answer.text
    assert password not in answer.text


async def test_a_password_is_reset_by_mail_and_every_login_ends(
    people: People, tenant: TenantId, mailbox: Mailbox, app_database: Database, functions: Functions
) -> None:
    person = await (await people(tenant)).log_in()

    asked = await forgotten(person)
    token = await token_for(mailbox, person.email)
    done = await reset(person, token)

    assert (asked.status_code, done.status_code) == (202, 204)
    assert (await person.refresh()).status_code == 401
    assert (await person.try_to_log_in(password=NEW_PASSWORD)).status_code == 200
    assert (await reset(person, token)).json()["code"] == "invalid_one_time_token"
    assert "user.password_reset" in await audited(app_database, tenant)
    async with functions.resources("accounts").platform.session() as session:
        assert await session.fetchval("SELECT email_verified_at FROM users WHERE email = $1", person.email)


async def test_the_answer_for_an_address_without_an_account_is_the_same_and_nothing_is_sent(
    people: People, tenant: TenantId, mailbox: Mailbox, functions: Functions
) -> None:
    person = await people(tenant)
    nobody = f"{secrets.token_hex(8)}@example.com"

    known = await forgotten(person)
    unknown = await person.api.post("/auth/password/forgot", json={"email": nobody})
    await functions.settle()

    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)
    assert (len(mailbox.to(person.email)), len(mailbox.to(nobody))) == (1, 0)


async def test_a_link_keeps_its_token_from_servers_and_logs(
    people: People, tenant: TenantId, mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    person = await people(tenant)
    await forgotten(person)
    token = await token_for(mailbox, person.email)

    text = mailbox.to(person.email)[0].text

    assert f"https://alphapulse.test/app/reset-password#token={token}" in text
    assert token not in capsys.readouterr().out


async def test_what_is_stored_of_a_token_is_not_the_token(
    people: People, tenant: TenantId, mailbox: Mailbox, functions: Functions, app_database: Database
) -> None:
    person = await people(tenant)
    await forgotten(person)
    token = await token_for(mailbox, person.email)
    await functions.settle()

    async with functions.resources("accounts").platform.session(tenant) as session:
        stored = [str(dict(row)) for row in await session.fetch("SELECT * FROM one_time_tokens")]
    async with app_database.tenant(tenant) as session:
        notices = await session.fetch("SELECT status, kind, subject, body FROM notifications")
        outbox = await session.fetch("SELECT * FROM outbox")

    assert token not in str(stored)
    assert [(n["status"], n["kind"], n["body"]) for n in notices] == [("sent", "reset_password", "")]
    assert outbox == []


async def test_a_newer_token_makes_the_older_one_worthless(
    people: People, tenant: TenantId, mailbox: Mailbox, functions: Functions
) -> None:
    person = await people(tenant)
    await forgotten(person)
    older = await token_for(mailbox, person.email)
    await forgotten(person)
    newer = await token_for(mailbox, person.email, count=2)

    assert [(await reset(person, token)).status_code for token in (older, newer)] == [422, 204]


async def test_a_token_expires(people: People, tenant: TenantId, mailbox: Mailbox, clock: Clock) -> None:
    person = await people(tenant)
    await forgotten(person)
    token = await token_for(mailbox, person.email)

    clock.advance(hours=1, seconds=1)

    assert (await reset(person, token)).status_code == 422


async def test_a_token_used_at_once_works_once(people: People, tenant: TenantId, mailbox: Mailbox) -> None:
    person = await people(tenant)
    await forgotten(person)
    token = await token_for(mailbox, person.email)

    answers = await asyncio.gather(*(reset(person, token, f"{NEW_PASSWORD} {n}") for n in range(5)))

    assert sorted(answer.status_code for answer in answers) == [204, 422, 422, 422, 422]


async def test_a_reset_does_not_bring_back_a_user_who_is_disabled_while_it_runs(
    people: People, tenant: TenantId, mailbox: Mailbox, functions: Functions
) -> None:
    person = await people(tenant)
    await forgotten(person)
    token = await token_for(mailbox, person.email)
    platform = functions.resources("accounts").platform
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    )

    async with platform.session(tenant) as session:
        await session.execute("UPDATE users SET status = 'disabled' WHERE email = $1", person.email)
        resetting = asyncio.create_task(reset(person, token))
        async with asyncio.timeout(5):
            while not await session.fetchval(waiting):
                await asyncio.sleep(0.01)

    assert (await resetting).status_code == 422
    async with platform.session() as session:
        status = await session.fetchval("SELECT status FROM users WHERE email = $1", person.email)
    assert status == "disabled"


async def test_a_token_is_for_one_purpose_and_one_tenant(
    people: People, tenant: TenantId, other_tenant: TenantId, mailbox: Mailbox
) -> None:
    person = await people(tenant)
    await forgotten(person)
    token = await token_for(mailbox, person.email)
    foreign = f"ot_{other_tenant.value.hex}_{token.rpartition('_')[0] and token[36:]}"

    other_purpose = await person.api.post("/auth/email/verify", json={"token": token})

    assert other_purpose.status_code == 422
    assert (await reset(person, foreign)).status_code == 422
    assert (await reset(person, token)).status_code == 204


@pytest.mark.parametrize(
    "token", ["", "x", "ot_", "ot_" + "0" * 32 + "_" + "x" * 43, "é" * 80, "' OR 1=1 --"]
)
async def test_a_malformed_or_invented_token_is_422(api: httpx.AsyncClient, token: str) -> None:
    answer = await api.post("/auth/password/reset", json={"token": token, "password": NEW_PASSWORD})

    assert answer.status_code == 422


async def test_asking_again_and_again_sends_few_mails(
    people: People, tenant: TenantId, mailbox: Mailbox, functions: Functions
) -> None:
    person = await people(tenant)

    answers = [await forgotten(person) for _ in range(8)]
    await functions.settle()

    assert {202} == {answer.status_code for answer in answers}
    assert len(mailbox.to(person.email)) == 3


async def test_mails_that_somebody_else_asked_for_keep_nobody_from_a_reset_for_more_than_an_hour(
    people: People, tenant: TenantId, mailbox: Mailbox, functions: Functions, clock: Clock
) -> None:
    person = await people(tenant)
    for _ in range(30):
        await forgotten(person)
        await functions.settle()
        clock.advance(minutes=1)
    before = len(mailbox.to(person.email))

    clock.advance(hours=1)
    await forgotten(person)
    await functions.settle()

    assert len(mailbox.to(person.email)) == before + 1


async def test_a_mail_server_that_is_down_is_no_error_of_the_request_and_is_recorded(
    people: People, tenant: TenantId, mailbox: Mailbox, functions: Functions, app_database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("functions.accounts.mails._PAUSES_SECONDS", (0.01,))
    person = await people(tenant)
    await mailbox.down()

    answer = await forgotten(person)
    await functions.settle()

    assert answer.status_code == 202
    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT status FROM notifications") == "failed"


async def test_a_reset_opens_the_lock_of_the_account(
    people: People, tenant: TenantId, mailbox: Mailbox
) -> None:
    person = await people(tenant)
    for _ in range(14):
        await person.try_to_log_in(password="a wrong guess")
    await forgotten(person)

    await reset(person, await token_for(mailbox, person.email))

    assert (await person.try_to_log_in(password=NEW_PASSWORD)).status_code == 200


async def test_a_reset_opens_the_lock_of_a_client_the_user_logged_in_from(
    owner: Person, mailbox: Mailbox
) -> None:
    for _ in range(14):
        await owner.try_to_log_in(password="a wrong guess")
    await forgotten(owner)

    await reset(owner, await token_for(mailbox, owner.email))

    assert (await owner.try_to_log_in(password=NEW_PASSWORD)).status_code == 200


async def test_no_password_is_hashed_for_a_token_that_is_not_live(
    people: People, tenant: TenantId, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await people(tenant)
    await forgotten(person)
    token = await token_for(mailbox, person.email)
    hashed: list[str] = []

    async def noted(password: str) -> str:
        hashed.append(password)
        return await passwords.hash_password(password)

    monkeypatch.setattr(password_changes, "hash_password", noted)
    invented = await reset(person, f"ot_{tenant.value.hex}_{secrets.token_urlsafe(32)}", "an invented token")
    good = await reset(person, token)
    used = await reset(person, token, "once more, please")

    assert [answer.status_code for answer in (invented, good, used)] == [422, 204, 422]
    assert hashed == [NEW_PASSWORD]


async def test_an_address_is_verified_by_the_token_sent_to_it(
    owner: Person, mailbox: Mailbox, tenant: TenantId, app_database: Database
) -> None:
    asked = await owner.api.post("/auth/email/verification")
    token = await token_for(mailbox, owner.email)
    done = await owner.api.post("/auth/email/verify", json={"token": token})
    again = await owner.api.post("/auth/email/verify", json={"token": token})

    assert (asked.status_code, done.status_code, again.status_code) == (202, 204, 422)
    assert (await owner.api.post("/auth/email/verification")).json() == {"status": "verified"}
    assert "user.email_verified" in await audited(app_database, tenant)


async def test_a_hash_with_weaker_parameters_is_replaced_by_a_login(
    people: People, tenant: TenantId, functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await people(tenant)

    async def stored() -> Any:
        async with functions.resources("accounts").platform.session() as session:
            return await session.fetchval("SELECT password_hash FROM users WHERE email = $1", person.email)

    weak = await stored()
    stronger = type(passwords._hasher())(time_cost=2, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", lambda: stronger)
    await person.log_in()
    strong = await stored()

    assert ("t=1" in weak, "t=2" in strong) == (True, True)
    assert (await person.try_to_log_in()).status_code == 200
    assert await stored() == strong
