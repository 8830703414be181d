"""Coinbase Advanced Trade, as far as keys and market data go: verifies the request's JWT."""

from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.exchange_simulators import public_endpoints
from tests.exchange_simulators.public_book import PublicBook
from tests.exchange_simulators.server import Request, Simulator


@dataclass
class Key:
    """A key the exchange has issued."""

    public: EllipticCurvePublicKey | Ed25519PublicKey
    may_read: bool = True
    may_trade: bool = True
    may_withdraw: bool = False


class CoinbaseSimulator(Simulator):
    """What is public is in `book`, keys are in `keys`, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.book = PublicBook()
        self.keys: dict[str, Key] = {}
        self.nonces: set[str] = set()

    def answer(self, request: Request) -> tuple[int, Any]:
        public = public_endpoints.coinbase(self.book, request)
        if public is not None:
            return public
        key = self._key(request)
        if key is None:
            return 401, b"Unauthorized\n"
        if (request.method, request.path) != ("GET", "/api/v3/brokerage/key_permissions"):
            return 404, {"error": "not simulated"}
        return 200, {
            "can_view": key.may_read,
            "can_trade": key.may_trade,
            "can_transfer": key.may_withdraw,
            "portfolio_uuid": "8bfc20d7-f7c6-4422-bf07-8243ca4169fe",
            "portfolio_type": "DEFAULT",
        }

    def _key(self, request: Request) -> Key | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            head = jwt.get_unverified_header(token)
            key = self.keys[head["kid"]]
            claims = jwt.decode(
                token,
                key.public,
                algorithms=["ES256" if isinstance(key.public, EllipticCurvePublicKey) else "EdDSA"],
                options={"verify_exp": False, "verify_nbf": False, "require": ["sub", "iss", "nbf", "exp"]},
            )
        except (jwt.InvalidTokenError, KeyError):
            return None
        now = self.now.timestamp()
        fresh = claims["nbf"] - 2 <= now <= claims["exp"] <= claims["nbf"] + 120
        mine = claims["uri"] == f"{request.method} {request.headers['host']}{request.path}"
        named = claims["sub"] == head["kid"] and claims["iss"] == "cdp" and head["nonce"] not in self.nonces
        self.nonces.add(head["nonce"])
        return key if fresh and mine and named else None
