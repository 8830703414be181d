"""The second factor: enrolled by password and code, asked for at login, each code good once."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import jwt
import pyotp
import pytest

from alphapulse.runtime.resources import utc_now
from alphapulse.runtime.settings import Settings
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.signing_key_sources import VaultKeys
from alphapulse.tenancy.signing_keys import RotationUnderWay
from alphapulse.tenancy.tenant import TenantId
from tests.function.accounts.conftest import PASSWORD, People, Person, audited
from tests.function.conftest import Clock, Functions
from tests.mailboxes import Mailbox
from tests.vault_for_functions import FunctionVault

Enrol = Callable[[Person], Awaitable["Authenticator"]]


class Authenticator:
    """A phone with the secret, and the recovery codes on paper."""

    def __init__(self, secret: str, clock: Clock) -> None:
        self.totp = pyotp.TOTP(secret)
        self.clock = clock
        self.recovery_codes: list[str] = []

    def code(self, *, steps: int = 0) -> str:
        return self.totp.at(int(self.clock().timestamp()) + steps * 30)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still: a code is of one moment."""
    return Clock(utc_now())


@pytest.fixture
def function_settings(settings_with_vault: Settings) -> Settings:
    return settings_with_vault


@pytest.fixture
async def person(people: People, tenant: TenantId, vault: FunctionVault) -> Person:
    vault.admit(tenant)
    return await (await people(tenant, "viewer")).log_in()


@pytest.fixture
def enrol(clock: Clock) -> Enrol:
    """Turn the second factor on; the code that does it is used up."""

    async def turn_on(person: Person) -> Authenticator:
        made = await person.api.post("/auth/totp", json={"password": PASSWORD})
        assert made.status_code == 201, made.text
        phone = Authenticator(made.json()["secret"], clock)
        confirmed = await person.api.post("/auth/totp/confirm", json={"code": phone.code()})
        assert confirmed.status_code == 200, confirmed.text
        phone.recovery_codes = confirmed.json()["recovery_codes"]
        clock.advance(seconds=30)
        return phone

    return turn_on


