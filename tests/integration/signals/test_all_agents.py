"""All six agents in one run, through the functions and triggers that are deployed; and the run made again."""

import asyncio
import datetime as dt
import hashlib
import zlib
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg
import httpx
import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.domain.agents.registry import AGENT_NAMES
from alphapulse.runtime.settings import Settings
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from tests.conftest import TenantFactory
from tests.function.agent_functions.conftest import ADDRESSES, GatedSource
from tests.function.agent_functions.conftest import redis_server as redis_server  # noqa: PLC0414 - a fixture
from tests.function.agent_functions.conftest import source as source  # noqa: PLC0414 - a fixture
from tests.function.conftest import Broker, Clock, Functions
from tests.integration.signals.carrier import Carrier
from tests.stored_candles import store, wave

BARS = 260
Change = Callable[..., Coroutine[Any, Any, None]]


@pytest.fixture
def function_settings(function_settings: Settings) -> Settings:
    return function_settings.replace(provider_source="simulated")


@pytest.fixture
async def candles(platform_database: PlatformDatabase) -> None:
    today = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for symbol in ("BTC-USD", "ADA-USD"):
        bars = wave(BARS, start=today - dt.timedelta(days=BARS))
        await store(platform_database, symbol, bars, source="simulated")


@pytest.fixture
async def pro(new_tenant: TenantFactory) -> TenantId:
    return await new_tenant(tier="pro")


@pytest.fixture
def api(functions: Functions, pro: TenantId) -> httpx.AsyncClient:
    return functions.caller("agents", pro)


async def finished(
    functions: Functions, broker: Broker, api: httpx.AsyncClient, *symbols: str, copies: int = 1
) -> dict[str, Any]:
    """Ask all six agents about the symbols, carry the events, and return the run."""
    accepted = (await api.post("/agents/run", json={"symbols": list(symbols)})).json()
    await functions.settle()
    asked = [e for e in broker.named("signal.requested") if e.data["run_id"] == accepted["run_id"]]
    assert len(asked) == len(symbols) * len(AGENT_NAMES)
    await Carrier(functions, seed=7, copies=copies).carry(asked)
    run: dict[str, Any] = (await api.get(accepted["status_url"])).json()
    return run


