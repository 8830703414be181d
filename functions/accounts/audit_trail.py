"""A tenant's audit log, as its owner reads it."""

import datetime as dt
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel

from alphapulse.data import queries
from alphapulse.runtime.errors import NotPermitted
from alphapulse.runtime.http import Work, tenant_router
from alphapulse.tenancy.principal import Role

sql = queries.load(__file__, "audit_trail.sql")
router = tenant_router()


class AuditEntryView(BaseModel):
    """Who did what to which thing.

    `verified` is false when the entry, or its place after the one before it, is not as it was written.
    """

    sequence: int
    created_at: dt.datetime
    actor_type: str
    actor_id: str
    action: str
    resource_type: str | None
    resource_id: str | None
    details: dict[str, Any]
    trace_id: str | None
    verified: bool


class AuditTrail(BaseModel):
    """A page of entries, the newest first; `verified` when all of them are."""

    items: list[AuditEntryView]
    next_cursor: str | None
    verified: bool


@router.get("/tenants/me/audit")
async def list_entries(
    work: Work,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> AuditTrail:
    """Return what was done in the tenant; for its owner."""
    if work.principal.role is not Role.OWNER:
        raise NotPermitted("only an owner may read the audit log")
    found = sql.page(work.session, tenant_id=work.tenant_id.value, before=cursor, limit=limit + 1)
    rows = [AuditEntryView.model_validate(dict(row)) async for row in found]
    items, more = rows[:limit], len(rows) > limit
    return AuditTrail(
        items=items,
        next_cursor=str(items[-1].sequence) if more else None,
        verified=all(item.verified for item in items),
    )
