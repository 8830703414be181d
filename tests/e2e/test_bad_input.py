"""What the public port does with input nobody should send: a problem document, never a 5xx."""

import contextlib
import datetime as dt
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from alphapulse.tenancy.principal import Principal, Role, Tier
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tokens import TokenSigner
from alphapulse_local.testing import RunningPlatform
from tests.e2e.conftest import User, with_market_data
from tests.openapi import public_document

pytestmark = pytest.mark.e2e

SOME_EXAMPLES = settings(
    max_examples=25,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def check_problem(answer: httpx.Response, status: int, *codes: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["code"] in codes
    assert document["trace_id"]
    assert "Traceback" not in answer.text


@pytest.fixture(scope="module")
def trader(platform: RunningPlatform) -> Iterator[User]:
    with User(platform.url) as owner:
        yield with_market_data(owner)


def order(**changes: Any) -> dict[str, Any]:
    return {"symbol": "BTC-USD", "side": "buy", "type": "market", "quantity": "0.1"} | changes


TEXTS_THAT_ARE_NO_QUANTITY = (
    *("0", "-1", "NaN", "Infinity", "1e5", "1E-3", "0x10", "", " 1", "1,5", "1_000", "+1", "٣"),
    *("9" * 40, "0." + "1" * 30),
)
NOT_EVEN_TEXT = (-1, 0.1, True, None, [], {})


@pytest.mark.parametrize("quantity", [*TEXTS_THAT_ARE_NO_QUANTITY, *NOT_EVEN_TEXT])
def test_an_absurd_quantity_is_422(trader: User, quantity: Any) -> None:
    answer = trader.http.post("/trades", json=order(quantity=quantity))

    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "symbol", ["NOPE-USD", "btc-usd", "BTCUSD", "", "A" * 5000, 7, None, "BTC-USD; DROP"]
)
def test_an_unknown_or_malformed_symbol_is_422(trader: User, symbol: Any) -> None:
    answer = trader.http.post("/trades", json=order(symbol=symbol))

    assert answer.status_code == 422, answer.text


def test_malformed_json_is_422(trader: User) -> None:
    answer = trader.http.post("/trades", content=b'{"symbol": ', headers={"content-type": "application/json"})

    check_problem(answer, 422, "malformed_json")


def test_a_body_of_ten_megabytes_is_413(trader: User) -> None:
    answer = trader.http.post("/trades", json=order(note="x" * 10_000_000))

    check_problem(answer, 413, "body_too_large")


def test_a_form_is_415(trader: User) -> None:
    check_problem(trader.http.post("/trades", data={"symbol": "BTC-USD"}), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/health", "/ready", "/metrics", "/tradesx", "/trades/../metrics"]
)
def test_an_unknown_path_is_404(trader: User, path: str) -> None:
    check_problem(trader.http.get(path), 404, "not_found")


@pytest.mark.parametrize("path", ["/", "/portfolio"])
def test_an_event_from_outside_is_refused(trader: User, path: str) -> None:
    headers = {
        "ce-id": "1",
        "ce-source": "/functions/trade",
        "ce-type": "com.alphapulse.trade.filled.v1",
        "ce-specversion": "1.0",
        "ce-tenantid": trader.tenant_id,
    }

    assert trader.http.post(path, json={}, headers=headers).status_code in (404, 405)


def foreign_token(lifetime: dt.timedelta = dt.timedelta(hours=1)) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(encoding, form, serialization.NoEncryption())
    principal = Principal(
        tenant_id=TenantId.new(),
        user_id=TenantId.new().value,
        role=Role.OWNER,
        tier=Tier.PRO,
        session_id=TenantId.new().value,
    )
    return TokenSigner(pem).sign(principal, now=dt.datetime.now(dt.UTC), lifetime=lifetime)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
        foreign_token(),
        foreign_token(dt.timedelta(hours=-1)),
        secrets.token_urlsafe(3000),
    ],
    ids=["empty", "garbage", "alg-none", "foreign", "expired", "huge"],
)
def test_a_token_that_is_not_ours_is_401(trader: User, token: str) -> None:
    for path in ("/portfolio", "/trades", "/tenants/me", "/agents/runs"):
        answer = trader.http.get(path, headers={"Authorization": f"Bearer {token}".strip()})

        check_problem(answer, 401, "not_authenticated", "invalid_token")


def test_schemathesis_finds_no_server_error(
    trader: User, platform: RunningPlatform, tmp_path: Path, signing_key: bytes
) -> None:
    schema = schemathesis.openapi.from_dict(public_document(tmp_path, signing_key))
    headers = {"Authorization": trader.http.headers["Authorization"]}
    operations = [result.ok() for result in schema.get_all_operations()]

    for operation in operations:
        check_operation(operation, platform.url, headers)

    assert len(operations) >= 20


def check_operation(operation: Any, url: str, headers: dict[str, str]) -> None:
    for mode in GenerationMode:

        @SOME_EXAMPLES
        @given(operation.as_strategy(generation_mode=mode))
        def no_server_error(case: Any) -> None:
            case.validate_response(case.call(base_url=url, headers=headers), checks=[not_a_server_error])

        with contextlib.suppress(Unsatisfiable):  # an operation without input has none that does not fit
            no_server_error()
