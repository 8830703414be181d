"""Access tokens: ES256 JWTs signed by `accounts`, verified everywhere with its JWKS."""

import asyncio
import contextlib
import datetime as dt
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from alphapulse.tenancy.principal import Principal, Role, Tier
from alphapulse.tenancy.tenant import TenantId

ISSUER = "alphapulse"
AUDIENCE = "alphapulse-api"
ALGORITHM = "ES256"
#: Keys older than this are fetched again in the background, so that a new one is known before it signs.
KEYS_REFETCHED_AFTER = dt.timedelta(minutes=5)
# Keys older than this (a process was idle) may have been withdrawn: a token waits for the new ones.
_KEYS_TRUSTED_FOR = 2 * KEYS_REFETCHED_AFTER
_LEEWAY_SECONDS = 5
_MAX_TOKEN_CHARACTERS = 4096
_CACHED_TOKENS = 1024

Jwks = Mapping[str, Any]


class InvalidToken(Exception):
    """The token is malformed, foreign, expired, or signed with an unknown key."""


class KeysUnavailable(Exception):
    """The signing keys could not be fetched, so no token can be judged."""


class TokenSigner:
    """Signs access tokens; only `accounts` holds one.

    Parameters
    ----------
    private_key_pem
        PEM of a P-256 private key.
    """

    def __init__(self, private_key_pem: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ec import (  # noqa: PLC0415 - only accounts pays
            EllipticCurvePrivateKey,
        )
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
        from jwt.algorithms import ECAlgorithm  # noqa: PLC0415

        key = load_pem_private_key(private_key_pem, password=None)
        if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise ValueError("the signing key must be an EC key on P-256")
        self._key = key
        public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self._kid = _thumbprint(public)
        self._jwk = public | {"kid": self._kid, "alg": ALGORITHM, "use": "sig"}

    @property
    def jwks(self) -> dict[str, Any]:
        """Public keys as a JWK Set (RFC 7517)."""
        return {"keys": [self._jwk]}

    def sign(self, principal: Principal, *, now: dt.datetime, lifetime: dt.timedelta) -> str:
        """Return a signed access token for `principal`, valid from `now` for `lifetime`."""
        import jwt  # noqa: PLC0415 - only a request that signs pays for the import

        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(principal.user_id),
            "tid": str(principal.tenant_id),
            "sid": str(principal.session_id),
            "role": principal.role.value,
            "tier": principal.tier.value,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
        }
        if principal.csrf_hash is not None:
            claims["csf"] = principal.csrf_hash
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"kid": self._kid})


