"""Sign-up, login, refresh, logout, and what a tenant sees of itself."""

import asyncio
import datetime as dt
import hashlib
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.runtime.settings import Settings
from alphapulse.tenancy.tenant import TenantId
from functions.accounts.passwords import AT_ONCE
from tests.function.conftest import Clock, Functions

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
def email(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{tmp_path.name[-40:]}-{id(request)}@example.com".replace("[", "").replace("]", "")


def sign_up_body(address: str, /, **changes: Any) -> dict[str, Any]:
    return {"email": address, "password": PASSWORD, "company": "Acme", "tier": "pro"} | changes


async def signed_up(api: httpx.AsyncClient, email: str) -> dict[str, Any]:
    answer = await api.post("/auth/signup", json=sign_up_body(email))
    assert answer.status_code == 202, answer.text
    account: dict[str, Any] = answer.json()
    return account


async def logged_in(api: httpx.AsyncClient, email: str) -> dict[str, Any]:
    answer = await api.post("/auth/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"{tokens['token_type']} {tokens['access_token']}"}


async def test_a_stranger_signs_up_logs_in_and_sees_their_tenant(api: httpx.AsyncClient, email: str) -> None:
    account = await signed_up(api, email)
    tokens = await logged_in(api, email.upper())

    me = (await api.get("/tenants/me", headers=bearer(tokens))).json()

    assert (account["tenant_id"], "Acme", "pro", "pending") == (
        me["id"],
        me["company"],
        me["tier"],
        me["status"],
    )
    assert me["limits"]["agents"] == 6


async def test_a_taken_address_is_409_and_leaves_nothing(
    api: httpx.AsyncClient, email: str, database: DatabaseUrls, functions: Functions
) -> None:
    await signed_up(api, email)

    answer = await api.post("/auth/signup", json=sign_up_body(email.upper(), company="Other Ltd"))

    assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")
    async with functions.resources("accounts").platform.session() as session:
        assert await session.fetchval("SELECT count(*) FROM tenants WHERE company = 'Other Ltd'") == 0


async def test_the_same_sign_up_again_with_its_key_gets_the_first_answer(
    api: httpx.AsyncClient, email: str
) -> None:
    key = {"Idempotency-Key": f"signup-{email}"}

    answers = await asyncio.gather(
        *(api.post("/auth/signup", json=sign_up_body(email), headers=key) for _ in range(5))
    )

    assert {202} == {answer.status_code for answer in answers}
    assert len({answer.text for answer in answers}) == 1
    other = await api.post("/auth/signup", json=sign_up_body(email, company="X"), headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_the_key_of_a_sign_up_gives_its_answer_to_nobody_without_the_password(
    api: httpx.AsyncClient, email: str
) -> None:
    key = {"Idempotency-Key": f"signup-{email}"}
    await api.post("/auth/signup", json=sign_up_body(email), headers=key)

    other = await api.post("/auth/signup", json=sign_up_body(email, password=PASSWORD + "!"), headers=key)

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_nothing_that_is_stored_of_a_sign_up_lets_its_password_be_guessed_fast(
    api: httpx.AsyncClient, email: str, functions: Functions
) -> None:
    body = json.dumps(sign_up_body(email)).encode()
    headers = {"Idempotency-Key": "k", "content-type": "application/json"}
    account = (await api.post("/auth/signup", content=body, headers=headers)).json()

    platform = functions.resources("accounts").platform
    async with platform.session(TenantId.parse(account["tenant_id"])) as session:
        stored = await session.fetchval("SELECT request_hash FROM idempotency_keys")

    # Whoever reads the table could try passwords against such a digest by the billion.
    assert stored != hashlib.sha256(b"POST /auth/signup?\n" + body).digest()


@pytest.mark.parametrize(
    "change",
    [
        {"email": "nobody"},
        {"email": "a@b"},
        {"email": "a b@example.com"},
        {"email": "x" * 300 + "@example.com"},
        {"password": "short"},
        {"password": "x" * 129},
        {"company": "  "},
        {"company": "a\nb"},
        {"tier": "platinum"},
        {"admin": True},
        {"email": 3},
    ],
)
async def test_a_bad_sign_up_is_422_and_never_repeats_the_password(
    api: httpx.AsyncClient, email: str, change: dict[str, Any]
) -> None:
    answer = await api.post("/auth/signup", json=sign_up_body(email, **change))

    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert PASSWORD not in answer.text
    assert "x" * 129 not in answer.text


@pytest.mark.parametrize("password", ["wrong horse battery", "", PASSWORD + " "])
async def test_a_wrong_password_and_an_unknown_address_are_told_alike(
    api: httpx.AsyncClient, email: str, password: str
) -> None:
    await signed_up(api, email)

    wrong = await api.post("/auth/login", json={"email": email, "password": password})
    unknown = await api.post("/auth/login", json={"email": f"x{email}", "password": PASSWORD})

    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
    assert unknown.json()["detail"] == wrong.json()["detail"]


async def test_a_refresh_token_works_once_and_its_reuse_ends_the_login(
    api: httpx.AsyncClient, email: str
) -> None:
    await signed_up(api, email)
    first = await logged_in(api, email)
    second = (await api.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})).json()
    assert (await api.get("/tenants/me", headers=bearer(second))).status_code == 200

    stolen = await api.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})
    rightful = await api.post("/auth/refresh", json={"refresh_token": second["refresh_token"]})

    assert (stolen.status_code, stolen.json()["code"]) == (401, "invalid_refresh_token")
    assert rightful.status_code == 401


