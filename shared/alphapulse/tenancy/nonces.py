"""Numbers that only grow, one counter per exchange key, shared by all processes.

Kraken refuses a request whose nonce is not above the last one of its key. A nonce is the time in
microseconds, or one more than the last if that is higher, so that the counter may be lost without harm:
with Redis down each process counts for itself.
"""

import datetime as dt
import hashlib

from alphapulse.tenancy.cache import CacheConnection, CacheUnavailable
from alphapulse.tenancy.redis_client import Script

_NEXT = Script("next_nonce")
# Long past it, the time alone is above every nonce that was given out.
_LIFETIME_MS = 24 * 3600 * 1000
_MICROSECOND = dt.timedelta(microseconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class NonceCounters:
    """The counters of one exchange.

    Parameters
    ----------
    connection
        The cache Redis.
    exchange
        Part of the key's name in Redis.
    """

    def __init__(self, connection: CacheConnection, exchange: str) -> None:
        self._connection = connection
        self._exchange = exchange
        self._last: dict[str, int] = {}

    async def next(self, api_key: str, *, now: dt.datetime) -> int:
        """Return a nonce above all that were given out for `api_key`."""
        # The key's hash names the counter: the exchange's key is one, whoever has stored it.
        name = hashlib.sha256(api_key.encode()).hexdigest()[:32]
        least = max((now - _EPOCH) // _MICROSECOND, self._last.get(name, 0) + 1)
        try:
            key = f"shared:nonce:{self._exchange}:{name}"
            nonce = int(await self._connection.evaluate(_NEXT, [key], [least, _LIFETIME_MS]))
        except CacheUnavailable:
            # Several requests of this process may be here at once.
            nonce = max(least, self._last.get(name, 0) + 1)
        self._last[name] = max(nonce, self._last.get(name, 0))
        return nonce
