"""Subscriptions over HTTP: who may, what is refused, and that the same again changes the one there is."""

import asyncio
import datetime as dt
from dataclasses import replace
from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from functions.agents import subscriptions
from tests.conftest import TenantFactory
from tests.function.conftest import Clock, Functions
from tests.stored_candles import list_instrument

PATH = "/agents/subscriptions"
ABSENT = "0197c9d2-0000-7000-8000-000000000001"
BODY = {"symbol": "SUBA-USD", "interval": "1h"}


@pytest.fixture(autouse=True)
async def known_symbols(platform_database: PlatformDatabase) -> None:
    for symbol in ("SUBA-USD", "SUBB-USD"):
        await list_instrument(platform_database, symbol)


@pytest.fixture
def api(functions: Functions, tenant: TenantId) -> httpx.AsyncClient:
    return functions.caller("agents", tenant)


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def audited(database: Database, tenant: TenantId) -> list[Any]:
    async with database.tenant(tenant) as session:
        return await session.fetch(
            "SELECT * FROM audit_log WHERE tenant_id = $1 ORDER BY sequence", tenant.value
        )


async def items(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.get(PATH)).json()["items"]
    return found


class TestAccess:
    @pytest.mark.parametrize(
        ("method", "path"), [("GET", PATH), ("POST", PATH), ("DELETE", f"{PATH}/{ABSENT}")]
    )
    async def test_anonymous_is_refused(self, functions: Functions, method: str, path: str) -> None:
        answer = await functions.caller("agents").request(method, path, json=BODY)

        assert problem(answer) == (401, "not_authenticated")

    async def test_viewer_may_read_and_not_write(self, functions: Functions, tenant: TenantId) -> None:
        viewer = functions.caller("agents", tenant, role="viewer")

        assert (await viewer.get(PATH)).status_code == 200
        assert problem(await viewer.post(PATH, json=BODY)) == (403, "not_permitted")
        assert problem(await viewer.delete(f"{PATH}/{ABSENT}")) == (403, "not_permitted")

    async def test_suspended_tenant_reads_and_writes_nothing(
        self, functions: Functions, new_tenant: TenantFactory
    ) -> None:
        api = functions.caller("agents", await new_tenant(status="suspended"))

        assert (await api.get(PATH)).status_code == 200
        assert problem(await api.post(PATH, json=BODY)) == (403, "tenant_suspended")
        assert problem(await api.delete(f"{PATH}/{ABSENT}")) == (403, "tenant_suspended")

    async def test_other_tenants_subscription_does_not_exist(
        self, functions: Functions, api: httpx.AsyncClient, other_tenant: TenantId
    ) -> None:
        stranger = functions.caller("agents", other_tenant)
        mine = (await api.post(PATH, json=BODY)).json()["id"]

        assert await items(stranger) == []
        assert problem(await stranger.delete(f"{PATH}/{mine}")) == (404, "subscription_not_found")
        assert (await stranger.post(PATH, json=BODY)).status_code == 201
        assert [one["id"] for one in await items(api)] == [mine]