def outcome(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("code") if answer.content else None


async def test_a_login_asks_for_a_code_once_it_is_on(person: Person, enrol: Enrol) -> None:
    phone = await enrol(person)

    answers = [
        await person.try_to_log_in(),
        await person.try_to_log_in(totp="000000"),
        await person.try_to_log_in(totp=phone.code(), password="a wrong guess"),
        await person.try_to_log_in(totp=phone.code()),
    ]

    assert [outcome(answer) for answer in answers] == [
        (401, "totp_required"),
        (401, "invalid_totp"),
        (401, "invalid_credentials"),
        (200, None),
    ]
    assert (await person.api.get("/auth/totp")).json() == {"enabled": True, "recovery_codes_left": 10}


async def test_a_code_works_once_and_an_older_one_not_after_it(
    person: Person, enrol: Enrol, clock: Clock
) -> None:
    phone = await enrol(person)
    earlier = phone.code(steps=-1)
    code = phone.code()

    at_once = await asyncio.gather(*(person.try_to_log_in(totp=code) for _ in range(5)))
    replayed = [await person.try_to_log_in(totp=each) for each in (code, earlier)]
    clock.advance(seconds=30)
    next_one = await person.try_to_log_in(totp=phone.code())

    assert sorted(answer.status_code for answer in at_once) == [200, 401, 401, 401, 401]
    assert [answer.status_code for answer in replayed] == [401, 401]
    assert next_one.status_code == 200


@pytest.mark.parametrize(("steps", "status"), [(-2, 401), (-1, 200), (0, 200), (1, 200), (2, 401)])
async def test_a_phones_clock_may_be_half_a_minute_off(
    person: Person, enrol: Enrol, clock: Clock, steps: int, status: int
) -> None:
    phone = await enrol(person)
    clock.advance(minutes=5)

    assert (await person.try_to_log_in(totp=phone.code(steps=steps))).status_code == status


async def test_a_recovery_code_stands_in_once(person: Person, enrol: Enrol) -> None:
    phone = await enrol(person)
    code = phone.recovery_codes[0]

    answers = [
        await person.try_to_log_in(totp=code.upper().replace("-", " ")),
        await person.try_to_log_in(totp=code),
        await person.try_to_log_in(totp="abcd-abcd-abcd-abcd"),
    ]

    assert [answer.status_code for answer in answers] == [200, 401, 401]
    assert (await person.api.get("/auth/totp")).json()["recovery_codes_left"] == 9


async def test_new_recovery_codes_replace_the_old_ones(person: Person, enrol: Enrol) -> None:
    phone = await enrol(person)
    proof = {"password": PASSWORD, "code": phone.code()}

    renewed = (await person.api.post("/auth/totp/recovery-codes", json=proof)).json()["recovery_codes"]

    assert len(set(renewed)) == 10
    assert [
        (await person.try_to_log_in(totp=code)).status_code for code in (phone.recovery_codes[0], renewed[0])
    ] == [401, 200]


async def test_a_secret_that_is_not_confirmed_does_not_count(person: Person) -> None:
    await person.api.post("/auth/totp", json={"password": PASSWORD})
    wrong = await person.api.post("/auth/totp/confirm", json={"code": "000000"})

    assert outcome(wrong) == (401, "invalid_totp")
    assert (await person.try_to_log_in()).status_code == 200


async def test_a_secret_made_anew_replaces_the_one_that_was_not_confirmed(
    person: Person, clock: Clock
) -> None:
    secrets = [
        (await person.api.post("/auth/totp", json={"password": PASSWORD})).json()["secret"] for _ in range(2)
    ]
    codes = [Authenticator(secret, clock).code() for secret in secrets]

    answers = [await person.api.post("/auth/totp/confirm", json={"code": code}) for code in codes]

    assert [answer.status_code for answer in answers] == [401, 200]


async def test_turning_it_off_needs_password_and_code(
    person: Person, enrol: Enrol, vault: FunctionVault, app_database: Database
) -> None:
    phone = await enrol(person)
    good, path = phone.code(), "/auth/totp/disable"
    proofs = [
        {"password": "a wrong guess", "code": good},
        {"password": PASSWORD, "code": "000000"},
        {"password": PASSWORD, "code": good},
    ]

    answers = [await person.api.post(path, json=proof) for proof in proofs]

    assert [outcome(a) for a in answers] == [(403, "wrong_password"), (403, "wrong_code"), (204, None)]
    assert (await person.try_to_log_in()).status_code == 200
    secret = f"secret/data/tenants/{person.tenant_id}/users/{person.user_id}/totp"
    assert vault.send("GET", secret).get("data") is None
    assert [
        action for action in await audited(app_database, person.tenant_id) if action.startswith("totp")
    ] == ["totp.enabled", "totp.disabled"]


async def test_codes_of_a_secret_that_another_process_replaced_are_worth_nothing(
    person: Person, enrol: Enrol, vault: FunctionVault, clock: Clock
) -> None:
    lost = await enrol(person)
    assert (await person.try_to_log_in(totp=lost.code())).status_code == 200
    path = f"secret/data/tenants/{person.tenant_id}/users/{person.user_id}/totp"
    new = Authenticator(pyotp.random_base32(), clock)
    vault.send("POST", path, {"data": {"secret": new.totp.secret}})
    clock.advance(seconds=30)

    answers = [await person.try_to_log_in(totp=phone.code()) for phone in (lost, new)]

    assert [answer.status_code for answer in answers] == [401, 200]


async def test_while_it_is_on_it_is_not_made_anew(person: Person, enrol: Enrol) -> None:
    await enrol(person)

    answer = await person.api.post("/auth/totp", json={"password": PASSWORD})

    assert outcome(answer) == (409, "totp_enabled")


async def test_the_secret_is_in_vault_and_nowhere_else(
    person: Person, enrol: Enrol, vault: FunctionVault, functions: Functions,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    phone = await enrol(person)
    path = f"secret/data/tenants/{person.tenant_id}/users/{person.user_id}/totp"
    assert vault.send("GET", path)["data"]["data"] == {"secret": phone.totp.secret}

    stored: list[Any] = []
    async with functions.resources("accounts").platform.session(person.tenant_id) as session:
        for table in ("users", "recovery_codes", "audit_log", "outbox"):
            rows = await session.fetch(f"SELECT * FROM {table} WHERE tenant_id = $1", person.tenant_id.value)
            stored += [dict(row) for row in rows]
    written = str(stored) + capsys.readouterr().out
    plain = [code.replace("-", "") for code in phone.recovery_codes]

    assert not [secret for secret in (phone.totp.secret, *phone.recovery_codes, *plain) if secret in written]


async def test_guessed_codes_lock_like_guessed_passwords_and_asking_for_the_code_is_no_guess(
    person: Person, enrol: Enrol
) -> None:
    phone = await enrol(person)

    asked = [await person.try_to_log_in() for _ in range(15)]
    guesses = [await person.try_to_log_in(totp=f"{n:06}") for n in range(11)]
    locked = await person.try_to_log_in(totp=phone.code())

    assert {(401, "totp_required")} == {outcome(answer) for answer in asked}
    assert outcome(guesses[-1]) == (429, "too_many_attempts")
    assert locked.status_code == 429


async def test_the_right_password_does_not_begin_to_count_guessed_codes_anew(
    person: Person, enrol: Enrol
) -> None:
    phone = await enrol(person)
    wrong = [f"{n:06}" for n in range(11) if f"{n:06}" != phone.code()]

    guesses = [
        await person.api.post("/auth/totp/disable", json={"password": PASSWORD, "code": code})
        for code in wrong
    ]
    locked = await person.api.post("/auth/totp/disable", json={"password": PASSWORD, "code": phone.code()})

    assert outcome(guesses[0]) == (403, "wrong_code")
    assert outcome(guesses[-1]) == outcome(locked) == (429, "too_many_attempts")


async def test_a_password_is_not_changed_without_a_code(person: Person, enrol: Enrol, clock: Clock) -> None:
    phone = await enrol(person)
    body = {"current_password": PASSWORD, "new_password": "another horse battery"}
    wrong = f"{(int(phone.code()) + 1) % 1_000_000:06}"
    codes: list[dict[str, str]] = [{}, {"totp": wrong}, {"totp": phone.code()}]

    answers = [await person.api.post("/auth/password", json=body | code) for code in codes]
    clock.advance(seconds=30)

    assert [outcome(answer) for answer in answers] == [
        (401, "totp_required"),
        (401, "invalid_totp"),
        (204, None),
    ]
    changed = await person.try_to_log_in(password="another horse battery", totp=phone.code())
    assert changed.status_code == 200


async def test_a_tenant_is_not_deleted_without_a_code(
    people: People, tenant: TenantId, vault: FunctionVault, enrol: Enrol
) -> None:
    vault.admit(tenant)
    owner = await (await people(tenant)).log_in()
    phone = await enrol(owner)
    codes = [{}, {"totp": "abcd-abcd-abcd-abcd"}, {"totp": phone.recovery_codes[0]}]

    answers = [
        await owner.api.post("/tenants/me/delete", json={"password": PASSWORD} | code) for code in codes
    ]

    assert [outcome(answer) for answer in answers] == [
        (401, "totp_required"),
        (401, "invalid_totp"),
        (202, None),
    ]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/auth/password", {"current_password": PASSWORD, "new_password": "another horse battery"}),
        ("/tenants/me/delete", {"password": PASSWORD}),
    ],
)
async def test_codes_guessed_there_lock_too_and_share_a_count_with_those_guessed_elsewhere(
    people: People, tenant: TenantId, vault: FunctionVault, enrol: Enrol, path: str, body: dict[str, str]
) -> None:
    vault.admit(tenant)
    owner = await (await people(tenant)).log_in()
    phone = await enrol(owner)
    guesses = [await owner.api.post(path, json=body | {"totp": "abcd-abcd-abcd-abcd"}) for _ in range(11)]

    locked = await owner.api.post(path, json=body | {"totp": phone.code()})
    elsewhere = await owner.api.post("/auth/totp/disable", json={"password": PASSWORD, "code": phone.code()})

    assert [outcome(answer) for answer in (guesses[-1], locked, elsewhere)] == [
        (429, "too_many_attempts")
    ] * 3


