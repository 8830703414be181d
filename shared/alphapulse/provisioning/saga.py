"""One step of the saga, whatever it does: recorded, idempotent, and never beside its own undoing.

A step has two transactions. The first records that an attempt begins, so that it is known even when
the process dies. The second holds the run's row while the step acts, and records that it is done;
compensation needs the same row, so that nothing is made after it has been undone. A failed attempt
is recorded in a third.

What a step makes outside PostgreSQL is idempotent, because an attempt whose process died after the
effect is repeated. The event that says a step is done has the id of the step's row: a redelivery
gets the same reply again.
"""

import asyncio
import dataclasses
import datetime as dt
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from starlette.types import ASGIApp

from alphapulse.events import Event
from alphapulse.provisioning import runs
from alphapulse.provisioning.runs import Run, run_id_of, sql
from alphapulse.provisioning.steps import Step, moment_of
from alphapulse.runtime.errors import DependencyDown, FunctionError, Permanent
from alphapulse.runtime.events import EventHandlers, event_app
from alphapulse.runtime.problems import as_function_error
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.tenancy.states import TenantStatus, change_status

EFFECT_SECONDS = 20.0

logger: structlog.stdlib.BoundLogger = structlog.get_logger()

Effect = Callable[[TenantWork, Run], Awaitable[Mapping[str, Any]]]


def step_app(resources: Resources, step: Step, effect: Effect) -> ASGIApp:
    """Build the app of a step's function.

    Parameters
    ----------
    effect
        Makes what the step is for, however often it is called, and returns what is worth recording
        (never a secret).
    """

    async def handle(event: Event, scope: Scope) -> Event | None:
        return await run_step(event, scope, step=step, effect=effect)

    consumer = f"provision-{step}"
    return event_app(resources, EventHandlers(consumer=consumer, stepped={step.asked_by: handle}))


async def run_step(event: Event, scope: Scope, *, step: Step, effect: Effect) -> Event | None:
    """Make one attempt at a step and return the event that leads to the next one.

    An event that comes again, late (the run was undone meanwhile) or out of order does nothing.

    Raises
    ------
    FunctionError
        The attempt failed, which is recorded; a permanent error leads to compensation.
    """
    run_id = run_id_of(event)
    async with scope.platform_transaction() as work:
        run = await runs.locked(work, run_id)
        if run.kind != "provision" or run.steps[step].status == "done":
            return _reply(scope, run, step) if run.kind == "provision" else None
        if not _is_due(run, step):
            return None
        await _begin(work, run, step)
    began = scope.now
    try:
        return await _attempt(scope, run_id, step=step, effect=effect)
    except Exception as error:
        await _record_failure(scope, run_id, step=step, error=error, began=began)
        raise


def _is_due(run: Run, step: Step) -> bool:
    if run.status == "running" and run.next_step is step:
        return True
    logger.warning("step_ignored", step=step, run_id=str(run.id), run=run.status, next=run.next_step)
    return False


async def _begin(work: TenantWork, run: Run, step: Step) -> None:
    await sql.begin_attempt(
        work.session, tenant_id=work.tenant_id.value, run_id=run.id, step=step, now=work.now
    )
    if run.tenant_status == TenantStatus.PENDING:
        await change_status(work.session, work.tenant_id, TenantStatus.PROVISIONING, now=work.now)


async def _attempt(scope: Scope, run_id: uuid.UUID, *, step: Step, effect: Effect) -> Event | None:
    async with scope.platform_transaction() as work:
        run = await runs.locked(work, run_id)
        if run.steps[step].status == "done":
            return _reply(scope, run, step)
        if not _is_due(run, step):
            return None
        try:
            async with asyncio.timeout(EFFECT_SECONDS):
                detail = await effect(work, run)
        except TimeoutError as error:
            raise DependencyDown(f"the step was not done within {EFFECT_SECONDS:g} s") from error
        await sql.finish_step(
            work.session,
            tenant_id=work.tenant_id.value,
            run_id=run_id,
            step=step,
            now=work.now,
            detail=dict(detail),
        )
        finished = dataclasses.replace(run.steps[step], status="done", finished_at=work.now)
        run.steps[step] = finished
    return _reply(scope, run, step)


def _reply(scope: Scope, run: Run, step: Step) -> Event:
    """Return the event of a step that is done: the same one, however often it is asked for."""
    row = run.steps[step]
    at = row.finished_at or scope.now
    data = {
        "tenant_id": str(scope.tenant_id),
        "run_id": str(run.id),
        "tier": run.tier.value,
        moment_of(step.tells): at.isoformat(),
    }
    event = scope.event(step.tells, data, correlation_id=str(run.id))
    return dataclasses.replace(event, id=str(row.id), time=at)


async def _record_failure(
    scope: Scope, run_id: uuid.UUID, *, step: Step, error: Exception, began: dt.datetime
) -> None:
    """Record why an attempt failed; it must not hide the failure itself when it fails too."""
    answer = as_function_error(error)
    text = f"unexpected error: {type(error).__name__}" if type(answer) is FunctionError else answer.detail
    failure = {
        "at": began.isoformat(),
        "milliseconds": round((scope.now - began).total_seconds() * 1000),
        "error": text,
    }
    try:
        async with scope.platform_transaction() as work:
            await sql.fail_attempt(
                work.session,
                tenant_id=work.tenant_id.value,
                run_id=run_id,
                step=step,
                status="failed" if isinstance(answer, Permanent) else "waiting",
                error=text,
                failure=[failure],
            )
    except Exception as unrecorded:  # noqa: BLE001 - the attempt's own error is what the broker must hear
        logger.warning("failure_not_recorded", step=step, error=type(unrecorded).__name__)
