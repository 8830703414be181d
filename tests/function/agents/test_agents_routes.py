"""Runs, signals, consensus and settings over HTTP: who may, what is refused, and what is stored."""

import asyncio
import base64
import datetime as dt
from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from functions.agents import runs
from tests.conftest import TenantFactory
from tests.function.conftest import Broker, Clock, Functions
from tests.stored_candles import list_instrument

READS = (
    "/agents/runs",
    "/agents/runs/0197c9d2-0000-7000-8000-000000000001",
    "/agents/signals",
    "/agents/consensus",
    "/agents/config",
    "/agents/status",
)
WRITES = {
    "/agents/run": {"symbols": ["AGA-USD"]},
    "/agents/config": {"agents": [{"agent": "technical", "weight": 0.5}]},
    "/agents/runs/0197c9d2-0000-7000-8000-000000000001/replay": {},
}


ABSENT = "0197c9d2-0000-7000-8000-000000000001"
# One signal, and two.
ONE = {"symbols": ["AGA-USD"], "agents": ["technical"]}
TWO = {"symbols": ["AGA-USD", "AGB-USD"], "agents": ["technical"]}
AGENTS = ["technical", "fundamental", "sentiment", "value", "activist", "buffett"]


def cursor_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.fixture(autouse=True)
async def known_symbols(platform_database: PlatformDatabase) -> None:
    for symbol in ("AGA-USD", "AGB-USD"):
        await list_instrument(platform_database, symbol)


@pytest.fixture
def api(functions: Functions, tenant: TenantId) -> httpx.AsyncClient:
    return functions.caller("agents", tenant)


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


class TestAccess:
    @pytest.mark.parametrize("path", READS)
    async def test_reading_without_a_token_is_refused(self, functions: Functions, path: str) -> None:
        answer = await functions.caller("agents").get(path)

        assert problem(answer) == (401, "not_authenticated")

    @pytest.mark.parametrize("path", WRITES)
    async def test_writing_without_a_token_is_refused(self, functions: Functions, path: str) -> None:
        answer = await functions.caller("agents").post(path, json=WRITES[path])

        assert problem(answer) == (401, "not_authenticated")

    @pytest.mark.parametrize("path", WRITES)
    async def test_viewer_may_not_write(self, functions: Functions, tenant: TenantId, path: str) -> None:
        viewer = functions.caller("agents", tenant, role="viewer")

        assert problem(await viewer.post(path, json=WRITES[path])) == (403, "not_permitted")

    @pytest.mark.parametrize("path", ["/agents/runs", "/agents/signals", "/agents/config", "/agents/status"])
    async def test_viewer_may_read(self, functions: Functions, tenant: TenantId, path: str) -> None:
        viewer = functions.caller("agents", tenant, role="viewer")

        assert (await viewer.get(path)).status_code == 200


