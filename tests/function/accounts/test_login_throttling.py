"""Guessing passwords: slowed per account and per client, without telling who has an account."""

import asyncio
import secrets
from typing import Literal

import httpx
import pytest
from argon2 import PasswordHasher, extract_parameters

from alphapulse.runtime.resources import utc_now
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from functions.accounts import logins, passwords
from functions.accounts.passwords import verify_password
from functions.accounts.throttling import ACCOUNT, CLIENT, KNOWN_FOR, account_key, known_key
from tests.function.accounts.conftest import People, Person, audited, eventually
from tests.function.conftest import Clock, Functions

STRANGER = {"X-Forwarded-For": "192.0.2.77"}


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still: no lock ends because the machine is busy."""
    return Clock(utc_now())


async def guess(api: httpx.AsyncClient, email: str, **headers: str) -> httpx.Response:
    return await api.post("/auth/login", json={"email": email, "password": "a wrong guess"}, headers=headers)


async def attempts(functions: Functions, email: str, *, known: str | None = None) -> int:
    """Return the attempts of strangers, or those from a client that is `known`."""
    key = account_key(email) if known is None else known_key(email, network(known))
    async with functions.resources("accounts").platform.session() as session:
        count: int | None = await session.fetchval("SELECT attempts FROM login_throttles WHERE key = $1", key)
    return count or 0


async def log_in_as_stranger(person: Person) -> httpx.Response:
    body = {"email": person.email, "password": person.password}
    return await person.api.post("/auth/login", json=body, headers=STRANGER)


def network(address: str) -> str:
    """Return what a client with this address counts as."""
    return f"{address.rpartition('::')[0]}::/64"


async def lock(api: httpx.AsyncClient, email: str, *, stranger: bool = False) -> httpx.Response:
    headers = STRANGER if stranger else {}
    for _ in range(ACCOUNT.free):
        await guess(api, email, **headers)
    return await guess(api, email, **headers)


async def test_fifty_guesses_at_once_count_fifty_and_ten_are_judged(
    people: People, tenant: TenantId, functions: Functions
) -> None:
    victim = await people(tenant)

    answers = await asyncio.gather(*(guess(victim.api, victim.email) for _ in range(50)))

    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(401), statuses.count(429)) == (ACCOUNT.free, 50 - ACCOUNT.free)
    assert await attempts(functions, victim.email) == 50


async def test_a_lock_grows_expires_and_the_right_password_opens_it(
    people: People, tenant: TenantId, clock: Clock, functions: Functions, address: str
) -> None:
    victim = await people(tenant)
    waits = []
    refused = await lock(victim.api, victim.email)
    for _ in range(3):
        waits.append(int(refused.headers["retry-after"]))
        clock.advance(seconds=waits[-1])
        assert (await guess(victim.api, victim.email)).status_code == 401
        refused = await guess(victim.api, victim.email)

    locked_out = await victim.try_to_log_in()
    clock.advance(minutes=15)
    let_in = await victim.try_to_log_in()

    # Refused attempts count too, so each lock is more than twice the one before it.
    assert waits == [1, 4, 16]
    assert (locked_out.status_code, locked_out.json()["code"]) == (429, "too_many_attempts")
    assert let_in.status_code == 200
    assert (await guess(victim.api, victim.email)).status_code == 401
    # The login's count is forgotten, and what follows it from there has a count of its own.
    assert await attempts(functions, victim.email) == 0
    assert await attempts(functions, victim.email, known=address) == 1


async def test_strangers_who_lock_an_account_do_not_keep_its_user_out_where_they_logged_in_before(
    owner: Person, address: str
) -> None:
    await lock(owner.api, owner.email, stranger=True)

    strange = await log_in_as_stranger(owner)
    # Another address of the same /64 network is the same client.
    owner.api.headers["X-Forwarded-For"] = address.replace("::1", "::2")
    let_in = await owner.try_to_log_in()
    still = await log_in_as_stranger(owner)

    assert [answer.status_code for answer in (strange, let_in, still)] == [429, 200, 429]


async def test_guesses_from_a_known_client_are_slowed_by_a_count_of_their_own(
    owner: Person, functions: Functions, address: str
) -> None:
    refused = await lock(owner.api, owner.email)

    assert refused.status_code == 429
    assert (await owner.try_to_log_in()).json()["code"] == "too_many_attempts"
    assert await attempts(functions, owner.email, known=address) == ACCOUNT.free + 2
    assert await attempts(functions, owner.email) == 0


async def test_a_login_of_somebody_else_from_there_makes_no_client_known(
    people: People, owner: Person, tenant: TenantId
) -> None:
    victim = await people(tenant)
    await lock(victim.api, victim.email, stranger=True)

    assert (await victim.try_to_log_in()).status_code == 429
    assert (await owner.try_to_log_in()).status_code == 200


async def test_a_client_is_forgotten_a_month_after_its_last_login(owner: Person, clock: Clock) -> None:
    clock.advance(seconds=KNOWN_FOR.total_seconds() + 1)
    await lock(owner.api, owner.email, stranger=True)

    assert (await owner.try_to_log_in()).status_code == 429


async def test_a_lock_does_not_touch_logins_that_exist(owner: Person) -> None:
    await lock(owner.api, owner.email)

    assert (await owner.try_to_log_in()).status_code == 429
    assert (await owner.api.get("/tenants/me")).status_code == 200
    assert (await owner.refresh()).status_code == 200


async def test_an_address_without_an_account_is_locked_alike(
    api: httpx.AsyncClient, people: People, tenant: TenantId
) -> None:
    victim = await people(tenant)
    nobody = f"{secrets.token_hex(8)}@example.com"

    answers = [[await guess(api, email) for _ in range(12)] for email in (victim.email, nobody)]

    told = [
        [(answer.status_code, answer.json()["code"], answer.json()["detail"]) for answer in each]
        for each in answers
    ]
    assert told[0] == told[1]
    assert {401, 429} == {status for status, *_ in told[0]}


async def test_capital_letters_do_not_make_another_account(people: People, tenant: TenantId) -> None:
    victim = await people(tenant)

    for number in range(ACCOUNT.free):
        await guess(victim.api, victim.email.upper() if number % 2 else victim.email)

    assert (await guess(victim.api, victim.email.title())).status_code == 429


async def test_a_client_that_guesses_at_many_accounts_is_locked_and_others_are_not(
    functions: Functions, people: People, tenant: TenantId, address: str
) -> None:
    resources = functions.resources("accounts")
    async with resources.platform.session() as session:
        await session.execute(
            "INSERT INTO login_throttles (key, attempts, last_attempt_at) VALUES ($1, $2, $3)",
            f"client:{network(address)}",
            CLIENT.free - 1,
            resources.clock(),
        )
    person = await people(tenant)

    last = await guess(person.api, f"{secrets.token_hex(8)}@example.com")
    locked = await person.try_to_log_in()
    for _ in range(ACCOUNT.free + 1):
        await person.try_to_log_in()  # which does not lock the account for others
    # Another address of the same /64 network is the same client.
    person.api.headers["X-Forwarded-For"] = address.replace("::1", "::2")
    neighbour = await person.try_to_log_in()
    person.api.headers["X-Forwarded-For"] = "192.0.2.1"
    elsewhere = await person.try_to_log_in()

    assert [a.status_code for a in (last, locked, neighbour, elsewhere)] == [401, 429, 429, 200]


async def test_a_forged_forwarding_header_does_not_make_another_client(
    functions: Functions, people: People, tenant: TenantId, address: str
) -> None:
    person = await people(tenant)
    real = person.api.headers["X-Forwarded-For"]
    person.api.headers["X-Forwarded-For"] = f"198.51.100.7, {real}"
    await guess(person.api, person.email)

    async with functions.resources("accounts").platform.session() as session:
        keys = await session.fetch("SELECT key FROM login_throttles WHERE key LIKE 'client:%'")
    assert "client:198.51.100.7" not in {row["key"] for row in keys}


async def test_attempts_are_forgotten_after_a_day(
    people: People, tenant: TenantId, clock: Clock, functions: Functions
) -> None:
    victim = await people(tenant)
    await lock(victim.api, victim.email)

    clock.advance(days=1, minutes=1)
    await guess(victim.api, victim.email)

    assert await attempts(functions, victim.email) == 1


async def test_counts_of_days_ago_are_swept_away(
    people: People, tenant: TenantId, clock: Clock, functions: Functions
) -> None:
    victim = await people(tenant)
    await guess(victim.api, victim.email)

    clock.advance(days=2, minutes=1)
    left = 1
    for _ in range(50):
        # Each failure sweeps a few, the oldest first; other tests of this process have left theirs.
        await guess(victim.api, f"{secrets.token_hex(8)}@example.com")
        async with functions.resources("accounts").platform.session() as session:
            count = "SELECT count(*) FROM login_throttles WHERE key = $1"
            left = await session.fetchval(count, account_key(victim.email))
        if not left:
            break

    assert left == 0


async def test_failures_are_audited_once_a_minute_with_their_number(
    people: People, tenant: TenantId, clock: Clock, functions: Functions, app_database: Database
) -> None:
    victim = await people(tenant)
    for _ in range(3):
        await guess(victim.api, victim.email)
        await functions.settle()
    clock.advance(minutes=1, seconds=1)
    await guess(victim.api, victim.email)
    await functions.settle()

    async with app_database.tenant(tenant) as session:
        rows = await session.fetch("SELECT action, details FROM audit_log ORDER BY sequence")
    assert [(row["action"], row["details"]["attempts"]) for row in rows] == [
        ("user.login_failed", 1),
        ("user.login_failed", 4),
    ]


async def test_an_unknown_address_takes_as_long_as_a_known_one(
    api: httpx.AsyncClient, people: People, tenant: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = await people(tenant)
    verified: list[str | None] = []

    async def noted(encoded: str | None, password: str) -> bool:
        verified.append(encoded)
        return await verify_password(encoded, password)

    monkeypatch.setattr(logins, "verify_password", noted)
    for email in (victim.email, f"{secrets.token_hex(8)}@example.com"):
        assert (await guess(api, email)).status_code == 401

    # One hash is verified either way; that both take as long is shown of the hashing itself.
    assert [encoded is not None for encoded in verified] == [True, False]


def test_no_hash_costs_what_a_hash_does(password_hash: str, monkeypatch: pytest.MonkeyPatch) -> None:
    costs = []

    class Counted(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - argon2's name
            costs.append(extract_parameters(str(hash)))
            return super().verify(hash, password)

    hasher = Counted(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", lambda: hasher)
    found = [passwords._verify(each, "a wrong guess") for each in (password_hash, None, "!")]

    # One computation with the same parameters for a user and for nobody. No login asks about "!", the
    # hash of who has not accepted an invitation: such a user is not found.
    assert found == [False, False, False]
    assert costs[0] == costs[1]
    assert len(costs) == 2


async def test_a_disabled_user_is_told_what_an_unknown_one_is(
    people: People, tenant: TenantId, functions: Functions
) -> None:
    person = await (await people(tenant)).log_in()
    async with functions.resources("accounts").platform.session() as session:
        await session.execute("UPDATE users SET status = 'disabled' WHERE email = $1", person.email)

    answer = await person.try_to_log_in()
    refresh = await person.refresh()

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
    assert refresh.status_code == 401
    await eventually(401, lambda: person.api.get("/tenants/me"))


async def test_a_login_is_audited(owner: Person, app_database: Database) -> None:
    assert await audited(app_database, owner.tenant_id) == ["user.logged_in"]
