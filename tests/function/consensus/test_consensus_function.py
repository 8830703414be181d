"""The last agent's signal brings the consensus, exactly once; the deadline brings it without the rest."""

import asyncio
import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from alphapulse.events import Event, schemas
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from functions.consensus import sweep
from tests.conftest import TenantFactory
from tests.function.conftest import Broker, Clock, Functions

CREATED = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


class RunOf:
    """A run of a tenant, written as `agents` and the agents would write it."""

    def __init__(self, database: Database, tenant: TenantId) -> None:
        self.database = database
        self.tenant = tenant
        self.id = uuid7()

    async def start(
        self,
        *,
        agents: tuple[str, ...] = ("technical",),
        symbols: tuple[str, ...] = ("BTC-USD",),
        deadline_at: dt.datetime | None = None,
    ) -> "RunOf":
        created_at = (deadline_at or dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5)) - dt.timedelta(
            minutes=5
        )
        async with self.database.tenant(self.tenant) as session:
            await session.execute(
                """INSERT INTO agent_runs (tenant_id, id, symbols, agents, interval, deadline_at, created_at)
                VALUES ($1, $2, $3, $4, '1d', $5, $6)""",
                self.tenant.value,
                self.id,
                list(symbols),
                list(agents),
                created_at + dt.timedelta(minutes=5),
                created_at,
            )
            await session.executemany(
                "INSERT INTO agent_run_tasks (tenant_id, run_id, agent, symbol) VALUES ($1, $2, $3, $4)",
                [(self.tenant.value, self.id, agent, symbol) for agent in agents for symbol in symbols],
            )
        return self

    async def speak(
        self, agent: str = "technical", symbol: str = "BTC-USD", *, score: float | None = 0.5
    ) -> Event:
        """Store a signal, or an abstention for no score, and return its event."""
        signal_id, abstained = uuid7(), score is None
        direction = None if score is None else "buy" if score > 0.2 else "sell" if score < -0.2 else "hold"
        async with self.database.tenant(self.tenant) as session:
            await session.execute(
                """INSERT INTO agent_signals (tenant_id, id, run_id, agent, symbol, abstained, abstain_reason,
                    signal, score, confidence, agent_version, created_at, expires_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '1', $11, $12)""",
                self.tenant.value,
                signal_id,
                self.id,
                agent,
                symbol,
                abstained,
                "no data" if abstained else None,
                direction,
                score,
                None if abstained else 0.8,
                CREATED,
                CREATED + dt.timedelta(minutes=5),
            )
            await session.execute(
                """UPDATE agent_run_tasks SET status = $5, reason = $6, finished_at = now()
                WHERE tenant_id = $1 AND run_id = $2 AND agent = $3 AND symbol = $4""",
                self.tenant.value,
                self.id,
                agent,
                symbol,
                "abstained" if abstained else "done",
                "no data" if abstained else None,
            )
        return self._event(signal_id, agent, symbol, direction, score)

    def _event(
        self, signal_id: uuid.UUID, agent: str, symbol: str, direction: str | None, score: float | None
    ) -> Event:
        data: dict[str, Any] = {
            "id": str(signal_id),
            "run_id": str(self.id),
            "agent": agent,
            "symbol": symbol,
            "abstained": score is None,
            "reasons": ["because"],
            "agent_version": "1",
            "created_at": CREATED.isoformat(),
        }
        name = "signal.abstained"
        if score is not None:
            name = "signal.generated"
            data |= {
                "signal": direction,
                "score": score,
                "confidence": 0.8,
                "inputs": [],
                "expires_at": CREATED.isoformat(),
            }
        extensions = {"tenantid": str(self.tenant), "correlationid": str(self.id), "agent": agent}
        return Event(
            type=f"com.alphapulse.{name}.v1",
            source=f"/functions/signal-{agent}",
            data=data,
            extensions={**extensions, "symbol": symbol},
        )

    async def row(self) -> Any:
        async with self.database.tenant(self.tenant) as session:
            return await session.fetchrow(
                "SELECT * FROM agent_runs WHERE tenant_id = $1 AND id = $2", self.tenant.value, self.id
            )

    async def tasks(self) -> dict[tuple[str, str], tuple[str, str | None]]:
        async with self.database.tenant(self.tenant) as session:
            rows = await session.fetch(
                "SELECT * FROM agent_run_tasks WHERE tenant_id = $1 AND run_id = $2",
                self.tenant.value,
                self.id,
            )
        return {(row["agent"], row["symbol"]): (row["status"], row["reason"]) for row in rows}

    async def consensus(self) -> list[Any]:
        async with self.database.tenant(self.tenant) as session:
            return await session.fetch(
                "SELECT * FROM consensus_signals WHERE tenant_id = $1 AND run_id = $2 ORDER BY symbol",
                self.tenant.value,
                self.id,
            )


