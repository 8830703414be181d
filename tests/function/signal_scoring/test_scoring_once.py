"""Each signal is scored exactly once, and the track record is what its outcomes give: whatever happens."""

import asyncio
import datetime as dt
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from alphapulse.agents import track_records
from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.postgres import EmbeddedPostgres
from alphapulse_local.embedded.redis import EmbeddedRedis
from functions.signal_scoring import service
from tests.conftest import TenantFactory
from tests.function.conftest import Clock, Functions
from tests.function.signal_scoring.conftest import HORIZON, MADE, NOW, Candles, Signals, bars
from tests.held_rows import held, waits_for_a_lock
from tests.killable_function import running_function
from tests.processes import minimal_environment

AGENTS = ("technical", "fundamental", "sentiment", "value", "activist", "buffett")


async def tick(functions: Functions) -> httpx.Response:
    return await functions.deliver("signal_scoring", functions.tick("signal-scoring"))


async def scored(database: Database, tenant: TenantId) -> int:
    """How many signals the track record counts, which is what the outcomes give."""
    async with database.tenant(tenant) as session:
        kept = await track_records.read(session, tenant)
        assert kept == await track_records.recompute(session, tenant)
    return sum(record.scored + record.unscorable for record in kept.values())


@pytest.fixture
async def week(candles: Candles) -> None:
    """A week of hours with a hole of half a day in it."""
    prices = random.Random(7)
    closes = [str(prices.randint(90, 110)) for _ in range(168)]
    whole = bars(closes, last_close=HORIZON.replace(minute=0))
    await candles.store(whole[:100] + whole[112:], written_at=NOW)


async def scatter(signals: Signals, dice: random.Random, count: int) -> None:
    for _ in range(count):
        made = HORIZON - dt.timedelta(hours=dice.randint(2, 160), minutes=dice.randint(0, 59))
        until = min(HORIZON, made + dt.timedelta(hours=dice.randint(1, 24)))
        await signals.add(
            dice.choice(("buy", "sell", "hold")),
            agent=dice.choice(AGENTS),
            confidence=round(dice.random(), 6),
            made_at=made,
            horizon_at=until,
        )


