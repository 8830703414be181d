"""Changes of tenants as an operator makes them."""

from typing import Any

import asyncpg
import orjson

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.tenancy.tenant import TenantId


async def change_tenant(
    database: DatabaseUrls,
    tenant_id: TenantId,
    *,
    limit_overrides: dict[str, Any] | None = None,
    **columns: str,
) -> None:
    """Set columns of `tenants`, and what was agreed beside the tier."""
    connection = await asyncpg.connect(database.platform)
    try:
        async with connection.transaction():
            # Formatted from a UUID object; SET takes no parameters.
            await connection.execute(f"SET LOCAL app.current_tenant_id = '{tenant_id}'")
            for name, value in columns.items():
                await connection.execute(
                    f"UPDATE tenants SET {name} = $2 WHERE id = $1", tenant_id.value, value
                )
            if limit_overrides is not None:
                await connection.execute(
                    "UPDATE tenant_configs SET limit_overrides = $2::text::jsonb WHERE tenant_id = $1",
                    tenant_id.value,
                    orjson.dumps(limit_overrides).decode(),
                )
    finally:
        await connection.close()
