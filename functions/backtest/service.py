"""Carry out a backtest once, however often it is asked for: taken up, walked, concluded.

Each step is a short transaction of its own, and none is open while the agent walks. A process that dies
leaves a run whose heartbeat stops; the redelivered event takes it up from the start. The number of the
attempt fences off a worker that has lost its run.
"""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any, Final

import structlog

from alphapulse.data import processed, queries
from alphapulse.data.errors import DatabaseError
from alphapulse.events import Event
from alphapulse.runtime.errors import Transient
from alphapulse.runtime.events import handle_once
from alphapulse.runtime.work import Scope, TenantWork

CONSUMER: Final = "backtest"
#: A run whose worker has been silent for this long is taken up again.
SILENCE: Final = dt.timedelta(seconds=20)
#: A run that has ended its worker this often is given up.
MOST_ATTEMPTS: Final = 3

logger: structlog.stdlib.BoundLogger = structlog.get_logger()
sql = queries.load(__file__)


class AlreadyRunning(Transient):
    """Another worker walks it."""

    code = "backtest_running"
    title = "Backtest running"


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that was taken up.

    Attributes
    ----------
    run_id, attempt
        Which run, and the how manieth time.
    request : dict
        What is asked.
    """

    run_id: uuid.UUID
    attempt: int
    request: dict[str, Any]

    def key(self, scope: Scope) -> dict[str, Any]:
        """Return what identifies the attempt."""
        return {"tenant_id": scope.tenant_id.value, "id": self.run_id, "attempt": self.attempt}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt: a result with its picture, or the reason why there is none."""

    reason: str | None = None
    headline: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    picture: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Ended:
    reply: Event | None


async def on_requested(event: Event, scope: Scope) -> Event | None:
    """Reply that it is done or has failed; nothing for a run that is cancelled or gone.

    Raises
    ------
    AlreadyRunning
        Another worker walks it; the broker asks again.
    """
    from functions.backtest.walking import walk  # noqa: PLC0415 - numpy, paid by the first event

    begun = await _begin(event, scope)
    if isinstance(begun, _Ended):
        return begun.reply
    outcome = await _refused(begun, scope)
    if outcome is None:
        outcome = await walk(scope, begun)

    async def conclude(_event: Event, work: TenantWork) -> Event | None:
        return await _conclude(work, begun, outcome)

    return await handle_once(event, scope, CONSUMER, conclude)


async def still_wanted(scope: Scope, begun: Begun, progress: float) -> bool:
    """Write progress and a sign of life; tell whether the run is still this worker's."""
    try:
        async with scope.transaction() as work:
            found = await sql.beat(work.session, **begun.key(scope), progress=progress, now=work.now)
    except DatabaseError as error:
        # The walk goes on: should another worker take it up meanwhile, the attempt's number tells.
        logger.warning("backtest_heartbeat_lost", run_id=str(begun.run_id), reason=str(error))
        return True
    return found is not None


async def _begin(event: Event, scope: Scope) -> Begun | _Ended:
    run_id = uuid.UUID(event.data["run_id"])
    async with scope.transaction() as work:
        key = {"tenant_id": scope.tenant_id.value, "id": run_id}
        row = await sql.take(work.session, **key, now=work.now, silent_since=work.now - SILENCE)
        if row is not None:
            return Begun(run_id, row["attempt"], row["request"])
        status = await sql.status(work.session, **key)
        if status == "running":
            raise AlreadyRunning(
                f"backtest {run_id} is running", retry_after_seconds=int(SILENCE.total_seconds())
            )
        logger.info("backtest_not_wanted", run_id=str(run_id), status=status)
        return _Ended(await processed.reply_to(work.session, CONSUMER, event))


async def _refused(begun: Begun, scope: Scope) -> Outcome | None:
    async with scope.transaction() as work:
        deadline_at: dt.datetime | None = await sql.deadline(
            work.session, tenant_id=scope.tenant_id.value, id=begun.run_id
        )
    if begun.attempt > MOST_ATTEMPTS:
        return Outcome(reason=f"it ended its worker {MOST_ATTEMPTS} times; ask for fewer bars")
    if deadline_at is not None and scope.now >= deadline_at:
        return Outcome(reason="nobody could take it up in time")
    return None


async def _conclude(work: TenantWork, begun: Begun, outcome: Outcome) -> Event | None:
    now, status = work.now, "done" if outcome.reason is None else "failed"
    row = await sql.conclude(
        work.session,
        **begun.key(work.scope),
        status=status,
        reason=outcome.reason,
        headline=outcome.headline,
        result=outcome.result,
        picture=outcome.picture,
        now=now,
    )
    if row is None:
        key = {"tenant_id": work.tenant_id.value, "id": begun.run_id}
        if await sql.status(work.session, **key) == "running":
            # Rolled back, processed mark and all: the other worker answers.
            raise AlreadyRunning(f"backtest {begun.run_id} was taken up by another worker")
        return None
    logger.info("backtest_ended", run_id=str(begun.run_id), status=status, reason=outcome.reason)
    told = outcome.headline if outcome.reason is None else {"reason": outcome.reason}
    data = {
        "run_id": str(begun.run_id),
        "agent": row["agent"],
        "symbol": row["symbol"],
        "interval": row["interval"],
        **(told or {}),
        "finished_at": now.isoformat().replace("+00:00", "Z"),
    }
    name = "backtest.completed" if outcome.reason is None else "backtest.failed"
    return work.scope.event(
        name, data, correlation_id=str(begun.run_id), agent=row["agent"], symbol=row["symbol"]
    )
