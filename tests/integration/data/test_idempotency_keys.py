"""Idempotency keys against a real server."""

import datetime as dt
import hashlib

import pytest

from alphapulse.data import idempotency
from alphapulse.data.idempotency import Fresh, InProgress, Replay, Reused
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId

ORDER = hashlib.sha256(b"POST /trades buy").digest()
OTHER = hashlib.sha256(b"POST /trades sell").digest()
MINUTE = dt.timedelta(minutes=1)
OVER = dt.timedelta(seconds=-1)


async def test_the_same_request_gets_the_first_answer_byte_for_byte(
    app_database: Database, tenant: TenantId
) -> None:
    async with app_database.tenant(tenant) as session:
        assert await idempotency.claim(session, "k", fingerprint=ORDER, operation="POST /trades") == Fresh()
        await idempotency.store(
            session, "k", status=201, body=b'{"b": 1,  "a": 2}', headers={"Location": "/x"}
        )

    async with app_database.tenant(tenant) as session:
        again = await idempotency.claim(session, "k", fingerprint=ORDER)
    assert again == Replay(201, {"Location": "/x"}, b'{"b": 1,  "a": 2}')


async def test_another_request_with_the_same_key_is_told_so(app_database: Database, tenant: TenantId) -> None:
    async with app_database.tenant(tenant) as session:
        await idempotency.claim(session, "k", fingerprint=ORDER)
        await idempotency.store(session, "k", status=201, body=b"{}")

    async with app_database.tenant(tenant) as session:
        assert await idempotency.claim(session, "k", fingerprint=OTHER) == Reused()


async def test_tenants_may_use_the_same_key(
    app_database: Database, tenant: TenantId, other_tenant: TenantId
) -> None:
    for each in (tenant, other_tenant):
        async with app_database.tenant(each) as session:
            assert await idempotency.claim(session, "k", fingerprint=ORDER) == Fresh()


async def test_a_request_meanwhile_is_told_at_once_and_not_kept_waiting(
    app_database: Database, tenant: TenantId
) -> None:
    async with app_database.tenant(tenant) as first, app_database.tenant(tenant) as second:
        assert await idempotency.claim(first, "k", fingerprint=ORDER) == Fresh()
        assert await idempotency.claim(second, "k", fingerprint=ORDER) == InProgress()


async def test_a_claim_that_rolled_back_is_free_again(app_database: Database, tenant: TenantId) -> None:
    async def fail() -> None:
        async with app_database.tenant(tenant) as session:
            await idempotency.claim(session, "k", fingerprint=ORDER)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with app_database.tenant(tenant) as session:
        assert await idempotency.claim(session, "k", fingerprint=ORDER) == Fresh()


async def test_a_leased_claim_holds_over_transactions_until_it_is_answered(
    app_database: Database, tenant: TenantId
) -> None:
    async with app_database.tenant(tenant) as session:
        assert await idempotency.claim(session, "k", fingerprint=ORDER, lease=MINUTE) == Fresh()
    async with app_database.tenant(tenant) as session:
        assert await idempotency.claim(session, "k", fingerprint=ORDER, lease=MINUTE) == InProgress()
        await idempotency.store(session, "k", status=201, body=b"{}")
    async with app_database.tenant(tenant) as session:
        assert await idempotency.claim(session, "k", fingerprint=ORDER, lease=MINUTE) == Replay(
            201, {}, b"{}"
        )


async def test_an_ended_lease_is_taken_over_once(app_database: Database, tenant: TenantId) -> None:
    async with app_database.tenant(tenant) as session:
        await idempotency.claim(session, "k", fingerprint=ORDER, lease=OVER)
    async with app_database.tenant(tenant) as first, app_database.tenant(tenant) as second:
        assert await idempotency.claim(first, "k", fingerprint=ORDER, lease=MINUTE) == Fresh(taken_over=True)
        assert await idempotency.claim(second, "k", fingerprint=ORDER, lease=MINUTE) == InProgress()
    async with app_database.tenant(tenant) as session:
        assert await idempotency.claim(session, "k", fingerprint=ORDER, lease=MINUTE) == InProgress()


async def test_a_released_claim_is_free_and_a_stored_answer_stays(
    app_database: Database, tenant: TenantId
) -> None:
    async with app_database.tenant(tenant) as session:
        await idempotency.claim(session, "k", fingerprint=ORDER, lease=MINUTE)
        await idempotency.release(session, "k")
        assert await idempotency.claim(session, "k", fingerprint=ORDER, lease=MINUTE) == Fresh()
        await idempotency.store(session, "k", status=201, body=b"first")
        await idempotency.store(session, "k", status=500, body=b"second")
        await idempotency.release(session, "k")
        assert await idempotency.claim(session, "k", fingerprint=ORDER) == Replay(201, {}, b"first")


async def test_old_keys_are_forgotten(app_database: Database, tenant: TenantId) -> None:
    now = dt.datetime.now(dt.UTC)
    async with app_database.tenant(tenant) as session:
        await idempotency.claim(session, "k", fingerprint=ORDER)
        assert await idempotency.forget_before(session, now - MINUTE) == 0
        assert await idempotency.forget_before(session, now + MINUTE) == 1


async def test_keys_belong_to_a_tenant(platform_database: PlatformDatabase) -> None:
    with pytest.raises(ValueError, match="belong to a tenant"):
        async with platform_database.session() as session:
            await idempotency.claim(session, "k", fingerprint=ORDER)
