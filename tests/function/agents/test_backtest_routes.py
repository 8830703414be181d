"""Backtests over HTTP: who may, what is refused, what is stored and asked for, and what is answered."""

import datetime as dt
from typing import Any

import httpx
import pytest

from alphapulse.backtesting import limits
from alphapulse.events import schemas
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from tests.conftest import TenantFactory
from tests.function.conftest import Broker, Clock, Functions
from tests.stored_candles import list_instrument, store, wave

PATH = "/agents/backtests"
ABSENT = "0197c9d2-0000-7000-8000-000000000001"
ASKED = {"symbol": "BTR-USD", "interval": "1d", "agent": "technical"}


@pytest.fixture(autouse=True)
async def candles(platform_database: PlatformDatabase) -> None:
    await store(platform_database, "BTR-USD", wave(120))
    await list_instrument(platform_database, "BTE-USD")


@pytest.fixture
def api(functions: Functions, tenant: TenantId) -> httpx.AsyncClient:
    return functions.caller("agents", tenant)


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def started(api: httpx.AsyncClient, **more: Any) -> str:
    answer = await api.post(PATH, json=ASKED | more)
    assert answer.status_code == 202, answer.text
    run_id: str = answer.json()["run_id"]
    assert answer.json()["status_url"] == f"{PATH}/{run_id}"
    return run_id


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", PATH), ("GET", PATH), ("GET", f"{PATH}/{ABSENT}"), ("POST", f"{PATH}/{ABSENT}/cancel")],
)
async def test_without_a_token_nothing_is_open(functions: Functions, method: str, path: str) -> None:
    answer = await functions.caller("agents").request(method, path, json=ASKED)

    assert problem(answer) == (401, "not_authenticated")


async def test_a_viewer_may_look_and_not_ask(functions: Functions, tenant: TenantId) -> None:
    viewer = functions.caller("agents", tenant, role="viewer")

    assert problem(await viewer.post(PATH, json=ASKED)) == (403, "not_permitted")
    assert problem(await viewer.post(f"{PATH}/{ABSENT}/cancel", json={})) == (403, "not_permitted")
    assert (await viewer.get(PATH)).status_code == 200


async def test_asking_stores_the_request_and_emits_its_event(
    api: httpx.AsyncClient, functions: Functions, broker: Broker, tenant: TenantId
) -> None:
    run_id = await started(api, fee_bps="12.5", parameters={"rsi_period": 9}, **{"from": "2024-02-01"})

    [event] = await broker.wait_for("backtest.requested", tenant_id=tenant)
    schemas.validate(event.name, event.data)
    assert event.data["run_id"] == run_id
    view = (await api.get(f"{PATH}/{run_id}")).json()
    assert (view["status"], view["progress"], view["result"], view["picture_url"]) == (
        "waiting",
        0,
        None,
        None,
    )
    assert view["request"]["fee_bps"] == "12.5"
    assert view["request"]["parameters"] == {"rsi_period": 9}
    assert (view["request"]["from"], view["request"]["to"]) == ("2024-02-01T00:00:00Z", None)


async def test_the_tenants_own_settings_are_used_unless_others_are_given(api: httpx.AsyncClient) -> None:
    change = {"agent": "technical", "parameters": {"rsi_period": 21, "interval": "1h"}}
    assert (await api.post("/agents/config", json={"agents": [change]})).status_code == 200

    run_id = await started(api)

    view = (await api.get(f"{PATH}/{run_id}")).json()
    assert view["request"]["parameters"] == {"rsi_period": 21}


async def test_a_done_backtest_has_result_headline_and_picture(
    api: httpx.AsyncClient, functions: Functions, broker: Broker, tenant: TenantId
) -> None:
    run_id = await started(api)
    [event] = await broker.wait_for("backtest.requested", tenant_id=tenant)
    assert (await functions.deliver("backtest", event)).status_code == 200

    view = (await api.get(f"{PATH}/{run_id}")).json()
    picture = await api.get(view["picture_url"])
    [item] = (await api.get(PATH)).json()["items"]

    assert (view["status"], view["progress"]) == ("done", 1.0)
    assert view["result"]["bars"] == item["headline"]["bars"] == 120
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    assert problem(await api.post(f"{PATH}/{run_id}/cancel", json={})) == (409, "backtest_ended")


async def test_before_it_is_done_there_is_no_picture(api: httpx.AsyncClient) -> None:
    run_id = await started(api)

    answer = await api.get(f"{PATH}/{run_id}?format=png")

    assert problem(answer) == (404, "picture_not_found")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"agent": "astrology"}, "validation_failed"),
        ({"interval": "3d"}, "validation_failed"),
        ({"folds": 13}, "validation_failed"),
        ({"fee_bps": "-1"}, "validation_failed"),
        ({"slippage": 3}, "validation_failed"),
        ({"grid": {"rsi_period": [9, 14]}}, "invalid_backtest"),
        ({"grid": {"astrology": [1, 2]}, "folds": 2}, "invalid_backtest"),
        ({"parameters": {"rsi_period": 1}}, "invalid_backtest"),
        ({"from": "2024-03-01", "to": "2024-02-01"}, "invalid_backtest"),
        ({"symbol": "XYZ-USD"}, "unknown_symbol"),
        ({"symbol": "BTE-USD"}, "no_candles"),
        ({"from": "2029-01-01"}, "no_candles"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    api: httpx.AsyncClient, change: dict[str, Any], code: str
) -> None:
    answer = await api.post(PATH, json=ASKED | change)

    assert problem(answer) == (422, code)
    assert (await api.get(PATH)).json()["items"] == []


