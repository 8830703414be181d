"""Keys are checked every six hours; three failures stop trading, and what is left over in Vault goes."""

import asyncio
import datetime as dt
from typing import Any

import httpx
import pytest

from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from functions.credential_health import service
from tests.conftest import TenantFactory
from tests.function.conftest import Broker, Clock, Functions
from tests.function.credentials.conftest import Venues, credential_rows, stored, swept
from tests.tcp_proxy import TcpProxy
from tests.vault_for_functions import FunctionVault

ORDER = {"symbol": "BTC-USDT", "side": "buy", "type": "market", "quantity": "1", "exchange": "binance"}


async def _checked(functions: Functions, tenant: TenantId, clock: Clock) -> httpx.Response:
    """Let six hours pass and have the tenant's keys checked."""
    clock.advance(hours=6)
    return await swept(functions, tenant, clock)


async def _view(functions: Functions, tenant: TenantId) -> dict[str, Any]:
    (view,) = (await functions.caller("credentials", tenant).get("/credentials")).json()["items"]
    found: dict[str, Any] = view
    return found


async def _traded(functions: Functions, tenant: TenantId) -> str:
    code: str = (await functions.caller("trade", tenant).post("/trades", json=ORDER)).json()["code"]
    return code


async def test_good_key_stays_valid(
    functions: Functions, tenant: TenantId, venues: Venues, clock: Clock, broker: Broker
) -> None:
    await stored(functions, tenant, venues.binance_key())
    before = await _view(functions, tenant)

    answer = await _checked(functions, tenant, clock)

    assert answer.status_code == 204, answer.text
    after = await _view(functions, tenant)
    assert (after["status"], after["failures"]) == ("valid", 0)
    assert after["checked_at"] > before["checked_at"]
    assert broker.named("credential.failed", tenant) == []


async def test_third_failure_in_a_row_stops_trading_and_tells_the_tenant_once(
    functions: Functions, tenant: TenantId, venues: Venues, clock: Clock, broker: Broker
) -> None:
    body = venues.binance_key()
    credential_id = await stored(functions, tenant, body)
    del venues.binance.keys[body["api_key"]]

    seen = []
    for _ in range(4):
        await _checked(functions, tenant, clock)
        view = await _view(functions, tenant)
        seen.append((view["status"], view["failures"], view["failure"], await _traded(functions, tenant)))

    assert seen == [
        ("valid", 1, "key_refused", "unsupported_exchange"),
        ("valid", 2, "key_refused", "unsupported_exchange"),
        ("failed", 3, "key_refused", "credentials_failed"),
        ("failed", 4, "key_refused", "credentials_failed"),
    ]
    (event,) = await broker.wait_for("credential.failed", tenant_id=tenant)
    assert (event.data["credential_id"], event.data["reason"]) == (credential_id, "key_refused")
    (notice,) = await broker.wait_for("notification.requested", tenant_id=tenant)
    assert (notice.data["kind"], notice.data["recipient"]) == ("credential_failed", "owner")
    assert notice.data["parameters"]["exchange"] == "binance"
    assert body["api_key"] not in str(notice.data)
    await functions.settle()
    assert len(broker.named("credential.failed", tenant)) == 1


async def test_checks_at_once_tell_of_a_failed_key_once(
    functions: Functions, tenant: TenantId, venues: Venues, broker: Broker
) -> None:
    body = venues.binance_key()
    credential_id = await stored(functions, tenant, body)
    venues.binance.keys[body["api_key"]].may_withdraw = True
    owner = functions.caller("credentials", tenant)

    answers = await asyncio.gather(*(owner.post(f"/credentials/{credential_id}/check") for _ in range(5)))
    await functions.settle()

    assert {(answer.status_code, answer.json()["status"]) for answer in answers} == {(200, "failed")}
    assert len(broker.named("credential.failed", tenant)) == 1
    assert len(broker.named("notification.requested", tenant)) == 1


async def test_success_in_between_starts_the_count_again(
    functions: Functions, tenant: TenantId, venues: Venues, clock: Clock
) -> None:
    body = venues.binance_key()
    await stored(functions, tenant, body)
    key = venues.binance.keys.pop(body["api_key"])
    for _ in range(2):
        await _checked(functions, tenant, clock)
    venues.binance.keys[body["api_key"]] = key
    await _checked(functions, tenant, clock)
    del venues.binance.keys[body["api_key"]]

    await _checked(functions, tenant, clock)

    view = await _view(functions, tenant)
    assert (view["status"], view["failures"]) == ("valid", 1)


async def test_key_that_has_come_to_withdraw_is_failed_at_once(
    functions: Functions, tenant: TenantId, venues: Venues, clock: Clock, broker: Broker
) -> None:
    body = venues.binance_key()
    await stored(functions, tenant, body)
    venues.binance.keys[body["api_key"]].may_withdraw = True

    await _checked(functions, tenant, clock)

    view = await _view(functions, tenant)
    assert (view["status"], view["failure"]) == ("failed", "withdrawal_permission")
    assert await _traded(functions, tenant) == "credentials_failed"
    await broker.wait_for("credential.failed", tenant_id=tenant)


