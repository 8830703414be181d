"""A tenant is deleted for good: removed from four stores, and checked."""

import asyncio
import datetime as dt
import json
from typing import Any

import httpx
import pytest

from alphapulse.events import Event
from alphapulse.provisioning import sweep as sweeping
from alphapulse.runtime.trace import continue_trace
from alphapulse.runtime.work import Scope
from alphapulse.tenancy.states import TenantStatus, change_status
from alphapulse.tenancy.tenant import TenantId
from alphapulse.trading.settlement import lock_account
from tests.function.conftest import Broker, Clock, Functions
from tests.function.provisioning.conftest import PASSWORD, SignUps
from tests.function.provisioning.courier import Courier
from tests.function.provisioning.inspection import REGISTRY, Stores
from tests.tcp_proxy import TcpProxy

RESTING = """INSERT INTO trades
    (tenant_id, id, client_order_id, exchange, symbol, side, type, quantity, price, status)
    VALUES ($1, gen_random_uuid(), 'resting', 'kraken', 'BTC-USD', 'buy', 'limit', 1, 100, 'open')"""


async def delete(accounts: Functions, tenant: TenantId, password: str = PASSWORD) -> httpx.Response:
    return await accounts.caller("accounts", tenant).post("/tenants/me/delete", json={"password": password})


async def deletion_event(broker: Broker, tenant: TenantId) -> Event:
    return (await broker.wait_for("tenant.deletion.requested", tenant_id=tenant))[-1]


async def test_a_deleted_tenant_leaves_nothing_in_any_of_the_four_stores(
    accounts: Functions,
    broker: Broker,
    courier: Courier,
    sign_ups: SignUps,
    stores: Stores,
    lived_in: TenantId,
) -> None:
    assert set(await stores.of(lived_in, but=REGISTRY)) == {"postgres", "redis", "vault", "stripe"}

    answer = await delete(accounts, lived_in)
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled"), answer.text
    delivered = await courier.deliver("provision_compensate", await deletion_event(broker, lived_in))

    assert delivered is not None
    assert delivered.status_code == 204, delivered.text
    assert await stores.of(lived_in, but=REGISTRY) == {}
    assert await sign_ups.status(lived_in) == "deleted"


async def test_the_deletion_is_proved_by_a_report_of_what_was_removed_and_checked(
    functions: Functions,
    accounts: Functions,
    broker: Broker,
    courier: Courier,
    sign_ups: SignUps,
    lived_in: TenantId,
) -> None:
    await delete(accounts, lived_in)
    await courier.deliver("provision_compensate", await deletion_event(broker, lived_in))
    await accounts.settle()
    await functions.settle()

    run = await sign_ups.run(lived_in)
    report = {part["store"]: part for part in json.loads(run["report"])["stores"]}
    (row,) = await sign_ups.fetch(
        lived_in, "SELECT details FROM audit_log WHERE tenant_id = $1 AND action = 'tenant.deleted'"
    )
    (tenant,) = await sign_ups.fetch(lived_in, "SELECT * FROM tenants WHERE id = $1")

    assert report["database"]["removed"]["rows"]["trades"] == 2500
    assert report["database"]["removed"]["rows"]["trade_executions"] == 2500
    assert report["cache"]["removed"]["keys"] >= 3
    assert report["vault"]["removed"]["policies_and_secrets"] == 2
    assert len(report["billing"]["removed"]["customers"]) == 1
    assert json.loads(row["details"])["stores"] == json.loads(run["report"])["stores"]
    assert (tenant["company"], tenant["deleted_at"] is not None) == ("deleted", True)
    assert len(broker.named("tenant.deleted", lived_in)) == 1


