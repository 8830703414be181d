"""Exchange keys on the whole platform: stored, rotated, failed, removed; and nowhere to be read."""

import pytest

from alphapulse_local.testing import RunningPlatform
from tests.e2e.conftest import User, eventually
from tests.e2e.test_secrets import written_by
from tests.exchange_simulators.running import RunningExchanges

pytestmark = pytest.mark.e2e

ORDER = {"symbol": "BTC-USD", "side": "buy", "type": "market", "quantity": "0.01"}


def test_a_key_is_stored_rotated_and_removed_and_is_in_nothing_the_platform_wrote(
    platform: RunningPlatform, stranger: User, exchanges: RunningExchanges
) -> None:
    first, second, kraken = exchanges.binance_key(), exchanges.binance_key(), exchanges.kraken_key()
    stored = stranger.post("/credentials", first)
    stranger.post("/credentials", kraken)
    rotated = stranger.http.put(
        f"/credentials/{stored['id']}", json={name: second[name] for name in ("api_key", "api_secret")}
    )
    checked = stranger.post(f"/credentials/{stored['id']}/check", {}, expect=200)
    refused = stranger.http.post("/credentials", json=first | {"exchange": "coinbase"})

    assert (rotated.status_code, checked["version"], checked["status"]) == (200, 2, "valid")
    assert (refused.status_code, refused.json()["code"]) == (422, "malformed_secret")
    assert [item["exchange"] for item in stranger.get("/credentials")["items"]] == ["binance", "kraken"]
    assert stranger.http.delete(f"/credentials/{stored['id']}").status_code == 204
    assert [item["exchange"] for item in stranger.get("/credentials")["items"]] == ["kraken"]
    eventually(lambda: "credential.stored" in "".join(written_by(platform).values()), bool)
    leaks = [
        f"{name} in {path}"
        for path, text in written_by(platform).items()
        for body in (first, second, kraken)
        for name in ("api_key", "api_secret")
        if body[name] in text
    ]
    assert leaks == []


def test_a_key_that_comes_to_withdraw_stops_trading_on_that_exchange_alone(
    user: User, exchanges: RunningExchanges
) -> None:
    body = exchanges.binance_key()
    stored = user.post("/credentials", body)
    exchanges.binance.keys[body["api_key"]].may_withdraw = True

    checked = user.post(f"/credentials/{stored['id']}/check", {}, expect=200)

    assert (checked["status"], checked["failure"]) == ("failed", "withdrawal_permission")
    refused = user.http.post("/trades", json=ORDER | {"exchange": "binance"})
    assert (refused.status_code, refused.json()["code"]) == (403, "credentials_failed")
    user.post("/trades", ORDER)
