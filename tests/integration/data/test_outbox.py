"""The outbox and its relay's side against a real server."""

import datetime as dt

import pytest

from alphapulse.data import outbox
from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.events import Event, event_type
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId

AT_ONCE = dt.timedelta()


def event_of(tenant_id: TenantId | None, **values: object) -> Event:
    extensions = {} if tenant_id is None else {"tenantid": str(tenant_id)}
    return Event(
        type=event_type("trade.filled"), source="/functions/trade", data=values, extensions=extensions
    )


async def test_an_event_waits_for_its_writer_before_the_relay_sees_it(empty_database: DatabaseUrls) -> None:
    tenant_id = TenantId.new()
    event = event_of(tenant_id, price="1.50")
    app = Database(empty_database.app, application_name="test")
    platform = PlatformDatabase(empty_database.platform)
    async with app.tenant(tenant_id) as session:
        await outbox.enqueue(session, event)
    async with platform.session() as session:
        assert await outbox.pending(session) == []
        assert (await outbox.backlog(session))[0] == 1

    async with app.tenant(tenant_id) as session:
        await outbox.mark_sent(session, [event.id])
    async with platform.session() as session:
        assert await outbox.backlog(session) == (0, None)
    await app.close()
    await platform.close()


async def test_the_relay_leases_events_of_all_tenants_and_of_the_platform(
    empty_database: DatabaseUrls,
) -> None:
    app = Database(empty_database.app, application_name="test")
    platform = PlatformDatabase(empty_database.platform)
    events = [event_of(TenantId.new()), event_of(TenantId.new()), event_of(None)]
    async with platform.session() as session:
        for event in events:
            await outbox.enqueue(session, event, grace=AT_ONCE)

    async with platform.session() as session:
        first = await outbox.pending(session, 2)
    async with platform.session() as session:
        second = await outbox.pending(session)
    async with platform.session() as session:
        third = await outbox.pending(session)

    assert len(first) == 2
    assert len(second) == 1
    assert third == []
    leased = {row.event.id: row.event for row in first + second}
    assert leased == {event.id: event for event in events}
    await app.close()
    await platform.close()


async def test_two_relays_at_once_share_the_work(empty_database: DatabaseUrls) -> None:
    platform = PlatformDatabase(empty_database.platform)
    events = [event_of(TenantId.new()) for _ in range(10)]
    async with platform.session() as session:
        for event in events:
            await outbox.enqueue(session, event, grace=AT_ONCE)

    async with platform.session() as one, platform.session() as another:
        leased = await outbox.pending(one, 6) + await outbox.pending(another, 6)

    assert sorted(row.event.id for row in leased) == sorted(event.id for event in events)
    await platform.close()


async def test_a_lease_that_ended_gives_the_event_to_the_next_relay(empty_database: DatabaseUrls) -> None:
    platform = PlatformDatabase(empty_database.platform)
    async with platform.session() as session:
        await outbox.enqueue(session, event_of(TenantId.new()), grace=AT_ONCE)
    async with platform.session() as session:
        await outbox.pending(session, lease=AT_ONCE)
    async with platform.session() as session:
        again = await outbox.pending(session)

    assert [row.attempts for row in again] == [2]
    await platform.close()


async def test_a_failed_event_is_postponed_and_a_sent_one_is_gone(empty_database: DatabaseUrls) -> None:
    platform = PlatformDatabase(empty_database.platform)
    async with platform.session() as session:
        for event in (event_of(TenantId.new()), event_of(None)):
            await outbox.enqueue(session, event, grace=AT_ONCE)
    async with platform.session() as session:
        leased = await outbox.pending(session)
        await outbox.mark_failed(session, leased, error="broker answered 503")
    async with platform.session() as session:
        assert await outbox.pending(session) == []
        await outbox.mark_sent(session, [row.event.id for row in leased])
    async with platform.session() as session:
        assert await outbox.backlog(session) == (0, None)
    await platform.close()


async def test_a_refused_event_is_leased_no_more_until_the_mark_is_taken_away(
    empty_database: DatabaseUrls,
) -> None:
    platform = PlatformDatabase(empty_database.platform)
    tenant_id = TenantId.new()
    events = [event_of(tenant_id), event_of(None)]
    async with platform.session() as session:
        for event in events:
            await outbox.enqueue(session, event, grace=AT_ONCE)
    async with platform.session() as session:
        leased = await outbox.pending(session, lease=AT_ONCE)
        await outbox.mark_refused(session, leased, error="broker answered 413")

    async with platform.session() as session:
        assert await outbox.pending(session) == []
        assert await outbox.backlog(session) == (0, None)
        assert await outbox.refused(session) == 2
        for table in ("outbox", "platform_outbox"):
            assert await session.fetchval(f"SELECT last_error FROM {table}") == "broker answered 413"
            await session.execute(f"UPDATE {table} SET refused_at = NULL")
    async with platform.session() as session:
        again = await outbox.pending(session)

    assert {row.event.id for row in again} == {event.id for event in events}
    await platform.close()


async def test_a_tenant_cannot_delete_anothers_event(
    app_database: Database, platform_database: PlatformDatabase, tenant: TenantId, other_tenant: TenantId
) -> None:
    event = event_of(tenant)
    async with app_database.tenant(tenant) as session:
        await outbox.enqueue(session, event)
    async with app_database.tenant(other_tenant) as session:
        await outbox.mark_sent(session, [event.id])

    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT count(*) FROM outbox") == 1


async def test_an_event_rolls_back_with_its_change(app_database: Database, tenant: TenantId) -> None:
    async def work() -> None:
        async with app_database.tenant(tenant) as session:
            await outbox.enqueue(session, event_of(tenant))
            raise LookupError

    with pytest.raises(LookupError):
        await work()
    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT count(*) FROM outbox") == 0


async def test_many_events_are_written_together_and_read_back_as_they_were(
    empty_database: DatabaseUrls,
) -> None:
    tenant_id = TenantId.new()
    # More than one statement takes, with what JSON must quote.
    events = [event_of(tenant_id, number=n, text='a "b" \\ {c}, d') for n in range(501)]
    app = Database(empty_database.app, application_name="test")
    platform = PlatformDatabase(empty_database.platform)
    async with app.tenant(tenant_id) as session:
        await outbox.enqueue_many(session, events, grace=AT_ONCE)
        await outbox.enqueue_many(session, events[:2], grace=AT_ONCE)
        await outbox.enqueue_many(session, [])

    async with platform.session() as session:
        leased = await outbox.pending(session, 1000)

    assert {row.event.id: row.event for row in leased} == {event.id: event for event in events}
    await app.close()
    await platform.close()


async def test_many_events_of_another_tenant_are_refused(app_database: Database) -> None:
    tenant_id = TenantId.new()
    events = [event_of(tenant_id), event_of(TenantId.new())]

    with pytest.raises(ValueError, match="of the session's tenant"):
        async with app_database.tenant(tenant_id) as session:
            await outbox.enqueue_many(session, events)
