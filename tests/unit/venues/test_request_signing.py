"""Signatures against the examples of the exchanges' own documentation, and against their public keys."""

import base64
import datetime as dt
from urllib.parse import parse_qs, unquote

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from alphapulse.venues.binance import signing as binance
from alphapulse.venues.coinbase import signing as coinbase
from alphapulse.venues.keys import ApiKeys
from alphapulse.venues.kraken import signing as kraken
from alphapulse.venues.pem import MalformedSecret

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
KEY_NAME = "organizations/0a1b/apiKeys/2c3d"
# Printed in Binance's and Kraken's documentation of their signatures; keys of nobody.
BINANCE_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
KRAKEN_SECRET = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="


def pem(key: PrivateKeyTypes, *, old_form: bool = False, passphrase: str | None = None) -> str:
    form = serialization.PrivateFormat.TraditionalOpenSSL if old_form else serialization.PrivateFormat.PKCS8
    locked = (
        serialization.NoEncryption()
        if passphrase is None
        else serialization.BestAvailableEncryption(passphrase.encode())
    )
    return key.private_bytes(serialization.Encoding.PEM, form, locked).decode()


def test_binance_hmac_is_that_of_the_documented_order() -> None:
    payload = (
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
        "&recvWindow=5000&timestamp=1499827319559"
    )

    signature = binance.signature(ApiKeys("key", BINANCE_SECRET), payload)

    assert signature == "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


def test_binance_ed25519_signature_holds_for_the_query_as_it_is_sent() -> None:
    key = ed25519.Ed25519PrivateKey.generate()

    query = binance.signed_query(ApiKeys("key", pem(key)), {"symbol": "ÄÖ 456"}, timestamp_ms=1668481902307)

    payload, _, signature = query.rpartition("&signature=")
    assert payload == "symbol=%C3%84%C3%96%20456&recvWindow=5000&timestamp=1668481902307"
    key.public_key().verify(base64.b64decode(unquote(signature)), payload.encode())
    assert parse_qs(query)["recvWindow"] == ["5000"]


def test_binance_key_that_is_locked_opens_with_its_passphrase() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    keys = ApiKeys("key", pem(key, passphrase="open sesame"), "open sesame")

    key.public_key().verify(base64.b64decode(binance.signature(keys, "a=1")), b"a=1")


def test_kraken_signature_is_that_of_the_documented_order() -> None:
    body = "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"

    signature = kraken.signature(
        ApiKeys("key", KRAKEN_SECRET), path="/0/private/AddOrder", nonce=1616492376594, body=body
    )

    assert signature == (
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
    )


@pytest.mark.parametrize("old_form", [True, False])
@pytest.mark.parametrize("escaped", [True, False])
def test_coinbase_token_of_an_ec_key_holds_for_its_public_key(old_form: bool, escaped: bool) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    secret = pem(key, old_form=old_form)
    keys = ApiKeys(KEY_NAME, secret.replace("\n", "\\n") if escaped else secret)

    token = coinbase.bearer_token(keys, method="GET", host="api.coinbase.com", path="/api/v3/x", now=NOW)

    claims = jwt.decode(token, key.public_key(), algorithms=["ES256"], options={"verify_exp": False})
    assert claims == {
        "sub": KEY_NAME,
        "iss": "cdp",
        "nbf": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 120,
        "uri": "GET api.coinbase.com/api/v3/x",
    }
    assert jwt.get_unverified_header(token)["kid"] == KEY_NAME


@pytest.mark.parametrize("with_public_key", [True, False])
def test_coinbase_token_of_an_ed25519_key_holds_for_its_public_key(with_public_key: bool) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    raw = key.private_bytes_raw() + (key.public_key().public_bytes_raw() if with_public_key else b"")
    keys = ApiKeys(KEY_NAME, base64.b64encode(raw).decode())

    token = coinbase.bearer_token(keys, method="GET", host="h", path="/p", now=NOW)

    assert jwt.decode(token, key.public_key(), algorithms=["EdDSA"], options={"verify_exp": False})


def test_two_coinbase_tokens_of_one_moment_differ() -> None:
    keys = ApiKeys(KEY_NAME, pem(ec.generate_private_key(ec.SECP256R1())))

    tokens = {coinbase.bearer_token(keys, method="GET", host="h", path="/p", now=NOW) for _ in range(2)}

    assert len({jwt.get_unverified_header(token)["nonce"] for token in tokens}) == 2


def _sign(exchange: str, keys: ApiKeys) -> None:
    match exchange:
        case "binance":
            binance.signature(keys, "a=1")
        case "coinbase":
            coinbase.bearer_token(keys, method="GET", host="h", path="/p", now=NOW)
        case _:
            kraken.signature(keys, path="/0/x", nonce=1, body="nonce=1")


@pytest.mark.parametrize(
    ("exchange", "secret"),
    [
        ("binance", "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----"),
        ("binance", pem(rsa.generate_private_key(65537, 2048))),
        ("binance", pem(ed25519.Ed25519PrivateKey.generate(), passphrase="another")),
        ("coinbase", "nonsense"),
        ("coinbase", base64.b64encode(b"short").decode()),
        ("coinbase", pem(ec.generate_private_key(ec.SECP384R1()))),
        ("kraken", "no base64!"),
        ("kraken", ""),
    ],
)
def test_secret_that_cannot_be_one_is_refused_without_showing_it(exchange: str, secret: str) -> None:
    keys = ApiKeys("key", secret, "open sesame" if "ENCRYPTED" in secret else None)

    with pytest.raises(MalformedSecret) as refused:
        _sign(exchange, keys)

    assert refused.value.code == "malformed_secret"
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
    assert not secret or secret[:20] not in str(refused.value)


def test_keys_do_not_show_in_their_text_form() -> None:
    keys = ApiKeys("the-key", "the-secret", "the-passphrase")

    assert repr(keys) == "ApiKeys()"
    assert str(keys) == "ApiKeys()"


def test_keys_survive_the_way_through_vault() -> None:
    for keys in (ApiKeys("a", "b"), ApiKeys("a", "b", "c")):
        assert ApiKeys.from_secret(keys.to_secret()) == keys
