"""A backtest is carried out once, from stored candles, and stopped, taken over or given up as it should."""

import asyncio
import datetime as dt
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from alphapulse.domain.agents.technical import DEFINITION
from alphapulse.events import Event, schemas
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from functions.backtest import walking
from tests.function.conftest import Clock, Functions
from tests.stored_candles import START, store, wave

SYMBOL = "BTA-USD"
DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
async def candles(platform_database: PlatformDatabase) -> None:
    await store(platform_database, SYMBOL, wave(260))


async def waiting(database: Database, tenant: TenantId, symbol: str = SYMBOL, **columns: Any) -> str:
    """Store a run as the route does and return its id."""
    asked = columns.pop("request", {})
    row = {
        "id": str(uuid7()),
        "agent": "technical",
        "symbol": symbol,
        "interval": "1d",
        "request": {"symbol": symbol, "interval": "1d", "agent": "technical", **asked},
        "created_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "deadline_at": dt.datetime(2999, 1, 1, tzinfo=dt.UTC),
    } | columns
    places = ", ".join(f"${number}" for number in range(2, len(row) + 2))
    async with database.tenant(tenant) as session:
        await session.execute(
            f"INSERT INTO backtest_runs (tenant_id, {', '.join(row)}) VALUES ($1, {places})",
            tenant.value,
            *row.values(),
        )
    return str(row["id"])


async def run_of(database: Database, tenant: TenantId, run_id: str) -> Any:
    async with database.tenant(tenant) as session:
        return await session.fetchrow(
            "SELECT * FROM backtest_runs WHERE tenant_id = $1 AND id = $2", tenant.value, run_id
        )


def requested(functions: Functions, tenant: TenantId, run_id: str, symbol: str = SYMBOL) -> Event:
    data = {
        "run_id": run_id,
        "agent": "technical",
        "symbol": symbol,
        "interval": "1d",
        "requested_at": "2026-01-01T00:00:00Z",
    }
    return functions.event("backtest.requested", data, tenant, correlationid=run_id)


def reply_of(answer: httpx.Response) -> Event:
    assert answer.status_code == 200, answer.text
    reply = Event.from_http(answer.headers, answer.content)
    schemas.validate(reply.name, reply.data)
    return reply


