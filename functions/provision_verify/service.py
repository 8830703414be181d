"""Prove that a new tenant works: write and read as the tenant, with the tenant's own rights.

The platform's role would see what the tenant does not. So each store is asked through what every
function has: the tenant's database session, cache and Vault token.
"""

import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from alphapulse.data import queries
from alphapulse.provisioning.runs import Run
from alphapulse.runtime.errors import DependencyDown, Transient
from alphapulse.runtime.work import TenantWork
from alphapulse.tenancy.tenant import TenantId

_PROBE_SECONDS = 60

sql = queries.load(__file__)


class NotVerified(Transient):
    """A store did not give back what the tenant wrote."""

    code = "not_verified"


async def verify(work: TenantWork, run: Run) -> dict[str, Any]:  # noqa: ARG001 - as every step has it
    """Write, read and remove a probe in PostgreSQL, Redis and Vault, and look up the customer.

    Returns
    -------
    dict
        Milliseconds by store.

    Raises
    ------
    NotVerified
        A store does not give back what was written, or gives it to somebody else.
    """
    checks: dict[str, Callable[[TenantWork, str], Awaitable[None]]] = {
        "postgresql": _database,
        "redis": _cache,
        "vault": _vault,
        "billing": _customer,
    }
    took = {}
    for name, check in checks.items():
        began = time.perf_counter()
        await check(work, secrets.token_hex(8))
        took[name] = round((time.perf_counter() - began) * 1000, 1)
    return {"milliseconds": took}


async def _database(work: TenantWork, probe: str) -> None:
    database, tenant_id = work.scope.resources.database, work.tenant_id
    async with database.tenant(tenant_id) as session:
        await sql.write_probe(session, tenant_id=tenant_id.value, probe=probe)
    async with database.tenant(TenantId.new()) as session:
        if await sql.read_probe(session, tenant_id=tenant_id.value) is not None:
            raise NotVerified("another tenant could read the row that was written")
    async with database.tenant(tenant_id) as session:
        found = await sql.read_probe(session, tenant_id=tenant_id.value)
        await sql.remove_probe(session, tenant_id=tenant_id.value)
    if found != probe:
        raise NotVerified("the database did not give back the row that was written")


async def _cache(work: TenantWork, probe: str) -> None:
    cache = work.scope.cache
    await cache.put("provisioning", "probe", value=probe, ttl_seconds=_PROBE_SECONDS)
    found = await cache.get("provisioning", "probe")
    await cache.drop("provisioning", "probe")
    if found is None:
        raise DependencyDown("the cache did not keep the value that was written")
    if found != probe:
        raise NotVerified("the cache gave back another value than was written")


async def _vault(work: TenantWork, probe: str) -> None:
    vault = work.scope.resources.vault.tenant(work.tenant_id)
    await vault.write("provisioning", "probe", data={"probe": probe})
    vault.forget("provisioning", "probe")
    found = await vault.read("provisioning", "probe")
    await vault.delete("provisioning", "probe")
    if found is None or found.data.get("probe") != probe:
        raise NotVerified("Vault did not give back the secret that was written")


async def _customer(work: TenantWork, _probe: str) -> None:
    customer_id = await sql.customer_of(work.session, tenant_id=work.tenant_id.value)
    customer = None if customer_id is None else await work.scope.resources.billing.customer(customer_id)
    if customer is None or customer.tenant_id != work.tenant_id.value:
        raise NotVerified("the payment service does not know the tenant as its customer")
