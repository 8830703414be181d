"""Conclude the runs whose deadline has passed, with what was said until then."""

import datetime as dt
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import structlog

from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import Trace
from alphapulse.runtime.work import Scope
from alphapulse.tenancy.tenant import TenantId
from functions.consensus.service import close_if_concluded, conclude, open_run, sql

_BATCH: Final = 200

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True)
class Sweep:
    """What one sweep did: runs that were overdue, and those of them that could not be concluded."""

    overdue: int = 0
    failed: int = 0


async def conclude_overdue(resources: Resources, trace: Trace) -> Sweep:
    """Find overdue runs with the platform's role, and conclude each as its tenant."""
    done = Sweep()
    async for tenant_id, run_id in _overdue(resources):
        done.overdue += 1
        try:
            await _conclude(Scope(resources=resources, tenant_id=tenant_id, trace=trace), run_id)
        except Exception:
            # One tenant's run must not keep the others' open; the next sweep tries it again.
            done.failed += 1
            logger.exception("run_not_concluded", tenant_id=str(tenant_id), run_id=str(run_id))
    logger.info("overdue_runs_concluded", overdue=done.overdue, failed=done.failed)
    return done


async def _overdue(resources: Resources) -> AsyncIterator[tuple[TenantId, uuid.UUID]]:
    now = resources.clock()
    after_at, after_id = dt.datetime.min.replace(tzinfo=dt.UTC), uuid.UUID(int=0)
    while True:
        async with resources.platform.session() as session:
            found = sql.overdue_runs(session, now=now, after_at=after_at, after_id=after_id, row_limit=_BATCH)
            rows = [row async for row in found]
        for row in rows:
            yield TenantId(row["tenant_id"]), row["id"]
        if len(rows) < _BATCH:
            return
        after_at, after_id = rows[-1]["deadline_at"], rows[-1]["id"]


async def _conclude(scope: Scope, run_id: uuid.UUID) -> None:
    async with scope.transaction() as work:
        if await open_run(work, run_id) is None:
            return  # concluded since it was found
        await sql.fail_unfinished(
            work.session,
            tenant_id=work.tenant_id.value,
            run_id=run_id,
            reason="no answer before the deadline",
            now=work.now,
        )
        run = await open_run(work, run_id)
        if run is None:
            return
        ready = run.ready()
        for symbol in ready:
            document = await conclude(work, run, symbol)
            await work.emit("consensus.reached", document, correlation_id=str(run_id), symbol=symbol)
        await close_if_concluded(work, run.with_concluded(*ready))
