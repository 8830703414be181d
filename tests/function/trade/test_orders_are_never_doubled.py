"""The same Idempotency-Key is one order: repeated, at the same moment, and across a crash."""

import asyncio
import hashlib
from typing import Any

import pytest
from starlette.responses import Response

from alphapulse.domain.orders import client_order_id
from alphapulse.runtime.trace import continue_trace
from alphapulse.runtime.work import Scope
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.principal import Principal
from alphapulse.tenancy.tenant import TenantId
from alphapulse.trading import dispatch
from alphapulse.trading.trades import Trade
from alphapulse.trading.venues import Venues
from functions.trade import admission, placement
from functions.trade.orderer import Orderer
from functions.trade.schemas import OrderRequest
from tests.function.conftest import Broker, Clock, Functions, Market

MARKET_BUY = {"symbol": "BTC-USDT", "side": "buy", "type": "market", "quantity": "0.01"}
KEY = {"Idempotency-Key": "order-1"}


async def _counts(database: Database, tenant: TenantId) -> tuple[int, int, int]:
    async with database.tenant(tenant) as session:
        row = await session.fetchrow(
            """SELECT (SELECT count(*) FROM trades), (SELECT count(*) FROM paper_orders),
            (SELECT count(*) FROM trade_executions)"""
        )
    assert row is not None
    return tuple(row)


