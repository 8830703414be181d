"""The audit log's one writer: who did what to which thing, in the transaction that did it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.data.session import Session

ActorType = Literal["user", "api_key", "function", "operator"]

_sql = queries.load(__file__, "audit.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One thing that was done.

    Attributes
    ----------
    actor_type, actor_id
        A user, an API key (their ids), a function (its Service name) or an operator.
    action
        `noun.verb`, the verb in the past: `api_key.created`.
    resource_type, resource_id
        What it was done to.
    details
        JSON; never a secret.
    """

    actor_type: ActorType
    actor_id: str
    action: str
    resource_type: str | None = None
    resource_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    trace_id: str | None = None


async def append(session: Session, tenant_id: uuid.UUID, entry: AuditEntry) -> None:
    """Append to the tenant's chain; the database numbers, dates and hashes the row."""
    await _sql.append(
        session,
        tenant_id=tenant_id,
        id=uuid7(),
        actor_type=entry.actor_type,
        actor_id=entry.actor_id,
        action=entry.action,
        resource_type=entry.resource_type,
        resource_id=entry.resource_id,
        details=dict(entry.details),
        trace_id=entry.trace_id,
    )
