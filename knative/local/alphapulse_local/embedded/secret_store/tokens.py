"""Tokens: service tokens are kept (as their hash), batch tokens are signed and not kept."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from alphapulse_local.embedded.secret_store.errors import denied
from alphapulse_local.embedded.secret_store.storage import Storage

LONGEST_LIFE_SECONDS = 32 * 86_400
_KIND = "token"
_SERVICE, _BATCH = "hvs.", "hvb."
_PURGE_EVERY_SECONDS = 60.0


@dataclass(kw_only=True)
class Token:
    """What is known of a token.

    Attributes
    ----------
    life_seconds
        Given at creation and by a renewal without an increment; 0 for the root token, which has no end.
    longest_seconds
        Renewals never go beyond this age.
    parent
        Hash of the token it was made with; with the parent it ends too. Empty for an orphan.
    """

    policies: list[str]
    kind: str = "service"
    path: str = ""
    display_name: str = "token"
    meta: dict[str, str] = field(default_factory=dict)
    created: float = 0.0
    expires: float = 0.0
    life_seconds: float = 0.0
    longest_seconds: float = LONGEST_LIFE_SECONDS
    renewable: bool = True
    parent: str = ""
    accessor: str = ""
    name: str = ""

    @property
    def is_root(self) -> bool:
        """Whether it may do everything."""
        return "root" in self.policies

    def left_seconds(self) -> int:
        """Return how long it holds from now."""
        return max(0, round(self.expires - time.time())) if self.expires else 0


class Tokens:
    """Makes, finds, renews and revokes tokens."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._purge_at = 0.0
        with storage.transaction():
            if storage.get("system", "batch-key") is None:
                storage.put("system", "batch-key", {"key": secrets.token_hex(32)})
        self._batch_key = bytes.fromhex((storage.get("system", "batch-key") or {})["key"])

    def make(self, token: Token) -> str:
        """Keep a token, or sign it, and return its text."""
        token.created = time.time()
        token.expires = token.created + token.life_seconds if token.life_seconds else 0.0
        if token.kind == "batch":
            return self._sign(token)
        text = _SERVICE + secrets.token_urlsafe(24)
        token.name, token.accessor = _hash(text), secrets.token_urlsafe(18)
        self._keep(token)
        self._purge()
        return text

    def find(self, text: str) -> Token:
        """Return a token that holds now.

        Raises
        ------
        Refused
            It is unknown, expired or revoked, or the token it was made with is.
        """
        token = self._verified(text) if text.startswith(_BATCH) else self._stored(_hash(text))
        if token is None or (token.expires and token.expires <= time.time()):
            raise denied()
        parent = token.parent
        while parent:
            above = self._stored(parent)
            if above is None or (above.expires and above.expires <= time.time()):
                raise denied()
            parent = above.parent
        return token

    def renew(self, token: Token, increment: float) -> None:
        """Let a service token hold for longer, up to its longest life."""
        end = token.created + token.longest_seconds
        token.expires = min(time.time() + (increment or token.life_seconds), end)
        self._keep(token)

    def revoke(self, token: Token) -> None:
        """End a service token and those made with it."""
        self._storage.delete(_KIND, token.name)
        for name in self._storage.names(_KIND):
            child = self._stored(name)
            if child is not None and child.parent == token.name:
                self.revoke(child)

    def _keep(self, token: Token) -> None:
        self._storage.put(_KIND, token.name, asdict(token))

    def _stored(self, name: str) -> Token | None:
        document = self._storage.get(_KIND, name)
        return None if document is None else Token(**document)

    def _sign(self, token: Token) -> str:
        payload = json.dumps(asdict(token)).encode()
        return _BATCH + base64.urlsafe_b64encode(self._signature(payload) + payload).rstrip(b"=").decode()

    def _verified(self, text: str) -> Token | None:
        try:
            raw = base64.b64decode(text.removeprefix(_BATCH) + "===", altchars=b"-_", validate=False)
        except ValueError:
            return None
        signature, payload = raw[:32], raw[32:]
        if not hmac.compare_digest(signature, self._signature(payload)):
            return None
        return Token(**json.loads(payload))

    def _signature(self, payload: bytes) -> bytes:
        return hmac.digest(self._batch_key, payload, "sha256")

    def _purge(self) -> None:
        """Drop expired tokens now and then."""
        now = time.time()
        if now < self._purge_at:
            return
        self._purge_at = now + _PURGE_EVERY_SECONDS
        for name in self._storage.names(_KIND):
            token = self._stored(name)
            if token is not None and token.expires and token.expires <= now:
                self._storage.delete(_KIND, name)


def auth_of(token: Token, text: str) -> dict[str, Any]:
    """Return the `auth` part of an answer that hands out a token."""
    return {
        "client_token": text,
        "accessor": token.accessor,
        "policies": sorted(token.policies),
        "token_policies": sorted(token.policies),
        "metadata": token.meta or None,
        "lease_duration": token.left_seconds(),
        "renewable": token.renewable,
        "entity_id": "",
        "token_type": token.kind,
        "orphan": not token.parent,
        "mfa_requirement": None,
        "num_uses": 0,
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
