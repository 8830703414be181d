"""What the events alone did not finish, the sweep finishes."""

import asyncio
import datetime as dt

import pytest

from alphapulse.provisioning import sweep as sweeping
from alphapulse.provisioning.steps import ORDER, Step
from alphapulse.tenancy.tenant import TenantId
from tests.function.conftest import Broker, Functions
from tests.function.provisioning import faults
from tests.function.provisioning.conftest import SignUps
from tests.function.provisioning.courier import Courier, Killed
from tests.function.provisioning.faults import ALWAYS, Times
from tests.function.provisioning.inspection import ACCOUNT, Stores

SILENT = dt.timedelta(seconds=80)
OVERDUE = dt.timedelta(minutes=3)


async def sweep(functions: Functions, courier: Courier) -> None:
    answer = await courier.deliver("provision_compensate", functions.tick("provisioning-sweep"))
    assert answer is not None
    assert answer.status_code == 204, answer.text
    await functions.settle()


@pytest.mark.parametrize("step", ORDER)
async def test_a_run_whose_event_was_lost_goes_on_where_it_stopped(
    functions: Functions, broker: Broker, courier: Courier, sign_ups: SignUps, step: Step
) -> None:
    tenant, event = await sign_ups.new()
    waiting = event
    for earlier in ORDER[: ORDER.index(step)]:
        (waiting,) = await courier._to_step(earlier, waiting)
    await sign_ups.age(tenant, SILENT)

    await sweep(functions, courier)
    (again,) = broker.named(step.asked_by, tenant)
    await courier.carry(again)

    assert again.id != waiting.id  # a broker that remembers ids must not drop it
    assert await sign_ups.status(tenant) == "active"
    assert {row["attempts"] for row in (await sign_ups.steps(tenant)).values()} == {1}


async def test_a_run_that_shows_signs_of_life_is_left_alone(
    functions: Functions, broker: Broker, courier: Courier, sign_ups: SignUps
) -> None:
    tenant, event = await sign_ups.new()
    await courier._to_step(Step.DATABASE, event)

    await sweep(functions, courier)

    assert broker.named("tenant.database.ready", tenant) == []
    assert (await sign_ups.run(tenant))["status"] == "running"


async def test_a_run_past_its_deadline_is_undone(
    functions: Functions, courier: Courier, sign_ups: SignUps, stores: Stores
) -> None:
    tenant, event = await sign_ups.new()
    waiting = event
    for earlier in (Step.DATABASE, Step.VAULT, Step.CACHE):
        (waiting,) = await courier._to_step(earlier, waiting)
    await sign_ups.age(tenant, OVERDUE)

    await sweep(functions, courier)
    await courier.carry(waiting)  # the event that was lost turns up after all

    run = await sign_ups.run(tenant)
    assert (await sign_ups.status(tenant), run["status"]) == ("failed", "failed")
    assert run["error"] == "it was not done in time"
    assert await stores.of(tenant, but=ACCOUNT) == {}


async def test_an_undoing_that_did_not_end_is_ended(
    monkeypatch: pytest.MonkeyPatch,
    functions: Functions,
    courier: Courier,
    sign_ups: SignUps,
    stores: Stores,
) -> None:
    faults.have(monkeypatch, Step.VERIFY, Times(ALWAYS, faults.refused))
    tenant, event = await sign_ups.new()
    vault = functions.resources("provision_compensate").platform_vault

    async def dies(_: object) -> None:
        raise Killed

    with monkeypatch.context() as unwilling:
        unwilling.setattr(vault, "remove_tenant", dies)
        courier.retries = 1
        await courier.carry(event)
    assert (await sign_ups.run(tenant))["status"] == "compensating"
    assert len(courier.parked) == 1
    await sign_ups.age(tenant, SILENT)

    await sweep(functions, courier)

    assert await sign_ups.status(tenant) == "failed"
    assert await stores.of(tenant, but=ACCOUNT) == {}


async def test_one_tenants_trouble_keeps_no_other_waiting(
    monkeypatch: pytest.MonkeyPatch, functions: Functions, courier: Courier, sign_ups: SignUps
) -> None:
    stuck, _ = await sign_ups.new()
    fine, _ = await sign_ups.new()
    for tenant in (stuck, fine):
        await sign_ups.age(tenant, OVERDUE)
    keyspace = functions.resources("provision_compensate").keyspace
    remove = keyspace.remove

    async def unwilling(tenant_id: object) -> int:
        if tenant_id == stuck:
            raise faults.unavailable()
        return await remove(tenant_id)  # type: ignore[arg-type]

    monkeypatch.setattr(keyspace, "remove", unwilling)
    await sweep(functions, courier)

    assert (await sign_ups.status(stuck), await sign_ups.status(fine)) == ("pending", "failed")


async def test_a_sweep_that_takes_long_leaves_the_rest_to_the_next_one(
    monkeypatch: pytest.MonkeyPatch, functions: Functions, courier: Courier, sign_ups: SignUps
) -> None:
    tenants = [(await sign_ups.new())[0] for _ in range(2)]
    for tenant in tenants:
        await sign_ups.age(tenant, dt.timedelta(days=1))  # the oldest of all
    keyspace = functions.resources("provision_compensate").keyspace
    remove = keyspace.remove

    async def slow(tenant_id: TenantId) -> int:
        await asyncio.sleep(0.1)
        return await remove(tenant_id)

    async def statuses() -> list[str]:
        return sorted([await sign_ups.status(tenant) for tenant in tenants])

    monkeypatch.setattr(keyspace, "remove", slow)
    with monkeypatch.context() as hurried:
        hurried.setattr(sweeping, "BEGIN_WITHIN_SECONDS", 0.1)
        await sweep(functions, courier)
    after_one = await statuses()
    await sweep(functions, courier)

    assert (after_one, await statuses()) == (["failed", "pending"], ["failed", "failed"])