async def test_an_owner_who_watches_the_deletion_does_not_hold_it_up(
    monkeypatch: pytest.MonkeyPatch,
    functions: Functions,
    accounts: Functions,
    broker: Broker,
    courier: Courier,
    sign_ups: SignUps,
    active: TenantId,
) -> None:
    await delete(accounts, active)
    owner = accounts.caller("accounts", active)
    keyspace = functions.resources("provision_compensate").keyspace
    remove, seen = keyspace.remove, []

    async def watched(tenant_id: TenantId) -> int:
        removed = await remove(tenant_id)
        seen.append(await owner.get(f"/tenants/{active}/provisioning"))
        return removed

    monkeypatch.setattr(keyspace, "remove", watched)
    answer = await courier.deliver("provision_compensate", await deletion_event(broker, active))

    assert answer is not None
    assert ([found.status_code for found in seen], answer.status_code) == ([200], 204), answer.text
    assert await sign_ups.status(active) == "deleted"


async def test_a_deletion_that_comes_again_does_nothing(
    accounts: Functions, broker: Broker, courier: Courier, sign_ups: SignUps, active: TenantId
) -> None:
    await delete(accounts, active)
    event = await deletion_event(broker, active)

    answers = [await courier.deliver("provision_compensate", event) for _ in range(3)]

    assert [answer.status_code for answer in answers if answer is not None] == [204] * 3
    audit = await sign_ups.fetch(
        active, "SELECT action FROM audit_log WHERE tenant_id = $1 AND action = 'tenant.deleted'"
    )
    assert len(audit) == 1


@pytest.mark.parametrize("store", ["redis", "vault", "stripe"])
async def test_a_store_that_is_away_delays_the_deletion_and_nothing_is_called_deleted(  # noqa: PLR0917 - fixtures
    accounts: Functions,
    broker: Broker,
    courier: Courier,
    sign_ups: SignUps,
    stores: Stores,
    proxies: dict[str, TcpProxy],
    lived_in: TenantId,
    store: str,
) -> None:
    await delete(accounts, lived_in)
    event = await deletion_event(broker, lived_in)
    await proxies[store].down()

    refused = await courier.deliver("provision_compensate", event)
    before = await sign_ups.status(lived_in)
    await proxies[store].up()
    answer = await courier._attempts("provision_compensate", event)

    assert refused is not None
    assert answer is not None
    assert (refused.status_code, before, answer.status_code) == (503, "cancelled", 204)
    assert await stores.of(lived_in, but=REGISTRY) == {}


async def test_the_sweep_finishes_a_deletion_whose_event_was_lost(
    functions: Functions,
    accounts: Functions,
    courier: Courier,
    sign_ups: SignUps,
    stores: Stores,
    active: TenantId,
) -> None:
    await delete(accounts, active)
    await sign_ups.age(active, dt.timedelta(minutes=2))

    await courier.deliver("provision_compensate", functions.tick("provisioning-sweep"))

    assert await sign_ups.status(active) == "deleted"
    assert await stores.of(active, but=REGISTRY) == {}


async def test_a_cancelled_tenant_is_deleted_after_thirty_days_and_not_before(
    functions: Functions, broker: Broker, courier: Courier, sign_ups: SignUps, active: TenantId, clock: Clock
) -> None:
    await sign_ups.execute(
        active, "UPDATE tenants SET status = 'cancelled', cancelled_at = now() WHERE id = $1"
    )
    clock.advance(days=29, hours=23)
    await courier.deliver("provision_compensate", functions.tick("provisioning-sweep"))
    await functions.settle()
    early = broker.named("tenant.deletion.requested", active)
    clock.advance(hours=2)

    await courier.deliver("provision_compensate", functions.tick("provisioning-sweep"))
    await courier.deliver("provision_compensate", await deletion_event(broker, active))

    assert early == []
    assert await sign_ups.status(active) == "deleted"


