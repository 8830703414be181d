"""Remove rows whose time is over, a batch at a time."""

import datetime as dt
import time
from collections.abc import Mapping
from typing import Final

import structlog

from alphapulse.data import queries
from alphapulse.runtime.metrics import collectors
from alphapulse.runtime.resources import Resources
from alphapulse.tenancy.platform_database import PlatformDatabase

BATCH: Final = 5_000
# Below the trigger's timeout of 300 s; what is left is removed an hour later.
BUDGET_SECONDS: Final = 240.0
_DAY: Final = dt.timedelta(days=1)

logger: structlog.stdlib.BoundLogger = structlog.get_logger()
_sql = queries.load(__file__)


async def sweep(
    resources: Resources, *, batch: int = BATCH, budget_seconds: float = BUDGET_SECONDS
) -> dict[str, int]:
    """Remove what is too old, in transactions of one batch each; return how many rows of which table.

    The tables take turns, so that a long one does not keep the others waiting when time is up.
    """
    settings = resources.settings
    ages = retained(
        processed_events_days=settings.processed_events_days, evidence_days=settings.evidence_days
    )
    removed = dict.fromkeys(ages, 0)
    open_tables = dict(ages)
    ends_at = time.monotonic() + budget_seconds
    while open_tables and time.monotonic() < ends_at:
        for table, age in tuple(open_tables.items()):
            count = await remove_batch(resources.platform, table, age, batch=batch)
            collectors().pruned.labels(table).inc(count)
            removed[table] += count
            if count < batch:
                del open_tables[table]
            if time.monotonic() >= ends_at:
                break
    log = logger.warning if open_tables else logger.info
    log("retention_swept", removed=removed, unfinished=sorted(open_tables))
    return removed


def retained(*, processed_events_days: int, evidence_days: int) -> Mapping[str, dt.timedelta]:
    """Return how long the rows of each table are kept after they were written, used last, or have expired."""
    marks = dt.timedelta(days=processed_events_days)
    return {
        "processed_events": marks,
        "platform_processed_events": marks,
        "idempotency_keys": _DAY,
        "sessions": _DAY,
        "one_time_tokens": _DAY,
        # As long as a sign-in itself lets them lie.
        "login_throttles": 2 * _DAY,
        "evidence_snapshots": dt.timedelta(days=evidence_days),
    }


async def remove_batch(platform: PlatformDatabase, table: str, age: dt.timedelta, *, batch: int) -> int:
    """Remove at most `batch` rows of a table that are older than `age`; return how many it were."""
    async with platform.session() as session:
        status = await getattr(_sql, table)(session, age=age, batch=batch)
    return int(status.rpartition(" ")[2])
