"""The states of a tenant, and which may follow which.

pending --> provisioning --> active <--> suspended
   |             |              |            |
   |             v              v            v
   +--------> failed -----> cancelled <------+
                |               |
                +--> pending    +--> active (taken back), deleted (for good)
"""

import datetime as dt
import enum
from collections.abc import Mapping
from typing import Final

from alphapulse.data import queries
from alphapulse.data.session import Session
from alphapulse.tenancy.tenant import TenantId

_sql = queries.load(__file__, "states.sql")


class TenantStatus(enum.StrEnum):
    """What a tenant is at this moment."""

    PENDING = "pending"
    PROVISIONING = "provisioning"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    CANCELLED = "cancelled"
    DELETED = "deleted"
    FAILED = "failed"


#: From each state to those that may follow it.
TRANSITIONS: Final[Mapping[TenantStatus, frozenset[TenantStatus]]] = {
    TenantStatus.PENDING: frozenset({TenantStatus.PROVISIONING, TenantStatus.FAILED}),
    TenantStatus.PROVISIONING: frozenset({TenantStatus.ACTIVE, TenantStatus.FAILED}),
    TenantStatus.FAILED: frozenset({TenantStatus.PENDING, TenantStatus.CANCELLED}),
    TenantStatus.ACTIVE: frozenset({TenantStatus.SUSPENDED, TenantStatus.CANCELLED}),
    TenantStatus.SUSPENDED: frozenset({TenantStatus.ACTIVE, TenantStatus.CANCELLED}),
    TenantStatus.CANCELLED: frozenset({TenantStatus.ACTIVE, TenantStatus.DELETED}),
    TenantStatus.DELETED: frozenset(),
}


class TransitionRefused(Exception):
    """A tenant cannot go from its state to the wanted one.

    Attributes
    ----------
    status : TenantStatus or None
        Its state; None when there is no such tenant.
    wanted : TenantStatus
        What was asked for.
    """

    def __init__(
        self, status: TenantStatus | None, wanted: TenantStatus, *, because: str | None = None
    ) -> None:
        found = "there is no such tenant" if status is None else f"a tenant that is {status}"
        text = found if status is None else f"{found} cannot become {wanted}"
        super().__init__(text if because is None else f"{text}: {because}")
        self.status = status
        self.wanted = wanted


async def change_status(
    session: Session, tenant_id: TenantId, to: TenantStatus, *, reason: str | None = None, now: dt.datetime
) -> bool:
    """Move a tenant to another state, in the session's transaction.

    Parameters
    ----------
    session
        Of the platform role.
    reason
        Why, for the tenant and the operator; never a secret. None removes an earlier reason.
    now
        Aware UTC; becomes the moment of activation, suspension, cancellation or deletion.

    Returns
    -------
    bool
        False when the tenant was in that state already.

    Raises
    ------
    TransitionRefused
        The table of transitions does not allow it, there is no such tenant, or it is to be taken back and
        its deletion has begun.
    """
    if to is TenantStatus.ACTIVE:
        await _refuse_if_being_deleted(session, tenant_id)
    origins = [status for status, following in TRANSITIONS.items() if to in following]
    changed = await _sql.change_status(
        session, tenant_id=tenant_id.value, status=to, origins=origins, reason=reason, now=now
    )
    if changed is not None:
        return True
    found = await _sql.status(session, tenant_id=tenant_id.value)
    if found == to:
        return False
    raise TransitionRefused(None if found is None else TenantStatus(found), to)


async def _refuse_if_being_deleted(session: Session, tenant_id: TenantId) -> None:
    """Hold the tenant's row, as whoever begins a deletion does, and look for one that has begun."""
    found = await _sql.hold(session, tenant_id=tenant_id.value)
    if found == TenantStatus.CANCELLED and await _sql.is_being_deleted(session, tenant_id=tenant_id.value):
        raise TransitionRefused(TenantStatus.CANCELLED, TenantStatus.ACTIVE, because="its deletion has begun")
