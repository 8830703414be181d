"""At most one effect per event and consumer, against a real server."""

import asyncio

import pytest

from alphapulse.data import processed
from alphapulse.events import Event, event_type
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId


def event_of(tenant_id: TenantId | None) -> Event:
    extensions = {} if tenant_id is None else {"tenantid": str(tenant_id)}
    return Event(
        type=event_type("trade.filled"), source="/functions/trade", data={"id": "1"}, extensions=extensions
    )


async def test_a_redelivery_gets_the_first_reply(app_database: Database, tenant: TenantId) -> None:
    event, reply = event_of(tenant), event_of(tenant)
    async with app_database.tenant(tenant) as session:
        first = await processed.claim(session, "portfolio", event)
        await processed.store_reply(session, "portfolio", event, reply)
    async with app_database.tenant(tenant) as session:
        second = await processed.claim(session, "portfolio", event)
        elsewhere = await processed.claim(session, "notify", event)

    assert first == processed.Claim(first=True, reply=None)
    assert second == processed.Claim(first=False, reply=reply)
    assert elsewhere.first


async def test_a_claim_of_a_failed_handler_is_free_again(app_database: Database, tenant: TenantId) -> None:
    event = event_of(tenant)

    async def fail() -> None:
        async with app_database.tenant(tenant) as session:
            await processed.claim(session, "portfolio", event)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with app_database.tenant(tenant) as session:
        assert (await processed.claim(session, "portfolio", event)).first


async def test_of_two_deliveries_at_once_the_second_waits_and_has_no_effect(
    app_database: Database, tenant: TenantId
) -> None:
    event = event_of(tenant)
    claimed = asyncio.Event()
    finish = asyncio.Event()

    async def first() -> bool:
        async with app_database.tenant(tenant) as session:
            claim = await processed.claim(session, "portfolio", event)
            claimed.set()
            await finish.wait()
        return claim.first

    async def second() -> bool:
        async with app_database.tenant(tenant) as session:
            return (await processed.claim(session, "portfolio", event)).first

    one = asyncio.create_task(first())
    await claimed.wait()
    two = asyncio.create_task(second())
    finished, _ = await asyncio.wait({two}, timeout=0.2)
    assert not finished
    finish.set()

    assert await one
    assert not await two


async def test_platform_events_have_a_home_of_their_own(
    app_database: Database, platform_database: PlatformDatabase, tenant: TenantId
) -> None:
    event = event_of(None)
    async with platform_database.session() as session:
        assert (await processed.claim(session, "market-data", event)).first
        await processed.store_reply(session, "market-data", event, event)
    async with platform_database.session() as session:
        assert await processed.claim(session, "market-data", event) == processed.Claim(
            first=False, reply=event
        )
    with pytest.raises(Exception, match="permission denied"):
        async with app_database.tenant(tenant) as app_session:
            await processed.claim(app_session, "market-data", event)
