"""No order goes to an exchange whose key has failed; the paper exchange needs no key."""

import pytest
from uuid_utils.compat import uuid7

from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from tests.function.conftest import Functions

ORDER = {"symbol": "BTC-USDT", "side": "buy", "type": "market", "quantity": "0.01"}


async def _credential(database: Database, tenant: TenantId, exchange: str, status: str) -> None:
    async with database.tenant(tenant) as session:
        await session.execute(
            """INSERT INTO tenant_credentials (tenant_id, id, exchange, key_hint, status)
            VALUES ($1, $2, $3, 'abcd', $4)""",
            tenant.value,
            uuid7(),
            exchange,
            status,
        )


@pytest.mark.parametrize("status", ["failed", "revoked", "unchecked"])
async def test_order_with_a_key_that_is_not_valid_is_refused(
    functions: Functions, tenant: TenantId, app_database: Database, status: str
) -> None:
    await _credential(app_database, tenant, "kraken", status)

    answer = await functions.caller("trade", tenant).post("/trades", json=ORDER | {"exchange": "kraken"})

    assert answer.status_code == 403
    problem = answer.json()
    assert (problem["code"], problem["credential_status"]) == ("credentials_failed", status)
    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT count(*) FROM trades") == 0


async def test_failed_key_of_one_exchange_stops_no_other(
    functions: Functions, tenant: TenantId, app_database: Database
) -> None:
    await _credential(app_database, tenant, "kraken", "failed")
    await _credential(app_database, tenant, "binance", "valid")
    caller = functions.caller("trade", tenant)

    paper = await caller.post("/trades", json=ORDER)
    binance = await caller.post("/trades", json=ORDER | {"exchange": "binance"})

    assert paper.status_code == 201
    assert binance.json()["code"] == "unsupported_exchange"


async def test_failed_key_of_another_tenant_stops_nobody(
    functions: Functions, tenant: TenantId, other_tenant: TenantId, app_database: Database
) -> None:
    await _credential(app_database, other_tenant, "kraken", "failed")

    answer = await functions.caller("trade", tenant).post("/trades", json=ORDER | {"exchange": "kraken"})

    assert answer.json()["code"] == "unsupported_exchange"
