"""Open the product to a tenant whose stores all work."""

from typing import Any

from alphapulse.data import queries
from alphapulse.provisioning.runs import Run
from alphapulse.runtime.work import TenantWork
from alphapulse.tenancy.states import TenantStatus, change_status

sql = queries.load(__file__)


async def activate(work: TenantWork, run: Run) -> dict[str, Any]:
    """Make the tenant active, end the run, and have the owner welcomed."""
    await change_status(work.session, work.tenant_id, TenantStatus.ACTIVE, now=work.now)
    await sql.finish_run(work.session, tenant_id=work.tenant_id.value, run_id=run.id, now=work.now)
    await work.audit("tenant.activated", resource_type="provisioning_run", resource_id=str(run.id))
    await work.emit(
        "notification.requested",
        {
            "kind": "welcome",
            "recipient": "owner",
            "dedupe_key": f"welcome:{work.tenant_id}",
        },
        correlation_id=str(run.id),
    )
    return {"seconds": round((work.now - run.created_at).total_seconds(), 3)}
