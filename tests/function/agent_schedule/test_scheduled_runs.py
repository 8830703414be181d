"""Subscriptions become runs when a bar has closed: one per tenant and close, whatever happens."""

import asyncio
import datetime as dt
import random
import string
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.domain.agents.registry import AGENT_NAMES
from alphapulse.domain.instruments import Interval
from alphapulse.events import Event
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.postgres import EmbeddedPostgres
from alphapulse_local.embedded.redis import EmbeddedRedis
from functions.agent_schedule import service
from tests.conftest import TenantFactory
from tests.function.conftest import Broker, Clock, Functions
from tests.held_rows import held, waits_for_a_lock
from tests.killable_function import running_function
from tests.stored_candles import list_instrument

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
NOW = NOON + dt.timedelta(minutes=3)
AGENTS_OF_A_STARTER = list(AGENT_NAMES[:3])


class Schedule:
    """The function under test, and what is stored around it."""

    def __init__(self, functions: Functions, database: Database) -> None:
        self.functions = functions
        self.database = database

    async def tick(self, interval: str = "1h", *, at: dt.datetime = NOW) -> httpx.Response:
        return await self.functions.deliver("agent_schedule", self.event(interval, at=at))

    def event(self, interval: str = "1h", *, at: dt.datetime = NOW) -> Event:
        return replace(self.functions.tick(f"agent-schedule-{interval}"), time=at)

    async def subscribe(
        self,
        tenant: TenantId,
        symbol: str,
        *,
        interval: str = "1h",
        agents: Sequence[str] | None = None,
        enabled: bool = True,
    ) -> None:
        async with self.database.tenant(tenant) as session:
            await session.execute(
                """INSERT INTO agent_subscriptions (tenant_id, id, symbol, interval, agents, enabled)
                VALUES ($1, $2, $3, $4, $5, $6)""",
                tenant.value,
                uuid7(),
                symbol,
                interval,
                None if agents is None else list(agents),
                enabled,
            )

    async def switch(self, tenant: TenantId, **agents: bool) -> None:
        async with self.database.tenant(tenant) as session:
            for agent, enabled in agents.items():
                await session.execute(
                    """INSERT INTO agent_configs (tenant_id, id, agent, version, enabled)
                    VALUES ($1, $2, $3, 1, $4)""",
                    tenant.value,
                    uuid7(),
                    agent,
                    enabled,
                )

    async def runs(self, tenant: TenantId) -> list[Any]:
        async with self.database.tenant(tenant) as session:
            return await session.fetch(
                "SELECT * FROM agent_runs WHERE tenant_id = $1 ORDER BY tick_at", tenant.value
            )

    async def tasks(self, tenant: TenantId) -> list[tuple[str, str]]:
        async with self.database.tenant(tenant) as session:
            rows = await session.fetch(
                "SELECT agent, symbol FROM agent_run_tasks WHERE tenant_id = $1", tenant.value
            )
        return sorted((row["symbol"], row["agent"]) for row in rows)


@pytest.fixture
def clock() -> Clock:
    """Three minutes past noon."""
    return Clock(NOW)


@pytest.fixture
def schedule(functions: Functions, app_database: Database) -> Schedule:
    return Schedule(functions, app_database)


@pytest.fixture
async def symbols(platform_database: PlatformDatabase) -> list[str]:
    """Two symbols that are traded and that no other test uses."""
    stem = "".join(random.choices(string.ascii_uppercase, k=10))
    names = [f"{stem}A-USD", f"{stem}B-USD"]
    for name in names:
        await list_instrument(platform_database, name)
    return names


