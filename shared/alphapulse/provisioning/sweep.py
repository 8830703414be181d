"""Find what the events alone did not finish, and finish it.

A run that has been silent for a while gets its event again; one past its deadline is undone; one
whose undoing did not end is undone further; what was undone is looked at once more. Cancelled
tenants whose time is up are deleted.
"""

import dataclasses
import datetime as dt
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog

from alphapulse.data.errors import UniqueViolated
from alphapulse.provisioning import runs, steps
from alphapulse.provisioning.compensation import recheck, undo
from alphapulse.provisioning.runs import sql
from alphapulse.runtime.errors import Transient
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import Trace
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.tenancy.tenant import TenantId

#: Longer than the longest wait between two deliveries of one event.
SILENCE: Final = dt.timedelta(seconds=75)
_BATCH: Final = 100
#: The trigger allows a sweep a minute. One that went on would run beside the next one.
BEGIN_WITHIN_SECONDS = 30.0

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True)
class Sweep:
    """What one sweep did; `failed` and `postponed` were left for the next one."""

    resumed: int = 0
    undone: int = 0
    rechecked: int = 0
    expired: int = 0
    failed: int = 0
    postponed: int = 0


async def sweep(resources: Resources, trace: Trace) -> Sweep:
    """Go through overdue and silent runs, rechecks and expired tenants, each on its own."""
    done, now = Sweep(), resources.clock()
    async with resources.platform.session() as session:
        due = [
            row async for row in sql.due_runs(session, now=now, silent_since=now - SILENCE, row_limit=_BATCH)
        ]
        rechecks = [row async for row in sql.due_rechecks(session, now=now, row_limit=_BATCH)]
        before = now - steps.KEPT_AFTER_CANCELLATION
        expired = [
            row async for row in sql.expired_tenants(session, cancelled_before=before, row_limit=_BATCH)
        ]
    # Deletions are only asked for here, so they go first.
    tasks: list[tuple[uuid.UUID, Task]] = [(row["id"], _delete_expired) for row in expired]
    tasks += [(row["tenant_id"], _continue(row, now=now)) for row in due]
    tasks += [(row["tenant_id"], _look_again(row["id"])) for row in rechecks]
    until = time.monotonic() + BEGIN_WITHIN_SECONDS
    for number, (tenant_id, task) in enumerate(tasks):
        if time.monotonic() > until:
            done.postponed = len(tasks) - number
            break
        await _guarded(done, resources, trace, tenant_id, task)
    log = logger.warning if done.failed or done.postponed else logger.info
    log("provisioning_swept", **dataclasses.asdict(done))
    return done


async def request_deletion(work: TenantWork) -> uuid.UUID:
    """Begin to delete a cancelled tenant, in the given transaction; return the run's id.

    Raises
    ------
    alphapulse.data.errors.UniqueViolated
        A run of this tenant has not ended.
    """
    await sql.hold_tenant(work.session, tenant_id=work.tenant_id.value)
    run_id = await runs.create(work, kind="delete", deadline=steps.DELETION_DEADLINE)
    await work.emit(
        steps.DELETION_REQUESTED,
        {"tenant_id": str(work.tenant_id), "run_id": str(run_id), "requested_at": work.now.isoformat()},
        correlation_id=str(run_id),
    )
    return run_id


Task = Callable[[Scope, Sweep], Awaitable[None]]


async def _guarded(done: Sweep, resources: Resources, trace: Trace, tenant_id: uuid.UUID, task: Task) -> None:
    scope = Scope(resources=resources, tenant_id=TenantId(tenant_id), trace=trace)
    try:
        await task(scope, done)
    except Transient as error:
        done.failed += 1
        logger.warning("provisioning_not_swept", tenant_id=str(tenant_id), detail=error.detail)
    except Exception:
        # One tenant's trouble must not keep the others waiting; the next sweep tries it again.
        done.failed += 1
        logger.exception("provisioning_not_swept", tenant_id=str(tenant_id))


def _continue(row: Any, *, now: dt.datetime) -> Task:
    run_id: uuid.UUID = row["id"]

    async def task(scope: Scope, done: Sweep) -> None:
        in_time = row["deadline_at"] > now
        if row["kind"] == "provision" and row["status"] == "running" and in_time:
            done.resumed += await _resume(scope, run_id)
        elif await undo(scope, run_id, failed=None, reason="it was not done in time"):
            done.undone += 1

    return task


async def _resume(scope: Scope, run_id: uuid.UUID) -> bool:
    """Send the event again that the next step waits for, with an id that no broker has seen."""
    async with scope.platform_transaction() as work:
        run = await runs.locked(work, run_id)
        step = run.next_step
        if run.status != "running" or step is None:
            return False
        facts = {"tenant_id": str(scope.tenant_id), "run_id": str(run_id), "tier": run.tier.value}
        await work.emit(
            step.asked_by,
            facts | {steps.moment_of(step.asked_by): work.now.isoformat()},
            correlation_id=str(run_id),
        )
        await sql.sign_of_life(work.session, tenant_id=work.tenant_id.value, run_id=run_id, now=work.now)
    return True


def _look_again(run_id: uuid.UUID) -> Task:
    async def task(scope: Scope, done: Sweep) -> None:
        await recheck(scope, run_id)
        done.rechecked += 1

    return task


async def _delete_expired(scope: Scope, done: Sweep) -> None:
    try:
        async with scope.platform_transaction() as work:
            before = work.now - steps.KEPT_AFTER_CANCELLATION
            tenant_id = work.tenant_id.value
            if not await sql.hold_if_expired(work.session, tenant_id=tenant_id, cancelled_before=before):
                return  # taken back since it was found
            await request_deletion(work)
    except UniqueViolated:
        return  # requested since it was found
    done.expired += 1
