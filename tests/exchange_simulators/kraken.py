"""Kraken, as far as keys and market data go: checks signatures, and that nonces only grow."""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any

from tests.exchange_simulators import public_endpoints
from tests.exchange_simulators.public_book import PublicBook
from tests.exchange_simulators.server import Request, Simulator

TRADING = ("query-funds", "query-open-trades", "query-closed-trades", "modify-trades", "close-trades")


@dataclass
class Key:
    """A key the exchange has issued; `secret` is base64, as the exchange shows it."""

    secret: str
    permissions: list[str] = field(default_factory=lambda: list(TRADING))
    addresses: list[str] = field(default_factory=list)
    last_nonce: int = 0


class KrakenSimulator(Simulator):
    """What is public is in `book`, keys are in `keys`."""

    def __init__(self) -> None:
        super().__init__()
        self.book = PublicBook()
        self.keys: dict[str, Key] = {}

    def answer(self, request: Request) -> tuple[int, Any]:
        public = public_endpoints.kraken(self.book, request)
        if public is not None:
            return public
        key = self.keys.get(request.headers.get("api-key", ""))
        if key is None:
            return _refused("EAPI:Invalid key")
        nonce = request.parameters["nonce"]
        digest = hashlib.sha256((nonce + request.body).encode()).digest()
        mac = hmac.new(base64.b64decode(key.secret), request.path.encode() + digest, hashlib.sha512)
        if base64.b64encode(mac.digest()).decode() != request.headers.get("api-sign"):
            return _refused("EAPI:Invalid signature")
        if int(nonce) <= key.last_nonce:
            return _refused("EAPI:Invalid nonce")
        key.last_nonce = int(nonce)
        if (request.method, request.path) != ("POST", "/0/private/GetApiKeyInfo"):
            return _refused("EGeneral:Unknown method")
        return 200, {
            "error": [],
            "result": {
                "apiKeyName": "alphapulse",
                "apiKey": request.headers["api-key"],
                "nonce": nonce,
                "nonceWindow": 0,
                "permissions": key.permissions,
                "iban": "AA88 N84G WOAK NMOI",
                "validUntil": "0",
                "queryFrom": "0",
                "queryTo": "0",
                "createdTime": "1772542900",
                "modifiedTime": "1772543095",
                "ipAllowlist": key.addresses,
                "lastUsed": "1772627061",
            },
        }


def _refused(code: str) -> tuple[int, Any]:
    return 200, {"error": [code]}