class TestRun:
    async def test_run_is_accepted_stored_and_asked_for(
        self, api: httpx.AsyncClient, broker: Broker, tenant: TenantId
    ) -> None:
        answer = await api.post("/agents/run", json=TWO | {"symbols": ["AGA-USD", "AGB-USD", "AGA-USD"]})

        assert answer.status_code == 202
        accepted = answer.json()
        assert accepted["status_url"] == f"/agents/runs/{accepted['run_id']}"
        asked = await broker.wait_for("signal.requested", count=2, tenant_id=tenant)
        assert sorted((e.extensions["agent"], e.extensions["symbol"]) for e in asked) == [
            ("technical", "AGA-USD"),
            ("technical", "AGB-USD"),
        ]
        assert {e.extensions["correlationid"] for e in asked} == {accepted["run_id"]}
        assert {e.data["interval"] for e in asked} == {"1d"}
        requested, deadline = (
            dt.datetime.fromisoformat(asked[0].data[n]) for n in ("requested_at", "deadline_at")
        )
        assert deadline - requested == dt.timedelta(minutes=5)

        run = (await api.get(accepted["status_url"])).json()

        assert (run["status"], run["interval"], run["symbols"]) == ("running", "1d", ["AGA-USD", "AGB-USD"])
        assert run["agents"][0] == {
            "agent": "technical",
            "symbol": "AGA-USD",
            "status": "waiting",
            "reason": None,
            "started_at": None,
            "finished_at": None,
        }

    @pytest.mark.parametrize("seconds", [10, 42, 300])
    async def test_deadline_is_as_short_as_asked(
        self, api: httpx.AsyncClient, broker: Broker, tenant: TenantId, seconds: int
    ) -> None:
        body = ONE | {"deadline_seconds": seconds}

        run = (await api.get((await api.post("/agents/run", json=body)).json()["status_url"])).json()

        created, deadline = (dt.datetime.fromisoformat(run[n]) for n in ("created_at", "deadline_at"))
        assert deadline - created == dt.timedelta(seconds=seconds)
        [asked] = await broker.wait_for("signal.requested", tenant_id=tenant)
        assert dt.datetime.fromisoformat(asked.data["deadline_at"]) == deadline

    @pytest.mark.parametrize("seconds", [9, 301, 0, -1, 60.5, "60", True, None])
    async def test_deadline_out_of_bounds_is_refused(self, api: httpx.AsyncClient, seconds: object) -> None:
        body = ONE | {"deadline_seconds": seconds}

        assert problem(await api.post("/agents/run", json=body)) == (422, "validation_failed")

    async def test_many_runs_at_once_are_all_asked_for_once(
        self, functions: Functions, new_tenant: TenantFactory, broker: Broker, app_database: Database
    ) -> None:
        tenants = [await new_tenant() for _ in range(20)]
        body = TWO

        answers = await asyncio.gather(
            *(functions.caller("agents", tenant).post("/agents/run", json=body) for tenant in tenants)
        )
        await functions.settle()

        assert {answer.status_code for answer in answers} == {202}
        for tenant in tenants:
            asked = {
                (e.extensions["agent"], e.extensions["symbol"])
                for e in broker.named("signal.requested", tenant)
            }
            assert len(broker.named("signal.requested", tenant)) == len(asked) == 2
            async with app_database.tenant(tenant) as session:
                left = await session.fetchval(
                    "SELECT count(*) FROM outbox WHERE tenant_id = $1", tenant.value
                )
            assert left == 0

    async def test_requests_wait_in_the_outbox_while_the_broker_is_down(
        self,
        api: httpx.AsyncClient,
        functions: Functions,
        broker: Broker,
        tenant: TenantId,
        app_database: Database,
    ) -> None:
        broker.up = False

        assert (await api.post("/agents/run", json=TWO)).status_code == 202

        await functions.settle()
        async with app_database.tenant(tenant) as session:
            left = await session.fetchval("SELECT count(*) FROM outbox WHERE tenant_id = $1", tenant.value)
        assert (broker.named("signal.requested", tenant), left) == ([], 2)

    async def test_same_idempotency_key_starts_one_run(
        self, api: httpx.AsyncClient, broker: Broker, tenant: TenantId, functions: Functions
    ) -> None:
        body, headers = ONE, {"Idempotency-Key": "run-1"}

        first = await api.post("/agents/run", json=body, headers=headers)
        second = await api.post("/agents/run", json=body, headers=headers)
        await functions.settle()

        assert second.json() == first.json()
        assert len((await api.get("/agents/runs")).json()["items"]) == 1
        assert len(broker.named("signal.requested", tenant)) == 1

    async def test_request_survives_a_broker_that_is_down(
        self,
        api: httpx.AsyncClient,
        broker: Broker,
        tenant: TenantId,
        functions: Functions,
        app_database: Database,
    ) -> None:
        broker.up = False

        assert (await api.post("/agents/run", json=ONE)).status_code == 202
        await functions.settle()

        async with app_database.tenant(tenant) as session:
            waiting = await session.fetchval("SELECT count(*) FROM outbox WHERE tenant_id = $1", tenant.value)
        assert waiting == 1

    async def test_other_tenants_run_is_not_found(
        self, api: httpx.AsyncClient, functions: Functions, other_tenant: TenantId
    ) -> None:
        accepted = (await api.post("/agents/run", json=ONE)).json()
        stranger = functions.caller("agents", other_tenant)

        assert problem(await stranger.get(accepted["status_url"])) == (404, "run_not_found")
        assert (await stranger.get("/agents/runs")).json()["items"] == []

    async def test_unknown_symbols_are_named(self, api: httpx.AsyncClient, broker: Broker) -> None:
        answer = await api.post("/agents/run", json={"symbols": ["AGA-USD", "NIL-USD"]})

        assert problem(answer) == (422, "unknown_symbol")
        assert answer.json()["symbols"] == ["NIL-USD"]
        assert (await api.get("/agents/runs")).json()["items"] == []

    async def test_run_that_names_no_agents_asks_those_that_are_enabled(
        self, api: httpx.AsyncClient, functions: Functions, new_tenant: TenantFactory
    ) -> None:
        pro = functions.caller("agents", await new_tenant(tier="pro"))

        asked = []
        for client in (api, pro):
            accepted = (await client.post("/agents/run", json={"symbols": ["AGA-USD"]})).json()
            run = (await client.get(accepted["status_url"])).json()
            asked.append([task["agent"] for task in run["agents"]])

        assert asked == [AGENTS[:3], AGENTS]

    async def test_more_agents_than_the_tier_includes_are_not_asked(
        self, api: httpx.AsyncClient, app_database: Database, tenant: TenantId
    ) -> None:
        # As after a change to a smaller tier.
        async with app_database.tenant(tenant) as session:
            await session.execute(
                "INSERT INTO agent_configs (tenant_id, id, agent, version) VALUES ($1, $2, 'value', 1)",
                tenant.value,
                uuid7(),
            )

        answer = await api.post("/agents/run", json={"symbols": ["AGA-USD"]})

        assert problem(answer) == (402, "quota_exceeded")

    async def test_disabled_agent_is_not_asked(self, api: httpx.AsyncClient) -> None:
        change = {"agents": [{"agent": "technical", "enabled": False}]}
        assert (await api.post("/agents/config", json=change)).status_code == 200

        named = await api.post("/agents/run", json=ONE)
        others = [{"agent": agent, "enabled": False} for agent in AGENTS[1:3]]
        await api.post("/agents/config", json={"agents": others})
        unnamed = await api.post("/agents/run", json={"symbols": ["AGA-USD"]})

        assert problem(named) == problem(unnamed) == (422, "agent_disabled")

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"symbols": []},
            {"symbols": ["btc-usd"]},
            {"symbols": ["BTCUSD"]},
            {"symbols": [f"S{n}-USD" for n in range(10, 31)]},
            {"symbols": ["AGA-USD"], "agents": []},
            {"symbols": ["AGA-USD"], "agents": ["oracle"]},
            {"symbols": ["AGA-USD"], "interval": "2d"},
            {"symbols": ["AGA-USD"], "extra": 1},
            {"symbols": "AGA-USD"},
        ],
    )
    async def test_malformed_request_is_refused(self, api: httpx.AsyncClient, body: dict[str, Any]) -> None:
        assert problem(await api.post("/agents/run", json=body)) == (422, "validation_failed")

    async def test_interval_comes_from_request_settings_or_default(
        self, api: httpx.AsyncClient, broker: Broker, tenant: TenantId
    ) -> None:
        change = {"agents": [{"agent": "technical", "parameters": {"interval": "4h"}}]}
        await api.post("/agents/config", json=change)
        await api.post("/agents/run", json=ONE)
        await broker.wait_for("signal.requested", tenant_id=tenant)
        await api.post("/agents/run", json=ONE | {"interval": "5m"})

        asked = await broker.wait_for("signal.requested", count=2, tenant_id=tenant)

        assert [event.data["interval"] for event in asked] == ["4h", "5m"]

    async def test_run_past_its_deadline_shows_as_failed(self, api: httpx.AsyncClient, clock: Clock) -> None:
        accepted = (await api.post("/agents/run", json=ONE)).json()
        clock.advance(minutes=5)

        run = (await api.get(accepted["status_url"])).json()

        assert (run["status"], run["reason"]) == ("failed", "no answer before the deadline")
        assert run["agents"][0]["status"] == "failed"
        assert run["agents"][0]["reason"] == "no answer before the deadline"

    async def test_run_whose_agents_all_spoke_in_time_never_shows_as_failed(
        self, api: httpx.AsyncClient, clock: Clock, app_database: Database, tenant: TenantId
    ) -> None:
        accepted = (await api.post("/agents/run", json=ONE)).json()
        async with app_database.tenant(tenant) as session:
            await session.execute(
                "UPDATE agent_run_tasks SET status = 'done' WHERE tenant_id = $1", tenant.value
            )
        clock.advance(minutes=5)

        # Its consensus is on the way, and will close it as done.
        assert (await api.get(accepted["status_url"])).json()["status"] == "running"

    async def test_runs_are_paged_newest_first(self, api: httpx.AsyncClient) -> None:
        started = [(await api.post("/agents/run", json=ONE)).json()["run_id"] for _ in range(5)]

        found, cursor = [], None
        for _ in range(3):
            params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await api.get("/agents/runs", params=params)).json()
            found += [run["run_id"] for run in page["items"]]
            cursor = page["next_cursor"]

        assert found == started[::-1]
        assert cursor is None

    async def test_page_of_runs_with_many_tasks_is_shorter_and_the_rest_follows(
        self, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runs, "MOST_TASKS", 3)
        started = [(await api.post("/agents/run", json=body)).json()["run_id"] for body in (ONE, TWO, TWO)]

        found, cursor = [], None
        for _ in range(2):
            params = {"limit": 50} | ({"cursor": cursor} if cursor else {})
            page = (await api.get("/agents/runs", params=params)).json()
            found.append([run["run_id"] for run in page["items"]])
            cursor = page["next_cursor"]

        # Two symbols and two are more than three tasks; two and one are not.
        assert found == [[started[2]], [started[1], started[0]]]
        assert cursor is None

    @pytest.mark.parametrize(
        "cursor",
        [
            "x",
            "bm90aGluZw==",
            "é",
            cursor_of(f"2024-01-01T00:00:00|{ABSENT}"),
            cursor_of(f"0001-01-01T00:00:00+14:00|{ABSENT}"),
            cursor_of(f"9999-12-31T23:59:59-14:00|{ABSENT}"),
        ],
    )
    async def test_foreign_cursor_is_refused(self, api: httpx.AsyncClient, cursor: str) -> None:
        answer = await api.get("/agents/runs", params={"cursor": cursor})

        assert problem(answer) == (422, "invalid_cursor")

    async def test_malformed_run_id_is_refused(self, api: httpx.AsyncClient) -> None:
        assert problem(await api.get("/agents/runs/1")) == (422, "validation_failed")