async def test_a_larger_grid_than_the_tier_includes_is_refused(
    functions: Functions, new_tenant: TenantFactory
) -> None:
    grid = {"rsi_period": list(range(5, 14)), "trend_slow": [50, 60]}
    asked = ASKED | {"grid": grid, "folds": 2}
    starter, pro = await new_tenant(), await new_tenant(tier="pro")

    refused = await functions.caller("agents", starter).post(PATH, json=asked)

    assert problem(refused) == (402, "quota_exceeded")
    assert "grids of 8 combinations, was 18" in refused.json()["detail"]
    taken = await functions.caller("agents", pro, tier="pro").post(PATH, json=asked)
    assert taken.status_code == 202


async def test_more_bars_than_any_backtest_may_have_are_refused(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_BARS", 100)

    assert problem(await api.post(PATH, json=ASKED)) == (422, "backtest_too_large")


async def test_only_so_many_are_unfinished_at_once(api: httpx.AsyncClient, clock: Clock) -> None:
    first = await started(api)
    await started(api)

    refused = await api.post(PATH, json=ASKED)

    assert problem(refused) == (429, "too_many_backtests")
    assert refused.headers["retry-after"] == "30"
    await api.post(f"{PATH}/{first}/cancel", json={})
    await started(api)


async def test_one_past_its_deadline_reads_as_failed(api: httpx.AsyncClient, clock: Clock) -> None:
    run_id = await started(api)
    clock.advance(hours=1)

    view = (await api.get(f"{PATH}/{run_id}")).json()

    assert (view["status"], view["reason"]) == ("failed", "nobody could take it up in time")


async def test_one_that_was_taken_up_just_before_its_deadline_is_not_failed_while_it_runs(
    api: httpx.AsyncClient, tenant: TenantId, app_database: Database, clock: Clock
) -> None:
    run_id = await started(api)
    async with app_database.tenant(tenant) as session:
        await session.execute("UPDATE backtest_runs SET status = 'running', attempt = 1")
    clock.advance(hours=1, minutes=8)

    assert (await api.get(f"{PATH}/{run_id}")).json()["status"] == "running"
    await started(api)
    assert problem(await api.post(PATH, json=ASKED)) == (429, "too_many_backtests")
    clock.advance(minutes=1)
    assert (await api.get(f"{PATH}/{run_id}")).json()["status"] == "failed"
    await started(api)


async def test_cancelling_twice_is_the_same_as_once(api: httpx.AsyncClient) -> None:
    run_id = await started(api)

    answers = [await api.post(f"{PATH}/{run_id}/cancel", json={}) for _ in range(2)]

    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(200, "cancelled")] * 2


async def test_another_tenants_backtest_is_not_there(
    api: httpx.AsyncClient, functions: Functions, other_tenant: TenantId
) -> None:
    run_id = await started(api)
    stranger = functions.caller("agents", other_tenant)

    assert problem(await stranger.get(f"{PATH}/{run_id}")) == (404, "backtest_not_found")
    assert problem(await stranger.get(f"{PATH}/{run_id}?format=png")) == (404, "backtest_not_found")
    assert problem(await stranger.post(f"{PATH}/{run_id}/cancel", json={})) == (404, "backtest_not_found")
    assert (await stranger.get(PATH)).json()["items"] == []
    assert (await api.get(f"{PATH}/{run_id}")).json()["status"] == "waiting"


async def test_the_oldest_beyond_those_kept_are_removed(
    api: httpx.AsyncClient, app_database: Database, tenant: TenantId
) -> None:
    async with app_database.tenant(tenant) as session:
        await session.execute(
            """INSERT INTO backtest_runs
                (tenant_id, id, agent, symbol, interval, request, status, deadline_at, created_at)
            SELECT $1, gen_random_uuid(), 'technical', 'BTR-USD', '1d', '{}', 'cancelled', $2::timestamptz,
                $2::timestamptz - n * interval '1 day'
            FROM generate_series(1, 205) AS n""",
            tenant.value,
            dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        )

    newest = await started(api)

    async with app_database.tenant(tenant) as session:
        count = await session.fetchval(
            "SELECT count(*) FROM backtest_runs WHERE tenant_id = $1", tenant.value
        )
    assert count == limits.KEPT
    assert (await api.get(f"{PATH}?limit=1")).json()["items"][0]["run_id"] == newest


async def test_pages_follow_one_another(api: httpx.AsyncClient) -> None:
    first, second = await started(api), await started(api)

    page = (await api.get(f"{PATH}?limit=1")).json()
    rest = (await api.get(f"{PATH}?limit=1&cursor={page['next_cursor']}")).json()

    assert [page["items"][0]["run_id"], rest["items"][0]["run_id"]] == [second, first]
    assert rest["next_cursor"] is None
