"""What an agent's function does in which step, and what happens to the run meanwhile."""

import asyncio
import datetime as dt
from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from alphapulse.agents import function as agent_function
from alphapulse.agents import gathering
from alphapulse.domain.agents.registry import AGENT_NAMES
from alphapulse.events import Event, schemas
from alphapulse.runtime.settings import Settings
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from tests.function.agent_functions.conftest import GatedSource
from tests.function.conftest import Clock, Functions
from tests.stored_candles import store, wave

FUNCTION = "signal_fundamental"
DOWN = "Coin Metrics answers 500"


def requested(functions: Functions, tenant: TenantId, *, agent: str = "fundamental", **changes: Any) -> Event:
    data = {
        "run_id": str(uuid7()),
        "agent": agent,
        "symbol": "LTC-USD",
        "interval": "1d",
        "requested_at": "2024-01-01T00:00:00Z",
        "deadline_at": (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5)).isoformat(),
    } | changes
    return functions.event("signal.requested", data, tenant, correlationid=data["run_id"])


def reply_of(answer: httpx.Response) -> Event:
    assert answer.status_code == 200, answer.text
    reply = Event.from_http(answer.headers, answer.content)
    schemas.validate(reply.name, reply.data)
    return reply


@pytest.fixture
async def task(functions: Functions, app_database: Database, tenant: TenantId) -> Event:
    """A request whose run waits for it."""
    event = requested(functions, tenant)
    await add_task(app_database, tenant, event)
    return event


async def add_task(database: Database, tenant: TenantId, event: Event) -> None:
    data = event.data
    async with database.tenant(tenant) as session:
        await session.execute(
            """INSERT INTO agent_runs (tenant_id, id, symbols, agents, interval, deadline_at)
            VALUES ($1, $2, ARRAY[$3::text], ARRAY[$4::text], '1d', now() + interval '5 min')""",
            tenant.value,
            data["run_id"],
            data["symbol"],
            data["agent"],
        )
        await session.execute(
            "INSERT INTO agent_run_tasks (tenant_id, run_id, agent, symbol) VALUES ($1, $2, $3, $4)",
            tenant.value,
            data["run_id"],
            data["agent"],
            data["symbol"],
        )


async def rows(database: Database, tenant: TenantId, table: str) -> list[Any]:
    async with database.tenant(tenant) as session:
        return await session.fetch(f"SELECT * FROM {table} WHERE tenant_id = $1 ORDER BY id", tenant.value)


async def set_parameters(
    database: Database,
    tenant: TenantId,
    version: int,
    parameters: dict[str, Any],
    *,
    agent: str = "fundamental",
) -> None:
    async with database.tenant(tenant) as session:
        await session.execute(
            """INSERT INTO agent_configs (tenant_id, id, agent, version, parameters)
            VALUES ($1, $2, $3, $4, $5)""",
            tenant.value,
            uuid7(),
            agent,
            version,
            parameters,
        )


