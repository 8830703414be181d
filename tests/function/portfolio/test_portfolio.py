"""What a trader is told about the portfolio, and how it follows trades."""

import datetime as dt
import random
from decimal import Decimal
from typing import Any

import httpx
import pytest

from alphapulse.events import Event
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from functions.portfolio.schemas import History, PortfolioView, PositionList, PositionView
from tests.function.conftest import Broker, Clock, Functions, Market

BUY = {"symbol": "BTC-USDT", "side": "buy", "type": "market", "quantity": "0.1"}


@pytest.fixture
def reader(functions: Functions, tenant: TenantId) -> httpx.AsyncClient:
    return functions.caller("portfolio", tenant)


async def _trade(functions: Functions, tenant: TenantId, **change: str) -> dict[str, Any]:
    answer = await functions.caller("trade", tenant).post("/trades", json={**BUY, **change})
    assert answer.status_code == 201, answer.text
    trade: dict[str, Any] = answer.json()
    return trade


async def _told(functions: Functions, tenant: TenantId, trade: dict[str, Any]) -> httpx.Response:
    name = {"filled": "trade.filled", "cancelled": "trade.cancelled"}[trade["status"]]
    return await functions.deliver("portfolio", functions.event(name, trade, tenant))


async def test_tenant_without_a_trade_has_its_starting_cash(reader: httpx.AsyncClient) -> None:
    answer = await reader.get("/portfolio")

    assert answer.status_code == 200
    PortfolioView.model_validate(answer.json())
    figures = answer.json()
    assert figures["equity"] == "100000"
    assert figures["cash"] == {"USD": "100000"}
    assert figures["positions"] == []
    assert (figures["realised_pnl"], figures["unrealised_pnl"], figures["day_pnl"]) == ("0", "0", "0")
    assert (figures["leverage"], figures["currency"], figures["stale"]) == ("0", "USD", False)


async def test_position_is_valued_at_the_last_price(
    functions: Functions, tenant: TenantId, reader: httpx.AsyncClient, market: Market
) -> None:
    await _trade(functions, tenant)
    await market.price("BTC-USDT", "60000")

    figures = (await reader.get("/portfolio")).json()

    # Bought 0.1 at 50,005 with a fee of 5.0005; worth 6,000 now.
    cost = Decimal("5005.5005")
    (position,) = figures["positions"]
    PositionView.model_validate(position)
    assert position["average_price"] == "50055.005"
    assert (position["last_price"], position["market_value"]) == ("60000", "6000")
    assert Decimal(position["unrealised_pnl"]) == 6000 - cost
    assert position["stale"] is False
    assert Decimal(figures["equity"]) == 100_000 + 6000 - cost
    assert Decimal(figures["day_pnl"]) == 6000 - cost
    assert Decimal(figures["leverage"]) == round(6000 / Decimal(figures["equity"]), 6)


async def test_figures_follow_a_naive_account_through_many_trades(
    functions: Functions, tenant: TenantId, reader: httpx.AsyncClient, market: Market
) -> None:
    chance = random.Random(7)
    cash, held, cost, realised = Decimal(100_000), Decimal(0), Decimal(0), Decimal(0)
    price = Decimal(50_000)
    for _ in range(12):
        price = Decimal(chance.randint(48_000, 52_000))
        await market.price("BTC-USDT", str(price))
        lots = chance.randint(1, 3000)
        sell = held > 0 and chance.random() < 0.5
        quantity = min(held, Decimal(lots) / 100_000) if sell else Decimal(lots) / 100_000
        trade = await _trade(functions, tenant, side="sell" if sell else "buy", quantity=str(quantity))
        notional = quantity * Decimal(trade["average_price"])
        fee = Decimal(trade["fee"]["amount"])
        assert fee == notional / 1000
        if sell:
            share = cost * quantity / held
            cash += notional - fee
            realised += notional - fee - share
            cost, held = cost - share, held - quantity
        else:
            cash -= notional + fee
            cost, held = cost + notional + fee, held + quantity

    figures = (await reader.get("/portfolio")).json()

    assert Decimal(figures["cash"]["USD"]) == cash
    assert Decimal(figures["equity"]) == cash + held * price
    # The average is kept to 18 places, the naive cost to 28 digits.
    assert abs(Decimal(figures["realised_pnl"]) - realised) < Decimal("1e-12")
    assert abs(Decimal(figures["unrealised_pnl"]) - (held * price - cost)) < Decimal("1e-12")


