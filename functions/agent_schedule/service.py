"""Begin the runs that tenants have subscribed to."""

import asyncio
import datetime as dt
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import structlog

from alphapulse.agents.runs import LONGEST_DEADLINE, RunPlan, has_run_at_tick, start_at_tick
from alphapulse.agents.selection import agents_switched_on
from alphapulse.data import queries
from alphapulse.domain.instruments import Interval
from alphapulse.market.instruments import unknown_symbols
from alphapulse.runtime.errors import DependencyDown
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import Trace
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.tenancy.states import TenantStatus
from alphapulse.tenancy.tenant import TenantId

#: How far ahead of this process's clock the schedule's may be.
_SKEW: Final = dt.timedelta(minutes=1)
# Tenants found at a time; what they ask for is sent before the next ones are, so that memory is bounded.
_PAGE: Final = 64
_AT_ONCE: Final = 4

logger: structlog.stdlib.BoundLogger = structlog.get_logger()

sql = queries.load(__file__)


def tick_of(asked_at: dt.datetime, now: dt.datetime, interval: Interval) -> dt.datetime:
    """Return the close that a tick stands for: the newest, however late the tick comes.

    One that comes after the next bar has closed is skipped for that: what agents said about a bar that
    is over is of no use. One from the future, beyond what clocks differ by, counts as of now.
    """
    newest = interval.open_of(now)
    return newest if asked_at - now > _SKEW else max(newest, interval.open_of(asked_at))


async def begin_due_runs(
    resources: Resources, trace: Trace, interval: Interval, *, asked_at: dt.datetime
) -> Counter[str]:
    """Begin one run for each tenant with subscriptions of this interval; return how many of each outcome.

    Told again, or told to two processes at once, it begins what is missing and nothing twice.

    Raises
    ------
    DependencyDown
        Some tenants' runs could not be begun; those of all others have been.
    """
    tick_at = tick_of(asked_at, resources.clock(), interval)
    done: Counter[str] = Counter()
    async for tenants in _subscribed(resources, interval):
        free = asyncio.Semaphore(_AT_ONCE)
        scopes = [Scope(resources=resources, tenant_id=tenant, trace=trace) for tenant in tenants]
        done.update(
            await asyncio.gather(*(_begin_guarded(scope, interval, tick_at, free) for scope in scopes))
        )
        await resources.background.drain()
    logger.info("scheduled_runs_begun", interval=interval.value, tick_at=tick_at.isoformat(), **done)
    if done["failed"]:
        raise DependencyDown(
            f"the runs of {done['failed']} tenants could not be begun", retry_after_seconds=5
        )
    return done


async def _subscribed(resources: Resources, interval: Interval) -> AsyncIterator[list[TenantId]]:
    after = uuid.UUID(int=0)
    while True:
        async with resources.platform.session() as session:
            rows = sql.subscribed_tenants(session, interval=interval.value, after=after, row_limit=_PAGE)
            found = [row["tenant_id"] async for row in rows]
        if found:
            yield [TenantId(tenant) for tenant in found]
        if len(found) < _PAGE:
            return
        after = found[-1]


async def _begin_guarded(
    scope: Scope, interval: Interval, tick_at: dt.datetime, free: asyncio.Semaphore
) -> str:
    async with free:
        try:
            return await _begin(scope, interval, tick_at)
        except Exception:
            # One tenant's trouble must not keep the others' runs from beginning.
            logger.exception("run_not_begun", tenant_id=str(scope.tenant_id), interval=interval.value)
            return "failed"


async def _begin(scope: Scope, interval: Interval, tick_at: dt.datetime) -> str:
    facts = await scope.resources.facts.tenant(scope.tenant_id)
    if facts is None or facts.status is not TenantStatus.ACTIVE:
        return "not_active"
    async with scope.transaction() as work:
        if await has_run_at_tick(work, interval, tick_at):
            return "begun_before"
        asked = await _asked(work, interval, included=facts.limits.agents)
        if not asked:
            return "nothing_to_ask"
        plan = RunPlan(asked=asked, interval=interval, deadline=_deadline(interval))
        return "begun_before" if await start_at_tick(work, plan, tick_at) is None else "begun"


async def _asked(work: TenantWork, interval: Interval, *, included: int) -> list[tuple[str, str]]:
    """Return the agents and symbols to ask: those subscribed to, switched on, and traded."""
    rows = sql.subscriptions(work.session, tenant_id=work.tenant_id.value, interval=interval.value)
    wanted = {row["symbol"]: row["agents"] async for row in rows}
    on = await agents_switched_on(work, included=included)
    unknown = set(await unknown_symbols(work.session, list(wanted)))
    return [
        (agent, symbol)
        for symbol, agents in wanted.items()
        if symbol not in unknown
        for agent in on
        if agents is None or agent in agents
    ]


def _deadline(interval: Interval) -> dt.timedelta:
    """Return how long agents have: until the next bar closes, and no longer than any run."""
    return min(LONGEST_DEADLINE, dt.timedelta(seconds=interval.seconds))
