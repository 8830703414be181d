"""What a tenant is told about itself."""

from alphapulse.data import queries
from alphapulse.runtime.errors import NotFound
from alphapulse.runtime.work import TenantWork
from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.tiers import limits_in_force
from functions.accounts.schemas import TenantView

sql = queries.load(__file__)


async def tenant_view(work: TenantWork) -> TenantView:
    """Return the caller's tenant with its tier's limits and what it uses of them."""
    row = await sql.tenant(work.session, tenant_id=work.tenant_id.value)
    if row is None:
        raise NotFound("there is no such tenant")
    limits = limits_in_force(Tier(row["tier"]), row["limit_overrides"])
    resources = work.scope.resources
    return TenantView(
        id=row["id"],
        company=row["company"],
        tier=row["tier"],
        status=row["status"],
        created_at=row["created_at"],
        limits={
            "agents": limits.agents,
            "open_positions": limits.open_positions,
            "api_calls_per_day": limits.api_calls_per_day,
            "requests_per_minute": limits.requests_per_minute,
            "cache_bytes": limits.cache_bytes,
            "max_leverage": str(limits.max_leverage),
        },
        usage={
            "open_positions": row["open_positions"],
            "api_calls_today": await resources.limiter.calls_today(work.tenant_id),
            "cache_bytes": await work.scope.cache.used_bytes(),
        },
    )