async def test_repeated_request_gets_the_first_answer_again(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    trader = functions.caller("trade", tenant)

    first = await trader.post("/trades", json=MARKET_BUY, headers=KEY)
    again = await trader.post("/trades", json=MARKET_BUY, headers=KEY)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert await _counts(app_database, tenant) == (1, 1, 1)


async def test_first_answer_is_repeated_also_when_the_order_could_no_longer_be_placed(
    functions: Functions, tenant: TenantId, market: Market
) -> None:
    trader = functions.caller("trade", tenant)
    first = await trader.post("/trades", json=MARKET_BUY, headers=KEY)
    (market.directory / "BTC-USDT_1m.csv").unlink()
    await market.forget("BTC-USDT")

    again = await trader.post("/trades", json=MARKET_BUY, headers=KEY)
    other = await trader.post("/trades", json=MARKET_BUY, headers={"Idempotency-Key": "order-2"})

    assert again.content == first.content
    assert other.status_code == 503


async def test_fifty_requests_at_once_are_one_order_with_one_answer(
    functions: Functions, tenant: TenantId, app_database: Database, broker: Broker
) -> None:
    trader = functions.caller("trade", tenant)

    answers = await asyncio.gather(*(trader.post("/trades", json=MARKET_BUY, headers=KEY) for _ in range(50)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert await _counts(app_database, tenant) == (1, 1, 1)
    await functions.settle()
    assert len(broker.named("trade.submitted", tenant)) == 1
    assert len(broker.named("trade.filled", tenant)) == 1


async def test_key_with_another_body_is_refused(functions: Functions, tenant: TenantId) -> None:
    trader = functions.caller("trade", tenant)
    await trader.post("/trades", json=MARKET_BUY, headers=KEY)

    answer = await trader.post("/trades", json={**MARKET_BUY, "quantity": "0.02"}, headers=KEY)

    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency_key_reused"


async def test_key_of_one_tenant_means_nothing_to_another(
    functions: Functions, tenant: TenantId, other_tenant: TenantId
) -> None:
    first = await functions.caller("trade", tenant).post("/trades", json=MARKET_BUY, headers=KEY)
    other = await functions.caller("trade", other_tenant).post("/trades", json=MARKET_BUY, headers=KEY)

    assert other.status_code == 201
    assert other.json()["id"] != first.json()["id"]
    assert other.json()["client_order_id"] != first.json()["client_order_id"]


async def test_refused_order_leaves_its_key_free(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    trader = functions.caller("trade", tenant)
    refused = await trader.post("/trades", json={**MARKET_BUY, "quantity": "1"}, headers=KEY)

    accepted = await trader.post("/trades", json=MARKET_BUY, headers=KEY)

    assert (refused.status_code, accepted.status_code) == (403, 201)
    assert await _counts(app_database, tenant) == (1, 1, 1)


async def test_key_whose_answer_was_forgotten_places_no_second_order(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    trader = functions.caller("trade", tenant)
    first = await trader.post("/trades", json=MARKET_BUY, headers=KEY)
    async with app_database.tenant(tenant) as session:
        await session.execute("DELETE FROM idempotency_keys")

    again = await trader.post("/trades", json=MARKET_BUY, headers=KEY)

    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert await _counts(app_database, tenant) == (1, 1, 1)


async def test_without_a_key_each_request_is_an_order(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    trader = functions.caller("trade", tenant)

    first = await trader.post("/trades", json=MARKET_BUY)
    second = await trader.post("/trades", json=MARKET_BUY)

    assert first.json()["client_order_id"] != second.json()["client_order_id"]
    assert await _counts(app_database, tenant) == (2, 2, 2)


class Crash:
    """Runs the part of a request up to some point, as a process that is killed there does."""

    def __init__(self, functions: Functions, tenant: TenantId) -> None:
        self.resources = functions.resources("trade")
        self.tenant = tenant
        self.functions = functions
        self.venue = Venues(self.resources).account("paper", tenant)

    async def after_commit(self, body: dict[str, Any], headers: dict[str, str]) -> Trade:
        """Leave an order that was committed and never sent."""
        token = self.functions.authorization(self.tenant)["Authorization"].removeprefix("Bearer ")
        principal: Principal = await self.resources.verifier.verify(token)
        scope = Scope(
            resources=self.resources, tenant_id=self.tenant, trace=continue_trace(None), principal=principal
        )
        key = await self._key(body, headers)
        order = await admission.draft(self.venue, OrderRequest.model_validate(body))
        orderer = Orderer.of(scope)
        committed = await placement.Placement(scope, self.venue, order, key=key, orderer=orderer).commit()
        assert not isinstance(committed, Response)
        return committed.trade

    async def after_sending(self, body: dict[str, Any], headers: dict[str, str]) -> Trade:
        """Leave an order that the venue has and we do not know of."""
        trade = await self.after_commit(body, headers)
        await self.venue.create_order(trade.new_order)
        return trade

    async def _key(self, body: dict[str, Any], headers: dict[str, str]) -> placement.Key:
        # The fingerprint is taken from the request that httpx will send again.
        request = self.functions.caller("trade", self.tenant).build_request(
            "POST", "/trades", json=body, headers=headers
        )
        print_ = hashlib.sha256(b"POST /trades?\n" + request.content).digest()
        return placement.Key(headers["Idempotency-Key"], print_)


@pytest.fixture
def crash(functions: Functions, tenant: TenantId) -> Crash:
    return Crash(functions, tenant)


async def _end_lease(database: Database, tenant: TenantId) -> None:
    async with database.tenant(tenant) as session:
        await session.execute("UPDATE idempotency_keys SET locked_until = now()")


async def test_retry_after_a_crash_behind_the_exchange_settles_the_order_that_was_sent(
    functions: Functions, tenant: TenantId, app_database: Database, crash: Crash, broker: Broker
) -> None:
    left = await crash.after_sending(MARKET_BUY, KEY)
    await _end_lease(app_database, tenant)

    answer = await functions.caller("trade", tenant).post("/trades", json=MARKET_BUY, headers=KEY)

    assert answer.status_code == 201
    assert answer.json()["id"] == str(left.id)
    assert answer.json()["status"] == "filled"
    assert await _counts(app_database, tenant) == (1, 1, 1)
    await broker.wait_for("trade.filled", tenant_id=tenant)


async def test_retry_after_a_crash_before_the_exchange_rejects_and_sends_nothing(
    functions: Functions, tenant: TenantId, app_database: Database, crash: Crash, clock: Clock
) -> None:
    left = await crash.after_commit(MARKET_BUY, KEY)
    await _end_lease(app_database, tenant)
    clock.advance(seconds=dispatch.SUBMIT_GRACE.total_seconds())
    trader = functions.caller("trade", tenant)

    answer = await trader.post("/trades", json=MARKET_BUY, headers=KEY)
    again = await trader.post("/trades", json=MARKET_BUY, headers=KEY)

    assert answer.status_code == 201
    assert answer.json()["id"] == str(left.id)
    assert answer.json()["status"] == "rejected"
    assert "never received" in answer.json()["reason"]
    assert again.content == answer.content
    assert await _counts(app_database, tenant) == (1, 0, 0)


async def test_retry_after_a_crash_is_not_refused_while_there_is_an_order(
    functions: Functions, tenant: TenantId, app_database: Database, crash: Crash, market: Market
) -> None:
    left = await crash.after_sending(MARKET_BUY, KEY)
    await _end_lease(app_database, tenant)
    file = market.directory / "BTC-USDT_1m.csv"
    prices = file.read_text()
    file.unlink()
    await market.forget("BTC-USDT")
    trader = functions.caller("trade", tenant)

    early = await trader.post("/trades", json=MARKET_BUY, headers=KEY)
    other = await trader.post("/trades", json=MARKET_BUY, headers={"Idempotency-Key": "order-2"})
    file.write_text(prices)
    later = await trader.post("/trades", json=MARKET_BUY, headers=KEY)

    assert (early.status_code, early.json()["code"]) == (409, "request_in_progress")
    assert (other.status_code, other.json()["code"]) == (422, "unknown_symbol")
    assert (later.status_code, later.json()["id"]) == (201, str(left.id))


async def test_retry_while_the_first_request_runs_waits_then_is_409(
    functions: Functions, tenant: TenantId, crash: Crash, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "WAIT_SECONDS", 0.2)
    await crash.after_commit(MARKET_BUY, KEY)

    answer = await functions.caller("trade", tenant).post("/trades", json=MARKET_BUY, headers=KEY)

    assert answer.status_code == 409
    assert answer.json()["code"] == "request_in_progress"
    assert int(answer.headers["retry-after"]) >= 1


async def test_request_that_takes_over_too_early_does_not_judge_the_order(
    functions: Functions, tenant: TenantId, app_database: Database, crash: Crash
) -> None:
    await crash.after_commit(MARKET_BUY, KEY)
    await _end_lease(app_database, tenant)

    answer = await functions.caller("trade", tenant).post("/trades", json=MARKET_BUY, headers=KEY)

    assert answer.status_code == 409
    assert answer.json()["code"] == "order_in_flight"


async def test_order_whose_answer_is_lost_is_unknown_and_synchronisation_is_asked_for(
    functions: Functions,
    tenant: TenantId,
    app_database: Database,
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatch, "VENUE_TIMEOUT_SECONDS", 0.3)
    trader = functions.caller("trade", tenant)
    async with app_database.tenant(tenant) as holder:
        # The exchange's book is held up: the order's client id is being entered by somebody else.
        await _hold_client_order_id(holder, tenant)
        answer = await trader.post("/trades", json=MARKET_BUY, headers=KEY)

    assert answer.status_code == 201
    assert answer.json()["status"] == "unknown"
    (event,) = await broker.wait_for("order.sync.requested", tenant_id=tenant)
    assert event.data["trade_id"] == answer.json()["id"]


async def _hold_client_order_id(session: Any, tenant: TenantId) -> None:
    await session.execute(
        """INSERT INTO paper_orders (tenant_id, id, client_order_id, symbol, side, type, quantity)
        VALUES ($1, gen_random_uuid(), $2, 'BTC-USDT', 'buy', 'market', 1)""",
        tenant.value,
        client_order_id(tenant.value, KEY["Idempotency-Key"]),
    )


async def test_orders_at_the_same_moment_cannot_pass_a_limit_together(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    trader = functions.caller("trade", tenant)
    order = {**MARKET_BUY, "quantity": "0.3"}  # 15 % of equity; 20 % is the limit

    answers = await asyncio.gather(*(trader.post("/trades", json=order) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [201] + [403] * 5
    assert await _counts(app_database, tenant) == (1, 1, 1)


async def test_sells_at_the_same_moment_cannot_sell_more_than_is_held(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    trader = functions.caller("trade", tenant)
    await trader.post("/trades", json={**MARKET_BUY, "quantity": "0.1"})
    sell = {**MARKET_BUY, "side": "sell", "quantity": "0.06"}

    answers = await asyncio.gather(*(trader.post("/trades", json=sell) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [201] + [422] * 5
    assert {a.json()["code"] for a in answers if a.status_code == 422} == {"insufficient_position"}
