"""Let a new tenant cache."""

from typing import Any

from alphapulse.provisioning.runs import Run
from alphapulse.runtime.work import TenantWork
from alphapulse.tenancy.tiers import LIMITS


async def open_namespace(work: TenantWork, run: Run) -> dict[str, Any]:
    """Begin the accounting of the tenant's bytes in the cache."""
    await work.scope.resources.keyspace.create(work.tenant_id)
    return {"quota_bytes": LIMITS[run.tier].cache_bytes}