@pytest.mark.parametrize("seed", range(4))
async def test_track_record_is_what_the_outcomes_give_however_they_came_about(
    *,
    functions: Functions,
    signals: Signals,
    week: None,
    clock: Clock,
    app_database: Database,
    tenant: TenantId,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    dice = random.Random(seed)
    monkeypatch.setattr(service, "_BATCH", dice.randint(1, 9))
    for _ in range(3):
        await scatter(signals, dice, dice.randint(1, 15))
        answers = await asyncio.gather(*(tick(functions) for _ in range(dice.randint(1, 3))))
        assert {answer.status_code for answer in answers} == {204}
        await scored(app_database, tenant)
        clock.advance(hours=dice.randint(0, 3))
    monkeypatch.setattr(service, "_BATCH", 500)

    clock.advance(days=2)
    await tick(functions)

    statuses = await signals.statuses()
    assert set(statuses) == {"scored", "unscorable"}
    assert await scored(app_database, tenant) == len(statuses)


async def test_tick_that_comes_twice_changes_nothing(
    functions: Functions, signals: Signals, week: None, app_database: Database, tenant: TenantId
) -> None:
    await scatter(signals, random.Random(1), 12)
    await tick(functions)
    before = [dict(row) for row in await all_outcomes(app_database, tenant)]

    await tick(functions)

    assert [dict(row) for row in await all_outcomes(app_database, tenant)] == before


async def test_ticks_at_once_score_each_signal_once(
    functions: Functions, signals: Signals, week: None, app_database: Database, tenant: TenantId
) -> None:
    await scatter(signals, random.Random(2), 40)

    await asyncio.gather(*(tick(functions) for _ in range(4)))
    await tick(functions)

    statuses = await signals.statuses()
    assert await scored(app_database, tenant) == 40 - statuses.count("pending")


async def test_batch_that_fails_is_undone_and_the_rest_goes_on_next_time(
    functions: Functions,
    signals: Signals,
    week: None,
    app_database: Database,
    tenant: TenantId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(10):
        await signals.add(
            made_at=HORIZON - dt.timedelta(hours=30), horizon_at=HORIZON - dt.timedelta(hours=6)
        )
    monkeypatch.setattr(service, "_BATCH", 4)
    real, calls = track_records.add, 0

    async def failing(*arguments: Any, **named: Any) -> None:
        nonlocal calls
        await real(*arguments, **named)
        calls += 1
        if calls == 2:
            raise RuntimeError("the process dies after it has written")

    monkeypatch.setattr(track_records, "add", failing)
    await tick(functions)
    assert (await scored(app_database, tenant), (await signals.statuses()).count("pending")) == (4, 6)

    await tick(functions)

    assert await scored(app_database, tenant) == 10


async def test_one_tenants_failure_does_not_stop_the_others(
    functions: Functions,
    candles: Candles,
    week: None,
    new_tenant: TenantFactory,
    app_database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tenants = [await new_tenant() for _ in range(3)]
    for one in tenants:
        await Signals(app_database, one, candles.symbol).add()
    broken = min(tenants, key=lambda one: one.value)
    real = track_records.try_lock

    async def failing(session: Any, tenant_id: TenantId) -> bool:
        if tenant_id == broken:
            raise RuntimeError("this tenant's rows cannot be read")
        return await real(session, tenant_id)

    monkeypatch.setattr(track_records, "try_lock", failing)
    monkeypatch.setattr(service, "_PAGE", 1)

    assert (await tick(functions)).status_code == 204

    found = {one: await Signals(app_database, one, candles.symbol).statuses() for one in tenants}
    assert found == {one: ["pending" if one == broken else "scored"] for one in tenants}


async def test_prices_are_read_once_for_all_tenants(
    functions: Functions,
    candles: Candles,
    week: None,
    new_tenant: TenantFactory,
    app_database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(5):
        signals = Signals(app_database, await new_tenant(), candles.symbol)
        await signals.add(made_at=MADE)
        await signals.add(
            made_at=MADE + dt.timedelta(minutes=7), horizon_at=HORIZON + dt.timedelta(minutes=7)
        )
    read: list[str] = []
    real = service.sql.closes

    def counting(session: Any, **named: Any) -> Any:
        read.extend(symbol for symbol in named["symbols"] if symbol == candles.symbol)
        return real(session, **named)

    monkeypatch.setattr(service.sql, "closes", counting)

    await tick(functions)

    assert len(read) == 2


async def test_wrong_track_record_is_rebuilt_from_the_outcomes(
    functions: Functions, signals: Signals, week: None, app_database: Database, tenant: TenantId
) -> None:
    await scatter(signals, random.Random(3), 12)
    await tick(functions)
    async with app_database.tenant(tenant) as session:
        assert await track_records.rebuild(session, tenant, now=NOW)
        await session.execute(
            "UPDATE agent_track_records SET hits = 0, scored = scored + 1 WHERE tenant_id = $1", tenant.value
        )

    async with app_database.tenant(tenant) as session:
        assert not await track_records.rebuild(session, tenant, now=NOW)

    assert await scored(app_database, tenant) == 12 - (await signals.statuses()).count("pending")


async def test_rebuild_command_mends_what_is_wrong_and_says_so(
    functions: Functions,
    signals: Signals,
    week: None,
    app_database: Database,
    tenant: TenantId,
    database: DatabaseUrls,
) -> None:
    await signals.add()
    await tick(functions)
    async with app_database.tenant(tenant) as session:
        await session.execute("DELETE FROM agent_track_records WHERE tenant_id = $1", tenant.value)
    environment = {"DATABASE_URL": database.app, "PLATFORM_DATABASE_URL": database.platform}

    said = [
        subprocess.run(
            [sys.executable, "-m", "alphapulse.agents.rebuild", *arguments],
            env=minimal_environment() | environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for arguments in ([], ["--tenant", str(tenant)])
    ]

    assert f"{tenant}  mended" in said[0]
    assert said[1] == "0 track records mended\n"
    assert await scored(app_database, tenant) == 1


async def test_settled_outcome_is_not_settled_again(
    functions: Functions, signals: Signals, week: None, app_database: Database, tenant: TenantId
) -> None:
    signal_id = await signals.add()
    await tick(functions)

    async with app_database.tenant(tenant) as session:
        rows = service.sql.settle_unscorable(
            session, tenant_id=tenant.value, now=NOW, ids=[signal_id], reasons=["late"]
        )
        assert [row async for row in rows] == []

    assert (await signals.outcome(signal_id))["status"] == "scored"


async def test_killed_in_the_middle_of_a_batch_nothing_is_lost_or_counted_twice(
    *,
    functions: Functions,
    candles: Candles,
    tenant: TenantId,
    app_database: Database,
    postgres: EmbeddedPostgres,
    database: DatabaseUrls,
    redis_server: EmbeddedRedis,
    signing_key: bytes,
    tmp_path: Path,
    clock: Clock,
) -> None:
    now = dt.datetime.now(dt.UTC)
    horizon = now - dt.timedelta(minutes=5)
    last_close = horizon.replace(minute=0, second=0, microsecond=0)
    await candles.store(bars([str(100 + n) for n in range(30)], last_close=last_close), written_at=now)
    signals = Signals(app_database, tenant, candles.symbol)
    for _ in range(2):
        await signals.add(made_at=horizon - dt.timedelta(hours=5), horizon_at=horizon)
    # The batch stops where it adds to the track record, because this row is held.
    holding = held(
        database,
        tenant,
        """INSERT INTO agent_track_records (tenant_id, agent, symbol, interval, regime, source)
        VALUES ($1, 'technical', $2, '1h', 'unknown', 'binance')""",
        tenant.value,
        candles.symbol,
    )
    process = running_function(
        "signal_scoring",
        tmp_path,
        database=database,
        redis_server=redis_server,
        signing_key=signing_key,
        tenant=tenant,
        environment={"PLATFORM_DATABASE_URL": database.platform},
    )
    event = functions.tick("signal-scoring")
    headers, body = event.to_http()
    async with holding, process as running, httpx.AsyncClient(timeout=30, trust_env=False) as client:
        delivery = asyncio.create_task(client.post(running.url, headers=headers, content=body))
        await waits_for_a_lock(postgres, "signal_scoring")
        running.kill()
        with pytest.raises(httpx.TransportError):
            await delivery
    assert await signals.statuses() == ["pending", "pending"]

    clock.fixed = None
    assert (await functions.deliver("signal_scoring", event)).status_code == 204

    assert await signals.statuses() == ["scored", "scored"]
    assert await scored(app_database, tenant) == 2


async def all_outcomes(database: Database, tenant: TenantId) -> list[Any]:
    async with database.tenant(tenant) as session:
        return await session.fetch(
            "SELECT * FROM signal_outcomes WHERE tenant_id = $1 ORDER BY id", tenant.value
        )
