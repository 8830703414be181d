"""Undo a provisioning that failed, and delete a tenant: the same removal, checked in the same way.

The run is marked first, in a transaction of its own, so that no step begins any more. Then the
stores are emptied in reverse order while the run's row is held, so that no step is still acting. A
store that does not answer ends the attempt; the broker, and after it the sweep, come again, and what
was removed stays removed. The run ends when every store was asked and holds nothing.
"""

import datetime as dt
import uuid
from typing import Any, Final

import structlog

from alphapulse.events import Event
from alphapulse.provisioning import runs, steps
from alphapulse.provisioning.runs import Run, run_id_of, sql
from alphapulse.provisioning.steps import Step
from alphapulse.provisioning.stores import STORES
from alphapulse.runtime.errors import NotFound, Transient
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.tenancy.states import TenantStatus, change_status

#: An answer that was lost on the way may have its effect this much later, and not after.
RECHECK_AFTER: Final = dt.timedelta(minutes=10)
_REASON_CHARACTERS: Final = 500
_BEING_MADE: Final = frozenset({TenantStatus.PENDING, TenantStatus.PROVISIONING})
_OPEN: Final = frozenset({"running", "compensating"})

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


class NotEmpty(Transient):
    """A store still holds something after its removal."""

    code = "not_removed"


async def on_dead_letter(event: Event, scope: Scope) -> None:
    """Undo the run whose event could not be delivered to its step; what is done is left alone."""
    step = steps.ASKED[event.name]
    try:
        await undo(scope, run_id_of(event), failed=step, reason=_reason(event, step))
    except NotFound:
        # Nothing is known of such a run, so it made nothing.
        logger.warning("dead_letter_of_no_run", step=step, type=event.type)


async def on_deletion_requested(event: Event, scope: Scope) -> None:
    """Delete a tenant for good."""
    await undo(scope, run_id_of(event), failed=None, reason=None)


async def undo(scope: Scope, run_id: uuid.UUID, *, failed: Step | None, reason: str | None) -> bool:
    """Empty the four stores and end the run; return whether it was this call that did.

    Parameters
    ----------
    failed
        The step that could not be done; None for a deletion, or when the deadline has passed.
    reason
        Why, for the tenant.

    Raises
    ------
    NotEmpty
        A store still holds something.
    Transient
        The run is being worked on; or a store does not answer.
    """
    async with scope.platform_transaction() as work:
        run = await runs.locked(work, run_id)
        if run.status not in _OPEN or (failed is not None and run.steps[failed].status == "done"):
            return False
        failed = failed or (run.next_step if run.kind == "provision" else None)
        reason = (run.steps[failed].error if failed else None) or reason
        await sql.mark_compensating(
            work.session, tenant_id=work.tenant_id.value, run_id=run_id, error=reason, now=work.now
        )
    async with scope.platform_transaction() as work:
        run = await runs.locked(work, run_id)
        if run.status not in _OPEN:
            return False
        report = await _empty_stores(work, run)
        await end(work, run, report, failed=failed, reason=reason, recheck_at=work.now + RECHECK_AFTER)
    return True


async def recheck(scope: Scope, run_id: uuid.UUID) -> bool:
    """Look once more whether an ended run left nothing; return whether something had to go."""
    async with scope.platform_transaction() as work:
        run = await runs.locked(work, run_id)
        expected = TenantStatus.FAILED if run.kind == "provision" else TenantStatus.DELETED
        report = None
        # A new run has begun, or the tenant has been deleted: what is there is theirs, but for a
        # customer that is not the recorded one. Asked with the run in hand: a new run begins only when it is
        # free (`runs.hold_rechecks`).
        status = await sql.tenant_status(work.session, tenant_id=work.tenant_id.value)
        if status in _BEING_MADE:
            # Its customer may be made and not recorded yet.
            later = work.now + RECHECK_AFTER
            await sql.postpone_recheck(
                work.session, tenant_id=work.tenant_id.value, run_id=run_id, recheck_at=later, now=work.now
            )
            return False
        if status == expected and any([await store.left(work, run) for store in STORES]):
            report = await _empty_stores(work, run)
            logger.warning("found_after_removal", run_id=str(run_id), kind=run.kind)
        elif run.kind == "provision" and status != TenantStatus.DELETED:
            await _remove_surplus_customers(work, run)
        await sql.recheck_done(
            work.session, tenant_id=work.tenant_id.value, run_id=run_id, report=report, now=work.now
        )
    return report is not None