async def test_a_tenant_that_was_taken_back_while_the_sweep_was_under_way_is_not_deleted(
    monkeypatch: pytest.MonkeyPatch,
    functions: Functions,
    broker: Broker,
    courier: Courier,
    sign_ups: SignUps,
    active: TenantId,
    clock: Clock,
) -> None:
    await sign_ups.execute(
        active, "UPDATE tenants SET status = 'cancelled', cancelled_at = now() WHERE id = $1"
    )
    clock.advance(days=31)
    guarded = sweeping._guarded

    async def after_it_was_taken_back(
        done: Any, resources: Any, trace: Any, tenant_id: Any, task: Any
    ) -> None:
        if tenant_id == active.value:
            async with functions.resources("accounts").platform.session(active) as session:
                await change_status(session, active, TenantStatus.ACTIVE, now=clock())
        await guarded(done, resources, trace, tenant_id, task)

    monkeypatch.setattr(sweeping, "_guarded", after_it_was_taken_back)
    await courier.deliver("provision_compensate", functions.tick("provisioning-sweep"))
    await functions.settle()

    assert broker.named("tenant.deletion.requested", active) == []
    assert (await sign_ups.run(active))["kind"] == "provision"
    assert await sign_ups.status(active) == "active"


async def test_what_arrives_after_the_deletion_is_removed_by_the_recheck(
    functions: Functions,
    accounts: Functions,
    broker: Broker,
    courier: Courier,
    sign_ups: SignUps,
    stores: Stores,
    active: TenantId,
) -> None:
    await delete(accounts, active)
    await courier.deliver("provision_compensate", await deletion_event(broker, active))
    async with functions.resources("provision_verify").database.tenant(active) as session:
        await session.execute("INSERT INTO risk_limits (tenant_id) VALUES ($1)", active.value)
    await sign_ups.age(active, dt.timedelta(minutes=11))

    await courier.deliver("provision_compensate", functions.tick("provisioning-sweep"))

    assert await stores.of(active, but=REGISTRY) == {}
    assert (await sign_ups.run(active))["recheck_at"] is None


@pytest.mark.parametrize("role", ["trader", "viewer"])
async def test_only_the_owner_may_delete(accounts: Functions, active: TenantId, role: str) -> None:
    caller = accounts.caller("accounts", active, role=role)

    answer = await caller.post("/tenants/me/delete", json={"password": PASSWORD})

    assert answer.status_code == 403


async def test_a_wrong_password_deletes_nothing(
    accounts: Functions, sign_ups: SignUps, active: TenantId
) -> None:
    answer = await delete(accounts, active, password="something else")

    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_password")
    assert await sign_ups.status(active) == "active"


async def test_orders_that_are_open_at_an_exchange_stand_in_the_way(
    functions: Functions, accounts: Functions, sign_ups: SignUps, active: TenantId
) -> None:
    async with functions.resources("provision_verify").database.tenant(active) as session:
        await session.execute(RESTING, active.value)

    answer = await delete(accounts, active)

    assert (answer.status_code, answer.json()["code"]) == (409, "open_orders")
    assert await sign_ups.status(active) == "active"


async def test_an_order_that_is_being_committed_stands_in_the_way_too(
    functions: Functions, accounts: Functions, sign_ups: SignUps, active: TenantId
) -> None:
    scope = Scope(
        resources=functions.resources("provision_verify"), tenant_id=active, trace=continue_trace(None)
    )
    async with scope.transaction() as work:
        await lock_account(work, "kraken")  # as the placing of an order does
        await work.session.execute(RESTING, active.value)
        asked = asyncio.create_task(delete(accounts, active))
        await _until_it_waits(sign_ups, active)

    answer = await asked

    assert (answer.status_code, answer.json()["code"]) == (409, "open_orders")
    assert await sign_ups.status(active) == "active"


async def _until_it_waits(sign_ups: SignUps, tenant: TenantId) -> None:
    waiting = """SELECT pid FROM pg_locks
        WHERE locktype = 'advisory' AND NOT granted AND CAST($1 AS uuid) IS NOT NULL"""
    async with asyncio.timeout(10):
        while not await sign_ups.fetch(tenant, waiting):
            await asyncio.sleep(0.02)
