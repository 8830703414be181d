"""A consensus becomes an order where a tenant allows it: once, within its terms, through every check."""

import asyncio
import datetime as dt
import hashlib
from decimal import Decimal
from typing import Any

import asyncpg
import orjson
import pytest
from uuid_utils.compat import uuid7

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.data.session import Session
from alphapulse.domain.orders import client_order_id
from alphapulse.events import Event
from alphapulse.runtime.trace import continue_trace
from alphapulse.runtime.work import Scope
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.tenant import TenantId
from alphapulse.trading.venues import Venues
from functions.trade import admission
from functions.trade.orderer import Orderer
from functions.trade.placement import Key, Placement
from functions.trade.schemas import OrderRequest
from tests.conftest import TenantFactory
from tests.function.conftest import Broker, Clock, Functions, Market
from tests.tenants import change_tenant

ON = {"enabled": True, "position_pct": "10", "min_score": "0.3", "cooldown_seconds": 0}


class Trader:
    """A tenant that trades on consensus, with what it sees of that."""

    def __init__(self, functions: Functions, database: Database, tenant: TenantId) -> None:
        self.functions = functions
        self.database = database
        self.tenant = tenant

    async def allow(self, **settings: Any) -> dict[str, Any]:
        answer = await self.functions.caller("agents", self.tenant).post(
            "/agents/auto-trade", json=ON | settings
        )
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()
        return changed

    async def consensus(
        self,
        signal: str = "buy",
        score: str = "0.5",
        *,
        symbol: str = "BTC-USDT",
        quorum: bool = True,
        age: dt.timedelta = dt.timedelta(),
        stored: bool = True,
    ) -> Event:
        """Store a consensus and return the event that tells it."""
        consensus_id, run_id, at = uuid7(), uuid7(), self.functions.clock() - age
        if stored:
            async with self.database.tenant(self.tenant) as session:
                await session.execute(
                    """INSERT INTO consensus_signals (tenant_id, id, run_id, symbol, signal, score, quorum,
                        weight_present, contributions, created_at)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, 0.6, '[]', $8)""",
                    self.tenant.value,
                    consensus_id,
                    run_id,
                    symbol,
                    signal,
                    Decimal(score),
                    quorum,
                    at,
                )
        data = {
            "id": str(consensus_id),
            "run_id": str(run_id),
            "symbol": symbol,
            "signal": signal,
            "score": float(score),
            "quorum": quorum,
            "contributions": [],
            "created_at": at.isoformat(),
        }
        return self.functions.event("consensus.reached", data, self.tenant)

    async def decide(self, event: Event) -> Event | None:
        """Deliver a consensus, and return the order that is asked for."""
        answer = await self.functions.deliver("auto_trade", event)
        assert answer.status_code in (200, 204), answer.text
        return Event.from_http(answer.headers, answer.content) if answer.status_code == 200 else None

    async def place(self, request: Event) -> Event | None:
        """Deliver a request to `trade`, and return its refusal if it refuses."""
        answer = await self.functions.deliver("trade", request)
        assert answer.status_code in (200, 204), answer.text
        return Event.from_http(answer.headers, answer.content) if answer.status_code == 200 else None

    async def trade_on(self, event: Event) -> Event | None:
        """Go the whole way of a consensus, and return a refusal if there is one."""
        request = await self.decide(event)
        assert request is not None
        return await self.place(request)

    async def decisions(self) -> list[dict[str, Any]]:
        answer = await self.functions.caller("agents", self.tenant).get("/agents/auto-trade/decisions")
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def settings(self) -> dict[str, Any]:
        answer = await self.functions.caller("agents", self.tenant).get("/agents/auto-trade")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def pull_the_kill_switch(self) -> None:
        async with self.database.tenant(self.tenant) as session:
            await session.execute(
                "UPDATE tenant_configs SET trading_halted = true, halted_at = now() WHERE tenant_id = $1",
                self.tenant.value,
            )

    async def trades(self) -> list[Any]:
        async with self.database.tenant(self.tenant) as session:
            return list(await session.fetch("SELECT * FROM trades ORDER BY created_at"))