class TestGathering:
    async def test_task_runs_while_its_evidence_is_gathered(
        self, functions: Functions, source: GatedSource, tenant: TenantId, task: Event, app_database: Database
    ) -> None:
        source.gate.clear()
        answering = asyncio.create_task(functions.deliver(FUNCTION, task))
        await source.asked()

        [running] = await rows(app_database, tenant, "agent_run_tasks")
        source.gate.set()
        reply = reply_of(await answering)

        assert (running["status"], running["finished_at"]) == ("running", None)
        [ended] = await rows(app_database, tenant, "agent_run_tasks")
        assert ended["status"] == "abstained"
        assert running["started_at"] == ended["started_at"] < ended["finished_at"]
        assert reply.name == "signal.abstained"

    async def test_source_that_is_down_is_the_reason_to_abstain(
        self, functions: Functions, tenant: TenantId, task: Event, app_database: Database
    ) -> None:
        reply = reply_of(await functions.deliver(FUNCTION, task))

        [reason] = reply.data["reasons"]
        [row] = await rows(app_database, tenant, "agent_signals")
        [ended] = await rows(app_database, tenant, "agent_run_tasks")
        assert reason == row["abstain_reason"] == ended["reason"]
        assert "coin_metrics" in reason
        assert "127.0.0.1" not in reason
        assert row["horizon_at"] is None

    async def test_source_that_never_answers_is_waited_for_a_share_of_the_time_only(
        self, functions: Functions, source: GatedSource, tenant: TenantId
    ) -> None:
        source.gate.clear()
        deadline = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1.5)

        reply = reply_of(
            await functions.deliver(FUNCTION, requested(functions, tenant, deadline_at=deadline.isoformat()))
        )

        assert dt.datetime.now(dt.UTC) < deadline
        assert reply.data["reasons"] == ["the on-chain data did not come within 1 s"]
        # What was asked is not lost: the next request is answered by it.
        asked = len(source.questions)
        source.gate.set()
        reply_of(await functions.deliver(FUNCTION, requested(functions, tenant)))
        assert len(source.questions) == asked

    async def test_no_connection_is_held_while_a_source_is_waited_for(
        self, function_settings: Settings, functions: Functions, source: GatedSource, tenant: TenantId
    ) -> None:
        functions.settings = function_settings.replace(database_pool_size=1)
        source.gate.clear()
        waiting = [
            asyncio.create_task(functions.deliver(FUNCTION, requested(functions, tenant))) for _ in range(3)
        ]
        await source.asked()

        async with functions.resources(FUNCTION).database.tenant(tenant) as session:
            assert await session.fetchval("SELECT 1") == 1
        source.gate.set()

        for answer in await asyncio.gather(*waiting):
            reply_of(answer)

    @pytest.mark.parametrize(
        ("agent", "reads_network"), [("technical", False), ("sentiment", True), ("activist", True)]
    )
    async def test_only_what_the_agent_reads_is_asked_for(
        self, functions: Functions, source: GatedSource, tenant: TenantId, agent: str, reads_network: bool
    ) -> None:
        event = requested(functions, tenant, agent=agent, symbol="UNI-USD")

        reply_of(await functions.deliver(f"signal_{agent}", event))

        assert bool(source.questions) is reads_network
        assert not any("timeseries" in question.path for question in source.questions)

    async def test_source_that_nobody_can_read_is_the_reason_to_abstain(
        self, functions: Functions, tenant: TenantId, task: Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def unreadable(*_: object, **__: object) -> None:
            raise KeyError("data")

        monkeypatch.setattr(functions.resources(FUNCTION).providers, "on_chain", unreadable)

        reply = reply_of(await functions.deliver(FUNCTION, task))

        assert reply.data["reasons"] == ["the on-chain data could not be read (KeyError)"]

    async def test_surprise_is_tried_again_and_the_task_taken_up_again(
        self,
        functions: Functions,
        tenant: TenantId,
        task: Event,
        app_database: Database,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(gathering, "Evidence", None)
            answer = await functions.deliver(FUNCTION, task)
        [left] = await rows(app_database, tenant, "agent_run_tasks")

        reply = reply_of(await functions.deliver(FUNCTION, task))

        assert answer.status_code == 500
        assert left["status"] == "running"
        [ended] = await rows(app_database, tenant, "agent_run_tasks")
        assert (ended["status"], ended["started_at"]) == ("abstained", left["started_at"])
        assert reply.name == "signal.abstained"


class TestConcluding:
    async def test_what_fails_in_the_last_step_leaves_nothing_behind(
        self,
        functions: Functions,
        tenant: TenantId,
        task: Event,
        app_database: Database,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(agent_function, "_document", None)
            answer = await functions.deliver(FUNCTION, task)
        stored = await rows(app_database, tenant, "agent_signals")

        reply_of(await functions.deliver(FUNCTION, task))

        assert (answer.status_code, stored) == (500, [])
        assert len(await rows(app_database, tenant, "agent_signals")) == 1

    async def test_deliveries_at_once_get_the_same_reply(
        self, functions: Functions, source: GatedSource, tenant: TenantId, task: Event, app_database: Database
    ) -> None:
        source.gate.clear()
        answering = [asyncio.create_task(functions.deliver(FUNCTION, task)) for _ in range(5)]
        await source.asked()
        source.gate.set()

        replies = [reply_of(answer) for answer in await asyncio.gather(*answering)]

        assert all(reply == replies[0] for reply in replies)
        assert len(await rows(app_database, tenant, "agent_signals")) == 1

    async def test_redelivery_asks_no_source_again(
        self, functions: Functions, source: GatedSource, tenant: TenantId, task: Event
    ) -> None:
        first = reply_of(await functions.deliver(FUNCTION, task))
        source.questions.clear()

        assert reply_of(await functions.deliver(FUNCTION, task)) == first
        assert source.questions == []

    async def test_signal_that_comes_after_its_deadline_is_not_stored(
        self,
        functions: Functions,
        source: GatedSource,
        tenant: TenantId,
        task: Event,
        app_database: Database,
        clock: Clock,
    ) -> None:
        source.gate.clear()
        answering = asyncio.create_task(functions.deliver(FUNCTION, task))
        await source.asked()
        clock.advance(minutes=5)
        source.gate.set()

        assert (await answering).status_code == 204
        assert await rows(app_database, tenant, "agent_signals") == []
        assert (await functions.deliver(FUNCTION, task)).status_code == 204

    async def test_task_that_the_sweep_failed_meanwhile_stays_failed(
        self, functions: Functions, source: GatedSource, tenant: TenantId, task: Event, app_database: Database
    ) -> None:
        source.gate.clear()
        answering = asyncio.create_task(functions.deliver(FUNCTION, task))
        await source.asked()
        async with app_database.tenant(tenant) as session:
            await session.execute(
                "UPDATE agent_run_tasks SET status = 'failed', reason = 'late' WHERE tenant_id = $1",
                tenant.value,
            )
        source.gate.set()

        assert (await answering).status_code == 204
        assert await rows(app_database, tenant, "agent_signals") == []
        [ended] = await rows(app_database, tenant, "agent_run_tasks")
        assert (ended["status"], ended["reason"]) == ("failed", "late")


class TestSettings:
    async def test_settings_are_those_at_the_start_whatever_changes_meanwhile(
        self, functions: Functions, source: GatedSource, tenant: TenantId, task: Event, app_database: Database
    ) -> None:
        await set_parameters(app_database, tenant, 1, {"horizon_days": 3})
        source.gate.clear()
        answering = asyncio.create_task(functions.deliver(FUNCTION, task))
        await source.asked()
        await set_parameters(app_database, tenant, 2, {"horizon_days": 5})
        source.gate.set()
        reply_of(await answering)

        [row] = await rows(app_database, tenant, "agent_signals")

        assert (row["config_version"], row["parameters"]["horizon_days"]) == (1, 3)

    async def test_all_parameters_in_force_are_stored_with_the_signal(
        self,
        functions: Functions,
        tenant: TenantId,
        app_database: Database,
        platform_database: PlatformDatabase,
    ) -> None:
        candles = wave(260)
        await store(platform_database, "AFA-USD", candles)
        await set_parameters(
            app_database, tenant, 4, {"interval": "4h", "horizon_bars": 7}, agent="technical"
        )
        event = requested(functions, tenant, agent="technical", symbol="AFA-USD")

        reply_of(await functions.deliver("signal_technical", event))

        [row] = await rows(app_database, tenant, "agent_signals")
        assert row["config_version"] == 4
        assert (row["parameters"]["horizon_bars"], row["parameters"]["rsi_period"]) == (7, 14)
        assert "interval" not in row["parameters"]
        assert row["horizon_at"] - row["created_at"] == dt.timedelta(days=7)

    @pytest.mark.parametrize(
        ("parameters", "reason"),
        [
            ({"horizon_days": 0}, "horizon_days must be a whole number from "),
            ({"left_over": 1}, "unknown parameters: left_over"),
        ],
    )
    async def test_unusable_stored_settings_are_the_reason_to_abstain(
        self,
        functions: Functions,
        source: GatedSource,
        tenant: TenantId,
        task: Event,
        app_database: Database,
        parameters: dict[str, Any],
        reason: str,
    ) -> None:
        await set_parameters(app_database, tenant, 1, parameters)

        reply = reply_of(await functions.deliver(FUNCTION, task))

        assert reply.data["reasons"][0].startswith(f"the agent's settings are unusable: {reason}")
        assert source.questions == []
        [row] = await rows(app_database, tenant, "agent_signals")
        assert row["parameters"] == parameters


@pytest.mark.parametrize("agent", AGENT_NAMES)
async def test_request_for_another_agent_is_refused_for_good(
    functions: Functions, tenant: TenantId, agent: str
) -> None:
    other = AGENT_NAMES[AGENT_NAMES.index(agent) - 1]

    answer = await functions.deliver(f"signal_{agent}", requested(functions, tenant, agent=other))

    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_agent")


@pytest.mark.parametrize("agent", AGENT_NAMES)
async def test_asset_nobody_knows_is_the_reason_to_abstain(
    functions: Functions, source: GatedSource, tenant: TenantId, agent: str
) -> None:
    event = requested(functions, tenant, agent=agent, symbol="ZZZZ-USD")

    reply = reply_of(await functions.deliver(f"signal_{agent}", event))

    assert reply.name == "signal.abstained"
    assert "ZZZZ" in reply.data["reasons"][0]
    assert source.questions == []