async def test_price_that_is_gone_leaves_the_last_fill_and_says_stale(
    functions: Functions, tenant: TenantId, reader: httpx.AsyncClient, market: Market, clock: Clock
) -> None:
    await _trade(functions, tenant)
    (market.directory / "BTC-USDT_1m.csv").unlink()
    await market.forget("BTC-USDT")
    clock.advance(minutes=1)

    figures = (await reader.get("/portfolio")).json()

    assert figures["stale"] is True
    assert figures["positions"][0]["stale"] is True
    assert figures["positions"][0]["last_price"] == "50005"


async def test_positions_are_listed_and_found_by_symbol(
    functions: Functions, tenant: TenantId, reader: httpx.AsyncClient
) -> None:
    await _trade(functions, tenant)
    await _trade(functions, tenant, symbol="ETH-USDT", quantity="1")
    await _trade(functions, tenant, symbol="ETH-USDT", quantity="1", side="sell")

    listed = (await reader.get("/positions")).json()

    PositionList.model_validate(listed)
    assert [position["symbol"] for position in listed["items"]] == ["BTC-USDT"]
    assert (await reader.get("/positions/BTC-USDT")).json()["quantity"] == "0.1"


@pytest.mark.parametrize("symbol", ["ETH-USDT", "nonsense", "%00", "x" * 500])
async def test_position_that_is_not_held_is_404_or_invalid(reader: httpx.AsyncClient, symbol: str) -> None:
    answer = await reader.get(f"/positions/{symbol}")

    assert answer.status_code in {404, 422}
    assert answer.json()["code"] in {"not_found", "invalid"}


async def test_trade_event_is_snapshotted_and_answered_with_portfolio_changed(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    trade = await _trade(functions, tenant)
    event = functions.event("trade.filled", trade, tenant)

    answer = await functions.deliver("portfolio", event)
    again = await functions.deliver("portfolio", event)

    assert answer.status_code == 200, answer.text
    reply = Event.from_http(answer.headers, answer.content)
    assert reply.name == "portfolio.changed"
    assert reply.tenant_id == tenant.value
    assert reply.data["trade_id"] == trade["id"]
    assert reply.extensions["causationid"] == event.id
    async with app_database.tenant(tenant) as session:
        rows = await session.fetch("SELECT equity, cash, stale FROM portfolio_history")
    assert len(rows) == 1
    assert rows[0]["equity"] == Decimal(str(reply.data["equity"]))
    assert rows[0]["cash"] == 100_000 - Decimal("5005.5005")
    # A redelivery has no second effect and the same reply.
    assert Event.from_http(again.headers, again.content).id == reply.id


async def test_portfolio_is_cached_until_a_trade_drops_it(
    functions: Functions, tenant: TenantId, reader: httpx.AsyncClient
) -> None:
    before = (await reader.get("/portfolio")).json()
    cached = (await reader.get("/portfolio")).json()
    await _trade(functions, tenant)
    after = (await reader.get("/portfolio")).json()

    assert cached["as_of"] == before["as_of"]
    assert after["positions"] != []


async def test_peak_rises_with_a_snapshot_and_never_falls(
    functions: Functions, tenant: TenantId, market: Market, app_database: Database
) -> None:
    async def peak() -> Decimal:
        async with app_database.tenant(tenant) as session:
            found: Decimal = await session.fetchval("SELECT peak_equity FROM portfolios")
        return found

    trade = await _trade(functions, tenant)
    await market.price("BTC-USDT", "80000")
    await _told(functions, tenant, trade)
    high = await peak()
    await market.price("BTC-USDT", "30000")
    await _told(functions, tenant, trade)

    assert high == 100_000 - Decimal("5005.5005") + 8000
    assert await peak() == high


async def test_day_profit_counts_from_the_first_snapshot_of_the_day(
    functions: Functions,
    tenant: TenantId,
    clock: Clock,
    app_database: Database,
) -> None:
    clock.fixed = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
    await _snapshots(
        app_database,
        tenant,
        {"2026-03-01T23:00:00Z": 90_000, "2026-03-02T08:00:00Z": 99_000, "2026-03-02T08:30:00Z": 95_000},
    )
    today = await _uncached(functions, tenant)
    clock.advance(days=1, minutes=1)
    tomorrow = await _uncached(functions, tenant)

    assert today["day_pnl"] == "1000"
    assert tomorrow["day_pnl"] == "5000"


async def test_history_gives_the_last_snapshot_of_each_interval(
    reader: httpx.AsyncClient, tenant: TenantId, app_database: Database
) -> None:
    await _snapshots(
        app_database,
        tenant,
        {
            "2026-03-01T10:00:00Z": 1,
            "2026-03-01T10:59:59Z": 2,
            "2026-03-01T11:00:00Z": 3,
            "2026-03-01T13:10:00Z": 4,
            "2026-03-01T13:20:00Z": 5,
            "2026-03-02T00:00:00Z": 6,
        },
    )

    async def equities(**params: str) -> dict[str, str]:
        answer = await reader.get(
            "/portfolio/history",
            params={"from": "2026-03-01T10:00:00Z", "to": "2026-03-02T00:00:00Z", **params},
        )
        assert answer.status_code == 200, answer.text
        History.model_validate(answer.json())
        return {item["bucket"][8:16]: item["equity"] for item in answer.json()["items"]}

    assert await equities(interval="1h") == {
        "01T10:00": "2",
        "01T11:00": "3",
        "01T13:00": "5",
        "02T00:00": "6",
    }
    assert await equities(interval="1d") == {"01T00:00": "5", "02T00:00": "6"}
    assert await equities(interval="4h") == {"01T08:00": "3", "01T12:00": "5", "02T00:00": "6"}
    assert await equities(interval="1m", to="2026-03-01T10:30:00+00:00") == {"01T10:00": "1"}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"interval": "2h"}, "validation_failed"),
        ({"from": "yesterday"}, "validation_failed"),
        ({"from": "2026-03-01T10:00:00"}, "validation_failed"),
        ({"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"}, "invalid_range"),
        ({"from": "2020-01-01T00:00:00Z", "interval": "1m"}, "invalid_range"),
        ({"to": "0001-01-01T00:00:00Z"}, "validation_failed"),
        ({"from": "0001-01-01T00:00:00+14:00"}, "validation_failed"),
        ({"to": "9999-12-31T23:59:59-12:00"}, "validation_failed"),
    ],
)
async def test_bad_history_parameters_are_422(
    reader: httpx.AsyncClient, params: dict[str, str], code: str
) -> None:
    answer = await reader.get("/portfolio/history", params=params)

    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == code


