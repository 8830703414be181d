"""The accounts of all tenants' cached values, compared with what Redis holds.

Scripts keep an account true while they alone write. What nobody tells them of is found here: a value that
expired and was never asked for again, one that was written or removed by a foreign hand, a counter that
was lost.
"""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from alphapulse.tenancy.cache import CacheConnection
from alphapulse.tenancy.cache_account import CacheAccount
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tiers import CacheQuota

# Names are held for as many tenants as have keys; a tenant's are checked as soon as there are so many.
_NAMES_AT_ONCE: Final = 500
_OWNER: Final = re.compile(r"(?:meta:)?tenant:\{([0-9a-f-]{36})\}:")

logger: structlog.stdlib.BoundLogger = structlog.get_logger()

QuotaOf = Callable[[TenantId], Awaitable[CacheQuota | None]]


@dataclass(slots=True)
class Reconciliation:
    """What one round found.

    Attributes
    ----------
    tenants : int
        Tenants that have anything in Redis.
    wrong : int
        Names whose account did not agree with what is there.
    drift : int
        Bytes that counters were off, added up without sign.
    """

    tenants: int = 0
    wrong: int = 0
    drift: int = 0


async def reconcile(cache: CacheConnection, quota_of: QuotaOf) -> Reconciliation:
    """Make every tenant's account true and bring who is over a quota down to it.

    Parameters
    ----------
    quota_of
        A tenant's quota; None leaves out a tenant that is not known any more.

    Raises
    ------
    CacheUnavailable
        Redis does not answer; what was done until then stays.
    """
    done = Reconciliation()
    waiting: dict[TenantId, list[str]] = defaultdict(list)
    quotas: dict[TenantId, CacheQuota | None] = {}
    async for tenant_id, name in _values(cache):
        if tenant_id not in quotas:
            quotas[tenant_id] = await quota_of(tenant_id)
        names = waiting[tenant_id]
        if name is not None:
            names.append(name)
        quota = quotas[tenant_id]
        if quota is not None and len(names) >= _NAMES_AT_ONCE:
            done.wrong += await CacheAccount(cache.evaluate, tenant_id).check(names)
            names.clear()
    for tenant_id, names in waiting.items():
        quota = quotas[tenant_id]
        if quota is None:
            continue
        account = CacheAccount(cache.evaluate, tenant_id)
        known = [name.decode() for name in await cache.run("HKEYS", account.sizes_key)]
        recount = await account.reconcile([*names, *known], quota=quota)
        done.tenants += 1
        done.wrong += recount.wrong
        done.drift += abs(recount.used - recount.before)
        if recount.wrong or recount.used != recount.before:
            logger.info(
                "cache_account_corrected",
                tenant_id=str(tenant_id),
                wrong=recount.wrong,
                before=recount.before,
                used=recount.used,
            )
    return done


async def _values(cache: CacheConnection) -> AsyncIterator[tuple[TenantId, str | None]]:
    """Walk tenants' values; a tenant that has an account and no value comes without a name."""
    async for key in cache.keys("*tenant:{*"):
        owner = _OWNER.match(key)
        if owner is None:
            continue
        try:
            tenant_id = TenantId.parse(owner[1])
        except ValueError:
            continue
        yield tenant_id, None if key.startswith("meta:") else key
