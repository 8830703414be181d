"""The four stores a tenant has things in, and how each gives all of them up.

Every removal may be repeated: it removes what is there. What it reports is checked afterwards by
asking the store, not by remembering what was removed.
"""

from collections.abc import Collection
from graphlib import TopologicalSorter
from typing import Any, Final, Protocol

from alphapulse.provisioning.runs import Run, sql
from alphapulse.provisioning.steps import Step
from alphapulse.runtime.work import TenantWork
from alphapulse.tenancy.limiter import tenant_key

_ROWS_AT_ONCE: Final = 50_000
# The registry: what happened to the tenant, and what must still be told.
_ALWAYS_KEPT: Final = frozenset({"audit_log", "outbox", "provisioning_runs", "provisioning_steps"})
# A failed provisioning leaves the account: its owner logs in, sees why, and tries again.
_KEPT_FOR_RETRY: Final = frozenset({"users", "processed_events", "idempotency_keys", "notifications"})


class Store(Protocol):
    """One of the four stores."""

    step: Step

    async def remove(self, work: TenantWork, run: Run) -> dict[str, Any]:
        """Remove all the run made, or for a deletion all there is; return what was removed."""

    async def left(self, work: TenantWork, run: Run) -> list[str]:
        """Return the names of what is still there."""


class BillingStore:
    """The customer at the payment service."""

    step = Step.BILLING

    async def remove(self, work: TenantWork, run: Run) -> dict[str, Any]:
        """Delete every customer that carries the tenant's id."""
        billing = work.scope.resources.billing
        customers = await self.left(work, run)
        for customer in customers:
            await billing.delete_customer(customer)
        return {"customers": customers}

    async def left(self, work: TenantWork, run: Run) -> list[str]:
        """Return ids of customers: the recorded ones, and those whose recording was lost."""
        billing, tenant_id = work.scope.resources.billing, work.tenant_id
        owner = await sql.owner(work.session, tenant_id=tenant_id.value)
        recorded = await sql.customer_of(work.session, tenant_id=tenant_id.value)
        known = {*([recorded] if recorded else []), *_removed_before(run)}
        found = {customer for customer in known if await billing.customer(customer) is not None}
        if owner is not None:
            found.update(c.id for c in await billing.customers_of(tenant_id, email=owner["email"]))
        return sorted(found)


class CacheStore:
    """The tenant's keys in Redis."""

    step = Step.CACHE

    async def remove(self, work: TenantWork, run: Run) -> dict[str, Any]:  # noqa: ARG002 - as the protocol has it
        """Remove all keys with the tenant's hash tag."""
        return {"keys": await work.scope.resources.keyspace.remove(work.tenant_id)}

    async def left(self, work: TenantWork, run: Run) -> list[str]:  # noqa: ARG002 - see above
        """Return the keys there are.

        But the count of requests: whoever watches the removal is counted, so it may be there again at any
        moment; it expires by itself.
        """
        keys = await work.scope.resources.keyspace.keys_of(work.tenant_id)
        return [key for key in keys if key != tenant_key(work.tenant_id)]


class VaultStore:
    """The tenant's policy and secrets."""

    step = Step.VAULT

    async def remove(self, work: TenantWork, run: Run) -> dict[str, Any]:  # noqa: ARG002 - see above
        """Remove policy and secrets, all versions."""
        vault = work.scope.resources.platform_vault
        there = await vault.tenants_left(work.tenant_id)
        await vault.remove_tenant(work.tenant_id)
        return {"policies_and_secrets": len(there)}

    async def left(self, work: TenantWork, run: Run) -> list[str]:  # noqa: ARG002 - see above
        """Return the names of the policy and the secrets there are."""
        return await work.scope.resources.platform_vault.tenants_left(work.tenant_id)


class DatabaseStore:
    """The tenant's rows, in every table the live schema has for tenants."""

    step = Step.DATABASE

    async def remove(self, work: TenantWork, run: Run) -> dict[str, Any]:
        """Erase the rows, those that refer to others first."""
        erased = {}
        for table in await self._tables(work, run):
            rows = 0
            while batch := await sql.erase_rows(work.session, relation=table, most=_ROWS_AT_ONCE):
                rows += batch
            if rows:
                erased[table] = rows
        return {"rows": erased}

    async def left(self, work: TenantWork, run: Run) -> list[str]:
        """Return the tables that hold a row of the tenant."""
        tables = await self._tables(work, run)
        return [table for table in tables if await sql.has_rows(work.session, relation=table)]

    @staticmethod
    async def _tables(work: TenantWork, run: Run) -> list[str]:
        refers = {row["name"]: set(row["refers_to"]) async for row in sql.tenant_tables(work.session)}
        kept = set(_ALWAYS_KEPT)
        if run.kind == "provision":
            kept |= _KEPT_FOR_RETRY
            kept |= {table for table, targets in refers.items() if "users" in targets}
        return in_order_of_removal(refers, kept)


def _removed_before(run: Run) -> list[str]:
    """Return the customers an earlier removal of this run reported."""
    reports = (run.report or {}).get("stores", [])
    return [id_ for report in reports for id_ in report["removed"].get("customers", [])]


def in_order_of_removal(refers: dict[str, set[str]], kept: Collection[str]) -> list[str]:
    """Return the tables that are not kept, each before those it refers to."""
    order = TopologicalSorter(refers).static_order()
    return [table for table in reversed(list(order)) if table in refers and table not in kept]


#: In the order of undoing: what was made last goes first.
STORES: Final[tuple[Store, ...]] = (BillingStore(), CacheStore(), VaultStore(), DatabaseStore())