async def weigh(database: Database, tenant: TenantId, **weights: str) -> None:
    async with database.tenant(tenant) as session:
        for agent, weight in weights.items():
            await session.execute(
                """INSERT INTO agent_configs (tenant_id, id, agent, version, weight)
                VALUES ($1, $2, $3, 1, $4)""",
                tenant.value,
                uuid7(),
                agent,
                Decimal(weight),
            )


def reply_of(answer: httpx.Response) -> Event:
    assert answer.status_code == 200, answer.text
    reply = Event.from_http(answer.headers, answer.content)
    schemas.validate(reply.name, reply.data)
    return reply


@pytest.fixture
def run(app_database: Database, tenant: TenantId) -> RunOf:
    return RunOf(app_database, tenant)


async def test_single_signal_brings_the_consensus_and_closes_the_run(
    functions: Functions, run: RunOf, tenant: TenantId
) -> None:
    await run.start()
    event = await run.speak(score=0.5)

    reply = reply_of(await functions.deliver("consensus", event))

    assert reply.name == "consensus.reached"
    assert reply.extensions["symbol"] == "BTC-USD"
    assert reply.extensions["correlationid"] == str(run.id)
    assert reply.extensions["causationid"] == event.id
    # The technical agent's weight of 0.30 is no quorum, so its 0.5 stays without effect.
    assert reply.data | {"id": "", "created_at": ""} == {
        "id": "",
        "run_id": str(run.id),
        "symbol": "BTC-USD",
        "signal": "hold",
        "score": 0.5,
        "quorum": False,
        "contributions": [{"agent": "technical", "weight": 1.0, "score": 0.5, "confidence": 0.8}],
        "reasons": ["no quorum"],
        "created_at": "",
    }
    [stored] = await run.consensus()
    assert (str(stored["id"]), stored["weight_present"]) == (reply.data["id"], Decimal("0.3"))
    closed = await run.row()
    assert (closed["status"], closed["reason"]) == ("done", None)
    assert closed["finished_at"] is not None


async def test_tenants_own_weight_makes_a_quorum(
    functions: Functions, run: RunOf, tenant: TenantId, app_database: Database
) -> None:
    await weigh(app_database, tenant, technical="0.6")
    await run.start()

    reply = reply_of(await functions.deliver("consensus", await run.speak(score=0.5)))

    assert (reply.data["signal"], reply.data["quorum"], reply.data["reasons"]) == ("buy", True, [])


async def test_consensus_is_stored_with_what_it_was_reached_with(
    functions: Functions, run: RunOf, tenant: TenantId, app_database: Database
) -> None:
    await weigh(app_database, tenant, technical="0.6")
    await run.start(agents=("technical", "value"))
    events = [await run.speak("technical", score=0.5), await run.speak("value", score=None)]
    reply_of(await functions.deliver("consensus", events[0]))
    await weigh(app_database, tenant, value="0.7")

    [stored] = await run.consensus()

    assert stored["inputs"] == {
        "weights": {
            "technical": "0.600000",
            "fundamental": "0.30",
            "sentiment": "0.20",
            "value": "0.10",
            "activist": "0.05",
            "buffett": "0.05",
        },
        "signals": {event.data["agent"]: event.data["id"] for event in events},
        "silent": {},
        "quorum": "0.5",
        "buy_above": "0.2",
        "sell_below": "-0.2",
    }


async def test_weights_that_sum_to_more_than_one_are_renormalised(
    functions: Functions, run: RunOf, tenant: TenantId, app_database: Database
) -> None:
    await weigh(app_database, tenant, technical="1", fundamental="1")
    await run.start(agents=("technical", "fundamental"))
    await run.speak("technical", score=0.9)

    reply = reply_of(await functions.deliver("consensus", await run.speak("fundamental", score=-0.1)))

    assert (reply.data["score"], reply.data["signal"]) == (0.4, "buy")
    [stored] = await run.consensus()
    assert stored["weight_present"] == 2