async def signals_of(api: httpx.AsyncClient, run: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    items = (await api.get("/agents/signals", params={"limit": 500})).json()["items"]
    return {(one["agent"], one["symbol"]): one for one in items if one["run_id"] == run["run_id"]}


@pytest.mark.usefixtures("candles")
@pytest.mark.parametrize("copies", [1, 3])
async def test_all_six_speak_from_labelled_sources_and_agree_on_a_consensus(
    functions: Functions, broker: Broker, api: httpx.AsyncClient, copies: int
) -> None:
    run = await finished(functions, broker, api, "BTC-USD", "ADA-USD", copies=copies)

    assert (run["status"], run["reason"]) == ("done", None)
    assert {task["agent"] for task in run["agents"]} == set(AGENT_NAMES)
    for task in run["agents"]:
        assert task["status"] in {"done", "abstained"}
        assert run["created_at"] <= task["started_at"] <= task["finished_at"]
    signals = await signals_of(api, run)
    assert len(signals) == 12
    # An asset that people govern by votes has all six; nobody votes on BTC.
    assert [
        agent for agent, symbol in signals if symbol == "ADA-USD" and signals[agent, symbol]["abstained"]
    ] == []
    assert signals["activist", "BTC-USD"]["abstained"]
    for signal in signals.values():
        assert {item["source"] for item in signal["inputs"]} <= {"simulated"}
        assert len(signal["evidence_digest"]) == 64
        assert signal["config_version"] == 0
        assert (signal["horizon_at"] is None) == signal["abstained"]
    reached = (await api.get("/agents/consensus", params={"symbol": "ADA-USD"})).json()["items"][0]
    assert reached["quorum"] is True
    assert {part["agent"] for part in reached["contributions"]} == set(AGENT_NAMES)
    assert reached["inputs"]["signals"] == {
        agent: signal["id"] for (agent, symbol), signal in signals.items() if symbol == "ADA-USD"
    }
    assert reached["inputs"]["silent"] == {}
    assert set(reached["inputs"]["weights"]) == set(AGENT_NAMES)


@pytest.mark.usefixtures("candles")
async def test_tenants_that_ask_at_once_each_get_their_signals_from_shared_evidence(
    functions: Functions, broker: Broker, new_tenant: TenantFactory
) -> None:
    tenants = [await new_tenant(tier="pro") for _ in range(12)]
    clients = [functions.caller("agents", tenant) for tenant in tenants]
    body = {"symbols": ["BTC-USD", "ADA-USD"]}
    started = await asyncio.gather(*(client.post("/agents/run", json=body) for client in clients))
    await functions.settle()
    asked = [event for tenant in tenants for event in broker.named("signal.requested", tenant)]

    await Carrier(functions, seed=9, copies=2).carry(asked)

    digests = defaultdict(set)
    for client, accepted in zip(clients, started, strict=True):
        run = (await client.get(accepted.json()["status_url"])).json()
        assert run["status"] == "done"
        signals = await signals_of(client, run)
        assert len(signals) == 12
        assert len((await client.get("/agents/consensus")).json()["items"]) == 2
        for key, signal in signals.items():
            digests[key].add(signal["evidence_digest"])
    assert len(asked) == 12 * len(tenants)
    # What was read once is kept once; posts and proposals are as of the second they were read in.
    for agent in ("technical", "fundamental", "value", "buffett"):
        assert [len(digests[agent, symbol]) for symbol in body["symbols"]] == [1, 1], agent


class TestSourcesDown:
    @pytest.fixture
    def function_settings(self, function_settings: Settings, source: GatedSource) -> Settings:
        down = {name: source.url for name in ADDRESSES if hasattr(function_settings, name)}
        return function_settings.replace(provider_source="live", **down)

    @pytest.mark.usefixtures("candles")
    async def test_agents_without_their_source_abstain_with_the_reason_and_the_run_is_done(
        self, functions: Functions, broker: Broker, api: httpx.AsyncClient
    ) -> None:
        run = await finished(functions, broker, api, "BTC-USD")

        assert (run["status"], run["reason"]) == ("done", None)
        by_agent = {task["agent"]: task for task in run["agents"]}
        assert by_agent.pop("technical")["status"] == "done"
        for task in by_agent.values():
            assert task["status"] == "abstained"
            assert task["reason"]
            assert "127.0.0.1" not in task["reason"]
        [reached] = (await api.get("/agents/consensus")).json()["items"]
        # The technical agent alone is no quorum.
        assert (reached["signal"], reached["reasons"]) == ("hold", ["no quorum"])
        assert (await replayed(api, run))["identical"] is True


async def replayed(api: httpx.AsyncClient, run: dict[str, Any]) -> dict[str, Any]:
    answer = await api.post(f"/agents/runs/{run['run_id']}/replay")
    assert answer.status_code == 200, answer.text
    made_again: dict[str, Any] = answer.json()
    return made_again


@pytest.fixture
async def run(functions: Functions, broker: Broker, api: httpx.AsyncClient, candles: None) -> dict[str, Any]:
    """A finished run of all agents on two symbols."""
    return await finished(functions, broker, api, "BTC-USD", "ADA-USD")


@pytest.fixture
def change(database: DatabaseUrls, pro: TenantId) -> Change:
    """Change what is stored as only the schema's owner can."""

    async def execute(*statements: str, **arguments: Any) -> None:
        connection = await asyncpg.connect(database.owner)
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL app.current_tenant_id = '{pro}'")
                for statement in statements:
                    await connection.execute(statement, *arguments.values())
        finally:
            await connection.close()

    return execute


def outcomes(again: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(one["agent"], one["symbol"]): one["outcome"] for one in again["signals"]}


class TestReplay:
    async def test_run_made_again_is_the_same(self, api: httpx.AsyncClient, run: dict[str, Any]) -> None:
        again = await replayed(api, run)

        assert (again["run_id"], again["identical"]) == (run["run_id"], True)
        signals = await signals_of(api, run)
        assert len(again["signals"]) == len(signals) == 12
        for one in again["signals"]:
            stored = signals[one["agent"], one["symbol"]]
            assert one["stored"] == one["recomputed"]
            assert one["recomputed"] == {name: stored[name] for name in one["recomputed"]}
            assert (one["identical"], one["version_changed"]) == (True, False)
        reached = {one["symbol"]: one for one in (await api.get("/agents/consensus")).json()["items"]}
        for one in again["consensus"]:
            assert one["identical"] is True
            assert one["from_stored"] == []
            assert one["recomputed"] == {name: reached[one["symbol"]][name] for name in one["recomputed"]}

    async def test_later_settings_weights_and_data_change_nothing(
        self, api: httpx.AsyncClient, run: dict[str, Any], clock: Clock
    ) -> None:
        agents = [{"agent": "technical", "weight": "1", "parameters": {"rsi_period": 5, "window": 100}}]
        assert (await api.post("/agents/config", json={"agents": agents})).status_code == 200
        clock.advance(hours=30)

        assert (await replayed(api, run))["identical"] is True

    async def test_replay_changes_nothing(
        self, api: httpx.AsyncClient, run: dict[str, Any], functions: Functions, broker: Broker
    ) -> None:
        before = [(await api.get(path)).json() for path in ("/agents/signals", "/agents/consensus")]
        events = len(broker.events)

        again = [await replayed(api, run) for _ in range(2)]
        await functions.settle()

        assert again[0] == again[1]
        after = [(await api.get(path)).json() for path in ("/agents/signals", "/agents/consensus")]
        assert (after, len(broker.events)) == (before, events)

    async def test_changed_score_is_a_difference(
        self, api: httpx.AsyncClient, run: dict[str, Any], change: Change
    ) -> None:
        await change("UPDATE agent_signals SET score = 0.9 WHERE agent = 'value' AND symbol = 'BTC-USD'")

        again = await replayed(api, run)

        assert again["identical"] is False
        assert {key for key, outcome in outcomes(again).items() if outcome == "different"} == {
            ("value", "BTC-USD")
        }
        [one] = [s for s in again["signals"] if s["outcome"] == "different"]
        assert one["stored"]["score"] == 0.9 != one["recomputed"]["score"]
        # The consensus was reached with the score that is made again.
        assert {c["outcome"] for c in again["consensus"]} == {"identical"}

    async def test_changed_input_that_is_not_shown_is_a_difference_too(
        self, api: httpx.AsyncClient, run: dict[str, Any], change: Change
    ) -> None:
        await change(
            """UPDATE agent_signals SET inputs = jsonb_set(inputs, '{0,value}', '1')
            WHERE agent = 'technical' AND symbol = 'BTC-USD'"""
        )

        assert outcomes(await replayed(api, run))["technical", "BTC-USD"] == "different"

    async def test_changed_moment_of_scoring_is_a_difference_too(
        self, api: httpx.AsyncClient, run: dict[str, Any], change: Change
    ) -> None:
        await change(
            """UPDATE agent_signals SET horizon_at = horizon_at + interval '1 day'
            WHERE agent = 'technical' AND symbol = 'BTC-USD'"""
        )

        assert outcomes(await replayed(api, run))["technical", "BTC-USD"] == "different"

    async def test_run_in_which_nobody_has_spoken_is_not_called_identical(
        self, api: httpx.AsyncClient, candles: None
    ) -> None:
        accepted = (await api.post("/agents/run", json={"symbols": ["BTC-USD"]})).json()

        again = await replayed(api, accepted)

        assert (again["identical"], again["signals"], again["consensus"]) == (None, [], [])

    async def test_changed_consensus_is_a_difference(
        self, api: httpx.AsyncClient, run: dict[str, Any], change: Change
    ) -> None:
        await change("UPDATE consensus_signals SET score = -1, signal = 'sell' WHERE symbol = 'ADA-USD'")

        again = await replayed(api, run)

        assert again["identical"] is False
        assert {c["symbol"]: c["identical"] for c in again["consensus"]} == {
            "ADA-USD": False,
            "BTC-USD": True,
        }

    async def test_signal_of_another_version_of_the_agent_is_told_and_not_called_a_difference(
        self, api: httpx.AsyncClient, run: dict[str, Any], change: Change
    ) -> None:
        await change("UPDATE agent_signals SET agent_version = '0.0.1' WHERE agent = 'buffett'")

        again = await replayed(api, run)

        assert again["identical"] is None
        changed = [one for one in again["signals"] if one["version_changed"]]
        assert {one["agent"] for one in changed} == {"buffett"}
        assert {(one["outcome"], one["identical"]) for one in changed} == {("version_changed", None)}
        assert "0.0.1" in changed[0]["problem"]
        # What that version said still counts in the consensus.
        assert {tuple(c["from_stored"]) for c in again["consensus"]} == {("buffett",)}

    async def test_evidence_that_is_no_longer_kept_is_told(
        self, api: httpx.AsyncClient, run: dict[str, Any], change: Change
    ) -> None:
        signals = await signals_of(api, run)
        digest = bytes.fromhex(signals["sentiment", "ADA-USD"]["evidence_digest"])
        await change("DELETE FROM evidence_snapshots WHERE digest = $1", digest=digest)

        again = await replayed(api, run)

        assert again["identical"] is None
        assert outcomes(again)["sentiment", "ADA-USD"] == "evidence_gone"
        [one] = [s for s in again["signals"] if s["outcome"] == "evidence_gone"]
        assert (one["recomputed"], one["problem"]) == (None, f"the evidence {digest.hex()} is no longer kept")
        by_symbol = {c["symbol"]: c for c in again["consensus"]}
        assert (by_symbol["ADA-USD"]["from_stored"], by_symbol["ADA-USD"]["identical"]) == (
            ["sentiment"],
            True,
        )

    async def test_evidence_of_another_symbol_is_told(
        self, api: httpx.AsyncClient, run: dict[str, Any], change: Change
    ) -> None:
        await change(
            """UPDATE agent_signals SET evidence_digest = other.evidence_digest FROM agent_signals AS other
            WHERE other.agent = 'value' AND other.symbol = 'ADA-USD'
                AND agent_signals.agent = 'value' AND agent_signals.symbol = 'BTC-USD'"""
        )

        again = await replayed(api, run)

        assert again["identical"] is False
        assert outcomes(again)["value", "BTC-USD"] == "evidence_tampered"

    async def test_tampered_evidence_is_told(
        self, api: httpx.AsyncClient, run: dict[str, Any], change: Change
    ) -> None:
        signals = await signals_of(api, run)
        digest = bytes.fromhex(signals["technical", "BTC-USD"]["evidence_digest"])
        forged = zlib.compress(b'{"symbol": "BTC-USD"}')
        # The database refuses this from everybody but who may change the table itself.
        with pytest.raises(asyncpg.CheckViolationError):
            await change(
                "UPDATE evidence_snapshots SET document = $2 WHERE digest = $1",
                digest=digest,
                document=forged,
            )
        await change("ALTER TABLE evidence_snapshots DROP CONSTRAINT evidence_snapshots_check")
        try:
            await change(
                "UPDATE evidence_snapshots SET document = $2 WHERE digest = $1",
                digest=digest,
                document=forged,
            )
            again = await replayed(api, run)
        finally:
            await change("DELETE FROM evidence_snapshots WHERE digest = $1", digest=digest)
            await change("ALTER TABLE evidence_snapshots ADD CHECK (digest = sha256(document))")

        assert again["identical"] is False
        assert outcomes(again)["technical", "BTC-USD"] == "evidence_tampered"
        assert hashlib.sha256(forged).digest() != digest

    async def test_signal_from_before_evidence_was_kept_is_told(
        self, api: httpx.AsyncClient, run: dict[str, Any], change: Change
    ) -> None:
        await change(
            "UPDATE agent_signals SET evidence_digest = NULL, parameters = NULL WHERE agent = 'value'"
        )
        await change("UPDATE consensus_signals SET inputs = NULL WHERE symbol = 'BTC-USD'")

        again = await replayed(api, run)

        assert again["identical"] is None
        assert outcomes(again)["value", "BTC-USD"] == "not_kept"
        assert {c["symbol"]: c["outcome"] for c in again["consensus"]} == {
            "ADA-USD": "identical",
            "BTC-USD": "not_kept",
        }

    async def test_run_concluded_at_its_deadline_names_who_was_silent_and_is_made_again(
        self, functions: Functions, broker: Broker, api: httpx.AsyncClient, candles: None, clock: Clock
    ) -> None:
        accepted = (await api.post("/agents/run", json={"symbols": ["ADA-USD"]})).json()
        await functions.settle()
        silent = {"value", "buffett"}
        asked = [e for e in broker.named("signal.requested") if e.data["run_id"] == accepted["run_id"]]
        carrier = Carrier(functions, seed=8)
        await carrier.carry(event for event in asked if event.data["agent"] not in silent)
        clock.advance(minutes=6)
        await carrier.carry([functions.tick("consensus-sweep")])
        await functions.settle()
        # What comes afterwards changes nothing.
        await carrier.carry(event for event in asked if event.data["agent"] in silent)

        run = (await api.get(accepted["status_url"])).json()
        [reached] = (await api.get("/agents/consensus")).json()["items"]
        again = await replayed(api, run)

        assert run["status"] == "failed"
        assert reached["inputs"]["silent"] == dict.fromkeys(sorted(silent), "no answer before the deadline")
        assert reached["reasons"][-1] == "did not speak before the deadline: buffett, value"
        assert {p["agent"] for p in reached["contributions"] if "abstained" in p} >= silent
        assert again["identical"] is True
        assert len(again["signals"]) == 4

    async def test_replay_of_another_tenants_run_is_not_found(
        self, functions: Functions, run: dict[str, Any], other_tenant: TenantId
    ) -> None:
        stranger = functions.caller("agents", other_tenant)

        answer = await stranger.post(f"/agents/runs/{run['run_id']}/replay")

        assert (answer.status_code, answer.json()["code"]) == (404, "run_not_found")

    @pytest.mark.parametrize(("role", "status"), [(None, 401), ("viewer", 403), ("trader", 404)])
    async def test_who_may_ask_for_a_replay(
        self, functions: Functions, pro: TenantId, role: str | None, status: int
    ) -> None:
        client = functions.caller("agents") if role is None else functions.caller("agents", pro, role=role)

        answer = await client.post("/agents/runs/0197c9d2-0000-7000-8000-000000000001/replay")

        assert answer.status_code == status