class SlowAgent:
    """The technical agent, which waits at each bar until it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.released = threading.Event()

    def speak(self, evidence: Any, parameters: Any) -> Any:
        self.asked += 1
        self.released.wait(0.02)
        return DEFINITION.speak(evidence, parameters)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowAgent]:
    """Make every walk slow: 20 ms a bar."""
    agent, whole = SlowAgent(), walking.backtest_of

    def slowed(request: Any) -> Any:
        backtest = whole(request)
        return replace(backtest, definition=replace(backtest.definition, speak=agent.speak))

    monkeypatch.setattr(walking, "backtest_of", slowed)
    monkeypatch.setattr(walking, "HEARTBEAT_SECONDS", 0.05)
    yield agent
    agent.released.set()


async def eventually(asked: Any, *, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not await asked():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.02)


async def test_a_requested_backtest_is_done_with_result_picture_and_reply(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    run_id = await waiting(app_database, tenant, request={"fee_bps": "25", "folds": 3})

    reply = reply_of(await functions.deliver("backtest", requested(functions, tenant, run_id)))

    row = await run_of(app_database, tenant, run_id)
    assert (row["status"], row["progress"], row["attempt"]) == ("done", 1.0, 1)
    result = row["result"]
    assert (result["source"], result["agent_version"]) == ("directory", DEFINITION.version)
    assert (result["bars"], result["learnt_bars"], result["gaps"]["count"]) == (195, 65, 0)
    assert (len(result["folds"]), result["terms"]["fee_bps"]) == (3, "25")
    assert len(result["curve"]["at"]) == len(result["curve"]["equity"]) == 195
    assert sum(result["signals"].values()) == 195
    assert row["picture"].startswith(b"\x89PNG\r\n\x1a\n")
    assert reply.name == "backtest.completed"
    assert reply.data["final_equity"] == result["figures"]["final_equity"]
    assert Decimal(reply.data["fees"]) >= 0
    assert reply.extensions["correlationid"] == run_id


async def test_a_redelivery_gets_the_same_reply_and_walks_nothing_again(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    run_id = await waiting(app_database, tenant)
    event = requested(functions, tenant, run_id)
    first = reply_of(await functions.deliver("backtest", event))

    second = reply_of(await functions.deliver("backtest", event))

    assert (second.id, second.data) == (first.id, first.data)
    assert (await run_of(app_database, tenant, run_id))["attempt"] == 1


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"from": "2030-01-01"}, "there are no candles of BTA-USD in 1d in the time asked for"),
        ({"from": "2024-01-05", "to": "2024-01-06"}, "a backtest needs 2 bars, found 1"),
        ({"parameters": {"window": 1}}, "window must be a whole number from"),
        ({"folds": 12, "to": "2024-06-01"}, "12 folds need 260 bars, found 152"),
    ],
)
async def test_what_cannot_be_walked_fails_with_the_reason(
    functions: Functions, tenant: TenantId, app_database: Database, asked: dict[str, Any], reason: str
) -> None:
    run_id = await waiting(app_database, tenant, request=asked)

    reply = reply_of(await functions.deliver("backtest", requested(functions, tenant, run_id)))

    row = await run_of(app_database, tenant, run_id)
    assert (row["status"], reply.name) == ("failed", "backtest.failed")
    assert row["reason"].startswith(reason)
    assert reply.data["reason"] == row["reason"]


async def test_bars_before_from_are_looked_back_on(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    run_id = await waiting(app_database, tenant, request={"from": "2024-06-01", "to": "2024-07-01"})

    await functions.deliver("backtest", requested(functions, tenant, run_id))

    result = (await run_of(app_database, tenant, run_id))["result"]
    assert (result["bars"], result["from"], result["to"]) == (
        30,
        "2024-06-01T00:00:00Z",
        "2024-07-01T00:00:00Z",
    )
    assert result["history_bars"] == 152
    assert result["signals"]["abstained"] == 0


async def test_while_it_walks_health_is_answered_and_progress_told(
    functions: Functions, tenant: TenantId, app_database: Database, slow: SlowAgent
) -> None:
    run_id = await waiting(app_database, tenant)
    delivery = asyncio.create_task(functions.deliver("backtest", requested(functions, tenant, run_id)))

    async def moved() -> bool:
        return bool((await run_of(app_database, tenant, run_id))["progress"] > 0)

    await eventually(moved)
    # The loop answers others while the thread walks.
    begun = time.monotonic()
    answer = await functions.deliver("backtest", functions.event("backtest.requested", {}, tenant))
    assert answer.status_code == 422
    assert time.monotonic() - begun < 1
    assert (await run_of(app_database, tenant, run_id))["status"] == "running"
    slow.released.set()
    assert reply_of(await delivery).name == "backtest.completed"


async def test_a_cancelled_backtest_stops_without_reply(
    functions: Functions, tenant: TenantId, app_database: Database, slow: SlowAgent
) -> None:
    run_id = await waiting(app_database, tenant)
    delivery = asyncio.create_task(functions.deliver("backtest", requested(functions, tenant, run_id)))

    async def running() -> bool:
        return slow.asked > 3

    await eventually(running)
    answer = await functions.caller("agents", tenant).post(f"/agents/backtests/{run_id}/cancel", json={})

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert (await delivery).status_code == 204
    assert slow.asked < 260
    row = await run_of(app_database, tenant, run_id)
    assert (row["status"], row["result"]) == ("cancelled", None)


async def test_a_run_that_another_worker_has_is_asked_for_again_later(
    functions: Functions, tenant: TenantId, app_database: Database, clock: Clock
) -> None:
    run_id = await waiting(app_database, tenant, status="running", attempt=1, heartbeat_at=clock())
    event = requested(functions, tenant, run_id)

    refused = await functions.deliver("backtest", event)

    assert (refused.status_code, refused.json()["code"]) == (503, "backtest_running")
    assert refused.headers["retry-after"] == "20"
    # The other one has died: its silence lasts.
    clock.advance(seconds=21)
    assert reply_of(await functions.deliver("backtest", event)).name == "backtest.completed"
    assert (await run_of(app_database, tenant, run_id))["attempt"] == 2


async def test_a_worker_that_lost_its_run_writes_nothing_and_leaves_no_mark(
    functions: Functions, tenant: TenantId, app_database: Database, slow: SlowAgent
) -> None:
    run_id = await waiting(app_database, tenant)
    event = requested(functions, tenant, run_id)
    delivery = asyncio.create_task(functions.deliver("backtest", event))

    async def running() -> bool:
        return slow.asked > 3

    await eventually(running)
    async with app_database.tenant(tenant) as session:
        await session.execute(
            "UPDATE backtest_runs SET attempt = 9 WHERE tenant_id = $1 AND id = $2", tenant.value, run_id
        )

    assert (await delivery).status_code == 503
    row = await run_of(app_database, tenant, run_id)
    assert (row["status"], row["attempt"], row["result"]) == ("running", 9, None)


async def test_a_run_that_keeps_ending_its_worker_is_given_up(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    long_ago = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    run_id = await waiting(app_database, tenant, status="running", attempt=3, heartbeat_at=long_ago)

    reply = reply_of(await functions.deliver("backtest", requested(functions, tenant, run_id)))

    assert reply.data["reason"] == "it ended its worker 3 times; ask for fewer bars"


async def test_one_that_waited_too_long_has_failed(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    run_id = await waiting(app_database, tenant, deadline_at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC))

    reply = reply_of(await functions.deliver("backtest", requested(functions, tenant, run_id)))

    assert (reply.name, reply.data["reason"]) == ("backtest.failed", "nobody could take it up in time")


async def test_one_that_takes_too_long_fails_and_says_how_far_it_came(
    functions: Functions,
    tenant: TenantId,
    app_database: Database,
    slow: SlowAgent,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(walking, "TIME_LIMIT", dt.timedelta(seconds=0.1))
    run_id = await waiting(app_database, tenant)

    reply = reply_of(await functions.deliver("backtest", requested(functions, tenant, run_id)))

    assert reply.name == "backtest.failed"
    assert "of 260 evaluations were done" in reply.data["reason"]


async def test_another_tenants_run_is_not_there(
    functions: Functions, tenant: TenantId, other_tenant: TenantId, app_database: Database
) -> None:
    run_id = await waiting(app_database, tenant)

    answer = await functions.deliver("backtest", requested(functions, other_tenant, run_id))

    assert answer.status_code == 204
    assert (await run_of(app_database, tenant, run_id))["status"] == "waiting"


async def test_missing_bars_are_named_in_the_result(
    functions: Functions, tenant: TenantId, app_database: Database, platform_database: PlatformDatabase
) -> None:
    bars = wave(200)
    await store(platform_database, "BTG-USD", bars[:100] + bars[102:])
    run_id = await waiting(app_database, tenant, "BTG-USD")

    await functions.deliver("backtest", requested(functions, tenant, run_id, "BTG-USD"))

    gaps = (await run_of(app_database, tenant, run_id))["result"]["gaps"]
    assert (gaps["count"], gaps["missing_bars"]) == (1, 2)
    first = (START + 100 * DAY).isoformat().replace("+00:00", "Z")
    assert gaps["list"][0]["first_missing"] == first
