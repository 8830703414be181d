"""The technical agent answers a request once, from stored candles, or says why it cannot."""

import csv
import datetime as dt
import gzip
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import talib
from uuid_utils.compat import uuid7

from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Interval
from alphapulse.events import Event, schemas
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from tests.conftest import TenantFactory
from tests.function.conftest import Clock, Functions
from tests.real_candles import real_candles
from tests.stored_candles import list_instrument, store, wave

WINDOW = 200


def requested(functions: Functions, tenant: TenantId, symbol: str, **changes: Any) -> Event:
    data = {
        "run_id": str(uuid7()),
        "agent": "technical",
        "symbol": symbol,
        "interval": "1d",
        "requested_at": "2024-01-01T00:00:00Z",
        "deadline_at": "2999-01-01T00:05:00Z",
    } | changes
    return functions.event("signal.requested", data, tenant, correlationid=data["run_id"])


def reply_of(answer: httpx.Response) -> Event:
    assert answer.status_code == 200, answer.text
    reply = Event.from_http(answer.headers, answer.content)
    schemas.validate(reply.name, reply.data)
    return reply


async def add_task(database: Database, tenant: TenantId, run_id: str, symbol: str, status: str) -> None:
    async with database.tenant(tenant) as session:
        await session.execute(
            """INSERT INTO agent_runs (tenant_id, id, symbols, agents, interval, deadline_at)
            VALUES ($1, $2, ARRAY[$3::text], '{technical}', '1d', now() + interval '5 min')""",
            tenant.value,
            run_id,
            symbol,
        )
        await session.execute(
            """INSERT INTO agent_run_tasks (tenant_id, run_id, agent, symbol, status, reason)
            VALUES ($1, $2, 'technical', $3, $4, CASE WHEN $4 = 'failed' THEN 'late' END)""",
            tenant.value,
            run_id,
            symbol,
            status,
        )


async def tasks(database: Database, tenant: TenantId) -> list[Any]:
    async with database.tenant(tenant) as session:
        return await session.fetch(
            "SELECT * FROM agent_run_tasks WHERE tenant_id = $1 ORDER BY id", tenant.value
        )


async def signals(database: Database, tenant: TenantId) -> list[Any]:
    async with database.tenant(tenant) as session:
        return await session.fetch(
            "SELECT * FROM agent_signals WHERE tenant_id = $1 ORDER BY id", tenant.value
        )


def inputs_of(reply: Event) -> dict[str, Any]:
    return {item["name"]: item["value"] for item in reply.data["inputs"]}


async def test_request_is_answered_stored_and_cached(
    functions: Functions, tenant: TenantId, app_database: Database, platform_database: PlatformDatabase
) -> None:
    await store(platform_database, "SIGA-USD", wave(260))
    event = requested(functions, tenant, "SIGA-USD")
    await add_task(app_database, tenant, event.data["run_id"], "SIGA-USD", "waiting")

    reply = reply_of(await functions.deliver("signal_technical", event))

    assert reply.name == "signal.generated"
    assert reply.extensions["agent"] == "technical"
    assert reply.extensions["symbol"] == "SIGA-USD"
    assert reply.extensions["correlationid"] == event.data["run_id"]
    assert reply.extensions["causationid"] == event.id
    assert reply.extensions["tenantid"] == str(tenant)
    [row] = await signals(app_database, tenant)
    assert (str(row["id"]), row["signal"], row["score"]) == (
        reply.data["id"],
        reply.data["signal"],
        reply.data["score"],
    )
    [task] = await tasks(app_database, tenant)
    assert task["status"] == "done"
    assert task["started_at"] <= task["finished_at"]
    cache = functions.resources("signal_technical").cache.tenant(tenant)
    assert await cache.get("signal", "technical", "SIGA-USD") == dict(reply.data)


async def test_older_signal_that_is_stored_later_leaves_the_newer_one_in_the_cache(
    functions: Functions, clock: Clock, tenant: TenantId, platform_database: PlatformDatabase
) -> None:
    await store(platform_database, "SIGO-USD", wave(260))
    newer = reply_of(await functions.deliver("signal_technical", requested(functions, tenant, "SIGO-USD")))
    clock.advance(seconds=-5)
    older = reply_of(await functions.deliver("signal_technical", requested(functions, tenant, "SIGO-USD")))

    cache = functions.resources("signal_technical").cache.tenant(tenant)
    assert older.data["created_at"] < newer.data["created_at"]
    assert await cache.get("signal", "technical", "SIGO-USD") == dict(newer.data)


async def test_redelivery_returns_the_same_reply_and_stores_nothing_more(
    functions: Functions, tenant: TenantId, app_database: Database, platform_database: PlatformDatabase
) -> None:
    await store(platform_database, "SIGA-USD", wave(260))
    event = requested(functions, tenant, "SIGA-USD")

    first = reply_of(await functions.deliver("signal_technical", event))
    second = reply_of(await functions.deliver("signal_technical", event))

    assert second == first
    assert len(await signals(app_database, tenant)) == 1