async def test_event_waits_for_the_agents_that_are_still_to_speak(functions: Functions, run: RunOf) -> None:
    await run.start(agents=("technical", "fundamental"))

    first = await functions.deliver("consensus", await run.speak("technical", score=0.6))

    assert first.status_code == 204
    assert await run.consensus() == []
    reply = reply_of(await functions.deliver("consensus", await run.speak("fundamental", score=0.2)))
    assert (reply.data["signal"], reply.data["score"], reply.data["quorum"]) == ("buy", 0.4, True)


async def test_event_before_the_last_does_not_wait_for_others_of_the_run(
    functions: Functions, run: RunOf, app_database: Database, tenant: TenantId
) -> None:
    await run.start(agents=("technical", "fundamental"))
    spoken = await run.speak("technical")
    async with app_database.tenant(tenant) as session:
        await session.execute(
            "SELECT FROM agent_runs WHERE tenant_id = $1 AND id = $2 FOR UPDATE", tenant.value, run.id
        )
        async with asyncio.timeout(5):
            answer = await functions.deliver("consensus", spoken)

    assert answer.status_code == 204
    last = reply_of(await functions.deliver("consensus", await run.speak("fundamental")))
    assert {part["agent"] for part in last.data["contributions"]} == {"technical", "fundamental"}


async def test_abstention_is_weighed_as_silence_with_its_reason(functions: Functions, run: RunOf) -> None:
    await run.start(agents=("technical", "fundamental", "sentiment"))
    await run.speak("technical", score=-0.6)
    await run.speak("fundamental", score=-0.6)

    reply = reply_of(await functions.deliver("consensus", await run.speak("sentiment", score=None)))

    assert (reply.data["signal"], reply.data["score"]) == ("sell", -0.6)
    assert reply.data["contributions"][-1] == {"agent": "sentiment", "abstained": "no data"}


async def test_run_of_two_symbols_closes_with_the_second(functions: Functions, run: RunOf) -> None:
    await run.start(symbols=("BTC-USD", "ETH-USD"))

    reply_of(await functions.deliver("consensus", await run.speak(symbol="ETH-USD")))
    assert (await run.row())["status"] == "running"
    reply_of(await functions.deliver("consensus", await run.speak(symbol="BTC-USD")))

    assert (await run.row())["status"] == "done"
    assert [row["symbol"] for row in await run.consensus()] == ["BTC-USD", "ETH-USD"]


async def test_redelivery_returns_the_same_reply(functions: Functions, run: RunOf) -> None:
    await run.start()
    event = await run.speak()

    first = reply_of(await functions.deliver("consensus", event))

    assert reply_of(await functions.deliver("consensus", event)) == first
    assert len(await run.consensus()) == 1


async def test_earlier_event_that_comes_last_changes_nothing(functions: Functions, run: RunOf) -> None:
    await run.start(agents=("technical", "fundamental"))
    earlier = await run.speak("technical", score=0.6)
    later = await run.speak("fundamental", score=0.2)
    reply_of(await functions.deliver("consensus", later))

    assert (await functions.deliver("consensus", earlier)).status_code == 204
    assert len(await run.consensus()) == 1


@pytest.mark.parametrize("attempt", range(5))
async def test_two_last_signals_at_once_bring_exactly_one_consensus(
    functions: Functions, run: RunOf, attempt: int
) -> None:
    await run.start(agents=("technical", "fundamental"))
    events = [await run.speak("technical", score=0.6), await run.speak("fundamental", score=0.2)]

    answers = await asyncio.gather(*(functions.deliver("consensus", event) for event in events))

    assert sorted(answer.status_code for answer in answers) == [200, 204]
    assert len(await run.consensus()) == 1
    assert (await run.row())["status"] == "done"


async def test_many_symbols_at_once_close_the_run_once(functions: Functions, run: RunOf) -> None:
    symbols = tuple(f"S{n:02d}-USD" for n in range(12))
    await run.start(symbols=symbols)
    events = [await run.speak(symbol=symbol) for symbol in symbols]

    answers = await asyncio.gather(*(functions.deliver("consensus", event) for event in events))

    assert [reply_of(answer).data["symbol"] for answer in answers] == list(symbols)
    assert len(await run.consensus()) == 12
    assert (await run.row())["status"] == "done"