async def test_a_login_is_no_internal_error_where_vault_denies_the_platform_what_it_asks_for(
    person: Person, enrol: Enrol, vault: FunctionVault, capsys: pytest.CaptureFixture[str]
) -> None:
    phone = await enrol(person)
    vault.send("DELETE", f"sys/policies/acl/tenant-{person.tenant_id}")

    answer = await person.try_to_log_in(totp=phone.code())

    assert outcome(answer) == (503, "secret_store_denied")
    assert "retry-after" in answer.headers
    assert '"unexpected_error"' in capsys.readouterr().out


async def test_a_password_reset_does_not_get_around_it(
    person: Person, enrol: Enrol, mailbox: Mailbox
) -> None:
    phone = await enrol(person)
    await person.api.post("/auth/password/forgot", json={"email": person.email})
    token = re.search(r"ot_\w{32}_[\w-]{43}", (await mailbox.wait_for(person.email))[0].text)
    assert token is not None
    new = "another horse battery"

    await person.api.post("/auth/password/reset", json={"token": token[0], "password": new})

    assert outcome(await person.try_to_log_in(password=new)) == (401, "totp_required")
    assert (await person.try_to_log_in(password=new, totp=phone.code())).status_code == 200


@pytest.mark.parametrize(
    "code", ["", "12345", "x" * 41, "\uff11\uff12\uff13\uff14\uff15\uff16", "12 345", 123456]
)
async def test_a_malformed_code_is_refused(person: Person, enrol: Enrol, code: Any) -> None:
    await enrol(person)

    answer = await person.try_to_log_in(totp=code)

    assert answer.status_code in {401, 422}