async def test_second_request_of_the_same_run_and_symbol_has_no_reply(
    functions: Functions, tenant: TenantId, app_database: Database, platform_database: PlatformDatabase
) -> None:
    await store(platform_database, "SIGA-USD", wave(260))
    event = requested(functions, tenant, "SIGA-USD")
    again = requested(functions, tenant, "SIGA-USD", run_id=event.data["run_id"])
    reply_of(await functions.deliver("signal_technical", event))

    assert (await functions.deliver("signal_technical", again)).status_code == 204
    assert len(await signals(app_database, tenant)) == 1


async def test_task_that_failed_at_its_deadline_gets_no_late_signal(
    functions: Functions, tenant: TenantId, app_database: Database, platform_database: PlatformDatabase
) -> None:
    await store(platform_database, "SIGA-USD", wave(260))
    event = requested(functions, tenant, "SIGA-USD")
    await add_task(app_database, tenant, event.data["run_id"], "SIGA-USD", "failed")

    answer = await functions.deliver("signal_technical", event)

    assert answer.status_code == 204
    assert await signals(app_database, tenant) == []
    [task] = await tasks(app_database, tenant)
    assert (task["status"], task["reason"]) == ("failed", "late")


async def test_request_past_its_deadline_gets_no_signal_before_the_sweep_either(
    functions: Functions, tenant: TenantId, app_database: Database, platform_database: PlatformDatabase
) -> None:
    await store(platform_database, "SIGA-USD", wave(260))
    event = requested(functions, tenant, "SIGA-USD", deadline_at="2024-01-01T00:05:00Z")
    await add_task(app_database, tenant, event.data["run_id"], "SIGA-USD", "waiting")

    answer = await functions.deliver("signal_technical", event)

    # The run is told to have failed from this moment; a signal would make it succeed again.
    assert answer.status_code == 204
    assert await signals(app_database, tenant) == []


async def test_missing_interval_abstains_and_names_those_there_are(
    functions: Functions, tenant: TenantId, app_database: Database, platform_database: PlatformDatabase
) -> None:
    for interval in (Interval.HOUR, Interval.FIVE_MINUTES):
        await store(platform_database, "SIGB-USD", wave(3, interval=interval), interval=interval)
    event = requested(functions, tenant, "SIGB-USD")
    await add_task(app_database, tenant, event.data["run_id"], "SIGB-USD", "waiting")

    reply = reply_of(await functions.deliver("signal_technical", event))

    reason = "there are no candles of SIGB-USD in 1d; available: 5m, 1h"
    assert reply.name == "signal.abstained"
    assert reply.data["reasons"] == [reason]
    [task] = await tasks(app_database, tenant)
    assert (task["status"], task["reason"]) == ("abstained", reason)
    [row] = await signals(app_database, tenant)
    assert (row["abstained"], row["abstain_reason"], row["score"]) == (True, reason, None)


async def test_no_candles_at_all_abstains(
    functions: Functions, tenant: TenantId, platform_database: PlatformDatabase
) -> None:
    await list_instrument(platform_database, "SIGC-USD")

    reply = reply_of(await functions.deliver("signal_technical", requested(functions, tenant, "SIGC-USD")))

    assert reply.data["reasons"] == ["there are no candles of SIGC-USD"]


async def test_too_few_bars_abstain(
    functions: Functions, tenant: TenantId, platform_database: PlatformDatabase
) -> None:
    await store(platform_database, "SIGD-USD", wave(20))

    reply = reply_of(await functions.deliver("signal_technical", requested(functions, tenant, "SIGD-USD")))

    assert reply.data["reasons"] == ["needs 50 bars of 1d, found 20"]


async def test_bar_that_has_not_closed_is_not_used(
    functions: Functions, tenant: TenantId, platform_database: PlatformDatabase, clock: Clock
) -> None:
    candles = wave(260)
    await store(platform_database, "SIGE-USD", candles)
    clock.fixed = candles[-1].open_time + dt.timedelta(hours=5)

    reply = reply_of(await functions.deliver("signal_technical", requested(functions, tenant, "SIGE-USD")))

    assert inputs_of(reply)["close"] == float(candles[-2].close)


async def test_live_bars_that_are_too_old_abstain(
    functions: Functions, tenant: TenantId, platform_database: PlatformDatabase, clock: Clock
) -> None:
    candles = wave(260)
    await store(platform_database, "SIGF-USD", candles, source="simulated")
    clock.fixed = candles[-1].open_time + dt.timedelta(days=1, hours=23)
    fresh = await functions.deliver("signal_technical", requested(functions, tenant, "SIGF-USD"))
    clock.advance(hours=2)
    stale = await functions.deliver("signal_technical", requested(functions, tenant, "SIGF-USD"))

    assert reply_of(fresh).name == "signal.generated"
    assert reply_of(stale).name == "signal.abstained"
    assert "the last bar closed at" in reply_of(stale).data["reasons"][0]


