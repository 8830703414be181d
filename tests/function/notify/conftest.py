"""Mail goes to a mailbox of the test; tenants have people."""

import uuid
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.runtime.settings import Settings
from alphapulse.tenancy.tenant import TenantId
from tests.mailboxes import Mailbox

AddUser = Callable[..., Awaitable[uuid.UUID]]


@pytest.fixture
def function_settings(function_settings: Settings, mailbox: Mailbox) -> Settings:
    return function_settings.replace(
        smtp_url=mailbox.smtp_url, mail_from=mailbox.mail_from, public_url="https://alphapulse.test"
    )


@pytest.fixture
def add_user(database: DatabaseUrls) -> AddUser:
    """`await add_user(tenant, "ada@example.com", role="owner", status="active")`."""

    async def add(
        tenant_id: TenantId, email: str, *, role: str = "owner", status: str = "active"
    ) -> uuid.UUID:
        user_id = uuid7()
        connection = await asyncpg.connect(database.platform)
        try:
            await connection.execute(
                "INSERT INTO users (tenant_id, id, email, password_hash, role, status)"
                " VALUES ($1, $2, $3, 'x', $4, $5)",
                tenant_id.value,
                user_id,
                email,
                role,
                status,
            )
        finally:
            await connection.close()
        return user_id

    return add


@pytest.fixture
def owner(tenant: TenantId) -> str:
    """The address of the tenant's only owner."""
    return f"owner-{tenant}@example.com"
