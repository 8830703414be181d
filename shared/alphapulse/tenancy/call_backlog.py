"""Calls that Redis was not told of in time, kept in the database until it is."""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.tenancy.cache_namespace import CacheUnavailable
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId

_EPOCH: Final = dt.date(1970, 1, 1)
_AT_ONCE: Final = 200

_sql = queries.load(__file__, "call_backlog.sql")

Count = Callable[[TenantId, int, int], Awaitable[None]]


async def keep(database: Database, calls: Mapping[tuple[TenantId, int], int]) -> None:
    """Store calls by tenant and day (days since 1970)."""
    for (tenant_id, day), count in calls.items():
        async with database.tenant(tenant_id) as session:
            await _sql.keep(
                session,
                tenant_id=tenant_id.value,
                id=uuid7(),
                day=_EPOCH + dt.timedelta(days=day),
                calls=count,
            )


async def hand_in(platform: PlatformDatabase, count: Count) -> int:
    """Give everything that is stored to `count`, and remove what it took.

    Parameters
    ----------
    count
        Called with tenant, day and calls; that Redis does not answer leaves the rest for the next time.
        A lost commit has rows counted twice, never not at all.

    Returns
    -------
    int
        How many calls were handed in.

    Raises
    ------
    CacheUnavailable
        By `count`; what it took until then is removed.
    """
    total = 0
    while True:
        failure: CacheUnavailable | None = None
        async with platform.session() as session:
            rows = [row async for row in _sql.take(session, most=_AT_ONCE)]
            for row in rows:
                try:
                    await count(TenantId(row["tenant_id"]), (row["day"] - _EPOCH).days, row["calls"])
                except CacheUnavailable as error:
                    # Not raised in here: it would bring the rows back that were counted.
                    failure = error
                    break
                await _sql.remove(session, tenant_id=row["tenant_id"], id=row["id"])
                total += row["calls"]
        if failure is not None:
            raise failure
        if len(rows) < _AT_ONCE:
            return total
