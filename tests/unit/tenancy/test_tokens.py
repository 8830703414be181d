"""Access tokens: what is accepted, and everything that is not."""

import asyncio
import base64
import datetime as dt
import hashlib
import hmac
import json
import uuid
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from alphapulse.tenancy.principal import Principal, Role, Tier
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tokens import InvalidToken, Jwks, KeysUnavailable, TokenSigner, TokenVerifier

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
LIFETIME = dt.timedelta(minutes=15)
PRINCIPAL = Principal(
    tenant_id=TenantId.new(),
    user_id=uuid.UUID(int=7),
    role=Role.TRADER,
    tier=Tier.PRO,
    session_id=uuid.UUID(int=8),
)


def pem(key: Any) -> bytes:
    encoding, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    raw: bytes = key.private_bytes(encoding, private, serialization.NoEncryption())
    return raw


@pytest.fixture
def signer() -> TokenSigner:
    return TokenSigner(pem(ec.generate_private_key(ec.SECP256R1())))


class Keys:
    def __init__(self, *signers: TokenSigner) -> None:
        self.jwks: Jwks = {"keys": [key for signer in signers for key in signer.jwks["keys"]]}
        self.fetches = 0

    async def fetch(self) -> Jwks:
        self.fetches += 1
        return self.jwks


def verifier(keys: Keys, *, now: dt.datetime = NOW) -> TokenVerifier:
    return TokenVerifier(keys.fetch, clock=lambda: now)


async def test_a_signed_token_gives_its_principal(signer: TokenSigner) -> None:
    token = signer.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME)

    assert await verifier(Keys(signer)).verify(token) == PRINCIPAL


async def test_the_key_set_holds_no_private_member(signer: TokenSigner) -> None:
    assert {"kty", "crv", "x", "y", "kid", "alg", "use"} == set(signer.jwks["keys"][0])


async def test_an_expired_token_is_refused_even_when_it_was_seen_before(signer: TokenSigner) -> None:
    token = signer.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME)
    time = [NOW]
    checked = TokenVerifier(Keys(signer).fetch, clock=lambda: time[0])
    await checked.verify(token)
    time[0] = NOW + LIFETIME

    with pytest.raises(InvalidToken, match="expired"):
        await checked.verify(token)


async def test_a_token_from_the_future_is_refused(signer: TokenSigner) -> None:
    token = signer.sign(PRINCIPAL, now=NOW + dt.timedelta(minutes=1), lifetime=LIFETIME)

    with pytest.raises(InvalidToken, match="future"):
        await verifier(Keys(signer)).verify(token)


async def test_a_token_of_another_issuer_with_the_same_key_id_is_refused(signer: TokenSigner) -> None:
    foreign = TokenSigner(pem(ec.generate_private_key(ec.SECP256R1())))
    kid = signer.jwks["keys"][0]["kid"]
    claims = jwt.decode(
        foreign.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME), options={"verify_signature": False}
    )
    forged = jwt.encode(claims, foreign._key, algorithm="ES256", headers={"kid": kid})

    with pytest.raises(InvalidToken):
        await verifier(Keys(signer)).verify(forged)


def unsigned(header: dict[str, str], claims: dict[str, Any], *, secret: bytes | None = None) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    body = f"{part(header)}.{part(claims)}"
    digest = hmac.new(secret, body.encode(), hashlib.sha256).digest() if secret else b""
    return f"{body}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "RS256", "ES384"])
async def test_a_token_of_another_algorithm_is_refused(signer: TokenSigner, algorithm: str) -> None:
    key = signer.jwks["keys"][0]
    claims = claims_of(signer.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME))
    secret = json.dumps(key).encode() if algorithm == "HS256" else None

    with pytest.raises(InvalidToken, match="algorithm"):
        await verifier(Keys(signer)).verify(
            unsigned({"alg": algorithm, "kid": key["kid"], "typ": "JWT"}, claims, secret=secret)
        )


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "é.é.é", "x" * 5000, "..", "\x00"])
async def test_garbage_is_refused(signer: TokenSigner, token: str) -> None:
    with pytest.raises(InvalidToken):
        await verifier(Keys(signer)).verify(token)


@pytest.mark.parametrize(
    "change",
    [
        {"tid": "x"},
        {"tid": str(PRINCIPAL.tenant_id).upper()},
        {"role": "god"},
        {"role": ["owner"]},
        {"tier": "free"},
        {"sid": None},
        {"sub": 3},
        {"exp": "soon"},
        {"exp": None},
        {"iat": "now"},
        {"aud": "other"},
        {"iss": "other"},
    ],
)
async def test_signed_but_malformed_claims_are_refused(signer: TokenSigner, change: dict[str, Any]) -> None:
    claims = claims_of(signer.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME)) | change
    kid = signer.jwks["keys"][0]["kid"]
    # Not jwt.encode, which would not sign some of these.
    token = jwt.PyJWS().encode(
        json.dumps(claims).encode(), signer._key, algorithm="ES256", headers={"kid": kid}
    )

    with pytest.raises(InvalidToken):
        await verifier(Keys(signer)).verify(token)


async def test_an_unknown_key_id_fetches_once_and_not_for_each_forged_token(signer: TokenSigner) -> None:
    foreign = TokenSigner(pem(ec.generate_private_key(ec.SECP256R1())))
    keys = Keys(signer)
    checked = verifier(keys)

    for _ in range(5):
        with pytest.raises(InvalidToken, match="unknown key"):
            await checked.verify(foreign.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME))

    assert keys.fetches == 1


