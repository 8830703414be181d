"""Begin a run: store it with its tasks, and ask each agent about each symbol through the outbox."""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.domain.instruments import Interval
from alphapulse.events import Event
from alphapulse.runtime.work import TenantWork

#: How long agents have when nobody says otherwise; the bounds of what may be said.
DEADLINE: Final = dt.timedelta(minutes=5)
SHORTEST_DEADLINE: Final = dt.timedelta(seconds=10)
LONGEST_DEADLINE: Final = DEADLINE

_sql = queries.load(__file__, "runs.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What a run asks.

    Attributes
    ----------
    asked : sequence of (str, str)
        Agent and symbol, each pair once; at least one.
    interval : Interval
        Length of the bars that are asked about.
    deadline : timedelta
        After which the consensus is reached without those that have not spoken.
    created_by : UUID or None
        The user; None for a run nobody asked for by hand.
    """

    asked: Sequence[tuple[str, str]]
    interval: Interval
    deadline: dt.timedelta = DEADLINE
    created_by: uuid.UUID | None = None

    @property
    def agents(self) -> list[str]:
        """The agents, each once."""
        return list(dict.fromkeys(agent for agent, _ in self.asked))

    @property
    def symbols(self) -> list[str]:
        """The symbols, each once."""
        return list(dict.fromkeys(symbol for _, symbol in self.asked))


async def start(work: TenantWork, plan: RunPlan) -> uuid.UUID:
    """Store a run with its tasks, and request its signals; return the run's id.

    It takes three statements, however many signals are asked for.
    """
    run_id, now = uuid7(), work.now
    await _sql.insert_run(work.session, **_run_row(work, plan, run_id, now))
    await _ask(work, plan, run_id, now)
    return run_id


async def start_at_tick(work: TenantWork, plan: RunPlan, tick_at: dt.datetime) -> uuid.UUID | None:
    """Begin the run of a schedule at the close of a bar; None when the tenant has one for it already.

    Of two callers at once the second waits for the first: None if that commits, the run if it does not.
    """
    run_id, now = uuid7(), work.now
    row = _run_row(work, plan, run_id, now)
    if await _sql.insert_scheduled_run(work.session, **row, tick_at=tick_at) is None:
        return None
    await _ask(work, plan, run_id, now)
    return run_id


async def has_run_at_tick(work: TenantWork, interval: Interval, tick_at: dt.datetime) -> bool:
    """Tell whether the schedule has begun the tenant's run at the close of a bar."""
    found = await _sql.run_at_tick(
        work.session, tenant_id=work.tenant_id.value, interval=interval.value, tick_at=tick_at
    )
    return found is not None


def _run_row(work: TenantWork, plan: RunPlan, run_id: uuid.UUID, now: dt.datetime) -> dict[str, Any]:
    return {
        "tenant_id": work.tenant_id.value,
        "id": run_id,
        "symbols": plan.symbols,
        "agents": plan.agents,
        "interval": plan.interval.value,
        "created_by": plan.created_by,
        "deadline_at": now + plan.deadline,
        "created_at": now,
    }


async def _ask(work: TenantWork, plan: RunPlan, run_id: uuid.UUID, now: dt.datetime) -> None:
    await _sql.insert_tasks(
        work.session,
        tenant_id=work.tenant_id.value,
        run_id=run_id,
        ids=[uuid7() for _ in plan.asked],
        agents=[agent for agent, _ in plan.asked],
        symbols=[symbol for _, symbol in plan.asked],
        created_at=now,
    )
    await work.emit_many([_request(work, plan, run_id, now, asked) for asked in plan.asked])


def _request(
    work: TenantWork, plan: RunPlan, run_id: uuid.UUID, now: dt.datetime, asked: tuple[str, str]
) -> Event:
    agent, symbol = asked
    data = {
        "run_id": str(run_id),
        "agent": agent,
        "symbol": symbol,
        "interval": plan.interval.value,
        "requested_at": _rfc3339(now),
        "deadline_at": _rfc3339(now + plan.deadline),
    }
    return work.scope.event("signal.requested", data, correlation_id=str(run_id), agent=agent, symbol=symbol)


def _rfc3339(moment: dt.datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