async def test_subscriptions_of_an_interval_become_one_run(
    schedule: Schedule, tenant: TenantId, symbols: list[str], broker: Broker
) -> None:
    first, second = symbols
    await schedule.subscribe(tenant, first)
    await schedule.subscribe(tenant, second, agents=["sentiment", "technical"])
    await schedule.subscribe(tenant, second, interval="1d")

    answer = await schedule.tick()

    assert answer.status_code == 204
    [run] = await schedule.runs(tenant)
    assert (run["origin"], run["interval"], run["tick_at"], run["created_by"]) == (
        "schedule",
        "1h",
        NOON,
        None,
    )
    assert (run["symbols"], run["agents"]) == (symbols, AGENTS_OF_A_STARTER)
    assert run["deadline_at"] - run["created_at"] == dt.timedelta(minutes=5)
    asked = [(first, agent) for agent in AGENTS_OF_A_STARTER] + [(second, "sentiment"), (second, "technical")]
    assert await schedule.tasks(tenant) == sorted(asked)
    events = await broker.wait_for("signal.requested", count=5, tenant_id=tenant)
    assert sorted((e.extensions["symbol"], e.extensions["agent"]) for e in events) == sorted(asked)
    assert {e.extensions["correlationid"] for e in events} == {str(run["id"])}
    assert {(e.source, e.data["interval"]) for e in events} == {("/functions/agent-schedule", "1h")}


async def test_scheduled_run_is_told_as_such_beside_one_of_a_user(
    schedule: Schedule, functions: Functions, tenant: TenantId, symbols: list[str]
) -> None:
    caller = functions.caller("agents", tenant)
    await schedule.subscribe(tenant, symbols[0])
    await schedule.tick()
    await caller.post("/agents/run", json={"symbols": symbols[:1]})

    told = (await caller.get("/agents/runs")).json()["items"]

    assert {(run["origin"], run["tick_at"]) for run in told} == {
        ("user", None),
        ("schedule", NOON.isoformat().replace("+00:00", "Z")),
    }


async def test_run_at_each_minute_ends_before_the_next(
    schedule: Schedule, tenant: TenantId, symbols: list[str]
) -> None:
    await schedule.subscribe(tenant, symbols[0], interval="1m")

    await schedule.tick("1m")

    [run] = await schedule.runs(tenant)
    assert run["deadline_at"] - run["created_at"] == dt.timedelta(minutes=1)


async def test_scheduled_run_takes_nothing_of_the_days_calls(
    schedule: Schedule, functions: Functions, tenant: TenantId, symbols: list[str]
) -> None:
    await schedule.subscribe(tenant, symbols[0])
    caller = functions.caller("agents", tenant)
    before = (await caller.get("/agents/runs")).headers["RateLimit-Remaining"]

    await schedule.tick()

    answer = await caller.get("/agents/runs")
    assert [run["symbols"] for run in answer.json()["items"]] == [symbols[:1]]
    assert int(before) - int(answer.headers["RateLimit-Remaining"]) == 1


class TestWhoIsAsked:
    async def test_agents_that_are_switched_off_are_not_asked(
        self, schedule: Schedule, tenant: TenantId, symbols: list[str]
    ) -> None:
        await schedule.subscribe(tenant, symbols[0])
        await schedule.subscribe(tenant, symbols[1], agents=["fundamental"])
        await schedule.switch(tenant, fundamental=False)

        await schedule.tick()

        assert await schedule.tasks(tenant) == [(symbols[0], "sentiment"), (symbols[0], "technical")]

    async def test_no_more_agents_are_asked_than_the_tier_includes(
        self, schedule: Schedule, new_tenant: TenantFactory, symbols: list[str]
    ) -> None:
        downgraded, pro = await new_tenant(tier="starter"), await new_tenant(tier="pro")
        for tenant in (downgraded, pro):
            await schedule.switch(tenant, **dict.fromkeys(AGENT_NAMES, True))
            await schedule.subscribe(tenant, symbols[0])

        await schedule.tick()

        assert [agent for _, agent in await schedule.tasks(downgraded)] == sorted(AGENTS_OF_A_STARTER)
        assert [agent for _, agent in await schedule.tasks(pro)] == sorted(AGENT_NAMES)

    async def test_symbols_that_are_not_traded_are_left_out(
        self, schedule: Schedule, tenant: TenantId, symbols: list[str]
    ) -> None:
        await schedule.subscribe(tenant, symbols[0])
        await schedule.subscribe(tenant, "GONE-USD")

        await schedule.tick()

        assert [run["symbols"] for run in await schedule.runs(tenant)] == [symbols[:1]]

    async def test_tenant_with_nothing_to_ask_has_no_run(
        self, schedule: Schedule, tenant: TenantId, symbols: list[str]
    ) -> None:
        await schedule.subscribe(tenant, symbols[0], agents=["buffett"])
        await schedule.subscribe(tenant, symbols[1], enabled=False)

        assert (await schedule.tick()).status_code == 204

        assert await schedule.runs(tenant) == []

    @pytest.mark.parametrize("status", ["pending", "provisioning", "suspended", "cancelled", "failed"])
    async def test_tenant_that_is_not_active_has_no_run(
        self, schedule: Schedule, new_tenant: TenantFactory, symbols: list[str], status: str
    ) -> None:
        tenant = await new_tenant(status=status)
        await schedule.subscribe(tenant, symbols[0])

        assert (await schedule.tick()).status_code == 204

        assert await schedule.runs(tenant) == []


