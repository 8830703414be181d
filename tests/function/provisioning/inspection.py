"""What the four stores hold of a tenant, looked up behind the product's back."""

from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import redis.asyncio as redis

from alphapulse.tenancy.tenant import TenantId

#: What a tenant keeps when its provisioning failed: the account, and what is known of the attempt.
ACCOUNT = {
    "audit_log",
    "idempotency_keys",
    "notifications",
    "outbox",
    "processed_events",
    "provisioning_runs",
    "provisioning_steps",
    "sessions",
    "users",
}
#: What is kept of a deleted tenant: that it was, and what was done.
REGISTRY = {"audit_log", "outbox", "provisioning_runs", "provisioning_steps"}


@dataclass(frozen=True)
class Stores:
    """Administrators' addresses of the four stores."""

    postgres: str
    redis: str
    vault: str
    vault_token: str
    stripe: str
    stripe_key: str

    async def of(self, tenant_id: TenantId, *, but: set[str]) -> dict[str, Any]:
        """Return what is there of a tenant, by store; empty when there is nothing."""
        found = {
            "postgres": await self._rows(tenant_id, but=but),
            "redis": await self._keys(tenant_id),
            "vault": await self._secrets(tenant_id),
            "stripe": await self._customers(tenant_id),
        }
        return {store: things for store, things in found.items() if things}

    async def _rows(self, tenant_id: TenantId, *, but: set[str]) -> dict[str, int]:
        connection = await asyncpg.connect(self.postgres)
        try:
            tables = await connection.fetch(
                """SELECT c.relname::text AS name FROM pg_class c
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
                WHERE c.relnamespace = 'alphapulse'::regnamespace AND c.relkind IN ('r', 'p')"""
            )
            counts = {}
            for table in tables:
                query = f'SELECT count(*) FROM alphapulse."{table["name"]}" WHERE tenant_id = $1'
                counts[table["name"]] = await connection.fetchval(query, tenant_id.value)
        finally:
            await connection.close()
        return {name: count for name, count in counts.items() if count and name not in but}

    async def _keys(self, tenant_id: TenantId) -> list[str]:
        client = redis.Redis.from_url(self.redis)
        try:
            return sorted([key.decode() async for key in client.scan_iter(match=f"*{tenant_id}*")])
        finally:
            await client.aclose()

    async def _secrets(self, tenant_id: TenantId) -> list[str]:
        headers = {"X-Vault-Token": self.vault_token}
        async with httpx.AsyncClient(base_url=self.vault, headers=headers, trust_env=False) as client:
            policies = (await client.request("LIST", "/v1/sys/policies/acl")).json()["data"]["keys"]
            below = await client.request("LIST", f"/v1/secret/metadata/tenants/{tenant_id}")
        secrets = below.json()["data"]["keys"] if below.status_code == 200 else []
        return [name for name in policies if str(tenant_id) in name] + secrets

    async def _customers(self, tenant_id: TenantId) -> list[str]:
        found, after = [], {}
        async with httpx.AsyncClient(
            base_url=self.stripe, auth=(self.stripe_key, ""), trust_env=False
        ) as client:
            while True:
                page = (await client.get("/v1/customers", params={"limit": "100", **after})).json()
                found += [c["id"] for c in page["data"] if c["metadata"].get("tenant_id") == str(tenant_id)]
                if not page["has_more"]:
                    return found
                after = {"starting_after": page["data"][-1]["id"]}