@pytest.fixture
def trader(functions: Functions, app_database: Database, tenant: TenantId) -> Trader:
    return Trader(functions, app_database, tenant)


async def test_nothing_is_traded_until_a_tenant_allows_it(trader: Trader) -> None:
    settings = await trader.settings()

    assert (settings["enabled"], settings["exchange"], settings["version"]) == (False, "paper", 0)
    assert await trader.decide(await trader.consensus()) is None
    assert await trader.decisions() == []


async def test_consensus_to_buy_becomes_a_filled_paper_order_of_its_share(trader: Trader) -> None:
    await trader.allow()

    assert await trader.trade_on(await trader.consensus("buy", "0.5")) is None

    # 100,000 * 10 % * 0.5 / 50,000.
    [trade] = await trader.trades()
    assert (trade["symbol"], trade["side"], trade["exchange"]) == ("BTC-USDT", "buy", "paper")
    assert (trade["quantity"], trade["status"]) == (Decimal("0.1"), "filled")
    [decision] = await trader.decisions()
    assert decision["decision"] == "order"
    assert (decision["trade_id"], decision["trade_status"]) == (str(trade["id"]), "filled")
    assert decision["quantity"] == "0.1"


async def test_an_order_that_is_still_on_its_way_counts(trader: Trader, clock: Clock) -> None:
    await trader.allow()
    first = await trader.decide(await trader.consensus("buy", "0.5"))
    assert first is not None

    assert await trader.decide(await trader.consensus("buy", "0.5")) is None
    assert (await trader.decisions())[0]["code"] == "at_target"
    larger = await trader.decide(await trader.consensus("buy", "0.75"))
    assert larger is not None
    assert (first.data["quantity"], larger.data["quantity"]) == ("0.1", "0.05")
    # One that was not placed in time will not be.
    clock.advance(minutes=5)
    late = await trader.decide(await trader.consensus("buy", "0.5"))
    assert late is not None
    assert late.data["quantity"] == "0.1"


async def test_consensus_to_sell_closes_the_position(trader: Trader) -> None:
    await trader.allow()
    await trader.trade_on(await trader.consensus("buy", "0.5"))

    assert await trader.trade_on(await trader.consensus("sell", "-0.5")) is None

    assert [(t["side"], t["quantity"]) for t in await trader.trades()] == [
        ("buy", Decimal("0.1")),
        ("sell", Decimal("0.1")),
    ]


async def test_a_consensus_and_its_request_that_come_again_place_one_order(trader: Trader) -> None:
    await trader.allow()
    event = await trader.consensus()

    requests = [await trader.decide(event) for _ in range(3)]
    again = Event(type=event.type, source=event.source, data=event.data, extensions=event.extensions)
    assert await trader.decide(again) is None  # told by another event: decided already
    first = requests[0]
    assert first is not None
    assert [r.id for r in requests if r is not None] == [first.id] * 3
    for _ in range(3):
        assert await trader.place(first) is None

    [trade] = await trader.trades()
    assert trade["client_order_id"] == client_order_id(trader.tenant.value, f"auto-trade:{event.data['id']}")


async def test_two_deliveries_at_once_place_one_order(trader: Trader) -> None:
    await trader.allow()
    event = await trader.consensus()

    requests = await asyncio.gather(*(trader.decide(event) for _ in range(4)))
    placed = [request for request in requests if request is not None]
    await asyncio.gather(*(trader.functions.deliver("trade", request) for request in placed))

    assert len(await trader.trades()) == 1
    assert len(await trader.decisions()) == 1


@pytest.mark.parametrize(
    ("signal", "score", "settings", "code"),
    [
        ("buy", "0.25", {}, "score_too_low"),
        ("sell", "-0.5", {}, "nothing_to_sell"),
        ("buy", "0.5", {"position_pct": "0.1", "min_score": "0.2"}, None),
    ],
)
async def test_the_tenants_terms_decide(
    trader: Trader, signal: str, score: str, settings: dict[str, Any], code: str | None
) -> None:
    await trader.allow(**settings)

    request = await trader.decide(await trader.consensus(signal, score))

    assert (request is None) == (code is not None)
    [decision] = await trader.decisions()
    assert decision["code"] == code


