"""From a sign-up to an active tenant, and what each step leaves behind."""

import asyncio

import pytest

from alphapulse.provisioning.steps import ORDER
from alphapulse.tenancy.principal import Tier
from tests.function.conftest import Broker, Functions
from tests.function.provisioning.conftest import SignUps
from tests.function.provisioning.courier import Courier
from tests.function.provisioning.inspection import ACCOUNT, Stores


async def test_a_sign_up_becomes_an_active_tenant_with_a_place_in_all_four_stores(
    sign_ups: SignUps, courier: Courier, stores: Stores
) -> None:
    tenant, event = await sign_ups.new()

    await courier.carry(event)

    assert await sign_ups.status(tenant) == "active"
    found = await stores.of(tenant, but=ACCOUNT)
    assert set(found) == {"postgres", "redis", "vault", "stripe"}
    assert found["postgres"] == {
        "balances": 1,
        "portfolio_history": 1,
        "portfolios": 1,
        "risk_limits": 1,
        "subscriptions": 1,
        "tenant_configs": 1,
    }
    assert found["vault"] == [f"tenant-{tenant}"]
    assert len(found["stripe"]) == 1


async def test_each_step_is_recorded_with_its_attempts_and_times(sign_ups: SignUps, courier: Courier) -> None:
    tenant, event = await sign_ups.new()
    await courier.carry(event)

    steps = await sign_ups.steps(tenant)
    run = await sign_ups.run(tenant)

    assert [(name, row["status"], row["attempts"], row["error"]) for name, row in steps.items()] == [
        (step, "done", 1, None) for step in ORDER
    ]
    times = [moment for row in steps.values() for moment in (row["started_at"], row["finished_at"])]
    assert times == sorted(times)
    assert (run["status"], run["kind"], run["report"]) == ("done", "provision", None)


async def test_the_owner_is_welcomed_once(
    sign_ups: SignUps, courier: Courier, broker: Broker, functions: Functions
) -> None:
    tenant, event = await sign_ups.new()
    courier.copies = 3

    await courier.carry(event)
    await functions.settle()

    notices = broker.named("notification.requested", tenant)
    assert [notice.data["kind"] for notice in notices] == ["welcome"]
    # An event stays in the broker longer than the tenant may: the name is looked up by who sends the mail.
    assert "Acme" not in str([event.data for event in broker.events])


@pytest.mark.parametrize("tier", list(Tier))
async def test_every_tier_gets_its_leverage(sign_ups: SignUps, courier: Courier, tier: Tier) -> None:
    tenant, event = await sign_ups.new(tier)
    await courier.carry(event)

    (row,) = await sign_ups.fetch(tenant, "SELECT max_leverage FROM risk_limits WHERE tenant_id = $1")

    assert int(row["max_leverage"]) == {"starter": 1, "pro": 2, "enterprise": 5}[tier.value]


async def test_twenty_sign_ups_at_once_all_become_active_and_nobody_waits_for_a_lock(
    sign_ups: SignUps, courier: Courier
) -> None:
    new = [await sign_ups.new() for _ in range(20)]

    await asyncio.gather(*(courier.carry(event) for _, event in new))

    assert {await sign_ups.status(tenant) for tenant, _ in new} == {"active"}
    # 503: a store was slow to answer on a busy machine, and the step was delivered again.
    assert {status for _, _, status in courier.delivered} <= {200, 503}
