"""A run of the saga as it is stored: its rows, its lock, and what becomes of its steps."""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.data.session import Session
from alphapulse.events import Event
from alphapulse.provisioning import steps
from alphapulse.provisioning.steps import Step
from alphapulse.runtime.errors import Invalid, NotFound, Transient
from alphapulse.runtime.work import TenantWork
from alphapulse.tenancy.principal import Tier

sql = queries.load(__file__)

_BUSY_RETRY_SECONDS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """One step of a run."""

    id: uuid.UUID
    step: Step
    status: str
    attempts: int
    detail: dict[str, Any]
    error: str | None
    finished_at: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run whose row this transaction holds.

    Attributes
    ----------
    kind
        `provision` or `delete`.
    status
        `running`, `done`, `compensating` or `failed`.
    steps
        By step; none for a deletion.
    """

    id: uuid.UUID
    kind: str
    status: str
    deadline_at: dt.datetime
    created_at: dt.datetime
    tier: Tier
    company: str
    tenant_status: str
    report: dict[str, Any] | None
    steps: dict[Step, StepRow]

    @property
    def next_step(self) -> Step | None:
        """The first step that is not done."""
        return next((step for step in steps.ORDER if self.steps[step].status != "done"), None)


async def create(work: TenantWork, *, kind: str, deadline: dt.timedelta) -> uuid.UUID:
    """Store a new run, with all its steps waiting if it provisions, and return its id.

    Raises
    ------
    alphapulse.data.errors.UniqueViolated
        The tenant has a run that has not ended.
    """
    run_id, now = uuid7(), work.now
    tenant_id = work.tenant_id.value
    await sql.insert_run(
        work.session, tenant_id=tenant_id, run_id=run_id, kind=kind, deadline_at=now + deadline, now=now
    )
    if kind == "provision":
        # One by one and in order: the ids are ordered by time, and so are the steps.
        for step in steps.ORDER:
            await sql.insert_step(
                work.session, tenant_id=tenant_id, id=uuid7(), run_id=run_id, step=step, now=now
            )
    return run_id


def run_id_of(event: Event) -> uuid.UUID:
    """Return which run an event of the saga belongs to.

    Raises
    ------
    Invalid
        The event does not say.
    """
    try:
        return uuid.UUID(str(event.data["run_id"]))
    except (KeyError, ValueError) as error:
        raise Invalid("the event names no run", code="malformed_event") from error


async def locked(work: TenantWork, run_id: uuid.UUID) -> Run:
    """Return a run that nobody else touches until this transaction ends.

    A step and the compensation of the same run therefore never act at once, and neither do two
    deliveries of one event. Nobody waits for the lock.

    Raises
    ------
    NotFound
        There is no such run of this tenant.
    Transient
        Somebody else holds it.
    """
    session, tenant_id = work.session, work.tenant_id.value
    row = await sql.lock_run(session, tenant_id=tenant_id, run_id=run_id)
    if row is None:
        if not await sql.run_exists(session, tenant_id=tenant_id, run_id=run_id):
            raise NotFound("there is no such provisioning run")
        raise Transient(
            "the run is being worked on", code="run_busy", retry_after_seconds=_BUSY_RETRY_SECONDS
        )
    return Run(
        id=row["id"],
        kind=row["kind"],
        status=row["status"],
        deadline_at=row["deadline_at"],
        created_at=row["created_at"],
        tier=Tier(row["tier"]),
        company=row["company"],
        tenant_status=row["tenant_status"],
        report=row["report"],
        steps=await _steps(session, tenant_id, run_id),
    )


async def hold_rechecks(work: TenantWork) -> None:
    """Let nobody look for what ended runs left until this transaction ends: it may begin a new run.

    Otherwise the new run's things could be taken for the old one's and removed.

    Raises
    ------
    Transient
        Somebody is looking at this moment.
    """
    ended = [row["id"] async for row in sql.rechecks(work.session, tenant_id=work.tenant_id.value)]
    for run_id in ended:
        await locked(work, run_id)


async def _steps(session: Session, tenant_id: uuid.UUID, run_id: uuid.UUID) -> dict[Step, StepRow]:
    found = {}
    async for row in sql.steps_of(session, tenant_id=tenant_id, run_id=run_id):
        step = Step(row["step"])
        found[step] = StepRow(
            id=row["id"],
            step=step,
            status=row["status"],
            attempts=row["attempts"],
            detail=row["detail"],
            error=row["error"],
            finished_at=row["finished_at"],
        )
    return found