class TestConfig:
    async def test_settings_nobody_changed_are_the_products_own(self, api: httpx.AsyncClient) -> None:
        config = (await api.get("/agents/config")).json()

        assert config["agents_limit"] == 3
        by_agent = {own["agent"]: own for own in config["agents"]}
        assert list(by_agent) == ["technical", "fundamental", "sentiment", "value", "activist", "buffett"]
        assert [own["enabled"] for own in config["agents"]] == [True, True, True, False, False, False]
        assert [own["weight"] for own in config["agents"]] == [0.3, 0.3, 0.2, 0.1, 0.05, 0.05]
        technical = by_agent["technical"]
        assert (technical["version"], technical["updated_at"]) == (0, None)
        assert technical["parameters"]["interval"] == "1d"
        assert technical["parameters"]["rsi_period"] == 14
        assert technical["bounds"]["rsi_period"] == {
            "meaning": "bars of the RSI",
            "unit": "bars",
            "default": 14,
            "least": 2,
            "most": 100,
            "whole": True,
            "choices": None,
        }

    async def test_change_is_a_new_version_and_keeps_what_is_left_out(self, api: httpx.AsyncClient) -> None:
        for change in ({"weight": "0.6"}, {"parameters": {"rsi_period": 9, "interval": "1h"}}):
            answer = await api.post("/agents/config", json={"agents": [{"agent": "technical", **change}]})
            assert answer.status_code == 200, answer.text

        technical = (await api.get("/agents/config")).json()["agents"][0]

        assert (technical["version"], technical["weight"]) == (2, 0.6)
        assert technical["parameters"]["rsi_period"] == 9
        assert technical["parameters"]["interval"] == "1h"
        assert technical["parameters"]["rsi_overbought"] == 70.0

    async def test_change_that_changes_nothing_is_no_version(self, api: httpx.AsyncClient) -> None:
        for _ in range(2):
            await api.post("/agents/config", json={"agents": [{"agent": "technical", "weight": 0.6}]})

        assert (await api.get("/agents/config")).json()["agents"][0]["version"] == 1

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"rsi_period": 1}, "rsi_period must be a whole number from 2 to 100, was 1"),
            ({"rsi_period": "14"}, "rsi_period must be a whole number from 2 to 100, was '14'"),
            ({"rsi_perod": 14}, "unknown parameters: rsi_perod"),
            ({"macd_fast": 30}, "macd_fast must be less than macd_slow, was 30 and 26"),
            ({"interval": "2d"}, "interval must be one of 1m, 5m, 15m, 1h, 4h, 1d, was '2d'"),
            ({"interval": 5}, "interval must be one of 1m, 5m, 15m, 1h, 4h, 1d, was '5'"),
        ],
    )
    async def test_unusable_parameters_are_refused_with_their_bounds(
        self, api: httpx.AsyncClient, parameters: dict[str, Any], message: str
    ) -> None:
        body = {"agents": [{"agent": "technical", "parameters": parameters}]}

        answer = await api.post("/agents/config", json=body)

        assert problem(answer) == (422, "invalid_parameters")
        assert answer.json()["detail"] == message

    @pytest.mark.parametrize("agent", AGENTS)
    async def test_each_parameter_of_each_agent_has_meaning_bounds_and_default(
        self, api: httpx.AsyncClient, agent: str
    ) -> None:
        [own] = [one for one in (await api.get("/agents/config")).json()["agents"] if one["agent"] == agent]

        assert set(own["parameters"]) == set(own["bounds"]) != set()
        assert ("interval" in own["bounds"]) == (agent == "technical")
        for name, bound in own["bounds"].items():
            assert bound["meaning"]
            assert bound["default"] == own["parameters"][name]
            if name != "interval":
                assert bound["least"] <= bound["default"] <= bound["most"]
                assert bound["whole"] is isinstance(bound["default"], int)
        assert any(name.startswith("horizon_") for name in own["bounds"])

    @pytest.mark.parametrize("agent", AGENTS)
    async def test_each_bound_of_each_agent_is_kept(self, api: httpx.AsyncClient, agent: str) -> None:
        [own] = [one for one in (await api.get("/agents/config")).json()["agents"] if one["agent"] == agent]

        for name, bound in own["bounds"].items():
            if name == "interval":
                continue
            for beyond in (bound["least"] - 1, bound["most"] + 1):
                body = {"agents": [{"agent": agent, "parameters": {name: beyond}}]}
                answer = await api.post("/agents/config", json=body)
                assert problem(answer) == (422, "invalid_parameters")
                assert answer.json()["detail"].startswith(f"{name} must be ")

    async def test_length_of_bars_is_no_setting_of_an_agent_that_reads_none(
        self, api: httpx.AsyncClient
    ) -> None:
        body = {"agents": [{"agent": "value", "parameters": {"interval": "1h"}}]}

        answer = await api.post("/agents/config", json=body)

        assert problem(answer) == (422, "invalid_parameters")
        assert answer.json()["detail"] == "unknown parameters: interval"

    async def test_each_change_is_in_the_audit_log_with_what_was_before(
        self, api: httpx.AsyncClient, app_database: Database, tenant: TenantId
    ) -> None:
        for change in ({"weight": "0.6"}, {"parameters": {"horizon_days": 3}, "enabled": False}):
            body = {"agents": [{"agent": "sentiment", **change}, {"agent": "technical", "enabled": True}]}
            assert (await api.post("/agents/config", json=body)).status_code == 200

        async with app_database.tenant(tenant) as session:
            rows = await session.fetch(
                "SELECT * FROM audit_log WHERE tenant_id = $1 AND action = 'agents.config_changed'"
                " ORDER BY sequence",
                tenant.value,
            )
        assert [(row["resource_id"], row["details"]["version"]) for row in rows] == [
            ("sentiment", 1),
            ("sentiment", 2),
        ]
        assert rows[0]["actor_type"] == "user"
        assert rows[1]["details"]["before"] == {"enabled": True, "weight": "0.600000", "parameters": {}}
        assert rows[1]["details"]["after"] == {
            "enabled": False,
            "weight": "0.600000",
            "parameters": {"horizon_days": 3},
        }

    async def test_weights_without_a_possible_quorum_are_refused_together(
        self, api: httpx.AsyncClient
    ) -> None:
        names = ("technical", "fundamental")
        body = {"agents": [{"agent": agent, "weight": 0.04} for agent in names]}

        answer = await api.post("/agents/config", json=body)

        assert problem(answer) == (422, "invalid_weights")
        assert {own["version"] for own in (await api.get("/agents/config")).json()["agents"]} == {0}

    @pytest.mark.parametrize("weight", [-0.1, 1.1, "x", "0.1234567"])
    async def test_malformed_weight_is_refused(self, api: httpx.AsyncClient, weight: Any) -> None:
        body = {"agents": [{"agent": "technical", "weight": weight}]}

        assert problem(await api.post("/agents/config", json=body)) == (422, "validation_failed")

    async def test_more_agents_than_the_tier_includes_are_refused(
        self, api: httpx.AsyncClient, functions: Functions, new_tenant: TenantFactory
    ) -> None:
        body = {"agents": [{"agent": "value", "enabled": True}]}

        answer = await api.post("/agents/config", json=body)

        assert problem(answer) == (402, "quota_exceeded")
        assert (answer.json()["limit"], answer.json()["value"]) == (3, 4)
        assert answer.json()["upgrade_url"] == "/subscription/upgrade"
        swap = {"agents": [*body["agents"], {"agent": "sentiment", "enabled": False}]}
        assert (await api.post("/agents/config", json=swap)).status_code == 200
        pro = functions.caller("agents", await new_tenant(tier="pro"))
        assert (await pro.get("/agents/config")).json()["agents_limit"] == 6

    async def test_changes_at_once_get_versions_of_their_own(self, api: httpx.AsyncClient) -> None:
        bodies = [{"agents": [{"agent": "technical", "weight": f"0.{n}"}]} for n in range(4, 10)]

        answers = await asyncio.gather(*(api.post("/agents/config", json=body) for body in bodies))

        assert sorted(answer.json()["agents"][0]["version"] for answer in answers) == [1, 2, 3, 4, 5, 6]

    async def test_other_tenants_settings_stay_as_they_are(
        self, api: httpx.AsyncClient, functions: Functions, other_tenant: TenantId
    ) -> None:
        await api.post("/agents/config", json={"agents": [{"agent": "technical", "weight": 0.6}]})

        config = (await functions.caller("agents", other_tenant).get("/agents/config")).json()

        assert config["agents"][0]["version"] == 0


