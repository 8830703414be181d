"""Let a new tenant have secrets."""

from typing import Any

from alphapulse.provisioning.runs import Run
from alphapulse.runtime.work import TenantWork


async def write_policy(work: TenantWork, run: Run) -> dict[str, Any]:  # noqa: ARG001 - as every step has it
    """Write the policy that opens the tenant's own paths in Vault to its own tokens, and no others."""
    await work.scope.resources.platform_vault.create_tenant(work.tenant_id)
    return {"policy": f"tenant-{work.tenant_id}"}
