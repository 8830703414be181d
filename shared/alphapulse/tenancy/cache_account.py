"""What a tenant's values in Redis take, kept true by scripts, and held within a quota.

Beside `meta:tenant:{<id>}:usage_bytes` and `:lru` there are `:sizes` (bytes by key), `:expiries` (when
each is due, for a value that expires tells nobody) and `:alerted` (the level that was told of last).
The counter is the sum of `:sizes` between any two scripts.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from alphapulse.tenancy.redis_client import Argument, Script
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tiers import CacheQuota

ALERT, FULL = 1, 2

_PUT, _GET, _DROP, _TRIM = (Script(f"cache_{name}") for name in ("put", "get", "drop", "trim"))
_CHECK, _RECOUNT = Script("cache_check"), Script("cache_recount")
# What Redis does for one tenant at a time while all others wait: a few milliseconds at most.
_REMOVED_AT_ONCE: Final = 500
_CHECKED_AT_ONCE: Final = 500
_UNLIMITED: Final = CacheQuota(bytes=2**62, alert_at=2**62)

logger: structlog.stdlib.BoundLogger = structlog.get_logger()

Evaluate = Callable[[Script, Sequence[str], Sequence[Argument]], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaCrossing:
    """A tenant has come to a level of its cache quota.

    Attributes
    ----------
    level : int
        `ALERT`, or `FULL` when values had to go.
    used : int
        Bytes, before anything went.
    """

    tenant_id: TenantId
    level: int
    used: int
    quota: CacheQuota


@dataclass(frozen=True, slots=True, kw_only=True)
class Recount:
    """What a reconciliation found: the counter before and after, and how many names were wrong."""

    used: int
    before: int
    wrong: int


class CacheAccount:
    """One tenant's values and their account.

    Parameters
    ----------
    evaluate
        Runs a script on the cache's Redis.
    """

    def __init__(self, evaluate: Evaluate, tenant_id: TenantId) -> None:
        self._evaluate = evaluate
        self._tenant_id = tenant_id
        self.prefix = f"tenant:{{{tenant_id}}}:"
        meta = f"meta:tenant:{{{tenant_id}}}:"
        self.usage_key = meta + "usage_bytes"
        self.sizes_key = meta + "sizes"
        self._books = (self.usage_key, meta + "lru", self.sizes_key, meta + "expiries")
        self.alerted_key = meta + "alerted"

    async def write(
        self, key: str, data: bytes, *, milliseconds: int, quota: CacheQuota | None
    ) -> QuotaCrossing | None:
        """Store a value; return the level that this brought the tenant to for the first time, if any."""
        limits = quota or _UNLIMITED
        answer = await self._evaluate(
            _PUT, (key, *self._books, self.alerted_key), (data, milliseconds, limits.bytes, limits.alert_at)
        )
        used, level = (answer, 0) if isinstance(answer, int) else answer
        if used > limits.bytes:
            await self.trim(limits)
        if not level:
            return None
        return QuotaCrossing(tenant_id=self._tenant_id, level=level, used=used, quota=limits)

    async def read(self, key: str) -> bytes | None:
        """Return a value and note that it was used."""
        value: bytes | None = await self._evaluate(_GET, (key, *self._books), ())
        return value

    async def remove(self, key: str, *, quota: CacheQuota | None) -> None:
        """Remove a value."""
        limits = quota or _UNLIMITED
        await self._evaluate(_DROP, (key, *self._books, self.alerted_key), (limits.alert_at,))

    async def trim(self, quota: CacheQuota) -> int:
        """Remove the values used longest ago until the tenant is well below its quota.

        Returns
        -------
        int
            How many were removed.
        """
        removed, used, more = 0, 0, 1
        while more:
            used, some, more = await self._evaluate(
                _TRIM, self._books, (quota.trimmed, self.prefix, _REMOVED_AT_ONCE)
            )
            removed += some
        logger.info("cache_trimmed", tenant_id=str(self._tenant_id), removed=removed, used=used)
        return removed

    async def check(self, names: Sequence[str]) -> int:
        """Make the account of `names` agree with what is there; return how many were wrong."""
        wrong = 0
        for start in range(0, len(names), _CHECKED_AT_ONCE):
            part = names[start : start + _CHECKED_AT_ONCE]
            wrong += await self._evaluate(_CHECK, self._books, (self.prefix, *part))
        return wrong

    async def reconcile(self, names: Sequence[str], *, quota: CacheQuota) -> Recount:
        """Make the account of `names` agree with what is there, then the counter with the account."""
        wrong = await self.check(names)
        keys = (self.usage_key, self.sizes_key, self.alerted_key)
        used, before = await self._evaluate(_RECOUNT, keys, (quota.alert_at,))
        if used > quota.bytes:
            await self.trim(quota)
        return Recount(used=used, before=before, wrong=wrong)
