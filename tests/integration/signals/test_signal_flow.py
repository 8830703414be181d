"""From market data over a request to the consensus, whatever is delivered twice or out of order.

Events go where the manifests' triggers send them; nothing here knows which function consumes what.
"""

import time

import pytest

from alphapulse.events import Event, event_type
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from tests.conftest import TenantFactory
from tests.function.conftest import Broker, Functions
from tests.integration.signals.carrier import Carrier
from tests.stored_candles import store, wave

SYMBOLS = tuple(f"FL{n:02d}-USD" for n in range(10))


@pytest.fixture
async def candles(platform_database: PlatformDatabase) -> None:
    for symbol in SYMBOLS:
        await store(platform_database, symbol, wave(260))


async def start(functions: Functions, broker: Broker, tenant: TenantId) -> tuple[str, list[Event]]:
    api = functions.caller("agents", tenant)
    change = {"agents": [{"agent": "technical", "weight": "1"}]}
    assert (await api.post("/agents/config", json=change)).status_code == 200
    accepted = (
        await api.post("/agents/run", json={"symbols": list(SYMBOLS), "agents": ["technical"]})
    ).json()
    asked = await broker.wait_for("signal.requested", count=len(SYMBOLS), tenant_id=tenant)
    return accepted["run_id"], asked


@pytest.mark.usefixtures("candles")
@pytest.mark.parametrize(("seed", "copies"), [(1, 1), (2, 2), (3, 3)])
async def test_run_ends_with_one_consensus_per_symbol_however_events_are_delivered(
    functions: Functions, broker: Broker, tenant: TenantId, seed: int, copies: int
) -> None:
    run_id, asked = await start(functions, broker, tenant)
    carrier = Carrier(functions, seed=seed, copies=copies)

    await carrier.carry(asked)

    api = functions.caller("agents", tenant)
    run = (await api.get(f"/agents/runs/{run_id}")).json()
    assert run["status"] == "done"
    assert {task["status"] for task in run["agents"]} == {"done"}
    signals = (await api.get("/agents/signals")).json()["items"]
    reached = (await api.get("/agents/consensus")).json()["items"]
    assert sorted(signal["symbol"] for signal in signals) == sorted(SYMBOLS)
    assert sorted(consensus["symbol"] for consensus in reached) == sorted(SYMBOLS)
    by_symbol = {signal["symbol"]: signal for signal in signals}
    for consensus in reached:
        signal = by_symbol[consensus["symbol"]]
        assert (consensus["quorum"], consensus["signal"]) == (True, signal["signal"])
        assert consensus["score"] == signal["score"]
    replied = [reply for reply in carrier.replies if reply.name == "consensus.reached"]
    assert {reply.data["id"] for reply in replied} == {consensus["id"] for consensus in reached}
    assert {reply.extensions["correlationid"] for reply in replied} == {run_id}


@pytest.mark.usefixtures("candles")
async def test_runs_of_several_tenants_do_not_mix(
    functions: Functions, broker: Broker, new_tenant: TenantFactory
) -> None:
    tenants = [await new_tenant() for _ in range(3)]
    started = [await start(functions, broker, tenant) for tenant in tenants]

    await Carrier(functions, seed=4).carry(event for _, asked in started for event in asked)

    for tenant, (run_id, _) in zip(tenants, started, strict=True):
        api = functions.caller("agents", tenant)
        reached = (await api.get("/agents/consensus")).json()["items"]
        assert {consensus["run_id"] for consensus in reached} == {run_id}
        assert len(reached) == len(SYMBOLS)


async def test_refreshed_market_data_can_be_asked_about_at_once(
    functions: Functions, broker: Broker, tenant: TenantId
) -> None:
    request = functions.event(
        "market.refresh.requested",
        {"requested_at": "2026-01-01T00:00:00Z", "symbols": ["BTC-USDT"]},
    )
    await Carrier(functions, seed=5).carry([request])
    updated = [event for event in broker.events if event.type == event_type("market.candles.updated")]
    assert "1d" in {event.data["interval"] for event in updated}

    api = functions.caller("agents", tenant)
    body = {"symbols": ["BTC-USDT"], "agents": ["technical"], "interval": "1h"}
    accepted = (await api.post("/agents/run", json=body)).json()
    await Carrier(functions, seed=5).carry(await broker.wait_for("signal.requested", tenant_id=tenant))

    run = (await api.get(accepted["status_url"])).json()
    assert (run["status"], run["agents"][0]["status"]) == ("done", "done")
    [signal] = (await api.get("/agents/signals")).json()["items"]
    assert {item["source"] for item in signal["inputs"]} == {"simulated"}
    candles = (
        await functions.caller("market", tenant).get(
            "/market/BTC-USDT/candles", params={"interval": "1h", "limit": 1}
        )
    ).json()
    figures = {item["name"]: item["value"] for item in signal["inputs"]}
    assert figures["close"] == float(candles["items"][0]["close"])


@pytest.mark.usefixtures("candles")
async def test_a_run_of_ten_symbols_takes_seconds_at_most(
    functions: Functions, broker: Broker, tenant: TenantId
) -> None:
    _, asked = await start(functions, broker, tenant)

    started = time.perf_counter()
    await Carrier(functions, seed=6).carry(asked)

    assert time.perf_counter() - started < 10