class TestWhen:
    @pytest.mark.parametrize(
        ("asked_at", "now", "interval", "tick"),
        [
            ("12:03:00", "12:03:01", "1h", "12:00"),
            ("12:03:00", "12:59:59", "1h", "12:00"),
            ("12:03:00", "13:00:00", "1h", "13:00"),  # the next bar has closed meanwhile
            ("09:03:00", "12:30:00", "1h", "12:00"),
            ("12:00:00", "11:59:59", "1m", "12:00"),  # this process's clock is behind
            ("23:00:00", "12:30:00", "1h", "12:00"),  # and one that is far ahead is not believed
            ("12:06:00", "12:06:10", "5m", "12:05"),
            ("12:04:00", "12:04:10", "4h", "12:00"),
            ("12:05:00", "12:05:10", "1d", "00:00"),
        ],
    )
    def test_tick_stands_for_the_newest_close(
        self, asked_at: str, now: str, interval: str, tick: str
    ) -> None:
        def moment(text: str) -> dt.datetime:
            return dt.datetime.combine(NOON.date(), dt.time.fromisoformat(text), dt.UTC)

        assert service.tick_of(moment(asked_at), moment(now), Interval(interval)) == moment(tick)

    async def test_late_tick_makes_the_newest_run_and_skips_its_own(
        self, schedule: Schedule, tenant: TenantId, symbols: list[str], clock: Clock
    ) -> None:
        await schedule.subscribe(tenant, symbols[0])
        clock.advance(hours=2)

        await schedule.tick(at=NOW)
        await schedule.tick(at=NOW + dt.timedelta(hours=1))
        await schedule.tick(at=NOW + dt.timedelta(hours=2))

        assert [run["tick_at"] for run in await schedule.runs(tenant)] == [NOON + dt.timedelta(hours=2)]

    async def test_each_close_has_a_run_of_its_own(
        self, schedule: Schedule, tenant: TenantId, symbols: list[str], clock: Clock
    ) -> None:
        await schedule.subscribe(tenant, symbols[0])
        await schedule.subscribe(tenant, symbols[0], interval="1d")
        for hour in range(3):
            await schedule.tick(at=NOW + dt.timedelta(hours=hour))
            await schedule.tick("1d", at=NOW + dt.timedelta(hours=hour))
            clock.advance(hours=1)

        runs = await schedule.runs(tenant)

        assert [(run["interval"], run["tick_at"].hour) for run in runs] == [
            ("1d", 0),
            ("1h", 12),
            ("1h", 13),
            ("1h", 14),
        ]


