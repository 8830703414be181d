"""Settings of automatic trading: off by default, bounded, audited, real money only when said so."""

from typing import Any

import asyncpg
import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse.trading import venues
from tests.function.conftest import Caller, Functions

PATH = "/agents/auto-trade"


async def test_settings_are_off_and_on_paper_until_they_are_changed(caller: Caller, tenant: TenantId) -> None:
    settings = (await caller("agents", tenant).get(PATH)).json()

    assert settings == {
        "enabled": False,
        "exchange": "paper",
        "confirmed_at": None,
        "symbols": [],
        "min_score": "0.3",
        "position_pct": "5",
        "cooldown_seconds": 3600,
        "max_orders_per_day": 10,
        "halted_at": None,
        "halt_reason": None,
        "version": 0,
        "updated_at": None,
    }


async def test_a_change_is_a_version_and_leaves_the_rest_as_it_is(
    caller: Caller, tenant: TenantId, app_database: Database
) -> None:
    client = caller("agents", tenant)

    first = (await client.post(PATH, json={"enabled": True, "position_pct": "2.5"})).json()
    second = (await client.post(PATH, json={"min_score": "0.45"})).json()

    assert (first["version"], first["enabled"], first["position_pct"]) == (1, True, "2.5")
    assert (second["version"], second["enabled"], second["position_pct"]) == (2, True, "2.5")
    assert second["min_score"] == "0.45"
    assert (await client.get(PATH)).json() == second
    async with app_database.tenant(tenant) as session:
        rows = await session.fetch("SELECT action, details FROM audit_log ORDER BY created_at")
    changes = [row["details"] for row in rows if row["action"] == "auto_trade.changed"]
    assert changes == [{"enabled": True, "position_pct": "2.5"}, {"min_score": "0.45"}]


async def test_a_retry_with_the_same_key_changes_once(caller: Caller, tenant: TenantId) -> None:
    client, key = caller("agents", tenant), {"Idempotency-Key": "auto-1"}

    answers = [await client.post(PATH, json={"enabled": True}, headers=key) for _ in range(2)]

    assert [answer.json()["version"] for answer in answers] == [1, 1]


@pytest.mark.parametrize(
    "body",
    [
        {"min_score": "0.1"},
        {"min_score": "1.01"},
        {"min_score": "NaN"},
        {"position_pct": "0"},
        {"position_pct": "100.01"},
        {"cooldown_seconds": -1},
        {"cooldown_seconds": 604_801},
        {"max_orders_per_day": 0},
        {"max_orders_per_day": 1.5},
        {"symbols": ["btc"]},
        {"symbols": ["NOPE-USDT"]},
        {"exchange": "../paper"},
        {"enabled": "perhaps"},
        {"surprise": 1},
        [],
    ],
)
async def test_what_is_out_of_bounds_is_refused_and_changes_nothing(
    caller: Caller, tenant: TenantId, body: Any
) -> None:
    client = caller("agents", tenant)

    assert (await client.post(PATH, json=body)).status_code == 422
    assert (await client.get(PATH)).json()["version"] == 0


async def test_an_exchange_without_orders_is_refused(caller: Caller, tenant: TenantId) -> None:
    answer = await caller("agents", tenant).post(PATH, json={"exchange": "binance"})

    assert (answer.status_code, answer.json()["code"]) == (422, "unsupported_exchange")


async def test_real_money_needs_a_working_key_and_a_confirmation(
    caller: Caller, tenant: TenantId, database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(venues, "ORDER_EXCHANGES", frozenset({"paper", "kraken"}))
    client, real = caller("agents", tenant), {"exchange": "kraken", "enabled": True}

    assert (await client.post(PATH, json=real)).json()["code"] == "credentials_missing"
    await _store_key(database, tenant)
    assert (await client.post(PATH, json=real)).json()["code"] == "confirmation_required"
    confirmed = (await client.post(PATH, json=real | {"confirm_real_money": True})).json()
    assert (confirmed["exchange"], confirmed["enabled"]) == ("kraken", True)
    assert confirmed["confirmed_at"] is not None
    # A later change of something else keeps the confirmation; going back to paper ends it.
    kept = (await client.post(PATH, json={"min_score": "0.5"})).json()
    assert kept["confirmed_at"] == confirmed["confirmed_at"]
    assert (await client.post(PATH, json={"exchange": "paper"})).json()["confirmed_at"] is None
    assert (await client.post(PATH, json=real)).json()["code"] == "confirmation_required"


async def test_a_viewer_reads_and_a_stranger_sees_nothing_of_it(
    functions: Functions, tenant: TenantId, other_tenant: TenantId
) -> None:
    await functions.caller("agents", tenant).post(PATH, json={"enabled": True})

    assert (await functions.caller("agents").get(PATH)).status_code == 401
    assert (await functions.caller("agents").post(PATH, json={})).status_code == 401
    viewer = functions.caller("agents", tenant, role="viewer")
    assert (await viewer.get(PATH)).json()["enabled"] is True
    assert (await viewer.post(PATH, json={"enabled": False})).status_code == 403
    stranger = functions.caller("agents", other_tenant)
    assert (await stranger.get(PATH)).json()["enabled"] is False
    assert (await stranger.get(f"{PATH}/decisions")).json() == {"items": [], "next_cursor": None}


async def _store_key(database: DatabaseUrls, tenant: TenantId) -> None:
    connection = await asyncpg.connect(database.app)
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL app.current_tenant_id = '{tenant}'")
            await connection.execute(
                """INSERT INTO tenant_credentials (tenant_id, id, exchange, key_hint, status)
                VALUES ($1, gen_random_uuid(), 'kraken', '...abcd', 'valid')""",
                tenant.value,
            )
    finally:
        await connection.close()
