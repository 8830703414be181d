"""Runs: asking agents about symbols, and how far they are."""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from itertools import accumulate, groupby
from typing import Any, Final

from alphapulse.agents.runs import RunPlan, start
from alphapulse.market.instruments import unknown_symbols
from alphapulse.runtime.errors import Invalid, NotFound
from alphapulse.runtime.http import Work, tenant_router
from alphapulse.runtime.work import TenantWork
from functions.agents.catalogue import CATALOGUE, AgentName, require_within_tier
from functions.agents.pages import Cursor, Limit, Page
from functions.agents.schemas import RunAccepted, RunRequest, Runs, RunView, TaskView
from functions.agents.settings import AgentSettings, default_interval, enabled_agents, settings_in_force
from functions.agents.statements import sql

router = tenant_router()

#: Tasks on one page of runs: a scheduled run alone may have 600, and a page of 500 such would take seconds.
MOST_TASKS: Final = 5_000
_TOO_LATE: Final = "no answer before the deadline"
_UNFINISHED: Final = frozenset({"waiting", "running"})


class UnknownSymbols(Invalid):
    """Some symbols are no instruments."""

    code = "unknown_symbol"
    title = "Unknown symbol"

    def __init__(self, symbols: list[str]) -> None:
        super().__init__(f"no such instrument: {', '.join(symbols)}", extra={"symbols": symbols})


class AgentDisabled(Invalid):
    """An agent is asked for that the tenant has switched off, or none is switched on."""

    code = "agent_disabled"
    title = "Agent disabled"


class RunNotFound(NotFound):
    """There is no such run, or it is another tenant's."""

    code = "run_not_found"
    title = "Run not found"


@router.post("/agents/run", status_code=202)
async def run(body: RunRequest, work: Work) -> RunAccepted:
    """Ask agents for signals on up to 20 symbols."""
    return await start_run(work, body)


@router.get("/agents/runs")
async def list_runs(work: Work, limit: Limit = 50, cursor: Cursor = None) -> Runs:
    """List runs, newest first."""
    page = Page.of(limit, cursor)
    found = [row async for row in sql.runs(work.session, tenant_id=work.tenant_id.value, **page.arguments)]
    rows, next_cursor = page.cut(found, most=_fitting(found))
    return Runs(items=await _views(work, rows), next_cursor=next_cursor)


@router.get("/agents/runs/{run_id}")
async def get_run(run_id: uuid.UUID, work: Work) -> RunView:
    """Return how far a run is: each agent and symbol, with times."""
    row = await sql.run(work.session, tenant_id=work.tenant_id.value, run_id=run_id)
    if row is None:
        raise RunNotFound(f"there is no run {run_id}")
    [found] = await _views(work, [row])
    return found


async def start_run(work: TenantWork, request: RunRequest) -> RunAccepted:
    """Store a run with its tasks, and ask each agent about each symbol through the outbox.

    Raises
    ------
    TooManyAgents, AgentDisabled
        An agent cannot be asked.
    UnknownSymbols
        There are no such instruments.
    """
    tier = work.principal.tier
    settings = await settings_in_force(work, tier)
    if request.agents is not None:
        require_enabled(request.agents, settings)
    agents = request.agents or enabled_agents(settings)
    if not agents:
        raise AgentDisabled("no agent is enabled; see /agents/config")
    require_within_tier(tier, len(agents))
    missing = await unknown_symbols(work.session, request.symbols)
    if missing:
        raise UnknownSymbols(missing)
    run_id = await start(
        work,
        RunPlan(
            asked=[(agent, symbol) for symbol in request.symbols for agent in agents],
            interval=request.interval or default_interval(settings),
            deadline=dt.timedelta(seconds=request.deadline_seconds),
            created_by=work.principal.user_id,
        ),
    )
    return RunAccepted(run_id=run_id, status_url=f"/agents/runs/{run_id}")


def require_enabled(agents: Sequence[AgentName], settings: Mapping[AgentName, AgentSettings]) -> None:
    """Refuse agents that the tenant has switched off.

    Raises
    ------
    AgentDisabled
        Naming them.
    """
    disabled = [agent for agent in agents if not settings[agent].enabled]
    if disabled:
        raise AgentDisabled(f"switched off: {', '.join(disabled)}", extra={"agents": disabled})


def _fitting(rows: Sequence[Any]) -> int:
    """Return how many of the runs one page can tell; at least one."""
    tasks = accumulate(len(row["symbols"]) * len(row["agents"]) for row in rows)
    return max(1, sum(so_far <= MOST_TASKS for so_far in tasks))


async def _views(work: TenantWork, rows: Sequence[Any]) -> list[RunView]:
    run_ids = [row["id"] for row in rows]
    found = sql.tasks(work.session, tenant_id=work.tenant_id.value, run_ids=run_ids)
    by_run = {
        run_id: list(tasks) for run_id, tasks in groupby([t async for t in found], lambda t: t["run_id"])
    }
    return [_view(row, by_run.get(row["id"], []), now=work.now) for row in rows]


def _view(row: Any, tasks: Sequence[Any], *, now: dt.datetime) -> RunView:
    # The sweep comes each minute; a run that waits past its deadline says so before it.
    waits = any(task["status"] in _UNFINISHED for task in tasks)
    overdue = row["status"] == "running" and row["deadline_at"] <= now and waits
    symbols = row["symbols"]
    in_order = sorted(tasks, key=lambda t: (symbols.index(t["symbol"]), CATALOGUE.index(t["agent"])))
    return RunView(
        run_id=row["id"],
        status="failed" if overdue else row["status"],
        reason=_TOO_LATE if overdue else row["reason"],
        interval=row["interval"],
        origin=row["origin"],
        tick_at=row["tick_at"],
        symbols=symbols,
        agents=[_task(task, overdue=overdue) for task in in_order],
        created_at=row["created_at"],
        deadline_at=row["deadline_at"],
        finished_at=row["finished_at"],
    )


def _task(row: Any, *, overdue: bool) -> TaskView:
    late = overdue and row["status"] in _UNFINISHED
    return TaskView(
        agent=row["agent"],
        symbol=row["symbol"],
        status="failed" if late else row["status"],
        reason=_TOO_LATE if late else row["reason"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )
