"""The track record over HTTP: sums per agent, symbol and regime, and the outcomes they are made of."""

import datetime as dt
import random
from decimal import Decimal
from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from alphapulse.agents import track_records
from alphapulse.agents.track_records import RecordKey
from alphapulse.domain.signals import Direction
from alphapulse.domain.track_record import TrackRecord, score
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from tests.function.conftest import Functions

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
PATH = "/agents/outcomes"
COLUMNS = (
    "signal_price",
    "signal_price_at",
    "horizon_price",
    "horizon_price_at",
    "price_source",
    "forward_return",
    "hold_band",
    "hit",
    "brier",
    "regime",
)


class Settled:
    """Signals of a tenant with what became of them, and the sums that go with them."""

    def __init__(self, database: Database, tenant: TenantId) -> None:
        self.database = database
        self.tenant = tenant
        self.count = 0

    async def add(
        self,
        after: str | None,
        *,
        direction: str = "buy",
        agent: str = "technical",
        symbol: str = "TRA-USD",
        confidence: float = 0.8,
        regime: str = "ranging",
        source: str = "binance",
        status: str = "scored",
    ) -> str:
        """Add a signal at 100 that ended at `after`; without it one that is unscorable, or pending."""
        self.count += 1
        signal_id, made = uuid7(), START + self.count * DAY
        async with self.database.tenant(self.tenant) as session:
            await session.execute(
                """INSERT INTO agent_signals (tenant_id, id, run_id, agent, symbol, interval, signal, score,
                    confidence, agent_version, created_at, expires_at, horizon_at)
                VALUES ($1, $2, $3, $4, $5, '1d', $6, 0, $7, '2', $8, $9, $9)""",
                self.tenant.value,
                signal_id,
                uuid7(),
                agent,
                symbol,
                direction,
                confidence,
                made,
                made + DAY,
            )
            if after is not None:
                await self._score(
                    session, signal_id, after, direction, agent, symbol, confidence, regime, source, made
                )
            elif status == "unscorable":
                await session.execute(
                    """UPDATE signal_outcomes SET status = 'unscorable', reason = 'no bars', scored_at = now()
                    WHERE tenant_id = $1 AND id = $2""",
                    self.tenant.value,
                    signal_id,
                )
                key = RecordKey(agent, symbol, "1d", "unknown", track_records.NO_SOURCE)
                await track_records.add(session, self.tenant, {key: TrackRecord.of_unscorable()}, now=START)
        return str(signal_id)

    async def _score(  # noqa: PLR0917 - a row's values
        self,
        session: Any,
        signal_id: Any,
        after: str,
        direction: str,
        agent: str,
        symbol: str,
        confidence: float,
        regime: str,
        source: str,
        made: dt.datetime,
    ) -> None:
        price = Decimal(after)
        made_of = score(
            Direction(direction), confidence, signal_price=Decimal(100), horizon_price=price, horizon=DAY
        )
        values = [Decimal(100), made, price, made + DAY, source, made_of.forward_return, made_of.hold_band]
        values += [made_of.hit, made_of.brier, regime]
        places = ", ".join(f"{name} = ${n}" for n, name in enumerate(COLUMNS, start=3))
        await session.execute(
            f"UPDATE signal_outcomes SET status = 'scored', scored_at = now(), {places}"
            " WHERE tenant_id = $1 AND id = $2",
            self.tenant.value,
            signal_id,
            *values,
        )
        part = TrackRecord.of_score(Direction(direction), confidence, made_of)
        await track_records.add(
            session, self.tenant, {RecordKey(agent, symbol, "1d", regime, source): part}, now=START
        )


@pytest.fixture
def api(functions: Functions, tenant: TenantId) -> httpx.AsyncClient:
    return functions.caller("agents", tenant)


@pytest.fixture
def settled(app_database: Database, tenant: TenantId) -> Settled:
    return Settled(app_database, tenant)


async def record_of(api: httpx.AsyncClient, agent: str = "technical", **query: str) -> dict[str, Any]:
    answer = await api.get("/agents/status", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = next(one for one in answer.json()["agents"] if one["agent"] == agent)
    return dict(found["track_record"])


NOTHING = {
    "scored": 0,
    "unscorable": 0,
    "hit_rate": None,
    "average_forward_return": None,
    "average_directed_return": None,
    "average_confidence": None,
    "brier": None,
}


async def test_agent_without_signals_has_an_empty_record(api: httpx.AsyncClient) -> None:
    assert await record_of(api) == NOTHING | {"pending": 0, "by_symbol": [], "by_regime": [], "by_source": []}


async def test_record_tells_totals_symbols_and_regimes(api: httpx.AsyncClient, settled: Settled) -> None:
    await settled.add("110", confidence=0.8)
    await settled.add("90", confidence=0.6, regime="volatile")
    await settled.add("95", direction="sell", symbol="TRB-USD", confidence=0.9, source="simulated")
    await settled.add(None, status="unscorable")
    await settled.add(None, status="pending")
    await settled.add("105", agent="value")

    record = await record_of(api)

    assert record == {
        "scored": 3,
        "unscorable": 1,
        "pending": 1,
        "hit_rate": pytest.approx(2 / 3),
        "average_forward_return": pytest.approx(-0.05 / 3),  # 0.10 - 0.10 - 0.05
        "average_directed_return": pytest.approx(0.05 / 3),  # 0.10 - 0.10 + 0.05
        "average_confidence": pytest.approx(2.3 / 3),
        "brier": pytest.approx(0.41 / 3),  # 0.04 + 0.36 + 0.01
        "by_symbol": record["by_symbol"],
        "by_regime": record["by_regime"],
        "by_source": record["by_source"],
    }
    first, second = record["by_symbol"]
    assert (first["symbol"], first["scored"], first["unscorable"], first["pending"]) == ("TRA-USD", 2, 1, 1)
    assert (first["hit_rate"], first["brier"]) == (0.5, pytest.approx(0.2))
    assert (second["symbol"], second["scored"], second["hit_rate"], second["pending"]) == (
        "TRB-USD",
        1,
        1.0,
        0,
    )
    assert [(one["regime"], one["scored"], one["hit_rate"]) for one in record["by_regime"]] == [
        ("ranging", 2, 1.0),
        ("unknown", 0, None),
        ("volatile", 1, 0.0),
    ]
    assert [(one["source"], one["scored"], one["unscorable"]) for one in record["by_source"]] == [
        ("binance", 2, 0),
        ("none", 0, 1),
        ("simulated", 1, 0),
    ]
    assert (await record_of(api, "value"))["scored"] == 1


async def test_record_of_one_symbol(api: httpx.AsyncClient, settled: Settled) -> None:
    await settled.add("110")
    await settled.add("110", symbol="TRB-USD")
    await settled.add(None, symbol="TRB-USD", status="pending")

    record = await record_of(api, symbol="TRB-USD")

    assert (record["scored"], record["pending"]) == (1, 1)
    assert [one["symbol"] for one in record["by_symbol"]] == ["TRB-USD"]


async def test_of_many_symbols_those_with_most_signals_are_told(
    api: httpx.AsyncClient, settled: Settled, app_database: Database, tenant: TenantId
) -> None:
    parts = {
        RecordKey("technical", f"S{n:02d}-USD", "1d", "ranging", "binance"): TrackRecord(scored=n)
        for n in range(1, 61)
    }
    async with app_database.tenant(tenant) as session:
        await track_records.add(session, tenant, parts, now=START)

    record = await record_of(api)

    assert [one["scored"] for one in record["by_symbol"]] == list(range(60, 10, -1))
    assert record["scored"] == sum(range(1, 61))


async def test_outcome_carries_all_that_checking_it_takes(api: httpx.AsyncClient, settled: Settled) -> None:
    signal_id = await settled.add("110.5", confidence=0.8)

    [outcome] = (await api.get(PATH)).json()["items"]

    scored_at = outcome.pop("scored_at")
    assert dt.datetime.fromisoformat(scored_at).tzinfo is not None
    assert outcome == {
        "id": signal_id,
        "agent": "technical",
        "symbol": "TRA-USD",
        "interval": "1d",
        "agent_version": "2",
        "signal": "buy",
        "confidence": 0.8,
        "created_at": "2026-01-02T00:00:00Z",
        "horizon_at": "2026-01-03T00:00:00Z",
        "status": "scored",
        "reason": None,
        "signal_price": "100",
        "signal_price_at": "2026-01-02T00:00:00Z",
        "horizon_price": "110.5",
        "horizon_price_at": "2026-01-03T00:00:00Z",
        "price_source": "binance",
        "forward_return": "0.105",
        "hold_band": "0.02",
        "hit": True,
        "brier": "0.04",
        "regime": "ranging",
    }


async def test_totals_are_those_of_the_listed_outcomes(api: httpx.AsyncClient, settled: Settled) -> None:
    dice = random.Random(5)
    for _ in range(12):
        await settled.add(
            str(dice.randint(80, 120)),
            direction=dice.choice(("buy", "sell", "hold")),
            confidence=round(dice.random(), 6),
            symbol=dice.choice(("TRA-USD", "TRB-USD")),
        )
    listed: list[dict[str, Any]] = []
    cursor: str | None = None
    while cursor or not listed:
        page = (await api.get(PATH, params={"limit": 5} | ({"cursor": cursor} if cursor else {}))).json()
        listed += page["items"]
        cursor = page["next_cursor"]

    record = await record_of(api)

    assert len({one["id"] for one in listed}) == record["scored"] == 12
    assert [one["created_at"] for one in listed] == sorted(
        (one["created_at"] for one in listed), reverse=True
    )
    assert record["hit_rate"] == pytest.approx(sum(one["hit"] for one in listed) / 12)
    assert record["brier"] == pytest.approx(float(sum(Decimal(one["brier"]) for one in listed)) / 12)
    returns = [Decimal(one["horizon_price"]) / Decimal(one["signal_price"]) - 1 for one in listed]
    assert record["average_forward_return"] == pytest.approx(float(sum(returns)) / 12)


async def test_outcomes_are_filtered_by_agent_symbol_and_status(
    api: httpx.AsyncClient, settled: Settled
) -> None:
    first = await settled.add("110")
    second = await settled.add("110", symbol="TRB-USD")
    third = await settled.add("110", agent="value")
    given_up = await settled.add(None, status="unscorable")
    waiting = await settled.add(None, status="pending")

    async def ids(**query: str) -> list[str]:
        return [one["id"] for one in (await api.get(PATH, params=query)).json()["items"]]

    assert await ids() == [given_up, third, second, first]
    assert await ids(agent="technical") == [given_up, second, first]
    assert await ids(agent="technical", symbol="TRB-USD") == [second]
    assert await ids(status="scored") == [third, second, first]
    assert await ids(status="unscorable") == [given_up]
    assert await ids(status="pending") == [waiting]
    [reason] = [one["reason"] for one in (await api.get(f"{PATH}?status=unscorable")).json()["items"]]
    assert reason == "no bars"


@pytest.mark.parametrize(
    "query", [{"agent": "astrology"}, {"symbol": "x"}, {"status": "lost"}, {"limit": "0"}, {"cursor": "x"}]
)
async def test_queries_that_make_no_sense_are_refused(api: httpx.AsyncClient, query: dict[str, str]) -> None:
    assert (await api.get(PATH, params=query)).status_code == 422


@pytest.mark.parametrize("path", ["/agents/status", PATH])
async def test_nobody_elses_outcomes_are_shown(
    functions: Functions, settled: Settled, other_tenant: TenantId, path: str
) -> None:
    signal_id = await settled.add("110")

    anonymous = await functions.caller("agents").get(path)
    stranger = functions.caller("agents", other_tenant)

    assert anonymous.status_code == 401
    assert signal_id not in (await stranger.get(path)).text
    assert (await record_of(stranger))["scored"] == 0


async def test_viewer_and_suspended_tenant_may_read(
    functions: Functions, settled: Settled, tenant: TenantId
) -> None:
    await settled.add("110")

    assert (await record_of(functions.caller("agents", tenant, role="viewer")))["scored"] == 1