ROUTES = ["/portfolio", "/portfolio/history", "/positions", "/positions/BTC-USDT"]


@pytest.mark.parametrize("path", ROUTES)
async def test_anonymous_is_401(functions: Functions, path: str) -> None:
    assert (await functions.caller("portfolio").get(path)).status_code == 401


@pytest.mark.parametrize("path", ROUTES)
async def test_viewer_reads_the_portfolio(functions: Functions, tenant: TenantId, path: str) -> None:
    await _trade(functions, tenant)

    assert (await functions.caller("portfolio", tenant, role="viewer").get(path)).status_code == 200


async def test_other_tenant_sees_nothing_of_it(
    functions: Functions, tenant: TenantId, other_tenant: TenantId
) -> None:
    trade = await _trade(functions, tenant)
    await _told(functions, tenant, trade)
    stranger = functions.caller("portfolio", other_tenant)

    assert (await stranger.get("/portfolio")).json()["positions"] == []
    assert (await stranger.get("/positions/BTC-USDT")).status_code == 404
    assert (await stranger.get("/portfolio/history")).json()["items"] == []


async def test_trade_whose_portfolio_event_is_of_another_tenant_changes_only_that_one(
    functions: Functions, tenant: TenantId, other_tenant: TenantId, app_database: Database, broker: Broker
) -> None:
    trade = await _trade(functions, tenant)

    await _told(functions, other_tenant, trade)

    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT count(*) FROM portfolio_history") == 0
    async with app_database.tenant(other_tenant) as session:
        assert await session.fetchval("SELECT equity FROM portfolio_history") == 100_000


async def _uncached(functions: Functions, tenant: TenantId) -> dict[str, Any]:
    await functions.resources("portfolio").cache.tenant(tenant).drop("portfolio")
    figures: dict[str, Any] = (await functions.caller("portfolio", tenant).get("/portfolio")).json()
    return figures


async def _snapshots(database: Database, tenant: TenantId, equities: dict[str, int]) -> None:
    async with database.tenant(tenant) as session:
        await session.executemany(
            """INSERT INTO portfolio_history (tenant_id, at, equity, cash, realised_pnl, unrealised_pnl)
            VALUES ($1, $2, $3, $3, 0, 0)""",
            [
                (tenant.value, dt.datetime.fromisoformat(at), Decimal(equity))
                for at, equity in equities.items()
            ],
        )
