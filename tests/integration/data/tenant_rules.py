"""The rules every table must keep, read from the live catalogue."""

import asyncpg

# Nothing in these belongs to a tenant. A new table is either here or has a tenant_id.
SHARED_TABLES = {
    "alembic_version",
    "candles",
    "evidence_snapshots",
    "instruments",
    "login_throttles",
    "platform_outbox",
    "platform_processed_events",
    "platform_settings",
}
# Their key is natural and the application never refers to a row of them.
WITHOUT_ID = {"processed_events", "idempotency_keys"}
# The tenant is looked up from the row, so it comes later; functions have no access at all.
TENANT_UNKNOWN_AT_FIRST = {"stripe_events"}
# What must find a tenant without knowing it: a login, a token, a webhook, the relay, a deadline;
# and what must find the oldest rows of all tenants, to remove them.
GLOBAL_INDEXES = {
    "api_keys_key_hash_key",
    "idempotency_keys_age",
    "invoices_stripe_invoice_id_key",
    "one_time_tokens_expiry",
    "outbox_due",
    "processed_events_age",
    "provisioning_runs_overdue",
    "provisioning_runs_recheck",
    "sessions_expiry",
    "sessions_token_hash_key",
    "stripe_events_pkey",
    "subscriptions_stripe_customer_id_key",
    "subscriptions_stripe_subscription_id_key",
    "users_email",
}
OWN_ROWS = "({} = (NULLIF(current_setting('app.current_tenant_id'::text, true), ''::text))::uuid)"

_TABLES = """
    SELECT c.oid, c.relname::text AS name, c.relispartition AS partition, c.relrowsecurity AS enabled,
        c.relforcerowsecurity AS forced, c.relacl::text[] AS acl,
        (SELECT a.attnotnull FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')
            AS tenant_required
    FROM pg_class c
    WHERE c.relnamespace = 'alphapulse'::regnamespace AND c.relkind IN ('r', 'p')
    ORDER BY c.relname"""
_INDEXES = """
    SELECT i.relname::text AS name, x.indisprimary AS primary, t.relispartition AS partition,
        ARRAY(SELECT pg_get_indexdef(x.indexrelid, n, false)
            FROM generate_series(1, x.indnkeyatts) n) AS keys,
        pg_get_indexdef(x.indexrelid) AS definition
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
    WHERE x.indrelid = $1"""


async def violations(connection: asyncpg.Connection) -> list[str]:
    """Return what breaks a rule, one sentence each; empty when all tables keep all of them."""
    found: list[str] = []
    for table in await connection.fetch(_TABLES):
        name = table["name"]
        found += _grants(table)
        if name in SHARED_TABLES:
            continue
        if name != "tenants" and table["tenant_required"] is None:
            found.append(f"{name} has no tenant_id and is not listed as shared")
            continue
        if table["tenant_required"] is False and name not in TENANT_UNKNOWN_AT_FIRST:
            found.append(f"{name}.tenant_id may be null")
        if not (table["enabled"] and table["forced"]):
            found.append(f"row-level security of {name} is not enabled and forced")
        found += await _policies(connection, name)
        if name != "tenants":
            found += _indexes(name, await connection.fetch(_INDEXES, table["oid"]))
    return found


def _grants(table: asyncpg.Record) -> list[str]:
    name = table["name"]
    holders = dict(entry.split("/")[0].split("=") for entry in table["acl"] or [])
    found = []
    if "" in holders:
        found.append(f"{name} is granted to PUBLIC")
    app = holders.get("alphapulse_app", "")
    if set(app) - set("arwd"):
        found.append(f"alphapulse_app has more than row access to {name}: {app}")
    others = set(holders) - {"alphapulse_owner"}
    if table["partition"] and others:
        found.append(f"partition {name} is granted to {sorted(others)}")
    if name in SHARED_TABLES and set(app) - {"r"}:
        found.append(f"alphapulse_app may write the shared table {name}")
    if name in TENANT_UNKNOWN_AT_FIRST and app:
        found.append(f"alphapulse_app has access to {name}")
    if set(holders.get("alphapulse_readonly", "")) - {"r"}:
        found.append(f"alphapulse_readonly may write {name}")
    return found


async def _policies(connection: asyncpg.Connection, table: str) -> list[str]:
    rows = await connection.fetch(
        "SELECT * FROM pg_policies WHERE schemaname = 'alphapulse' AND tablename = $1", table
    )
    policies = {row["policyname"]: row for row in rows}
    isolation = policies.pop("tenant_isolation", None)
    found = [
        f"policy {name} of {table} is for {row['roles']} instead of the platform alone"
        for name, row in policies.items()
        if row["roles"] != ["alphapulse_platform"]
    ]
    if isolation is None:
        return [*found, f"{table} has no policy tenant_isolation"]
    expected = OWN_ROWS.format("id" if table == "tenants" else "tenant_id")
    actual = tuple(isolation[key] for key in ("permissive", "roles", "cmd", "qual", "with_check"))
    if actual != ("PERMISSIVE", ["public"], "ALL", expected, expected):
        found.append(f"tenant_isolation of {table} is {actual}")
    return found


def _indexes(table: str, indexes: list[asyncpg.Record]) -> list[str]:
    found = [
        f"index {index['name']} of {table} does not begin with tenant_id"
        for index in indexes
        if index["keys"][0] != "tenant_id" and index["name"] not in GLOBAL_INDEXES
    ]
    primary = [index["keys"] for index in indexes if index["primary"]]
    if table not in WITHOUT_ID | TENANT_UNKNOWN_AT_FIRST and primary != [["tenant_id", "id"]]:
        found.append(f"the primary key of {table} is {primary}")
    time = "processed_at" if table == "processed_events" else "created_at"
    if not any(f"(tenant_id, {time} DESC)" in index["definition"] for index in indexes):
        found.append(f"{table} has no index on (tenant_id, {time} DESC)")
    return found
