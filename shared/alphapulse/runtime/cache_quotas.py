"""Quotas of tenants' cached values: which one holds, and who is told when it is reached."""

import datetime as dt
import time
from typing import TYPE_CHECKING, Final

import structlog

from alphapulse.data.errors import DatabaseUnavailable
from alphapulse.tenancy.cache_account import FULL, QuotaCrossing
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tiers import CacheQuota

if TYPE_CHECKING:
    from alphapulse.runtime.resources import Resources

KIND: Final = "quota_alert"
WARNED_EVERY_SECONDS: Final = 10

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


class CacheQuotas:
    """The quotas as the cache of one process asks for them.

    A write happens inside a request's transaction, so it never waits for the database here: the quota is
    what was read last, and is read again in the background when that is a minute old.
    """

    def __init__(self, resources: "Resources") -> None:
        self._resources = resources
        self._asking: set[TenantId] = set()
        self._silent_until = 0.0

    def of(self, tenant_id: TenantId) -> CacheQuota | None:
        """Return a tenant's quota; None until it has been read for the first time."""
        if self._resources.settings.database_url is None:
            return None
        limits, outdated = self._resources.facts.known_limits(tenant_id)
        if outdated and tenant_id not in self._asking:
            self._asking.add(tenant_id)
            self._resources.background.start(self._learn(tenant_id))
        return None if limits is None else limits.cache_quota

    def crossed(self, crossing: QuotaCrossing) -> None:
        """Tell the tenant, in the background, that a level was reached."""
        self._resources.background.start(self._tell(crossing))

    async def _learn(self, tenant_id: TenantId) -> None:
        try:
            await self._resources.facts.tenant(tenant_id)
        except DatabaseUnavailable as error:
            self._warn(error)
        finally:
            self._asking.discard(tenant_id)

    def _warn(self, error: Exception) -> None:
        """Say so once in a while: without a database every write asks again."""
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + WARNED_EVERY_SECONDS
            logger.warning("cache_quota_not_read", error=str(error))

    async def _tell(self, crossing: QuotaCrossing) -> None:
        from alphapulse.runtime.trace import continue_trace  # noqa: PLC0415 - `work` needs Resources
        from alphapulse.runtime.work import Scope  # noqa: PLC0415

        scope = Scope(resources=self._resources, tenant_id=crossing.tenant_id, trace=continue_trace(""))
        try:
            async with scope.transaction() as work:
                await work.emit("notification.requested", notification(crossing, now=work.now))
        except Exception:
            # Not told, so the next write may tell.
            await scope.cache.rearm()
            raise


def notification(crossing: QuotaCrossing, *, now: dt.datetime) -> dict[str, object]:
    """Return the event's data for a level that was reached."""
    level = "full" if crossing.level == FULL else "alert"
    return {
        "kind": KIND,
        "recipient": "owner",
        # Redis knows what was told. Should it forget, nobody is told more than once an hour.
        "dedupe_key": f"{KIND}:cache_bytes:{level}:{now:%Y-%m-%dT%H}",
        "parameters": {
            "quota": "cache_bytes",
            "level": level,
            "used": crossing.used,
            "limit": crossing.quota.bytes,
            "alert_at": crossing.quota.alert_at,
        },
    }
