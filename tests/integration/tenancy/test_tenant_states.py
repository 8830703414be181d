"""A tenant goes from state to state as the table says, and in no other way."""

import asyncio
import datetime as dt
import itertools

import pytest

from alphapulse.provisioning.runs import sql as provisioning
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.states import TRANSITIONS, TenantStatus, TransitionRefused, change_status
from alphapulse.tenancy.tenant import TenantId
from tests.conftest import TenantFactory

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
PAIRS = list(itertools.product(TenantStatus, repeat=2))


def test_every_state_but_deleted_leads_somewhere_and_deleted_to_nothing() -> None:
    ends = {status for status, following in TRANSITIONS.items() if not following}

    assert set(TRANSITIONS) == set(TenantStatus)
    assert ends == {TenantStatus.DELETED}


@pytest.mark.parametrize(("origin", "to"), PAIRS, ids=[f"{origin}-to-{to}" for origin, to in PAIRS])
async def test_a_transition_is_made_or_refused_as_the_table_says(
    platform_database: PlatformDatabase, new_tenant: TenantFactory, origin: TenantStatus, to: TenantStatus
) -> None:
    tenant = await new_tenant(status=origin.value)

    async with platform_database.session(tenant) as session:
        try:
            changed = await change_status(session, tenant, to, reason="why", now=NOW)
        except TransitionRefused as refused:
            outcome = f"refused from {refused.status} to {refused.wanted}"
        else:
            outcome = "changed" if changed else "already"
        found = await session.fetchval("SELECT status FROM tenants WHERE id = $1", tenant.value)

    refusal = f"refused from {origin} to {to}"
    allowed = "changed" if to in TRANSITIONS[origin] else "already" if origin is to else refusal
    assert allowed == outcome
    assert found == (to if outcome == "changed" else origin)


async def test_the_moments_of_a_tenants_life_are_kept(
    platform_database: PlatformDatabase, new_tenant: TenantFactory
) -> None:
    tenant = await new_tenant()

    async with platform_database.session(tenant) as session:
        for to in (TenantStatus.SUSPENDED, TenantStatus.CANCELLED, TenantStatus.DELETED):
            await change_status(session, tenant, to, reason=f"became {to}", now=NOW)
        row = await session.fetchrow(
            "SELECT suspended_at, cancelled_at, deleted_at, status_reason FROM tenants WHERE id = $1",
            tenant.value,
        )

    assert row is not None
    assert tuple(row) == (NOW, NOW, NOW, "became deleted")


async def test_an_unknown_tenant_has_no_state_to_change(platform_database: PlatformDatabase) -> None:
    nobody = TenantId.new()

    async with platform_database.session(nobody) as session:
        with pytest.raises(TransitionRefused, match="no such tenant"):
            await change_status(session, nobody, TenantStatus.ACTIVE, now=NOW)


@pytest.mark.parametrize("status", ["running", "compensating"])
async def test_a_tenant_whose_deletion_has_begun_cannot_be_taken_back(
    platform_database: PlatformDatabase, new_tenant: TenantFactory, status: str
) -> None:
    tenant = await new_tenant(status="cancelled")
    async with platform_database.session(tenant) as session:
        await session.execute(
            """INSERT INTO provisioning_runs (tenant_id, id, kind, status, deadline_at)
            VALUES ($1, gen_random_uuid(), 'delete', $2, now())""",
            tenant.value,
            status,
        )

    async with platform_database.session(tenant) as session:
        with pytest.raises(TransitionRefused, match="its deletion has begun"):
            await change_status(session, tenant, TenantStatus.ACTIVE, now=NOW)
        await change_status(session, tenant, TenantStatus.DELETED, now=NOW)


async def test_whoever_takes_a_tenant_back_waits_for_a_deletion_that_is_being_requested(
    platform_database: PlatformDatabase, new_tenant: TenantFactory
) -> None:
    tenant = await new_tenant(status="cancelled")

    async def take_back() -> None:
        async with platform_database.session(tenant) as session:
            await change_status(session, tenant, TenantStatus.ACTIVE, now=NOW)

    async with platform_database.session(tenant) as session:
        await provisioning.hold_tenant(session, tenant_id=tenant.value)
        taking_back = asyncio.create_task(take_back())
        await asyncio.wait([taking_back], timeout=0.2)
        waits = not taking_back.done()
        await session.execute(
            """INSERT INTO provisioning_runs (tenant_id, id, kind, deadline_at)
            VALUES ($1, gen_random_uuid(), 'delete', now())""",
            tenant.value,
        )

    with pytest.raises(TransitionRefused, match="its deletion has begun"):
        await taking_back
    assert waits