class TestSignals:
    @pytest.fixture(autouse=True)
    async def spoken(self, app_database: Database, tenant: TenantId) -> None:
        start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        async with app_database.tenant(tenant) as session:
            for n, (symbol, agent) in enumerate(
                [("AGA-USD", "technical"), ("AGB-USD", "technical"), ("AGA-USD", "value")] * 2
            ):
                at = start + dt.timedelta(minutes=n)
                abstained = agent == "value"
                await session.execute(
                    """INSERT INTO agent_signals (tenant_id, id, run_id, agent, symbol, interval, abstained,
                        abstain_reason, signal, score, confidence, reasons, inputs, agent_version, created_at,
                        expires_at)
                    VALUES ($1, $2, $3, $4, $5, '1d', $6, $7, $8, $9, $9, $10, $11, '1.0.0', $12, $13)""",
                    tenant.value,
                    uuid7(),
                    uuid7(),
                    agent,
                    symbol,
                    abstained,
                    "no data" if abstained else None,
                    None if abstained else "buy",
                    None if abstained else 0.5,
                    [] if abstained else ["RSI is low"],
                    []
                    if abstained
                    else [{"name": "rsi", "value": 20.5, "as_of": "2026-01-01T00:00:00Z", "source": "x"}],
                    at,
                    at + dt.timedelta(minutes=5),
                )
                await session.execute(
                    """INSERT INTO consensus_signals (tenant_id, id, run_id, symbol, signal, score, quorum,
                        weight_present, reason, contributions, created_at)
                    VALUES ($1, $2, $3, $4, 'hold', 0.25, false, 0.3, 'no quorum', $5, $6)""",
                    tenant.value,
                    uuid7(),
                    uuid7(),
                    symbol,
                    [{"agent": "technical", "weight": 1.0, "score": 0.25, "confidence": 0.5}],
                    at,
                )

    async def test_signals_are_listed_newest_first(self, api: httpx.AsyncClient) -> None:
        items = (await api.get("/agents/signals")).json()["items"]

        assert [item["created_at"][14:16] for item in items] == ["05", "04", "03", "02", "01", "00"]

    async def test_signal_and_abstention_have_their_shapes(self, api: httpx.AsyncClient) -> None:
        abstention, signal = (await api.get("/agents/signals", params={"limit": 2})).json()["items"]

        assert {
            name: signal[name] for name in ("agent", "symbol", "signal", "score", "confidence", "reasons")
        } == {
            "agent": "technical",
            "symbol": "AGB-USD",
            "signal": "buy",
            "score": 0.5,
            "confidence": 0.5,
            "reasons": ["RSI is low"],
        }
        assert signal["inputs"] == [
            {"name": "rsi", "value": 20.5, "as_of": "2026-01-01T00:00:00Z", "source": "x"}
        ]
        assert (abstention["abstained"], abstention["score"], abstention["reasons"]) == (
            True,
            None,
            ["no data"],
        )

    @pytest.mark.parametrize(
        ("params", "count"),
        [
            ({"symbol": "AGA-USD"}, 4),
            ({"agent": "technical"}, 4),
            ({"symbol": "AGA-USD", "agent": "value"}, 2),
            ({"symbol": "ZZZ-USD"}, 0),
        ],
    )
    async def test_filters_narrow_the_list(
        self, api: httpx.AsyncClient, params: dict[str, str], count: int
    ) -> None:
        page = (await api.get("/agents/signals", params={**params, "limit": 1})).json()
        found = len(page["items"])
        while page["next_cursor"]:
            cursor = page["next_cursor"]
            page = (await api.get("/agents/signals", params={**params, "limit": 1, "cursor": cursor})).json()
            found += len(page["items"])

        assert found == count

    @pytest.mark.parametrize(
        "params", [{"symbol": "aga"}, {"agent": "oracle"}, {"limit": 0}, {"limit": 501}, {"cursor": "?"}]
    )
    async def test_malformed_filters_are_refused(
        self, api: httpx.AsyncClient, params: dict[str, Any]
    ) -> None:
        assert (await api.get("/agents/signals", params=params)).status_code == 422

    async def test_other_tenant_sees_none_of_them(self, functions: Functions, other_tenant: TenantId) -> None:
        stranger = functions.caller("agents", other_tenant)

        assert (await stranger.get("/agents/signals")).json()["items"] == []
        assert (await stranger.get("/agents/consensus")).json()["items"] == []

    async def test_consensus_of_a_symbol_is_listed_newest_first(self, api: httpx.AsyncClient) -> None:
        items = (await api.get("/agents/consensus", params={"symbol": "AGA-USD"})).json()["items"]

        assert [item["created_at"][14:16] for item in items] == ["05", "03", "02", "00"]
        assert (items[0]["signal"], items[0]["score"], items[0]["quorum"], items[0]["reasons"]) == (
            "hold",
            0.25,
            False,
            ["no quorum"],
        )
        assert items[0]["contributions"][0]["agent"] == "technical"

    async def test_status_tells_when_each_agent_spoke_last(self, api: httpx.AsyncClient) -> None:
        by_agent = {own["agent"]: own for own in (await api.get("/agents/status")).json()["agents"]}

        record = by_agent["technical"].pop("track_record")
        assert (record["scored"], record["pending"]) == (0, 0)
        assert by_agent["technical"] == {
            "agent": "technical",
            "enabled": True,
            "version": "1.0.0",
            "last_signal_at": "2026-01-01T00:04:00Z",
            "last_symbol": "AGB-USD",
            "last_abstained": False,
        }
        assert by_agent["buffett"]["enabled"] is False
        assert by_agent["buffett"]["last_signal_at"] is None