class SlowKeys(Keys):
    """Answers once `answer` is set; `up = False` fails."""

    def __init__(self, *signers: TokenSigner) -> None:
        super().__init__(*signers)
        self.answer = asyncio.Event()
        self.up = True

    async def fetch(self) -> Jwks:
        self.fetches += 1
        await self.answer.wait()
        if not self.up:
            raise KeysUnavailable("down")
        return self.jwks


async def verified_at_once(checked: TokenVerifier, tokens: list[str], keys: SlowKeys) -> list[Any]:
    waiting = [asyncio.create_task(checked.verify(token)) for token in tokens]
    await asyncio.sleep(0)
    keys.answer.set()
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_many_first_requests_at_once_fetch_the_keys_once(signer: TokenSigner) -> None:
    foreign = TokenSigner(pem(ec.generate_private_key(ec.SECP256R1())))
    keys = SlowKeys(signer)
    tokens = [
        one.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME + dt.timedelta(seconds=second))
        for second in range(20)
        for one in (signer, foreign)
    ]

    found = await verified_at_once(verifier(keys), tokens, keys)

    assert found[::2] == [PRINCIPAL] * 20
    assert {InvalidToken} == {type(error) for error in found[1::2]}
    assert keys.fetches == 1


async def test_many_first_requests_at_once_share_a_failure_and_the_next_tries_again(
    signer: TokenSigner,
) -> None:
    keys = SlowKeys(signer)
    keys.up = False
    checked = verifier(keys)
    token = signer.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME)

    found = await verified_at_once(checked, [token] * 20, keys)

    assert ({KeysUnavailable}, 1) == ({type(error) for error in found}, keys.fetches)
    keys.up = True
    assert await checked.verify(token) == PRINCIPAL


async def test_a_request_that_is_given_up_does_not_take_the_fetch_of_the_others_with_it(
    signer: TokenSigner,
) -> None:
    keys = SlowKeys(signer)
    checked = verifier(keys)
    token = signer.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME)
    first, second = (asyncio.create_task(checked.verify(token)) for _ in range(2))
    await asyncio.sleep(0)

    first.cancel()
    await asyncio.sleep(0)
    keys.answer.set()

    assert await second == PRINCIPAL
    assert keys.fetches == 1


async def test_forged_tokens_do_not_become_fetches_while_the_keys_cannot_be_fetched(
    signer: TokenSigner,
) -> None:
    foreign = TokenSigner(pem(ec.generate_private_key(ec.SECP256R1())))
    keys = SlowKeys(signer)
    keys.answer.set()
    time = [NOW]
    checked = TokenVerifier(keys.fetch, clock=lambda: time[0])
    token = signer.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME)
    await checked.verify(token)
    keys.up, time[0] = False, NOW + dt.timedelta(seconds=30)

    for _ in range(5):
        with pytest.raises(KeysUnavailable):
            await checked.verify(foreign.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME))

    assert keys.fetches == 2
    assert await checked.verify(signer.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME * 2)) == PRINCIPAL


@pytest.mark.parametrize("document", [{}, {"keys": 3}, {"keys": [{"kty": "?"}]}, [1], "keys"])
async def test_a_document_that_is_no_key_set_is_no_key_set(signer: TokenSigner, document: Any) -> None:
    async def fetch() -> Jwks:
        return document  # type: ignore[no-any-return] # what a proxy's error page may be

    with pytest.raises(KeysUnavailable):
        await TokenVerifier(fetch, clock=lambda: NOW).verify(
            signer.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME)
        )


async def test_a_rotated_key_is_fetched(signer: TokenSigner) -> None:
    new = TokenSigner(pem(ec.generate_private_key(ec.SECP256R1())))
    keys = Keys(signer)
    time = [NOW]
    checked = TokenVerifier(keys.fetch, clock=lambda: time[0])
    await checked.verify(signer.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME))
    keys.jwks = Keys(signer, new).jwks
    time[0] = NOW + dt.timedelta(seconds=30)

    assert await checked.verify(new.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME)) == PRINCIPAL


@pytest.mark.parametrize("seen_before", [True, False])
async def test_a_process_that_was_idle_accepts_nothing_signed_with_a_key_withdrawn_meanwhile(
    signer: TokenSigner, *, seen_before: bool
) -> None:
    keys, time = Keys(signer), [NOW]
    checked = TokenVerifier(keys.fetch, clock=lambda: time[0])
    token, other = (signer.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME * n) for n in (4, 5))
    await checked.verify(token)
    keys.jwks = Keys(TokenSigner(pem(ec.generate_private_key(ec.SECP256R1())))).jwks
    time[0] = NOW + dt.timedelta(minutes=10)

    with pytest.raises(InvalidToken):
        await checked.verify(token if seen_before else other)


async def test_old_keys_serve_on_while_no_newer_ones_can_be_fetched(signer: TokenSigner) -> None:
    keys, time = SlowKeys(signer), [NOW]
    keys.answer.set()
    checked = TokenVerifier(keys.fetch, clock=lambda: time[0])
    token = signer.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME * 4)
    await checked.verify(token)
    keys.up, time[0] = False, NOW + dt.timedelta(minutes=30)

    assert [await checked.verify(token) for _ in range(3)] == [PRINCIPAL] * 3
    assert keys.fetches == 2


async def test_without_keys_no_token_is_judged(signer: TokenSigner) -> None:
    async def down() -> Jwks:
        raise KeysUnavailable("down")

    checked = TokenVerifier(down, clock=lambda: NOW)

    with pytest.raises(KeysUnavailable):
        await checked.verify(signer.sign(PRINCIPAL, now=NOW, lifetime=LIFETIME))


def test_a_key_that_is_not_p256_is_refused() -> None:
    with pytest.raises(ValueError, match="P-256"):
        TokenSigner(pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