async def test_symbols_that_are_not_listed_are_left_alone(trader: Trader, database: DatabaseUrls) -> None:
    await _list_instrument(database, "ETH-USDT")
    await trader.allow(symbols=["ETH-USDT"])

    assert await trader.decide(await trader.consensus(symbol="BTC-USDT")) is None
    assert await trader.decide(await trader.consensus(symbol="ETH-USDT")) is not None


async def test_hold_and_no_quorum_leave_no_trace(trader: Trader) -> None:
    await trader.allow()

    assert await trader.decide(await trader.consensus("hold", "0.1")) is None
    assert await trader.decide(await trader.consensus("buy", "0.5", quorum=False)) is None
    assert await trader.decisions() == []


async def test_an_event_about_no_consensus_of_the_tenant_trades_nothing(
    trader: Trader, new_tenant: TenantFactory
) -> None:
    await trader.allow()
    stranger = Trader(trader.functions, trader.database, await new_tenant())
    theirs = await stranger.consensus()
    forged = trader.functions.event("consensus.reached", dict(theirs.data), trader.tenant)

    assert await trader.decide(forged) is None
    assert await trader.decide(await trader.consensus(stored=False)) is None
    assert await trader.decisions() == []


async def test_cooldown_and_orders_of_the_day_hold_the_next_order_back(trader: Trader, clock: Clock) -> None:
    if clock().time() >= dt.time(23, 30):
        clock.advance(hours=1)  # all in one day of UTC
    await trader.allow(cooldown_seconds=600, max_orders_per_day=2)
    assert await trader.decide(await trader.consensus()) is not None

    assert await trader.decide(await trader.consensus()) is None
    clock.advance(minutes=10)
    assert await trader.decide(await trader.consensus()) is not None
    clock.advance(minutes=10)
    assert await trader.decide(await trader.consensus()) is None

    codes = [decision["code"] for decision in await trader.decisions()]
    assert codes == ["orders_per_day", None, "cooldown", None]


async def test_an_order_that_was_refused_holds_no_other_back(trader: Trader) -> None:
    await trader.allow(position_pct="100", cooldown_seconds=600, max_orders_per_day=1)
    refusal = await trader.trade_on(await trader.consensus("buy", "1"))
    assert refusal is not None
    await trader.functions.deliver("auto_trade", refusal)
    await trader.allow(position_pct="10", cooldown_seconds=600, max_orders_per_day=1)

    assert await trader.trade_on(await trader.consensus("buy", "0.5")) is None

    assert len(await trader.trades()) == 1


async def test_an_old_consensus_is_not_traded_on(trader: Trader) -> None:
    await trader.allow()

    assert await trader.decide(await trader.consensus(age=dt.timedelta(minutes=5))) is None

    [decision] = await trader.decisions()
    assert decision["code"] == "too_late"


async def test_a_request_that_comes_too_late_is_refused_and_stays_refused(
    trader: Trader, clock: Clock
) -> None:
    await trader.allow()
    request = await trader.decide(await trader.consensus())
    assert request is not None
    clock.advance(minutes=6)

    refusal = await trader.place(request)
    assert refusal is not None
    assert refusal.data["code"] == "request_expired"
    assert (await trader.functions.deliver("auto_trade", refusal)).status_code == 204

    clock.advance(minutes=-6)
    again = await trader.place(request)
    assert again is not None
    assert again.data["code"] == "request_expired"
    assert await trader.trades() == []
    [decision] = await trader.decisions()
    assert (decision["decision"], decision["code"]) == ("order", "request_expired")


async def test_an_order_whose_process_died_is_not_refused_when_its_request_comes_again_too_late(
    trader: Trader, clock: Clock
) -> None:
    await trader.allow()
    request = await trader.decide(await trader.consensus())
    assert request is not None
    await _die_after_commit(trader, request)
    clock.advance(minutes=6)

    assert await trader.place(request) is None

    [trade] = await trader.trades()
    assert trade["status"] == "pending_submit"  # order synchronisation asks the exchange
    [decision] = await trader.decisions()
    assert (decision["code"], decision["trade_id"]) == (None, str(trade["id"]))


