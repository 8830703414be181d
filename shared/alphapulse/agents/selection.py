"""Which agents speak for a tenant when nobody names them."""

from alphapulse.data import queries
from alphapulse.domain.agents.registry import AGENT_NAMES
from alphapulse.runtime.work import TenantWork

_sql = queries.load(__file__, "selection.sql")


async def agents_switched_on(work: TenantWork, *, included: int) -> list[str]:
    """Return the tenant's enabled agents, heaviest first, and no more than its tier includes.

    Until a tenant says otherwise, as many agents are on as the tier includes. After a downgrade more may
    be on than that; the lightest of them are left out.

    Parameters
    ----------
    work
        An open transaction of the tenant.
    included
        How many agents the tier includes.
    """
    rows = _sql.switches(work.session, tenant_id=work.tenant_id.value)
    switches = {row["agent"]: row["enabled"] async for row in rows}
    on = [name for place, name in enumerate(AGENT_NAMES) if switches.get(name, place < included)]
    return on[:included]
