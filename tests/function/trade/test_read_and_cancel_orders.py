"""Reading orders back and cancelling them."""

import asyncio
import base64
import uuid
from decimal import Decimal
from typing import Any

import httpx
import pytest

from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from functions.trade.schemas import Cancellations, TradePage, TradeView
from tests.function.conftest import Broker, Functions, Market

RESTING = {"symbol": "BTC-USDT", "side": "buy", "type": "limit", "quantity": "0.01", "price": "40000"}
MARKET_BUY = {"symbol": "BTC-USDT", "side": "buy", "type": "market", "quantity": "0.01"}


@pytest.fixture
def trader(functions: Functions, tenant: TenantId) -> httpx.AsyncClient:
    return functions.caller("trade", tenant)


async def _placed(trader: httpx.AsyncClient, order: dict[str, str]) -> dict[str, Any]:
    answer = await trader.post("/trades", json=order)
    assert answer.status_code == 201, answer.text
    trade: dict[str, Any] = answer.json()
    return trade


async def test_trade_is_read_back_as_it_was_answered(trader: httpx.AsyncClient) -> None:
    placed = await _placed(trader, MARKET_BUY)

    answer = await trader.get(f"/trades/{placed['id']}")

    assert answer.status_code == 200
    TradeView.model_validate(answer.json())
    assert answer.json() == placed


async def test_pages_hold_each_trade_once_newest_first(trader: httpx.AsyncClient) -> None:
    ids = [(await _placed(trader, RESTING))["id"] for _ in range(5)]

    seen, cursor = [], None
    for _ in range(3):
        page = (
            await trader.get("/trades", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        ).json()
        TradePage.model_validate(page)
        seen += [trade["id"] for trade in page["items"]]
        cursor = page["next_cursor"]

    assert seen == ids[::-1]
    assert cursor is None


async def test_filters_narrow_by_symbol_and_status(trader: httpx.AsyncClient) -> None:
    filled = await _placed(trader, MARKET_BUY)
    open_ = await _placed(trader, RESTING)
    other = await _placed(trader, {**MARKET_BUY, "symbol": "ETH-USDT", "quantity": "0.1"})

    async def ids(**filters: str) -> list[str]:
        return [t["id"] for t in (await trader.get("/trades", params=filters)).json()["items"]]

    assert await ids(symbol="ETH-USDT") == [other["id"]]
    assert await ids(status="open") == [open_["id"]]
    assert await ids(status="filled", symbol="BTC-USDT") == [filled["id"]]
    assert await ids(symbol="NOPE-USDT") == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"limit": "0"}, "validation_failed"),
        ({"limit": "501"}, "validation_failed"),
        ({"limit": "ten"}, "validation_failed"),
        ({"status": "done"}, "validation_failed"),
        ({"cursor": "nonsense"}, "invalid_cursor"),
        ({"cursor": "%%%"}, "invalid_cursor"),
        ({"cursor": "MjAyNi0wMS0wMSAx"}, "invalid_cursor"),
        # 0001-01-01T00:00:00+14:00 and a UUID: a time before the first one there is in UTC.
        (
            {
                "cursor": base64.urlsafe_b64encode(
                    b"0001-01-01T00:00:00+14:00 01a20003-509e-758c-bf5d-909ac263cf21"
                ).decode()
            },
            "invalid_cursor",
        ),
    ],
)
async def test_bad_listing_parameters_are_422(
    trader: httpx.AsyncClient, params: dict[str, str], code: str
) -> None:
    answer = await trader.get("/trades", params=params)

    assert answer.status_code == 422
    assert answer.json()["code"] == code


async def test_cancelling_an_open_order_frees_its_cash(
    trader: httpx.AsyncClient, tenant: TenantId, app_database: Database, broker: Broker
) -> None:
    placed = await _placed(trader, RESTING)

    answer = await trader.delete(f"/trades/{placed['id']}")
    again = await trader.delete(f"/trades/{placed['id']}")

    assert (answer.status_code, again.status_code) == (200, 200)
    assert answer.json()["status"] == again.json()["status"] == "cancelled"
    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT reserved FROM balances") == 0
        assert await session.fetchval("SELECT status FROM paper_orders") == "cancelled"
    events = await broker.wait_for("trade.cancelled", tenant_id=tenant)
    assert [event.data["id"] for event in events] == [placed["id"]]


async def test_cancelling_a_filled_order_is_409(trader: httpx.AsyncClient) -> None:
    placed = await _placed(trader, MARKET_BUY)

    answer = await trader.delete(f"/trades/{placed['id']}")

    assert answer.status_code == 409
    assert answer.json()["code"] == "order_not_open"