class TestOnce:
    async def test_tick_delivered_twice_begins_one_run(
        self, schedule: Schedule, tenant: TenantId, symbols: list[str], broker: Broker
    ) -> None:
        await schedule.subscribe(tenant, symbols[0])
        event = schedule.event()

        for delivered in (event, event, schedule.event()):
            assert (await schedule.functions.deliver("agent_schedule", delivered)).status_code == 204

        assert len(await schedule.runs(tenant)) == 1
        assert len(broker.named("signal.requested", tenant)) == 3

    async def test_two_instances_at_once_begin_one_run_per_tenant(
        self, schedule: Schedule, new_tenant: TenantFactory, symbols: list[str], broker: Broker
    ) -> None:
        tenants = [await new_tenant() for _ in range(12)]
        for tenant in tenants:
            await schedule.subscribe(tenant, symbols[0])

        answers = await asyncio.gather(*(schedule.tick() for _ in range(4)))

        assert {answer.status_code for answer in answers} == {204}
        for tenant in tenants:
            assert len(await schedule.runs(tenant)) == 1
            assert len(broker.named("signal.requested", tenant)) == 3

    async def test_one_tenants_failure_does_not_stop_the_others_and_is_made_up_for(
        self,
        schedule: Schedule,
        new_tenant: TenantFactory,
        symbols: list[str],
        broker: Broker,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(service, "_PAGE", 2)
        tenants = [await new_tenant() for _ in range(5)]
        for tenant in tenants:
            await schedule.subscribe(tenant, symbols[0])
        broken = min(tenants, key=lambda tenant: tenant.value)
        real = service.start_at_tick

        async def failing(work: Any, *arguments: Any) -> Any:
            run_id = await real(work, *arguments)
            if work.tenant_id == broken:
                raise RuntimeError("the process fails after it has written")
            return run_id

        monkeypatch.setattr(service, "start_at_tick", failing)
        event = schedule.event()

        answer = await schedule.functions.deliver("agent_schedule", event)

        # Asked to deliver it again; meanwhile all others have their run.
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        found = {tenant: len(await schedule.runs(tenant)) for tenant in tenants}
        assert found == {tenant: int(tenant != broken) for tenant in tenants}
        assert broker.named("signal.requested", broken) == []

        monkeypatch.setattr(service, "start_at_tick", real)
        assert (await schedule.functions.deliver("agent_schedule", event)).status_code == 204

        for tenant in tenants:
            assert len(await schedule.runs(tenant)) == 1
            assert len(broker.named("signal.requested", tenant)) == 3

    async def test_requests_wait_in_the_outbox_while_the_broker_is_down(
        self, schedule: Schedule, tenant: TenantId, symbols: list[str], broker: Broker
    ) -> None:
        await schedule.subscribe(tenant, symbols[0])
        broker.up = False

        assert (await schedule.tick()).status_code == 204

        async with schedule.database.tenant(tenant) as session:
            waiting = await session.fetchval("SELECT count(*) FROM outbox WHERE tenant_id = $1", tenant.value)
        assert (len(await schedule.runs(tenant)), waiting) == (1, 3)

    async def test_killed_in_the_middle_no_run_is_lost_or_doubled(
        self,
        *,
        schedule: Schedule,
        new_tenant: TenantFactory,
        symbols: list[str],
        clock: Clock,
        postgres: EmbeddedPostgres,
        database: DatabaseUrls,
        redis_server: EmbeddedRedis,
        signing_key: bytes,
        tmp_path: Path,
    ) -> None:
        clock.fixed = None
        tenants = [await new_tenant() for _ in range(6)]
        for tenant in tenants:
            await schedule.subscribe(tenant, symbols[0], interval="4h")
        stuck = max(tenants, key=lambda tenant: tenant.value)
        event = schedule.event("4h", at=dt.datetime.now(dt.UTC))
        # The function stops where it stores this tenant's run, because another has, and has not committed.
        holding = held(
            database,
            stuck,
            """INSERT INTO agent_runs (tenant_id, id, symbols, agents, interval, origin, tick_at, deadline_at)
            VALUES ($1, $2, '{A-USD}', '{technical}', '4h', 'schedule', $3, now() + interval '1 minute')""",
            stuck.value,
            uuid7(),
            Interval.FOUR_HOURS.open_of(event.time),
        )
        process = running_function(
            "agent_schedule",
            tmp_path,
            database=database,
            redis_server=redis_server,
            signing_key=signing_key,
            tenant=stuck,
            environment={"PLATFORM_DATABASE_URL": database.platform},
        )
        headers, body = event.to_http()
        async with holding, process as running, httpx.AsyncClient(timeout=30, trust_env=False) as client:
            delivery = asyncio.create_task(client.post(running.url, headers=headers, content=body))
            await waits_for_a_lock(postgres, "agent_schedule")
            running.kill()
            with pytest.raises(httpx.TransportError):
                await delivery
        assert await schedule.runs(stuck) == []

        assert (await schedule.functions.deliver("agent_schedule", event)).status_code == 204

        assert [len(await schedule.runs(tenant)) for tenant in tenants] == [1] * 6
        assert [len(await schedule.tasks(tenant)) for tenant in tenants] == [3] * 6


async def test_unknown_schedule_is_refused_for_good(schedule: Schedule) -> None:
    answer = await schedule.tick("7m")

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_schedule")