class TestSubscribing:
    async def test_subscription_is_stored_listed_and_audited(
        self, api: httpx.AsyncClient, tenant: TenantId, app_database: Database
    ) -> None:
        answer = await api.post(PATH, json=BODY | {"agents": ["technical", "sentiment", "technical"]})

        assert answer.status_code == 201
        created = answer.json()
        assert created == {
            "id": created["id"],
            "symbol": "SUBA-USD",
            "interval": "1h",
            "agents": ["technical", "sentiment"],
            "enabled": True,
            "created_at": created["created_at"],
            "updated_at": created["created_at"],
            "last_run_id": None,
            "last_tick_at": None,
        }
        assert await items(api) == [created]
        [entry] = await audited(app_database, tenant)
        assert (entry["action"], entry["resource_id"]) == ("agents.subscribed", created["id"])
        assert entry["details"] == {
            "symbol": "SUBA-USD",
            "interval": "1h",
            "agents": ["technical", "sentiment"],
            "enabled": True,
        }

    async def test_interval_is_that_of_the_settings_unless_named(self, api: httpx.AsyncClient) -> None:
        assert (await api.post(PATH, json={"symbol": "SUBA-USD"})).json()["interval"] == "1d"

    async def test_same_symbol_and_interval_again_changes_the_subscription(
        self, api: httpx.AsyncClient, tenant: TenantId, app_database: Database, clock: Clock
    ) -> None:
        first = (await api.post(PATH, json=BODY | {"agents": ["technical"]})).json()
        clock.advance(minutes=1)

        again = await api.post(PATH, json=BODY | {"enabled": False})

        assert again.status_code == 200
        changed = again.json()
        assert changed["updated_at"] > first["updated_at"]
        same = {"agents": None, "enabled": False, "updated_at": changed["updated_at"]}
        assert changed == first | same
        assert await items(api) == [changed]
        actions = [entry["action"] for entry in await audited(app_database, tenant)]
        assert actions == ["agents.subscribed", "agents.subscription_changed"]

    async def test_repeating_what_is_there_changes_nothing(
        self, api: httpx.AsyncClient, tenant: TenantId, app_database: Database, clock: Clock
    ) -> None:
        first = (await api.post(PATH, json=BODY)).json()
        clock.advance(minutes=1)

        again = await api.post(PATH, json=BODY)

        assert (again.status_code, again.json()) == (200, first)
        assert len(await audited(app_database, tenant)) == 1

    async def test_idempotency_key_gives_the_first_answer_again(self, api: httpx.AsyncClient) -> None:
        headers = {"Idempotency-Key": "subscribe-1"}
        first = await api.post(PATH, json=BODY, headers=headers)

        again = await api.post(PATH, json=BODY, headers=headers)

        assert (again.status_code, again.json()) == (201, first.json())

    async def test_same_subscription_at_once_is_stored_once(self, api: httpx.AsyncClient) -> None:
        answers = await asyncio.gather(*(api.post(PATH, json=BODY) for _ in range(5)))

        assert sorted(answer.status_code for answer in answers) == [200] * 4 + [201]
        assert len({answer.json()["id"] for answer in answers}) == 1

    @pytest.mark.parametrize(
        ("change", "status", "code"),
        [
            ({"symbol": "NONE-USD"}, 422, "unknown_symbol"),
            ({"symbol": "suba-usd"}, 422, "validation_failed"),
            ({"interval": "2h"}, 422, "validation_failed"),
            ({"agents": ["astrology"]}, 422, "validation_failed"),
            ({"agents": []}, 422, "validation_failed"),
            ({"agents": ["buffett"]}, 422, "agent_disabled"),
            ({"agents": ["technical", "fundamental", "sentiment", "value"]}, 402, "quota_exceeded"),
            ({"enabled": "yes"}, 422, "validation_failed"),
            ({"every": "1h"}, 422, "validation_failed"),
        ],
    )
    async def test_what_cannot_be_asked_is_refused(
        self, api: httpx.AsyncClient, change: dict[str, Any], status: int, code: str
    ) -> None:
        assert problem(await api.post(PATH, json=BODY | change)) == (status, code)
        assert await items(api) == []

    async def test_no_more_than_the_limit_even_at_once(
        self, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(subscriptions, "MOST_SUBSCRIPTIONS", 3)
        wanted = [{"symbol": "SUBA-USD", "interval": name} for name in ("1m", "5m", "15m", "1h", "4h", "1d")]

        answers = await asyncio.gather(*(api.post(PATH, json=body) for body in wanted))

        codes = sorted(answer.status_code for answer in answers)
        assert codes == [201] * 3 + [409] * 3
        refused = next(answer for answer in answers if answer.status_code == 409)
        assert problem(refused) == (409, "too_many_subscriptions")
        kept = (await items(api))[0]
        again = await api.post(PATH, json={"symbol": kept["symbol"], "interval": kept["interval"]})
        assert again.status_code == 200

    async def test_limit_is_a_hundred(self) -> None:
        assert subscriptions.MOST_SUBSCRIPTIONS == 100


class TestEnding:
    async def test_ended_subscription_is_gone_and_audited(
        self, api: httpx.AsyncClient, tenant: TenantId, app_database: Database
    ) -> None:
        mine = (await api.post(PATH, json=BODY)).json()["id"]

        assert (await api.delete(f"{PATH}/{mine}")).status_code == 204

        assert await items(api) == []
        assert problem(await api.delete(f"{PATH}/{mine}")) == (404, "subscription_not_found")
        entry = (await audited(app_database, tenant))[-1]
        assert (entry["action"], entry["details"]) == ("agents.unsubscribed", BODY)

    async def test_id_that_is_none_is_refused(self, api: httpx.AsyncClient) -> None:
        assert problem(await api.delete(f"{PATH}/nothing")) == (422, "validation_failed")


async def test_pages_follow_each_other_newest_first(api: httpx.AsyncClient, clock: Clock) -> None:
    for interval in ("1m", "5m", "15m"):
        await api.post(PATH, json={"symbol": "SUBA-USD", "interval": interval})
        clock.advance(seconds=1)

    first = (await api.get(PATH, params={"limit": 2})).json()
    second = (await api.get(PATH, params={"limit": 2, "cursor": first["next_cursor"]})).json()

    assert [one["interval"] for one in first["items"]] == ["15m", "5m"]
    assert [one["interval"] for one in second["items"]] == ["1m"]
    assert second["next_cursor"] is None
    assert problem(await api.get(PATH, params={"cursor": "x"})) == (422, "invalid_cursor")


async def test_newest_run_of_the_schedule_is_named(
    functions: Functions, api: httpx.AsyncClient, tenant: TenantId, clock: Clock, app_database: Database
) -> None:
    await api.post(PATH, json=BODY)
    await api.post(PATH, json={"symbol": "SUBB-USD", "interval": "1d"})
    tick = replace(functions.tick("agent-schedule-1h"), time=clock())

    assert (await functions.deliver("agent_schedule", tick)).status_code == 204

    daily, hourly = await items(api)
    [run] = (await api.get("/agents/runs")).json()["items"]
    assert (hourly["last_run_id"], daily["last_run_id"]) == (run["run_id"], None)
    closed = dt.datetime.fromisoformat(hourly["last_tick_at"])
    assert dt.timedelta() <= clock() - closed < dt.timedelta(hours=1)
    # A later run that left the symbol out is not one of this subscription.
    async with app_database.tenant(tenant) as session:
        await session.execute(
            """INSERT INTO agent_runs (tenant_id, id, symbols, agents, interval, origin, tick_at, deadline_at)
            VALUES ($1, $2, '{SUBB-USD}', '{technical}', '1h', 'schedule', $3, now() + interval '1 day')""",
            tenant.value,
            uuid7(),
            closed + dt.timedelta(hours=1),
        )
    assert (await items(api))[1]["last_run_id"] is None