async def test_a_symbol_the_exchange_does_not_trade_is_no_order(trader: Trader) -> None:
    await trader.allow()

    assert await trader.decide(await trader.consensus(symbol="SOL-USDT")) is None

    [decision] = await trader.decisions()
    assert decision["code"] == "unknown_symbol"


async def test_without_a_price_the_consensus_is_asked_about_again(trader: Trader, market: Market) -> None:
    await trader.allow()
    (market.directory / "SOL-USDT_1m.csv").write_text("timestamp,open,high,low,close,volume\nbroken\n")
    event = await trader.consensus(symbol="SOL-USDT")

    answer = await trader.functions.deliver("auto_trade", event)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert await trader.decisions() == []
    await market.price("SOL-USDT", "100")
    assert await trader.decide(event) is not None


async def test_risk_limits_refuse_as_for_any_other_order(trader: Trader) -> None:
    await trader.allow(position_pct="100", min_score="0.2")

    refusal = await trader.trade_on(await trader.consensus("buy", "1"))

    assert refusal is not None
    assert refusal.name == "trade.refused"
    assert refusal.data["code"] == "risk_limit_exceeded"
    assert refusal.data["limit"] == "max_position_pct"
    assert (await trader.functions.deliver("auto_trade", refusal)).status_code == 204
    [decision] = await trader.decisions()
    assert decision["code"] == "risk_limit_exceeded"
    assert (await trader.settings())["halted_at"] is None  # no loss: the next consensus may fit


async def test_a_loss_limit_halts_automatic_trading_until_it_is_switched_on_again(
    trader: Trader, database: DatabaseUrls, broker: Broker
) -> None:
    await trader.allow()
    await _lose(database, trader.tenant)

    refusal = await trader.trade_on(await trader.consensus())
    assert refusal is not None
    assert refusal.data["limit"] in ("daily_loss_pct", "max_drawdown_pct")
    told = await trader.functions.deliver("auto_trade", refusal)

    notice = Event.from_http(told.headers, told.content)
    assert (notice.name, notice.data["kind"]) == ("notification.requested", "auto_trade_halted")
    halted = await trader.settings()
    assert halted["halted_at"] is not None
    assert halted["halt_reason"] == refusal.data["detail"]
    assert await trader.decide(await trader.consensus()) is None
    assert (await trader.decisions())[0]["code"] == "halted"
    assert (await trader.allow(min_score="0.4"))["halted_at"] is None


async def test_the_kill_switch_of_trading_holds_for_automatic_orders(trader: Trader) -> None:
    await trader.allow()
    await trader.pull_the_kill_switch()

    assert await trader.decide(await trader.consensus()) is None
    assert (await trader.decisions())[0]["code"] == "halted"


async def test_the_kill_switch_also_holds_for_an_order_that_was_asked_for_before(trader: Trader) -> None:
    await trader.allow()
    request = await trader.decide(await trader.consensus())
    assert request is not None
    await trader.pull_the_kill_switch()

    refusal = await trader.place(request)

    assert refusal is not None
    assert refusal.data["code"] == "trading_halted"
    assert await trader.trades() == []


async def test_an_order_that_waits_past_its_time_is_refused(trader: Trader, clock: Clock) -> None:
    await trader.allow()
    request = await trader.decide(await trader.consensus(age=dt.timedelta(minutes=4, seconds=50)))
    assert request is not None
    async with trader.database.tenant(trader.tenant) as session:
        await session.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('account ' || $1::uuid || ' paper', 0))",
            trader.tenant.value,
        )
        placing = asyncio.create_task(trader.place(request))
        await _one_waits(session, "advisory")
        clock.advance(seconds=15)

    refusal = await placing

    assert refusal is not None
    assert refusal.data["code"] == "request_expired"
    assert await trader.trades() == []


