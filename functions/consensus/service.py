"""Reach the consensus of a run on a symbol once its last agent has spoken."""

import datetime as dt
import uuid
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

import structlog
from uuid_utils.compat import uuid7

from alphapulse.agents.weighing import ConsensusInputs, reasons_of, voice_of
from alphapulse.data import queries
from alphapulse.domain.consensus import DEFAULT_WEIGHTS, Consensus, contribution_document
from alphapulse.events import Event
from alphapulse.runtime.work import TenantWork

ENDED: Final = frozenset({"done", "abstained", "failed"})

logger: structlog.stdlib.BoundLogger = structlog.get_logger()

sql = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Task:
    """One agent's part in a run."""

    agent: str
    symbol: str
    status: str
    reason: str | None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to come from it."""
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class Run:
    """A locked run with its tasks and the symbols that are concluded."""

    id: uuid.UUID
    tasks: tuple[Task, ...]
    concluded: frozenset[str]

    def ready(self) -> list[str]:
        """Return the symbols whose last agent has spoken and that have no consensus yet."""
        waiting = {task.symbol for task in self.tasks if not task.has_ended}
        symbols = dict.fromkeys(task.symbol for task in self.tasks)
        return [symbol for symbol in symbols if symbol not in waiting | self.concluded]

    def with_concluded(self, *symbols: str) -> "Run":
        """Return the run after these symbols have got their consensus."""
        return replace(self, concluded=self.concluded | set(symbols))


async def on_spoken(event: Event, work: TenantWork) -> Event | None:
    """Reply with the consensus if this was the last agent on the symbol; nothing while others are to come."""
    run_id, symbol = uuid.UUID(event.data["run_id"]), event.data["symbol"]
    # Whoever spoke last finds all the others done, so those before need not wait for the run's lock.
    if await sql.others_to_speak(work.session, tenant_id=work.tenant_id.value, run_id=run_id, symbol=symbol):
        return None
    run = await open_run(work, run_id)
    if run is None or symbol not in run.ready():
        return None
    document = await conclude(work, run, symbol)
    await close_if_concluded(work, run.with_concluded(symbol))
    return work.scope.event("consensus.reached", document, correlation_id=str(run.id), symbol=symbol)


async def open_run(work: TenantWork, run_id: uuid.UUID) -> Run | None:
    """Lock a run and read how far it is; None when it is over, or was nobody's."""
    key = {"tenant_id": work.tenant_id.value, "run_id": run_id}
    row = await sql.lock_run(work.session, **key)
    if row is None or row["status"] != "running":
        logger.info("run_is_not_open", run_id=str(run_id), status=row["status"] if row else "unknown")
        return None
    return Run(
        run_id,
        tasks=tuple([Task(**dict(task)) async for task in sql.tasks(work.session, **key)]),
        concluded=frozenset([found["symbol"] async for found in sql.concluded_symbols(work.session, **key)]),
    )


async def conclude(work: TenantWork, run: Run, symbol: str) -> dict[str, Any]:
    """Weigh what was said about a symbol and store it; the run's lock makes this the only time."""
    key = {"tenant_id": work.tenant_id.value, "run_id": run.id, "symbol": symbol}
    rows = {row["agent"]: row async for row in sql.spoken(work.session, **key)}
    inputs = ConsensusInputs(
        weights=await _weights(work),
        signals={agent: row["id"] for agent, row in rows.items()},
        silent={
            task.agent: task.reason or task.status
            for task in run.tasks
            if task.symbol == symbol and task.agent not in rows
        },
    )
    now = work.now
    reached = inputs.reach(symbol, map(voice_of, rows.values()), at=now)
    document = _document(reached, inputs, run_id=run.id, now=now)
    await sql.insert_consensus(
        work.session,
        **key,
        id=uuid.UUID(document["id"]),
        signal=reached.signal.value,
        score=reached.score,
        quorum=reached.quorum,
        weight_present=reached.weight_present,
        reason=reached.reason,
        contributions=document["contributions"],
        inputs=inputs.document,
        created_at=now,
    )
    return document


async def close_if_concluded(work: TenantWork, run: Run) -> None:
    """Close a locked run when all its symbols have a consensus: failed if a task failed, else done."""
    if not {task.symbol for task in run.tasks} <= run.concluded:
        return
    failed = sum(task.status == "failed" for task in run.tasks)
    await sql.close_run(
        work.session,
        tenant_id=work.tenant_id.value,
        run_id=run.id,
        status="failed" if failed else "done",
        reason=f"{failed} of {len(run.tasks)} signals did not come before the deadline" if failed else None,
        now=work.now,
    )


async def _weights(work: TenantWork) -> dict[str, Decimal]:
    rows = sql.weights(work.session, tenant_id=work.tenant_id.value)
    own = {row["agent"]: row["weight"] async for row in rows if row["weight"] is not None}
    return {**DEFAULT_WEIGHTS, **own}


def _document(
    reached: Consensus, inputs: ConsensusInputs, *, run_id: uuid.UUID, now: dt.datetime
) -> dict[str, Any]:
    return {
        "id": str(uuid7()),
        "run_id": str(run_id),
        "symbol": reached.symbol,
        "signal": reached.signal.value,
        "score": float(reached.score),
        "quorum": reached.quorum,
        "contributions": [contribution_document(part) for part in reached.contributions],
        "reasons": reasons_of(reached.reason, inputs.silent),
        "created_at": now.isoformat().replace("+00:00", "Z"),
    }