class TokenVerifier:
    """Verifies access tokens; keys are fetched again when they grow old or an unknown key id appears.

    Requests that need the keys at the same time share one fetch.

    Parameters
    ----------
    fetch_jwks
        Returns the JWK Set; raises `KeysUnavailable` when it cannot.
    clock
        Aware UTC now.
    refetch_after
        Shortest time between two fetches that unknown key ids cause: a flood of forged
        tokens must not become a flood of fetches.
    """

    def __init__(
        self,
        fetch_jwks: Callable[[], Awaitable[Jwks]],
        *,
        clock: Callable[[], dt.datetime],
        refetch_after: dt.timedelta = dt.timedelta(seconds=10),
    ) -> None:
        self._fetch = fetch_jwks
        self._clock = clock
        self._refetch_after = refetch_after
        self._keys: dict[str, Any] = {}
        self._loading: asyncio.Future[None] | None = None
        self._asked_at: dt.datetime | None = None
        self._fetched_at: dt.datetime | None = None
        self._outdated = True
        self._verified: dict[str, tuple[float, Principal]] = {}

    async def verify(self, token: str) -> Principal:
        """Return the principal of a valid token.

        Raises
        ------
        InvalidToken
            Malformed, foreign, expired, or of an algorithm other than ES256.
        KeysUnavailable
            The key is not known and the newest ones cannot be fetched.
        """
        await self._refetch_old_keys()
        now = self._clock().timestamp()
        cached = self._verified.get(token)
        if cached is not None and cached[0] > now:
            return cached[1]
        claims = await self._claims(token)
        principal = _principal(claims)
        if len(self._verified) >= _CACHED_TOKENS:
            self._verified.clear()
        self._verified[token] = (float(claims["exp"]), principal)
        return principal

    async def _claims(self, token: str) -> dict[str, Any]:
        import jwt  # noqa: PLC0415 - idle functions do not pay for the import

        if len(token) > _MAX_TOKEN_CHARACTERS:
            raise InvalidToken("token is too long")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as error:
            raise InvalidToken("token is malformed") from error
        if header.get("alg") != ALGORITHM:
            raise InvalidToken("token algorithm is not accepted")
        key = await self._key(str(header.get("kid")))
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                leeway=_LEEWAY_SECONDS,
                options={
                    "require": ["exp", "iat", "iss", "aud", "sub", "tid", "sid"],
                    # The clock is ours, so that tests and skew rules have one place.
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidTokenError as error:
            raise InvalidToken("token is not valid") from error
        self._check_times(claims)
        return claims

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock().timestamp()
        expires, issued = claims["exp"], claims["iat"]
        if not isinstance(expires, int) or not isinstance(issued, int):
            raise InvalidToken("token times are malformed")
        if expires <= now:
            raise InvalidToken("token has expired")
        if issued > now + _LEEWAY_SECONDS:
            raise InvalidToken("token was issued in the future")

    async def _key(self, kid: str) -> Any:
        if kid not in self._keys and self._may_fetch():
            await self._load()
        if kid in self._keys:
            return self._keys[kid]
        if self._outdated:
            raise KeysUnavailable("the signing keys could not be fetched")
        raise InvalidToken("token was signed with an unknown key")

    def _may_fetch(self) -> bool:
        if not self._keys or self._loading is not None:
            return True
        return self._asked_at is None or self._clock() - self._asked_at >= self._refetch_after

    async def _refetch_old_keys(self) -> None:
        if not self._asked_at or not self._fetched_at:
            return
        now = self._clock()
        if now - self._asked_at >= KEYS_REFETCHED_AFTER:
            self._begin_loading()
        if self._loading is not None and now - self._fetched_at >= _KEYS_TRUSTED_FOR:
            # While they cannot be fetched the keys at hand are the best there is. Otherwise nobody waits.
            with contextlib.suppress(KeysUnavailable):
                await self._load()

    async def _load(self) -> None:
        """Fetch the keys, or wait for the fetch that is under way."""
        # A request that is given up must not take the fetch of the others with it.
        await asyncio.shield(self._begin_loading())

    def _begin_loading(self) -> asyncio.Future[None]:
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._replace_keys())
            self._loading.add_done_callback(self._loaded)
        return self._loading

    def _loaded(self, loading: asyncio.Future[None]) -> None:
        self._loading = None
        if not loading.cancelled():
            loading.exception()  # or asyncio complains of it when no request waits any more

    async def _replace_keys(self) -> None:
        import jwt  # noqa: PLC0415

        self._asked_at, self._outdated = self._clock(), True
        jwks = await self._fetch()
        try:
            keys = jwt.PyJWKSet.from_dict(dict(jwks)).keys
        except (jwt.PyJWTError, TypeError, ValueError) as error:
            raise KeysUnavailable("the document of signing keys is malformed") from error
        newest = {key.key_id: key for key in keys if key.key_id}
        if not self._keys.keys() <= newest.keys():
            self._verified.clear()  # a key was withdrawn, and its tokens with it
        self._keys = newest
        self._fetched_at, self._outdated = self._asked_at, False


def _principal(claims: Mapping[str, Any]) -> Principal:
    try:
        return Principal(
            tenant_id=TenantId.parse(str(claims["tid"])),
            user_id=uuid.UUID(str(claims["sub"])),
            role=Role(claims["role"]),
            tier=Tier(claims["tier"]),
            session_id=uuid.UUID(str(claims["sid"])),
            csrf_hash=None if claims.get("csf") is None else str(claims["csf"]),
        )
    except (ValueError, KeyError) as error:
        raise InvalidToken("token claims are malformed") from error


def _thumbprint(jwk: Mapping[str, Any]) -> str:
    """Return the RFC 7638 thumbprint, the key's id."""
    import base64  # noqa: PLC0415
    import hashlib  # noqa: PLC0415
    import json  # noqa: PLC0415

    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    digest = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