async def test_cancelling_an_order_that_the_market_has_reached_books_the_fill(
    trader: httpx.AsyncClient, market: Market, tenant: TenantId, app_database: Database
) -> None:
    placed = await _placed(trader, RESTING)
    await market.price("BTC-USDT", "39000")

    answer = await trader.delete(f"/trades/{placed['id']}")

    assert answer.status_code == 409
    trade = (await trader.get(f"/trades/{placed['id']}")).json()
    assert (trade["status"], trade["average_price"]) == ("filled", "40000")
    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT quantity FROM positions") == Decimal("0.01")


async def test_cancelling_many_times_at_once_cancels_once(
    trader: httpx.AsyncClient, functions: Functions, tenant: TenantId, broker: Broker
) -> None:
    placed = await _placed(trader, RESTING)

    answers = await asyncio.gather(*(trader.delete(f"/trades/{placed['id']}") for _ in range(10)))

    assert {answer.status_code for answer in answers} == {200}
    await functions.settle()
    assert len(broker.named("trade.cancelled", tenant)) == 1


async def test_cancel_with_a_key_answers_again_what_it_answered(trader: httpx.AsyncClient) -> None:
    placed = await _placed(trader, RESTING)
    key = {"Idempotency-Key": "cancel-1"}

    first = await trader.delete(f"/trades/{placed['id']}", headers=key)
    again = await trader.delete(f"/trades/{placed['id']}", headers=key)

    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"


async def test_refused_cancellation_leaves_its_key_free(trader: httpx.AsyncClient) -> None:
    placed = await _placed(trader, MARKET_BUY)
    key = {"Idempotency-Key": "cancel-1"}

    answers = [await trader.delete(f"/trades/{placed['id']}", headers=key) for _ in range(2)]

    assert [answer.json()["code"] for answer in answers] == ["order_not_open"] * 2


async def test_cancel_all_cancels_what_is_open_and_nothing_else(trader: httpx.AsyncClient) -> None:
    filled = await _placed(trader, MARKET_BUY)
    resting = [(await _placed(trader, RESTING))["id"] for _ in range(3)]
    eth = {**RESTING, "symbol": "ETH-USDT", "price": "1500", "quantity": "0.1"}
    other = await _placed(trader, eth)

    by_symbol = (await trader.post("/trades/cancel-all", params={"symbol": "BTC-USDT"})).json()
    everything = (await trader.post("/trades/cancel-all")).json()

    Cancellations.model_validate(by_symbol)
    assert [trade["id"] for trade in by_symbol["items"]] == resting
    assert [trade["id"] for trade in everything["items"]] == [other["id"]]
    assert by_symbol["failed"] == everything["failed"] == []
    assert (await trader.get(f"/trades/{filled['id']}")).json()["status"] == "filled"


ROUTES = [
    ("POST", "/trades"),
    ("GET", "/trades"),
    ("GET", "/trades/{id}"),
    ("DELETE", "/trades/{id}"),
    ("POST", "/trades/cancel-all"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_anonymous_is_401(functions: Functions, tenant: TenantId, method: str, path: str) -> None:
    answer = await functions.caller("trade").request(method, path.format(id=uuid.uuid4()), json=RESTING)

    assert answer.status_code == 401
    assert answer.json()["code"] == "not_authenticated"


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route[0] != "GET"])
async def test_viewer_may_not_change(functions: Functions, tenant: TenantId, method: str, path: str) -> None:
    viewer = functions.caller("trade", tenant, role="viewer")

    answer = await viewer.request(method, path.format(id=uuid.uuid4()), json=RESTING)

    assert answer.status_code == 403
    assert answer.json()["code"] == "not_permitted"


async def test_viewer_may_read(functions: Functions, tenant: TenantId, trader: httpx.AsyncClient) -> None:
    placed = await _placed(trader, RESTING)
    viewer = functions.caller("trade", tenant, role="viewer")

    assert (await viewer.get("/trades")).json()["items"][0]["id"] == placed["id"]
    assert (await viewer.get(f"/trades/{placed['id']}")).status_code == 200


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_other_tenants_trade_is_404_and_untouched(
    functions: Functions, trader: httpx.AsyncClient, other_tenant: TenantId, method: str
) -> None:
    placed = await _placed(trader, RESTING)
    stranger = functions.caller("trade", other_tenant)

    answer = await stranger.request(method, f"/trades/{placed['id']}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await stranger.get("/trades")).json()["items"] == []
    assert (await stranger.post("/trades/cancel-all")).json()["items"] == []
    assert (await trader.get(f"/trades/{placed['id']}")).json()["status"] == "open"


@pytest.mark.parametrize(
    "trade_id", ["1", "not-a-uuid", "0197c9d2-0000-7000-8000-000000000001", "%27;--", "{}"]
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_unknown_id_is_404(trader: httpx.AsyncClient, method: str, trade_id: str) -> None:
    answer = await trader.request(method, f"/trades/{trade_id}")

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