async def test_two_refreshes_at_once_give_one_pair_of_tokens(api: httpx.AsyncClient, email: str) -> None:
    await signed_up(api, email)
    token = {"refresh_token": (await logged_in(api, email))["refresh_token"]}

    answers = await asyncio.gather(*(api.post("/auth/refresh", json=token) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]


async def test_reuse_ends_the_login_also_while_its_newest_token_is_being_refreshed(
    api: httpx.AsyncClient, email: str
) -> None:
    async def refreshed(token: str) -> httpx.Response:
        return await api.post("/auth/refresh", json={"refresh_token": token})

    await signed_up(api, email)
    for _ in range(8):
        used = (await logged_in(api, email))["refresh_token"]
        newest = (await refreshed(used)).json()["refresh_token"]

        reuse, rotation, *_ = await asyncio.gather(refreshed(used), refreshed(newest))

        assert reuse.status_code == 401
        if rotation.status_code == 200:
            assert (await refreshed(rotation.json()["refresh_token"])).status_code == 401


async def test_after_logout_the_refresh_token_is_worth_nothing(api: httpx.AsyncClient, email: str) -> None:
    await signed_up(api, email)
    token = {"refresh_token": (await logged_in(api, email))["refresh_token"]}

    assert (await api.post("/auth/logout", json=token)).status_code == 204
    assert (await api.post("/auth/refresh", json=token)).status_code == 401
    assert (await api.post("/auth/logout", json={"refresh_token": "x" * 43})).status_code == 204


async def test_tokens_expire(api: httpx.AsyncClient, email: str, clock: Clock) -> None:
    await signed_up(api, email)
    tokens = await logged_in(api, email)

    clock.advance(minutes=15, seconds=1)
    expired = await api.get("/tenants/me", headers=bearer(tokens))
    clock.advance(days=30)
    refresh = await api.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})

    assert (expired.status_code, expired.json()["code"]) == (401, "invalid_token")
    assert refresh.status_code == 401


async def test_many_logins_at_once_hash_two_passwords_at_a_time(api: httpx.AsyncClient, email: str) -> None:
    before = set(threading.enumerate())

    answers = await asyncio.gather(
        *(api.post("/auth/login", json={"email": f"{n}{email}", "password": PASSWORD}) for n in range(12))
    )

    # Each takes 64 MiB of the function's 256; asyncio's own threads would be six and more.
    assert {401} == {answer.status_code for answer in answers}
    assert len(set(threading.enumerate()) - before) <= AT_ONCE


@pytest.mark.parametrize(
    "path", ["/tenants/me", "/tenants/0197c9d2-0000-7000-8000-000000000001/provisioning"]
)
async def test_anonymous_callers_are_401(api: httpx.AsyncClient, path: str) -> None:
    assert (await api.get(path)).status_code == 401


async def test_another_tenants_provisioning_is_404(
    api: httpx.AsyncClient, email: str, functions: Functions, other_tenant: TenantId
) -> None:
    account = await signed_up(api, email)
    stranger = functions.authorization(other_tenant)

    foreign = await api.get(account["status_url"], headers=stranger)
    guessed = await api.get("/tenants/nonsense/provisioning", headers=stranger)

    assert (foreign.status_code, guessed.status_code) == (404, 404)


async def test_the_key_set_verifies_the_tokens(api: httpx.AsyncClient, email: str) -> None:
    await signed_up(api, email)
    token = (await logged_in(api, email))["access_token"]
    keys = jwt.PyJWKSet.from_dict((await api.get("/.well-known/jwks.json")).json()).keys

    claims = jwt.decode(token, keys[0], algorithms=["ES256"], audience="alphapulse-api")

    assert dt.timedelta(minutes=15).total_seconds() == claims["exp"] - claims["iat"]
    assert email not in str(claims)
