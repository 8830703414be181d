"""Make what Redis counts of tenants agree with what is."""

import structlog

from alphapulse.runtime.errors import DependencyDown
from alphapulse.runtime.resources import Resources
from alphapulse.tenancy import cache_reconciliation, call_backlog
from alphapulse.tenancy.cache import CacheUnavailable
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tiers import CacheQuota

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


async def reconcile(resources: Resources) -> None:
    """Count calls that were not handed in, then correct the accounts of cached values.

    Raises
    ------
    DependencyDown
        Redis does not answer.
    """

    async def quota_of(tenant_id: TenantId) -> CacheQuota | None:
        facts = await resources.facts.tenant(tenant_id)
        return None if facts is None else facts.limits.cache_quota

    try:
        calls = await call_backlog.hand_in(resources.platform, resources.limiter.count)
        done = await cache_reconciliation.reconcile(resources.cache, quota_of)
    except CacheUnavailable as error:
        raise DependencyDown("the cache does not answer", retry_after_seconds=30) from error
    logger.info(
        "cache_reconciled", tenants=done.tenants, wrong=done.wrong, drift=done.drift, calls_handed_in=calls
    )
