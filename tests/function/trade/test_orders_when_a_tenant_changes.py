"""Orders of tenants that were suspended or downgraded a moment ago."""

from typing import Any

import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from tests.conftest import TenantFactory
from tests.function.conftest import Functions
from tests.tenants import change_tenant

BUY = {"symbol": "BTC-USDT", "side": "buy", "type": "market", "quantity": "0.01"}
REST = {"symbol": "BTC-USDT", "side": "buy", "type": "limit", "price": "40000", "quantity": "0.01"}


async def orders(database: Database, tenant: TenantId) -> int:
    async with database.tenant(tenant) as session:
        count: int = await session.fetchval("SELECT count(*) FROM trades")
    return count


@pytest.mark.parametrize("order", [BUY, BUY | {"side": "sell"}, REST], ids=["buy", "sell", "limit"])
@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("suspended", "tenant_suspended"),
        ("cancelled", "tenant_cancelled"),
        ("failed", "tenant_not_active"),
    ],
)
async def test_not_one_order_is_placed_after_the_change_although_the_request_was_let_in(
    functions: Functions,
    tenant: TenantId,
    database: DatabaseUrls,
    app_database: Database,
    status: str,
    code: str,
    order: dict[str, Any],
) -> None:
    trader = functions.caller("trade", tenant)
    # The process has just read that the tenant is active, and believes it for up to a second.
    assert (await trader.post("/trades", json=BUY)).status_code == 201
    await change_tenant(database, tenant, status=status)

    answer = await trader.post("/trades", json=order, headers={"Idempotency-Key": "late"})

    assert (answer.status_code, answer.json()["code"]) == (403, code)
    assert await orders(app_database, tenant) == 1


async def test_a_suspended_tenant_cancels_what_is_open_and_places_nothing(
    functions: Functions, tenant: TenantId, database: DatabaseUrls, app_database: Database
) -> None:
    trader = functions.caller("trade", tenant)
    first, *_ = [(await trader.post("/trades", json=REST)).json() for _ in range(3)]
    await change_tenant(database, tenant, status="suspended")

    assert (await trader.delete(f"/trades/{first['id']}")).json()["status"] == "cancelled"
    answer = await trader.post("/trades/cancel-all")
    assert answer.status_code == 200
    assert [trade["status"] for trade in answer.json()["items"]] == ["cancelled", "cancelled"]
    assert (await trader.post("/trades", json=BUY)).json()["code"] == "tenant_suspended"
    assert (await trader.get("/trades")).status_code == 200


async def test_limits_set_in_a_higher_tier_do_not_outlive_it(
    functions: Functions, new_tenant: TenantFactory, database: DatabaseUrls, app_database: Database
) -> None:
    tenant = await new_tenant(tier="pro")
    async with app_database.tenant(tenant) as session:
        await session.execute(
            "UPDATE risk_limits SET max_position_pct = 2, max_leverage = 2, max_open_positions = 20"
        )
    trader = functions.caller("trade", tenant)
    assert (await trader.post("/trades", json=BUY | {"quantity": "1"})).status_code == 201
    await change_tenant(database, tenant, tier="starter")

    # 150 % of the equity: within the stored leverage of 2, beyond the tier's 1.
    refused = await trader.post("/trades", json=BUY | {"quantity": "2"})

    assert (refused.status_code, refused.json()["limit"]) == (403, "max_leverage")


async def test_an_agreed_number_of_open_positions_replaces_the_tiers(
    functions: Functions, tenant: TenantId, database: DatabaseUrls
) -> None:
    await change_tenant(database, tenant, limit_overrides={"open_positions": 1})
    trader = functions.caller("trade", tenant)
    assert (await trader.post("/trades", json=BUY)).status_code == 201

    second = await trader.post("/trades", json=BUY | {"symbol": "ETH-USDT", "quantity": "0.1"})

    assert (second.status_code, second.json()["limit"]) == (403, "max_open_positions")