async def test_owner_who_has_repaired_the_key_trades_again_after_a_check(
    functions: Functions, tenant: TenantId, venues: Venues, clock: Clock
) -> None:
    body = venues.binance_key()
    credential_id = await stored(functions, tenant, body)
    venues.binance.keys[body["api_key"]].may_withdraw = True
    await _checked(functions, tenant, clock)
    venues.binance.keys[body["api_key"]].may_withdraw = False

    answer = await functions.caller("credentials", tenant).post(f"/credentials/{credential_id}/check")

    assert (answer.status_code, answer.json()["status"]) == (200, "valid")
    assert await _traded(functions, tenant) == "unsupported_exchange"


async def test_exchange_that_is_down_says_nothing_about_the_key(
    functions: Functions, tenant: TenantId, venues: Venues, clock: Clock
) -> None:
    credential_id = await stored(functions, tenant, venues.binance_key())
    venues.binance.down = 503

    answers = [await _checked(functions, tenant, clock) for _ in range(4)]
    asked = await functions.caller("credentials", tenant).post(f"/credentials/{credential_id}/check")

    assert {answer.status_code for answer in answers} == {204}
    assert (asked.status_code, asked.json()["code"]) == (502, "exchange_unavailable")
    view = await _view(functions, tenant)
    assert (view["status"], view["failures"]) == ("valid", 0)


async def test_one_exchange_that_is_down_does_not_keep_others_from_being_checked(
    functions: Functions, tenant: TenantId, venues: Venues, clock: Clock, app_database: Database
) -> None:
    await stored(functions, tenant, venues.binance_key())
    await stored(functions, tenant, venues.kraken_key())
    venues.binance.down = 503

    await _checked(functions, tenant, clock)

    binance, kraken = await credential_rows(app_database, tenant)
    assert binance["checked_at"] < kraken["checked_at"]


async def test_request_that_is_delivered_twice_counts_one_failure(
    functions: Functions, tenant: TenantId, venues: Venues, clock: Clock
) -> None:
    body = venues.binance_key()
    await stored(functions, tenant, body)
    del venues.binance.keys[body["api_key"]]
    clock.fixed = clock() + dt.timedelta(hours=6)
    event = functions.event("credential.check.requested", {"requested_at": clock.fixed.isoformat()}, tenant)

    for _ in range(3):
        await functions.deliver("credential_health", event)

    assert (await _view(functions, tenant))["failures"] == 1


async def test_key_that_is_rotated_while_it_is_checked_does_not_inherit_the_failure(
    functions: Functions, tenant: TenantId, venues: Venues, clock: Clock
) -> None:
    old, new = venues.binance_key(), venues.binance_key()
    credential_id = await stored(functions, tenant, old)
    del venues.binance.keys[old["api_key"]]
    keys = {name: value for name, value in new.items() if name != "exchange"}

    async def rotate() -> None:
        venues.binance.before_answer = None
        await functions.caller("credentials", tenant).put(f"/credentials/{credential_id}", json=keys)

    venues.binance.before_answer = rotate
    await _checked(functions, tenant, clock)

    view = await _view(functions, tenant)
    assert (view["version"], view["failures"]) == (2, 0)


async def test_vault_being_down_is_tried_again_and_counts_no_failure(
    functions: Functions, tenant: TenantId, venues: Venues, clock: Clock, way_to_vault: TcpProxy
) -> None:
    await stored(functions, tenant, venues.binance_key())
    await way_to_vault.down()

    answer = await _checked(functions, tenant, clock)

    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert (await _view(functions, tenant))["failures"] == 0


async def test_secret_that_is_gone_is_a_failure(
    functions: Functions, tenant: TenantId, venues: Venues, vault: FunctionVault, clock: Clock
) -> None:
    await stored(functions, tenant, venues.binance_key())
    vault.send("DELETE", f"secret/metadata/tenants/{tenant}/exchanges/binance")

    await _checked(functions, tenant, clock)

    assert (await _view(functions, tenant))["failure"] == "secret_missing"


async def test_schedule_asks_for_a_check_of_every_living_tenant(
    functions: Functions, new_tenant: TenantFactory, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_PAUSE_SECONDS", 0.0)
    living = [await new_tenant(), await new_tenant(status="suspended")]
    gone = await new_tenant(status="deleted")
    tick = functions.tick("credential-health")

    answer = await functions.deliver("credential_health", tick)

    assert answer.status_code == 204, answer.text
    for tenant in living:
        (event,) = broker.named("credential.check.requested", tenant)
        assert event.data["requested_at"] == tick.time.isoformat().replace("+00:00", "Z")
    assert broker.named("credential.check.requested", gone) == []


async def test_schedule_is_tried_again_when_the_broker_is_down(
    functions: Functions, tenant: TenantId, broker: Broker
) -> None:
    broker.up = False

    answer = await functions.deliver("credential_health", functions.tick("credential-health"))

    assert answer.status_code == 503


async def test_tenant_that_was_deleted_meanwhile_is_left_alone(
    functions: Functions, new_tenant: TenantFactory, clock: Clock
) -> None:
    # Its policy is gone, so Vault would refuse whatever is asked about it.
    assert (await _checked(functions, await new_tenant(status="deleted"), clock)).status_code == 204


async def test_tenant_without_keys_costs_nothing_and_fails_nothing(
    functions: Functions, tenant: TenantId, clock: Clock
) -> None:
    assert (await _checked(functions, tenant, clock)).status_code == 204