async def test_a_position_that_is_opened_meanwhile_delays_the_next_consensus_and_loses_none(
    trader: Trader,
) -> None:
    await trader.allow()
    event = await trader.consensus()
    async with trader.database.tenant(trader.tenant) as session:
        await session.execute("SELECT FROM auto_trade_settings FOR UPDATE")
        deciding = asyncio.create_task(trader.functions.deliver("auto_trade", event))
        await _one_waits(session, "transactionid")
        bought = await trader.functions.caller("trade", trader.tenant).post(
            "/trades", json={"symbol": "ETH-USDT", "side": "buy", "type": "market", "quantity": "1"}
        )
        assert bought.status_code == 201, bought.text

    assert (await deciding).status_code == 503
    assert await trader.decisions() == []
    assert await trader.decide(event) is not None


async def test_a_tenant_that_is_suspended_in_between_trades_nothing(
    trader: Trader, database: DatabaseUrls
) -> None:
    await trader.allow()
    request = await trader.decide(await trader.consensus())
    assert request is not None
    await change_tenant(database, trader.tenant, status="suspended")

    refusal = await trader.place(request)
    assert refusal is not None
    assert refusal.data["code"] == "tenant_suspended"
    assert await trader.decide(await trader.consensus()) is None
    assert (await trader.decisions())[0]["code"] == "tenant_not_active"
    assert await trader.trades() == []


async def test_switching_off_between_consensus_and_decision_is_heeded(trader: Trader) -> None:
    await trader.allow()
    event = await trader.consensus()
    await trader.allow(enabled=False)

    assert await trader.decide(event) is None
    assert await trader.decisions() == []


async def test_malformed_request_goes_to_the_dead_letter(trader: Trader) -> None:
    event = Event(
        type="com.alphapulse.trade.requested.v1",
        source="/functions/auto-trade",
        data={"symbol": "BTC-USDT"},
        extensions={"tenantid": str(trader.tenant)},
    )

    answer = await trader.functions.deliver("trade", event)

    assert answer.status_code == 422
    assert answer.json()["code"] == "malformed_event"


async def _die_after_commit(trader: Trader, request: Event) -> None:
    """Do what `trade` does up to the commit of the order, as a process that is killed there."""
    scope = Scope(
        resources=trader.functions.resources("trade"),
        tenant_id=trader.tenant,
        trace=continue_trace(None),
        cause=request,
    )
    venue = Venues(scope.resources).account("paper", trader.tenant)
    asked = {name: request.data[name] for name in ("symbol", "side", "type", "quantity", "exchange")}
    order = await admission.draft(venue, OrderRequest.model_validate(asked))
    bound = hashlib.sha256(b"trade.requested\n" + orjson.dumps(asked, option=orjson.OPT_SORT_KEYS))
    key = Key(request.data["idempotency_key"], bound.digest())
    await Placement(scope, venue, order, key=key, orderer=Orderer(Tier.PRO, user_id=None)).commit()
    async with trader.database.tenant(trader.tenant) as session:
        await session.execute("UPDATE idempotency_keys SET locked_until = now()")


async def _one_waits(session: Session, lock: str) -> None:
    """Wait until somebody waits for a lock that this session holds."""
    async with asyncio.timeout(5):
        while not await session.fetchval(
            """SELECT EXISTS (
                SELECT FROM pg_locks WHERE NOT granted AND locktype = $1
                    AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))""",
            lock,
        ):
            await asyncio.sleep(0.01)


async def _list_instrument(database: DatabaseUrls, symbol: str) -> None:
    base, _, quote = symbol.partition("-")
    connection = await asyncpg.connect(database.platform)
    try:
        await connection.execute(
            """INSERT INTO instruments (exchange, symbol, base, quote, tick, lot, source)
            VALUES ('paper', $1, $2, $3, 0.01, 0.0001, 'directory') ON CONFLICT DO NOTHING""",
            symbol,
            base,
            quote,
        )
    finally:
        await connection.close()


async def _lose(database: DatabaseUrls, tenant: TenantId) -> None:
    """Let the account have been worth twice as much."""
    connection = await asyncpg.connect(database.platform)
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL app.current_tenant_id = '{tenant}'")
            await connection.execute(
                "UPDATE portfolios SET peak_equity = 200000, starting_equity = 200000 WHERE tenant_id = $1",
                tenant.value,
            )
    finally:
        await connection.close()
