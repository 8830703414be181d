"""Users and logins of tenants that tests insert: one of each role, with ids that follow from the tenant's."""

import datetime as dt
import uuid

import asyncpg

from alphapulse.tenancy.principal import Principal, Role, Tier
from alphapulse.tenancy.tenant import TenantId

_LIFETIME = dt.timedelta(days=4000)


def login_of(tenant_id: TenantId, *, role: str = "owner", tier: str = "starter") -> Principal:
    """Return the user of a role of an inserted tenant, logged in."""
    return Principal(
        tenant_id=tenant_id,
        user_id=uuid.uuid5(tenant_id.value, f"user {role}"),
        role=Role(role),
        tier=Tier(tier),
        session_id=uuid.uuid5(tenant_id.value, f"login {role}"),
    )


async def insert_logins(connection: asyncpg.Connection, tenant_id: TenantId) -> None:
    """Insert the users and logins; the connection acts for the tenant."""
    now = dt.datetime.now(dt.UTC)
    for role in Role:
        login = login_of(tenant_id, role=role)
        await connection.execute(
            """INSERT INTO users (tenant_id, id, email, password_hash, role)
            VALUES ($1, $2, $3, 'no password', $4)""",
            tenant_id.value,
            login.user_id,
            f"{role}-{tenant_id}@example.com",
            role.value,
        )
        await connection.execute(
            """INSERT INTO sessions (tenant_id, id, user_id, family_id, token_hash, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)""",
            tenant_id.value,
            uuid.uuid5(login.session_id, "session"),
            login.user_id,
            login.session_id,
            login.session_id.bytes + login.user_id.bytes,
            now - dt.timedelta(days=1000),
            now + _LIFETIME,
        )
