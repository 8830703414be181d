"""What is true of a caller at this moment: the tenant's state and tier, the user's role, the login.

A token says what was true when it was made. Here is what is true now, read from the database at most
once a second per caller and process. Nothing has to be told when something changes, so nothing can be
missed: a suspension, a new tier, a revoked login holds everywhere within that second.
"""

import asyncio
import datetime as dt
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from alphapulse.data import queries
from alphapulse.data.errors import DatabaseUnavailable
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.principal import Principal, Role, Tier
from alphapulse.tenancy.states import TenantStatus
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tiers import TierLimits, limits_in_force

#: Counted from before the question, and a little less than the second that is promised.
FRESH_SECONDS: Final = 0.9
#: How long known facts may be answered on while the database does not answer.
STALE_SECONDS: Final = 3.0
_LIMITS_SECONDS: Final = 60.0
_KEPT: Final = 10_000

_sql = queries.load(__file__, "facts.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalFacts:
    """What is true of a principal.

    Attributes
    ----------
    tenant_status : TenantStatus
        The tenant's state.
    tier : Tier
        What the tenant has subscribed to.
    limits : TierLimits
        The tier's, with what was agreed with this tenant.
    role : Role or None
        The user's, or the lesser of an API key's and its user's; None when there is no such user.
    live : bool
        The user is active, and the login or API key neither revoked nor expired.
    """

    tenant_status: TenantStatus
    tier: Tier
    limits: TierLimits
    role: Role | None
    live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFacts:
    """What is true of a tenant: its state, its tier, and the tier's limits with what was agreed."""

    status: TenantStatus
    tier: Tier
    limits: TierLimits


class FactsCache:
    """Facts of the callers of one process.

    Parameters
    ----------
    database
        Asked as the caller's own tenant, under row-level security.
    clock
        Aware UTC now, which expiry is judged by.
    """

    def __init__(self, database: Database, *, clock: Callable[[], dt.datetime]) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[_Key, tuple[float, PrincipalFacts | None]] = {}
        self._asking: dict[_Key, asyncio.Task[PrincipalFacts | None]] = {}
        self._limits: dict[TenantId, tuple[float, TierLimits]] = {}

    async def of(self, principal: Principal) -> PrincipalFacts | None:
        """Return what is true of `principal`; None when there is no such tenant.

        Raises
        ------
        DatabaseUnavailable
            The database does not answer, and what is known is more than a few seconds old.
        """
        key = (principal.tenant_id, principal.user_id, principal.session_id, principal.api_key_id)
        known = self._known.get(key)
        if known is not None and time.monotonic() - known[0] < FRESH_SECONDS:
            return known[1]
        try:
            return await self._ask(key)
        except DatabaseUnavailable:
            if known is not None and time.monotonic() - known[0] < STALE_SECONDS:
                return known[1]
            raise

    async def tenant(self, tenant_id: TenantId) -> TenantFacts | None:
        """Return what is true of a tenant now; None when there is none.

        For what is begun without a request: a schedule asks it before it begins new work.

        Raises
        ------
        DatabaseUnavailable
            The database does not answer.
        """
        async with self._database.tenant(tenant_id) as session:
            row = await _sql.tenant_facts(session, tenant_id=tenant_id.value)
        if row is None:
            return None
        return TenantFacts(
            status=TenantStatus(row["status"]),
            tier=Tier(row["tier"]),
            limits=self._keep_limits(tenant_id, row),
        )

    def known_limits(self, tenant_id: TenantId) -> tuple[TierLimits | None, bool]:
        """Return a tenant's limits as they were read last, and whether they should be read again."""
        found = self._limits.get(tenant_id)
        if found is None:
            return None, True
        return found[1], time.monotonic() - found[0] > _LIMITS_SECONDS

    async def _ask(self, key: "_Key") -> PrincipalFacts | None:
        """Ask the database, or wait for the question that is under way."""
        asking = self._asking.get(key)
        if asking is None:
            asking = asyncio.get_running_loop().create_task(self._learn(key))
            self._asking[key] = asking
            asking.add_done_callback(lambda done: self._asked(key, done))
        # A request that is given up must not take the question of the others with it.
        return await asyncio.shield(asking)

    def _asked(self, key: "_Key", done: "asyncio.Task[PrincipalFacts | None]") -> None:
        self._asking.pop(key, None)
        if not done.cancelled():
            done.exception()  # or asyncio complains of it when no request waits any more

    async def _learn(self, key: "_Key") -> PrincipalFacts | None:
        asked_at = time.monotonic()
        tenant_id, user_id, session_id, api_key_id = key
        async with self._database.tenant(tenant_id) as session:
            if api_key_id is None:
                row = await _sql.login_facts(
                    session,
                    tenant_id=tenant_id.value,
                    user_id=user_id,
                    session_id=session_id,
                    now=self._clock(),
                )
            else:
                row = await _sql.api_key_facts(
                    session, tenant_id=tenant_id.value, api_key_id=api_key_id, now=self._clock()
                )
        facts = None
        if row is not None:
            facts = PrincipalFacts(
                tenant_status=TenantStatus(row["status"]),
                tier=Tier(row["tier"]),
                limits=self._keep_limits(tenant_id, row),
                role=None if row["role"] is None else Role(row["role"]),
                live=bool(row["live"]),
            )
        if len(self._known) >= _KEPT:
            self._forget(older_than=asked_at - STALE_SECONDS)
        self._known[key] = (asked_at, facts)
        return facts

    def _keep_limits(self, tenant_id: TenantId, row: Mapping[str, Any]) -> TierLimits:
        limits = limits_in_force(Tier(row["tier"]), row["limit_overrides"])
        if len(self._limits) >= _KEPT:
            self._limits.clear()
        self._limits[tenant_id] = (time.monotonic(), limits)
        return limits

    def _forget(self, *, older_than: float) -> None:
        self._known = {key: entry for key, entry in self._known.items() if entry[0] > older_than}
        if len(self._known) >= _KEPT:
            self._known.clear()


_Key = tuple[TenantId, uuid.UUID, uuid.UUID, uuid.UUID | None]
