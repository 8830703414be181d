"""One tenant's things do not exist for another: every route of the merged document, generated."""

import re
from typing import Any

import pytest

from tests.e2e.conftest import User
from tests.openapi import public_document

pytestmark = pytest.mark.e2e

PUBLIC = {
    "/auth/signup",
    "/auth/login",
    "/auth/refresh",
    "/auth/logout",
    "/.well-known/jwks.json",
}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory, signing_key: bytes) -> dict[str, Any]:
    return public_document(tmp_path_factory.mktemp("key"), signing_key)


@pytest.fixture
def things(user: User) -> dict[str, str]:
    """One of each thing that has an id, owned by `user`."""
    user.follow_technical_alone("1d")
    run_id = user.run_agents("BTC-USD")
    trade = user.post("/trades", {"symbol": "BTC-USD", "side": "buy", "type": "market", "quantity": "0.1"})
    user.finished_run(run_id)
    return {
        "tenant_id": user.tenant_id,
        "run_id": run_id,
        "trade_id": trade["id"],
        "symbol": "BTC-USD",
    }


def routes(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def test_every_route_but_the_named_public_ones_needs_a_token(user: User, document: dict[str, Any]) -> None:
    answers = {}
    for method, path, _ in routes(document):
        if path not in PUBLIC:
            address = re.sub(r"\{\w+\}", "0197c9d2-0000-7000-8000-000000000001", path)
            answers[f"{method} {path}"] = user.http.request(
                method, address, headers={"Authorization": ""}, json=None if method == "GET" else {}
            ).status_code

    assert answers
    assert {401} == set(answers.values()), answers


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
        answers[f"{method} {path}"] = stranger.http.request(
            method, address, json=None if method == "GET" else {}
        ).status_code

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
        for name in ("tenant_id", "run_id", "trade_id"):
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
