"""Binance, as far as keys and market data go: checks signature, time and window as the real one does."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.exchange_simulators import public_endpoints
from tests.exchange_simulators.public_book import PublicBook
from tests.exchange_simulators.server import Request, Simulator


@dataclass
class Key:
    """A key the exchange has issued."""

    secret: str | Ed25519PublicKey
    may_read: bool = True
    may_trade: bool = True
    may_withdraw: bool = False
    ip_restricted: bool = True


class BinanceSimulator(Simulator):
    """What is public is in `book`, keys are in `keys`."""

    def __init__(self) -> None:
        super().__init__()
        self.book = PublicBook()
        self.keys: dict[str, Key] = {}

    def answer(self, request: Request) -> tuple[int, Any]:
        return public_endpoints.binance(self.book, request) or self._keyed(request)

    def _keyed(self, request: Request) -> tuple[int, Any]:
        if (request.method, request.path) == ("GET", "/api/v3/time"):
            return 200, {"serverTime": int(self.now.timestamp() * 1000)}
        key = self.keys.get(request.headers.get("x-mbx-apikey", ""))
        if key is None:
            return 400, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
        payload, _, signature = request.query.rpartition("&signature=")
        if not _signed(key, payload, unquote(signature)):
            return 400, {"code": -1022, "msg": "Signature for this request is not valid."}
        age_ms = self.now.timestamp() * 1000 - int(request.parameters["timestamp"])
        if not -1000 <= age_ms <= int(request.parameters["recvWindow"]):
            return 400, {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}
        if (request.method, request.path) != ("GET", "/sapi/v1/account/apiRestrictions"):
            return 404, {"code": -1, "msg": "not simulated"}
        return 200, {
            "ipRestrict": key.ip_restricted,
            "createTime": 1623840271000,
            "enableReading": key.may_read,
            "enableWithdrawals": key.may_withdraw,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": False,
            "permitsUniversalTransfer": False,
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": False,
            "enableSpotAndMarginTrading": key.may_trade,
            "enablePortfolioMarginTrading": False,
        }


def _signed(key: Key, payload: str, signature: str) -> bool:
    if isinstance(key.secret, str):
        return hmac.new(key.secret.encode(), payload.encode(), hashlib.sha256).hexdigest() == signature
    try:
        key.secret.verify(base64.b64decode(signature), payload.encode())
    except (InvalidSignature, ValueError):
        return False
    return True
