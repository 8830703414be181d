"""Each step x each fault: the tenant ends active, or cleanly failed with nothing left; never half.

The faults: an error that passes, one that stays, a process that dies after the effect and before it
is recorded, one whose answer is lost after it was recorded, an event that comes several times at once,
late and again, and a store that is away for longer than several attempts, or for good.
"""

import asyncio

import pytest

from alphapulse.provisioning.steps import ORDER, Step
from tests.function.provisioning import faults
from tests.function.provisioning.conftest import SignUps
from tests.function.provisioning.courier import Courier
from tests.function.provisioning.faults import ALWAYS, Times
from tests.function.provisioning.inspection import ACCOUNT, Stores
from tests.tcp_proxy import TcpProxy

BY_STEP = pytest.mark.parametrize("step", ORDER)


@BY_STEP
async def test_an_error_that_passes_is_tried_again_and_recorded(
    monkeypatch: pytest.MonkeyPatch, sign_ups: SignUps, courier: Courier, step: Step
) -> None:
    faults.have(monkeypatch, step, Times(2, faults.unavailable))
    tenant, event = await sign_ups.new()

    await courier.carry(event)

    row = (await sign_ups.steps(tenant))[step]
    failures = row["detail"] if isinstance(row["detail"], str) else ""
    assert await sign_ups.status(tenant) == "active"
    assert (row["status"], row["attempts"], row["error"]) == ("done", 3, None)
    assert failures.count("on its way to a better place") == 2


@BY_STEP
@pytest.mark.parametrize("after_effect", [False, True], ids=["before-effect", "after-effect"])
async def test_an_error_that_stays_is_undone_at_once_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
    sign_ups: SignUps,
    courier: Courier,
    stores: Stores,
    step: Step,
    after_effect: bool,
) -> None:
    faults.have(monkeypatch, step, Times(ALWAYS, faults.refused, after_effect=after_effect))
    tenant, event = await sign_ups.new()

    await courier.carry(event)

    await assert_cleanly_failed(sign_ups, stores, tenant_step=(tenant, step))
    assert (await sign_ups.steps(tenant))[step]["attempts"] == 1
    assert courier.parked == []


@BY_STEP
async def test_an_error_that_never_passes_is_undone_when_the_attempts_are_used_up(
    monkeypatch: pytest.MonkeyPatch, sign_ups: SignUps, courier: Courier, stores: Stores, step: Step
) -> None:
    courier.retries = 3
    faults.have(monkeypatch, step, Times(ALWAYS, faults.unavailable, after_effect=True))
    tenant, event = await sign_ups.new()

    await courier.carry(event)

    await assert_cleanly_failed(sign_ups, stores, tenant_step=(tenant, step))
    assert (await sign_ups.steps(tenant))[step]["attempts"] == 4


@BY_STEP
async def test_a_process_that_dies_after_the_effect_has_it_found_again(
    monkeypatch: pytest.MonkeyPatch, sign_ups: SignUps, courier: Courier, stores: Stores, step: Step
) -> None:
    faults.have(monkeypatch, step, Times(2, faults.killed, after_effect=True))
    tenant, event = await sign_ups.new()

    await courier.carry(event)

    assert await sign_ups.status(tenant) == "active"
    found = await stores.of(tenant, but=ACCOUNT)
    assert len(found["stripe"]) == 1
    assert (await sign_ups.steps(tenant))[step]["attempts"] == 3


@BY_STEP
async def test_a_process_that_always_dies_after_the_effect_is_undone(
    monkeypatch: pytest.MonkeyPatch, sign_ups: SignUps, courier: Courier, stores: Stores, step: Step
) -> None:
    courier.retries = 2
    faults.have(monkeypatch, step, Times(ALWAYS, faults.killed, after_effect=True))
    tenant, event = await sign_ups.new()

    await courier.carry(event)

    await assert_cleanly_failed(sign_ups, stores, tenant_step=(tenant, step))


@BY_STEP
async def test_an_answer_that_is_lost_is_given_again_and_the_step_not_done_again(
    sign_ups: SignUps, courier: Courier, step: Step
) -> None:
    tenant, event = await sign_ups.new()
    waiting = event
    for earlier in ORDER[: ORDER.index(step)]:
        (waiting,) = await courier._to_step(earlier, waiting)
    courier.lose_answers = 2
    (first,) = await courier._to_step(step, waiting)
    (again,) = await courier._to_step(step, waiting)

    assert (first.id, first.type, first.data) == (again.id, again.type, again.data)
    assert (await sign_ups.steps(tenant))[step]["attempts"] == 1