async def test_the_secret_of_a_removed_user_is_removed(
    person: Person, people: People, enrol: Enrol, vault: FunctionVault, tenant: TenantId
) -> None:
    await enrol(person)
    owner = await (await people(tenant)).log_in()

    removed = await owner.api.delete(f"/tenants/me/users/{person.user_id}")

    assert removed.status_code == 204
    path = f"secret/data/tenants/{tenant}/users/{person.user_id}/totp"
    assert vault.send("GET", path).get("data") is None


async def test_a_tenant_that_has_no_place_in_vault_yet_is_told_to_wait(
    people: People, new_tenant: Callable[..., Awaitable[TenantId]]
) -> None:
    person = await (await people(await new_tenant(status="provisioning"))).log_in()

    answer = await person.api.post("/auth/totp", json={"password": PASSWORD})

    assert outcome(answer) == (409, "tenant_not_active")


async def test_the_signing_keys_of_vault_rotate_and_no_login_ends(
    person: Person, functions: Functions, clock: Clock
) -> None:
    source = VaultKeys(functions.resources("accounts").platform_vault)
    # Two new keys: one signs at once, the other in ten minutes.
    await source.rotate(clock(), at_once=True)
    clock.advance(minutes=1)
    await person.log_in()

    with pytest.raises(RotationUnderWay):
        await source.rotate(clock())
    published = (await person.api.get("/.well-known/jwks.json")).json()["keys"]
    clock.advance(minutes=11)
    refreshed = (await person.refresh()).json()

    kids = [jwt.get_unverified_header(tokens["access_token"])["kid"] for tokens in (person.tokens, refreshed)]
    assert kids == [key["kid"] for key in published]
    assert (await person.api.get("/tenants/me")).status_code == 200
    new = {"Authorization": f"Bearer {refreshed['access_token']}"}
    assert (await person.api.get("/tenants/me", headers=new)).status_code == 200
