"""The same request again, or at the same time: one key, one answer, and no trace of the secret."""

import asyncio
import hashlib

import orjson
import pytest

from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from tests.function.conftest import Broker, Functions
from tests.function.credentials.conftest import Venues, credential_rows, secret_of
from tests.vault_for_functions import FunctionVault


async def test_request_that_is_sent_again_with_its_key_gets_the_first_answer(
    functions: Functions, tenant: TenantId, venues: Venues, vault: FunctionVault, broker: Broker
) -> None:
    caller, body = functions.caller("credentials", tenant), venues.binance_key()
    headers = {"Idempotency-Key": "same"}

    first = await caller.post("/credentials", json=body, headers=headers)
    again = await caller.post("/credentials", json=body, headers=headers)

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert vault.versions(tenant, "binance") == [1]
    await functions.settle()
    assert len(broker.named("credential.stored", tenant)) == 1


@pytest.mark.parametrize("change", ["api_secret", "api_key", "passphrase", "label"])
async def test_key_of_a_request_with_another_body_is_refused(
    functions: Functions, tenant: TenantId, venues: Venues, change: str
) -> None:
    caller, body = functions.caller("credentials", tenant), venues.binance_key()
    headers = {"Idempotency-Key": "same"}
    await caller.post("/credentials", json=body, headers=headers)

    other = await caller.post("/credentials", json=body | {change: "something else"[:12]}, headers=headers)

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused") or change == "api_key"
    assert not other.is_success


async def test_fingerprint_of_a_request_does_not_depend_on_its_secret(
    functions: Functions, tenant: TenantId, venues: Venues, app_database: Database
) -> None:
    caller, body = functions.caller("credentials", tenant), venues.binance_key()
    venues.binance.down = 503

    # Refused both times, so the claim is given up; what it was bound to is looked at in between.
    prints = []
    for secret in ("one secret", "another secret"):

        async def look() -> None:
            async with app_database.tenant(tenant) as session:
                prints.append(await session.fetchval("SELECT request_hash FROM idempotency_keys"))

        venues.binance.before_answer = look
        await caller.post(
            "/credentials", json=body | {"api_secret": secret}, headers={"Idempotency-Key": "one"}
        )

    assert prints[0] is not None
    assert prints[0] == prints[1]


async def test_same_request_twice_at_once_stores_one_key(
    functions: Functions, tenant: TenantId, venues: Venues, vault: FunctionVault, app_database: Database
) -> None:
    caller, body = functions.caller("credentials", tenant), venues.binance_key()

    answers = await asyncio.gather(
        *(caller.post("/credentials", json=body, headers={"Idempotency-Key": "twin"}) for _ in range(4))
    )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert vault.versions(tenant, "binance") == [1]
    assert len(await credential_rows(app_database, tenant)) == 1


async def test_two_requests_at_once_store_one_key_and_vault_holds_the_one_that_won(
    functions: Functions, tenant: TenantId, venues: Venues, vault: FunctionVault, app_database: Database
) -> None:
    caller, bodies = functions.caller("credentials", tenant), [venues.binance_key() for _ in range(4)]

    answers = await asyncio.gather(*(caller.post("/credentials", json=body) for body in bodies))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    (row,) = await credential_rows(app_database, tenant)
    won = next(body for body, answer in zip(bodies, answers, strict=True) if answer.status_code == 201)
    assert row["key_hint"] == won["api_key"][-4:]
    assert vault.secret(tenant, "binance", row["vault_version"]) == secret_of(won)


async def test_key_is_neither_in_the_replayed_answer_nor_guessable_from_the_table(
    functions: Functions, tenant: TenantId, venues: Venues, app_database: Database
) -> None:
    body = venues.binance_key()
    await functions.caller("credentials", tenant).post(
        "/credentials", json=body, headers={"Idempotency-Key": "k"}
    )

    async with app_database.tenant(tenant) as session:
        row = await session.fetchrow("SELECT request_hash, response_body FROM idempotency_keys")
    assert row is not None
    told = orjson.dumps(body)
    guesses = {hashlib.sha256(b"POST /credentials?\n" + told).digest(), hashlib.sha256(told).digest()}
    assert row["request_hash"] not in guesses
    assert body["api_secret"].encode() not in row["response_body"]
