"""What an API key may be restricted to: scopes, each of some first path segments."""

from collections.abc import Set as AbstractSet
from typing import Final

SCOPES: Final = frozenset({"read", "trade", "agents", "risk", "credentials", "account"})

_OF_SEGMENT = {
    "trades": "trade",
    "trading": "trade",
    "agents": "agents",
    "risk": "risk",
    "credentials": "credentials",
    "auth": "account",
    "tenants": "account",
    "usage": "account",
    "invoices": "account",
    "subscription": "account",
}
# `read` shows markets, trades and figures; who the users are and where keys are kept is no part of it.
_ONLY_BY_THEIR_OWN = frozenset({"credentials", "account"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def permits(scopes: AbstractSet[str], *, method: str, path: str) -> bool:
    """Tell whether scopes let a request through; none at all stand for no restriction.

    A change under a segment that no scope names is refused, so that a new route is closed to
    restricted keys until somebody decides.
    """
    if not scopes:
        return True
    scope = _OF_SEGMENT.get(path.removeprefix("/").partition("/")[0])
    if scope is not None and scope in scopes:
        return True
    return method in _SAFE_METHODS and "read" in scopes and scope not in _ONLY_BY_THEIR_OWN