@BY_STEP
async def test_an_event_that_comes_many_times_at_once_and_again_has_one_effect(
    monkeypatch: pytest.MonkeyPatch, sign_ups: SignUps, courier: Courier, stores: Stores, step: Step
) -> None:
    effects = []

    async def counted(effect: faults.Effect, work: object, run: object) -> object:
        effects.append(step)
        await asyncio.sleep(0.05)
        return await effect(work, run)  # type: ignore[arg-type]

    faults.have(monkeypatch, step, counted)  # type: ignore[arg-type]
    tenant, event = await sign_ups.new()
    courier.copies = 3

    await courier.carry(event)
    courier.copies = 1
    await courier.carry(event)

    assert await sign_ups.status(tenant) == "active"
    assert effects == [step]
    assert len((await stores.of(tenant, but=ACCOUNT))["stripe"]) == 1


@BY_STEP
async def test_an_event_that_comes_after_the_undoing_makes_nothing(
    monkeypatch: pytest.MonkeyPatch, sign_ups: SignUps, courier: Courier, stores: Stores, step: Step
) -> None:
    faults.have(monkeypatch, step, Times(1, faults.refused))
    tenant, event = await sign_ups.new()
    await courier.carry(event)
    seen = [delivered for function, delivered, _ in courier.delivered if function != "provision_compensate"]

    for late in reversed(seen):
        await courier.carry(late)

    await assert_cleanly_failed(sign_ups, stores, tenant_step=(tenant, step))


NEEDS = [
    (step, store)
    for step, needed in {
        Step.DATABASE: ["postgres"],
        Step.VAULT: ["postgres", "vault"],
        Step.CACHE: ["postgres", "redis"],
        Step.BILLING: ["postgres", "stripe"],
        Step.VERIFY: ["postgres", "redis", "vault", "stripe"],
        Step.ACTIVATE: ["postgres"],
    }.items()
    for store in needed
]


@pytest.mark.parametrize(("step", "store"), NEEDS, ids=[f"{step}-without-{store}" for step, store in NEEDS])
async def test_a_store_that_is_away_for_several_attempts_delays_and_harms_nothing(
    sign_ups: SignUps, courier: Courier, proxies: dict[str, TcpProxy], step: Step, store: str
) -> None:
    tenant, event = await sign_ups.new()
    waiting = event
    for earlier in ORDER[: ORDER.index(step)]:
        (waiting,) = await courier._to_step(earlier, waiting)
    await proxies[store].down()
    carried = asyncio.create_task(courier.carry(waiting))
    await until_refused(courier, f"provision_{step}", times=4)
    await proxies[store].up()

    await carried

    assert await sign_ups.status(tenant) == "active"
    assert {row["status"] for row in (await sign_ups.steps(tenant)).values()} == {"done"}


@pytest.mark.parametrize("store", ["redis", "vault", "stripe"])
async def test_a_store_that_stays_away_ends_in_a_clean_failure_once_it_can_be_asked(
    sign_ups: SignUps, courier: Courier, stores: Stores, proxies: dict[str, TcpProxy], store: str
) -> None:
    step = {"redis": Step.CACHE, "vault": Step.VAULT, "stripe": Step.BILLING}[store]
    courier.retries = 2
    tenant, event = await sign_ups.new()
    await proxies[store].down()
    await courier.carry(event)
    # What cannot be looked at is not called removed: neither failed nor active, and no step begins any more.
    assert await sign_ups.status(tenant) == "provisioning"
    assert (await sign_ups.run(tenant))["status"] == "compensating"
    await proxies[store].up()

    (letter,) = courier.parked
    answer = None
    async with asyncio.timeout(10):
        while answer is None or answer.status_code != 204:
            answer = await courier.deliver("provision_compensate", letter)
            await asyncio.sleep(0.2)

    await assert_cleanly_failed(sign_ups, stores, tenant_step=(tenant, step))


async def until_refused(courier: Courier, function: str, *, times: int) -> None:
    async with asyncio.timeout(30):
        while sum(name == function and status != 200 for name, _, status in courier.delivered) < times:
            await asyncio.sleep(0.01)


async def assert_cleanly_failed(
    sign_ups: SignUps, stores: Stores, *, tenant_step: tuple[object, Step]
) -> None:
    tenant, step = tenant_step
    steps = await sign_ups.steps(tenant)  # type: ignore[arg-type]
    expected = {
        other: "failed"
        if other is step
        else "compensated"
        if ORDER.index(other) < ORDER.index(step)
        else "skipped"
        for other in ORDER
    }
    assert await sign_ups.status(tenant) == "failed"  # type: ignore[arg-type]
    assert {name: row["status"] for name, row in steps.items()} == expected
    assert steps[step]["error"]
    assert await stores.of(tenant, but=ACCOUNT) == {}  # type: ignore[arg-type]
