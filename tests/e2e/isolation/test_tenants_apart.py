"""One tenant's things do not exist for another: every route of the merged document, generated."""

import re
import secrets
import uuid
from typing import Any

import pytest

from tests.e2e.conftest import User
from tests.e2e.isolation.conftest import PUBLIC, Execute, routes

pytestmark = pytest.mark.e2e


# A body is judged before the thing is looked for.
BODIES = {
    "PUT /credentials/{credential_id}": {"api_key": "k" * 64, "api_secret": "s" * 64},
    "PATCH /tenants/me/users/{user_id}": {"role": "trader"},
}


@pytest.fixture
def things(user: User, execute: Execute) -> dict[str, str]:
    """One of each thing that has an id, owned by `user`."""
    credential_id = str(uuid.uuid4())
    execute(
        "INSERT INTO tenant_credentials (tenant_id, id, exchange, key_hint)"
        " VALUES ($1, $2, 'binance', 'abcd')",
        uuid.UUID(user.tenant_id),
        uuid.UUID(credential_id),
    )
    colleague = {"email": f"{secrets.token_hex(8)}@example.com", "role": "viewer"}
    user.follow_technical_alone("1d")
    run_id = user.run_agents("BTC-USD")
    trade = user.post("/trades", {"symbol": "BTC-USD", "side": "buy", "type": "market", "quantity": "0.1"})
    asked = {"symbol": "BTC-USD", "interval": "1d", "agent": "technical"}
    backtest_id = user.post("/agents/backtests", asked, expect=202)["run_id"]
    subscribed = user.post("/agents/subscriptions", {"symbol": "BTC-USD", "interval": "1d"})
    user.finished_run(run_id)
    return {
        "tenant_id": user.tenant_id,
        "run_id": run_id,
        "trade_id": trade["id"],
        "symbol": "BTC-USD",
        "backtest_id": backtest_id,
        "subscription_id": subscribed["id"],
        "credential_id": credential_id,
        "user_id": user.post("/tenants/me/users", colleague)["id"],
        "key_id": user.post("/auth/api-keys", {"name": "k", "role": "viewer"})["id"],
        "session_id": user.get("/auth/sessions")["items"][0]["id"],
    }


def test_every_route_with_an_id_answers_404_for_another_tenants(
    user: User, stranger: User, things: dict[str, str], document: dict[str, Any]
) -> None:
    answers = {}
    for method, path, _ in routes(document):
        names = re.findall(r"\{(\w+)\}", path)
        # Market data belong to everybody.
        if not names or path.startswith("/market/"):
            continue
        assert set(names) <= set(things), f"{path}: add one of it to `things`"
        address = path.format(**things)
        route = f"{method} {path}"
        body = None if method == "GET" else BODIES.get(route, {})
        answers[route] = stranger.http.request(method, address, json=body).status_code

    assert len(answers) >= 4
    assert {404} == set(answers.values()), answers
    assert user.get(f"/trades/{things['trade_id']}")["status"] == "filled"


def test_every_list_is_empty_for_another_tenant(
    stranger: User, things: dict[str, str], document: dict[str, Any]
) -> None:
    seen = []
    for method, path, operation in routes(document):
        if method != "GET" or "{" in path or path in PUBLIC or path.startswith("/market/"):
            continue
        required = [p["name"] for p in operation.get("parameters", []) if p.get("required")]
        query = "&".join(f"{name}={things[name]}" for name in required if name in things)
        text = stranger.http.get(f"{path}?{query}").text
        seen.append(path)
        for name in set(things) - {"symbol"}:
            assert things[name] not in text, f"{path} shows a foreign {name}"

    assert {"/trades", "/positions", "/portfolio", "/agents/signals"} <= set(seen)


def test_a_stranger_does_not_influence_orders_or_runs(
    user: User, stranger: User, things: dict[str, str]
) -> None:
    stranger.http.post("/trades/cancel-all", json={})
    stranger.http.delete(f"/trades/{things['trade_id']}")
    body = {"symbol": "BTC-USD", "side": "buy", "type": "limit", "quantity": "0.1", "price": "100"}
    resting = user.post("/trades", body)

    stranger.http.post("/trades/cancel-all", json={})

    assert user.get(f"/trades/{resting['id']}")["status"] == "open"
    assert (
        stranger.get("/portfolio")["equity"] == "100000" or float(stranger.get("/portfolio")["equity"]) == 1e5
    )


@pytest.mark.parametrize("symbol", ["BTC-USD%2F..%2F..", "BTC-USD'--", "BTC-USD%00", "*", "BTC-USD:other"])
def test_a_symbol_that_tries_to_break_out_is_refused(user: User, symbol: str) -> None:
    for path in (f"/positions/{symbol}", f"/market/{symbol}/ticker", f"/agents/signals?symbol={symbol}"):
        answer = user.http.get(path)

        assert answer.status_code in (404, 422), f"{path}: {answer.status_code} {answer.text}"
        assert answer.headers["content-type"] == "application/problem+json"