async def test_signal_of_an_unknown_run_changes_nothing(functions: Functions, run: RunOf) -> None:
    event = await run.speak()

    assert (await functions.deliver("consensus", event)).status_code == 204
    assert await run.consensus() == []


async def test_other_tenants_run_is_out_of_reach(
    functions: Functions, run: RunOf, other_tenant: TenantId, app_database: Database
) -> None:
    await run.start()
    foreign = RunOf(app_database, other_tenant)
    foreign.id = run.id

    assert (await functions.deliver("consensus", await foreign.speak())).status_code == 204
    assert await run.consensus() == []
    assert (await run.row())["status"] == "running"


async def test_event_without_a_tenant_is_refused_for_good(functions: Functions, run: RunOf) -> None:
    await run.start()
    event = await run.speak()
    event = Event(type=event.type, source=event.source, data=event.data)

    answer = await functions.deliver("consensus", event)

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed_event")


class TestSweep:
    """Runs past their deadline are concluded with what was said."""

    @pytest.fixture
    def overdue(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)

    async def test_unfinished_tasks_fail_and_the_rest_is_weighed(
        self, functions: Functions, run: RunOf, broker: Broker, tenant: TenantId, overdue: dt.datetime
    ) -> None:
        await run.start(agents=("technical", "fundamental", "sentiment"), deadline_at=overdue)
        for agent in ("technical", "fundamental"):
            await functions.deliver("consensus", await run.speak(agent, score=0.5))

        answer = await functions.deliver("consensus", functions.tick("consensus-sweep"))

        assert answer.status_code == 204
        assert (await run.tasks())["sentiment", "BTC-USD"] == ("failed", "no answer before the deadline")
        [told] = await broker.wait_for("consensus.reached", tenant_id=tenant)
        assert (told.data["signal"], told.data["quorum"]) == ("buy", True)
        assert told.data["reasons"] == ["did not speak before the deadline: sentiment"]
        assert told.data["contributions"][-1] == {
            "agent": "sentiment",
            "abstained": "no answer before the deadline",
        }
        assert told.extensions["correlationid"] == str(run.id)
        closed = await run.row()
        assert (closed["status"], closed["reason"]) == (
            "failed",
            "1 of 3 signals did not come before the deadline",
        )

    async def test_consensus_whose_event_was_lost_is_reached_by_the_sweep(
        self, functions: Functions, run: RunOf, broker: Broker, tenant: TenantId, overdue: dt.datetime
    ) -> None:
        await run.start(deadline_at=overdue)
        event = await run.speak()

        await functions.deliver("consensus", functions.tick("consensus-sweep"))

        assert len(await broker.wait_for("consensus.reached", tenant_id=tenant)) == 1
        assert (await run.row())["status"] == "done"
        assert (await functions.deliver("consensus", event)).status_code == 204
        assert len(await run.consensus()) == 1

    async def test_run_before_its_deadline_is_left_alone(
        self, functions: Functions, run: RunOf, clock: Clock
    ) -> None:
        await run.start()

        await functions.deliver("consensus", functions.tick("consensus-sweep"))

        assert (await run.row())["status"] == "running"

    async def test_runs_of_several_tenants_are_concluded_each_as_its_tenant(
        self,
        functions: Functions,
        new_tenant: TenantFactory,
        app_database: Database,
        broker: Broker,
        overdue: dt.datetime,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(sweep, "_BATCH", 2)  # so that three runs take two of them
        tenants = [await new_tenant() for _ in range(3)]
        runs = [await RunOf(app_database, tenant).start(deadline_at=overdue) for tenant in tenants]

        await asyncio.gather(
            *(functions.deliver("consensus", functions.tick("consensus-sweep")) for _ in range(2))
        )

        for tenant, run in zip(tenants, runs, strict=True):
            [told] = await broker.wait_for("consensus.reached", tenant_id=tenant)
            assert told.data["run_id"] == str(run.id)
            assert (told.data["signal"], told.data["quorum"]) == ("hold", False)
            assert (await run.row())["status"] == "failed"