async def test_tenants_settings_of_the_agent_are_used(
    functions: Functions, tenant: TenantId, app_database: Database, platform_database: PlatformDatabase
) -> None:
    await store(platform_database, "SIGA-USD", wave(260))
    async with app_database.tenant(tenant) as session:
        await session.execute(
            """INSERT INTO agent_configs (tenant_id, id, agent, version, parameters)
            VALUES ($1, $2, 'technical', 1, $3)""",
            tenant.value,
            uuid7(),
            {"interval": "1d", "rsi_period": 5, "window": 100},
        )

    reply = reply_of(await functions.deliver("signal_technical", requested(functions, tenant, "SIGA-USD")))

    assert inputs_of(reply)["bars"] == 100
    assert any(reason.startswith("RSI(5) ") for reason in reply.data["reasons"])


async def test_request_for_another_agent_is_refused_for_good(functions: Functions, tenant: TenantId) -> None:
    answer = await functions.deliver(
        "signal_technical", requested(functions, tenant, "SIGA-USD", agent="value")
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_agent")


@pytest.mark.parametrize(
    "changes", [{"symbol": "btc"}, {"interval": "2d"}, {"run_id": "1"}, {"agent": "oracle"}]
)
async def test_malformed_request_is_refused_for_good(
    functions: Functions, tenant: TenantId, changes: dict[str, str]
) -> None:
    answer = await functions.deliver(
        "signal_technical", requested(functions, tenant, **({"symbol": "SIGA-USD"} | changes))
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed_event")


async def test_each_tenant_gets_its_own_signal(
    functions: Functions,
    new_tenant: TenantFactory,
    app_database: Database,
    platform_database: PlatformDatabase,
) -> None:
    await store(platform_database, "SIGA-USD", wave(260))
    first, second = await new_tenant(), await new_tenant()
    run_id = str(uuid7())
    for tenant in (first, second):
        event = requested(functions, tenant, "SIGA-USD", run_id=run_id)
        reply_of(await functions.deliver("signal_technical", event))

    assert len(await signals(app_database, first)) == 1
    assert len(await signals(app_database, second)) == 1


def read(path: Path) -> list[Candle]:
    with gzip.open(path, "rt") as file:
        return [
            Candle(
                dt.datetime.fromisoformat(row["timestamp"]),
                *(Decimal(row[name]) for name in ("open", "high", "low", "close", "volume")),
            )
            for row in csv.DictReader(file)
        ]


async def test_inputs_of_real_daily_bars_equal_ta_lib(
    functions: Functions, tenant: TenantId, platform_database: PlatformDatabase
) -> None:
    candles = read(real_candles() / "BTC-USD_1d.csv.gz")
    await store(platform_database, "SIGREAL-USD", candles)

    reply = reply_of(await functions.deliver("signal_technical", requested(functions, tenant, "SIGREAL-USD")))

    window = candles[-WINDOW:]
    high, low, close = (
        np.array([float(getattr(candle, name)) for candle in window]) for name in ("high", "low", "close")
    )
    upper, middle, _ = talib.BBANDS(close, timeperiod=20, nbdevup=2, nbdevdn=2)
    expected = {
        "close": close[-1],
        "rsi": talib.RSI(close, 14)[-1],
        "macd_histogram": talib.MACD(close, 12, 26, 9)[2][-1],
        "bollinger_position": (close[-1] - middle[-1]) / (upper[-1] - middle[-1]),
        "atr": talib.ATR(high, low, close, 14)[-1],
        "ema_fast": talib.EMA(close, 20)[-1],
        "ema_slow": talib.EMA(close, 50)[-1],
    }
    found = inputs_of(reply)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-9)
    as_of = {item["as_of"] for item in reply.data["inputs"]}
    assert as_of == {"2018-08-14T00:00:00Z"}


async def test_gap_of_real_five_minute_bars_is_reported_in_reasons_and_inputs(
    functions: Functions, tenant: TenantId, platform_database: PlatformDatabase
) -> None:
    candles = read(real_candles() / "DASH-BTC_5m.csv.gz")
    missing = dt.datetime(2018, 1, 28, 6, 0, tzinfo=dt.UTC)
    before = [candle for candle in candles if candle.open_time < missing + dt.timedelta(hours=12)]
    await store(platform_database, "DASH-BTC", before, interval=Interval.FIVE_MINUTES)

    event = requested(functions, tenant, "DASH-BTC", interval="5m")
    reply = reply_of(await functions.deliver("signal_technical", event))

    assert reply.name == "signal.generated"
    assert reply.data["reasons"][-1] == "1 bar of 5m missing at 2018-01-28T06:00:00+00:00"
    assert inputs_of(reply)["missing_bars"] == 1


async def test_hundred_signals_take_less_than_the_floor_of_one_a_second(
    functions: Functions, tenant: TenantId, platform_database: PlatformDatabase
) -> None:
    await store(platform_database, "SIGA-USD", wave(260))
    events = [requested(functions, tenant, "SIGA-USD") for _ in range(100)]

    started = time.perf_counter()
    for event in events:
        reply_of(await functions.deliver("signal_technical", event))
    elapsed = time.perf_counter() - started

    print(f"{elapsed * 10:.2f} ms per signal")
    assert elapsed < 60