async def _empty_stores(work: TenantWork, run: Run) -> dict[str, Any]:
    stores = []
    for store in STORES:
        removed = await store.remove(work, run)
        left = await store.left(work, run)
        if left:
            raise NotEmpty(f"{store.step}: {len(left)} things are still there after their removal")
        stores.append({"store": store.step, "removed": removed, "left": left})
    return {"stores": stores, "checked_at": work.now.isoformat()}


async def _remove_surplus_customers(work: TenantWork, run: Run) -> None:
    """Remove customers beside the recorded one: an answer to the old run was lost, and late in its effect."""
    billing, tenant_id = work.scope.resources.billing, work.tenant_id
    owner = await sql.owner(work.session, tenant_id=tenant_id.value)
    recorded = await sql.customer_of(work.session, tenant_id=tenant_id.value)
    if owner is None or recorded is None:
        return
    for customer in await billing.customers_of(tenant_id, email=owner["email"]):
        if customer.id != recorded:
            await billing.delete_customer(customer.id)
            logger.warning("surplus_customer_removed", run_id=str(run.id), customer=customer.id)


async def end(
    work: TenantWork,
    run: Run,
    report: dict[str, Any],
    *,
    failed: Step | None,
    reason: str | None,
    recheck_at: dt.datetime | None,
) -> None:
    """Record that a run was undone, or a tenant deleted, and tell whom it concerns.

    Parameters
    ----------
    report
        What was removed from each store, and what is left there.
    recheck_at
        When to look once more; None for never.
    """
    tell = _end_provisioning if run.kind == "provision" else _end_deletion
    await sql.finish_run(
        work.session,
        tenant_id=work.tenant_id.value,
        run_id=run.id,
        status="failed" if run.kind == "provision" else "done",
        report=report,
        now=work.now,
        recheck_at=recheck_at,
    )
    await tell(work, run, report, failed=failed, reason=reason)


async def _end_provisioning(
    work: TenantWork, run: Run, report: dict[str, Any], *, failed: Step | None, reason: str | None
) -> None:
    tenant_id, text = work.tenant_id.value, reason or "it was not done in time"
    await sql.compensate_steps(
        work.session, tenant_id=tenant_id, run_id=run.id, failed_step=failed, error=text, now=work.now
    )
    await sql.forget_second_factors(work.session, tenant_id=tenant_id, now=work.now)
    await change_status(work.session, work.tenant_id, TenantStatus.FAILED, reason=text, now=work.now)
    step = failed or Step.ACTIVATE
    await work.audit(
        "tenant.provisioning_failed",
        resource_type="provisioning_run",
        resource_id=str(run.id),
        details={"step": step, "stores": report["stores"]},
    )
    facts = {"tenant_id": str(tenant_id), "run_id": str(run.id), "tier": run.tier.value}
    await work.emit(
        steps.FAILED,
        facts | {"step": step, "reason": text, "failed_at": work.now.isoformat()},
        correlation_id=str(run.id),
    )
    await work.emit(
        "notification.requested",
        {
            "kind": "provisioning_failed",
            "recipient": "owner",
            "parameters": {"step": step, "reason": text[:_REASON_CHARACTERS]},
            "dedupe_key": f"provisioning_failed:{run.id}",
        },
        correlation_id=str(run.id),
    )


async def _end_deletion(
    work: TenantWork,
    run: Run,
    report: dict[str, Any],
    *,
    failed: Step | None,  # noqa: ARG001 - as `_end_provisioning`
    reason: str | None,  # noqa: ARG001 - as `_end_provisioning`
) -> None:
    tenant_id = work.tenant_id.value
    await sql.anonymise_tenant(work.session, tenant_id=tenant_id, now=work.now)
    await change_status(work.session, work.tenant_id, TenantStatus.DELETED, now=work.now)
    await work.audit(
        "tenant.deleted",
        resource_type="provisioning_run",
        resource_id=str(run.id),
        details={"stores": report["stores"]},
    )
    await work.emit(
        steps.DELETED,
        {"tenant_id": str(tenant_id), "run_id": str(run.id), "deleted_at": work.now.isoformat()},
        correlation_id=str(run.id),
    )


def _reason(event: Event, step: Step) -> str:
    code = event.extensions.get("knativeerrorcode", "")
    how = f"answered {code}" if code.isdigit() and code != "0" else "did not answer"
    return f"step {step} {how}"
