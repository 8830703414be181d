"""Score the signals whose horizon has passed, tenant by tenant, in batches that settle or do not."""

import datetime as dt
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import structlog

from alphapulse.agents import track_records
from alphapulse.domain.outcomes import Scored, Unscorable, Waiting, judge
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import Trace
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.tenancy.tenant import TenantId
from functions.signal_scoring.prices import Prices, sql
from functions.signal_scoring.settling import Due, postpone, settle

#: From a horizon until it is looked at: bars that close then are stored within a minute or two.
SETTLING: Final = dt.timedelta(minutes=2)
_BATCH: Final = 500
# So that one tenant's backlog does not keep the others waiting; the rest is done with the next tick.
_BATCHES_OF_A_TENANT: Final = 10
_PAGE: Final = 200
# Below the trigger's timeout of 300 s.
_BUDGET_SECONDS: Final = 240
# The source of history out of files; see `alphapulse.domain.agents.evidence`, which needs numpy.
_REPLAY: Final = "directory"

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


async def score_due(resources: Resources, trace: Trace) -> Counter[str]:
    """Score what is due; return how many signals were scored, unscorable, and left waiting.

    Each batch of a tenant is one transaction, with what it adds to the track record. What is left when the
    process dies or its time is up is still due.
    """
    done: Counter[str] = Counter()
    prices = Prices()
    ends_at = time.monotonic() + _BUDGET_SECONDS
    async for tenant_id in _tenants(resources):
        try:
            done += await _score_tenant(Scope(resources=resources, tenant_id=tenant_id, trace=trace), prices)
        except Exception:
            # One tenant's trouble must not keep the others' signals from being scored.
            done["tenants_failed"] += 1
            logger.exception("signals_not_scored", tenant_id=str(tenant_id))
        if time.monotonic() >= ends_at:
            break
    logger.info("signals_scored", **done)
    return done


async def _tenants(resources: Resources) -> AsyncIterator[TenantId]:
    due_before, after = resources.clock() - SETTLING, uuid.UUID(int=0)
    while True:
        async with resources.platform.session() as session:
            rows = sql.tenants_with_due_signals(session, due_before=due_before, after=after, row_limit=_PAGE)
            found = [row["tenant_id"] async for row in rows]
        for tenant_id in found:
            yield TenantId(tenant_id)
        if len(found) < _PAGE:
            return
        after = found[-1]


async def _score_tenant(scope: Scope, prices: Prices) -> Counter[str]:
    done: Counter[str] = Counter()
    for _ in range(_BATCHES_OF_A_TENANT):
        async with scope.transaction() as work:
            batch = await _score_batch(work, prices)
        done += batch
        if batch.total() < _BATCH:
            break
    return done


async def _score_batch(work: TenantWork, prices: Prices) -> Counter[str]:
    """Settle or postpone one batch; an empty count when there is none, or another process is at it."""
    if not await track_records.try_lock(work.session, work.tenant_id):
        return Counter()
    now = work.now
    rows = sql.due(work.session, tenant_id=work.tenant_id.value, due_before=now - SETTLING, row_limit=_BATCH)
    due = [Due.of(row) async for row in rows]
    await prices.read(work.session, [moment for one in due for moment in (one.made, one.ended)])
    scored: list[tuple[Due, Scored]] = []
    unscorable: list[tuple[Due, Unscorable]] = []
    waiting: list[tuple[Due, Waiting]] = []
    for one in due:
        match _judge(one, prices, now=now):
            case Scored() as verdict:
                scored.append((one, verdict))
            case Unscorable() as verdict:
                unscorable.append((one, verdict))
            case Waiting() as verdict:
                waiting.append((one, verdict))
    await settle(work, prices, scored, unscorable)
    await postpone(work, waiting)
    return Counter(scored=len(scored), unscorable=len(unscorable), waiting=len(waiting))


def _judge(one: Due, prices: Prices, *, now: dt.datetime) -> Scored | Unscorable | Waiting:
    at_signal, at_horizon = prices.close(one.made), prices.close(one.ended)
    # History out of files has no bars beyond its end; whether the signal came after that, `judge` finds.
    replay = at_horizon is not None and at_horizon.source == _REPLAY
    return judge(one.claim, at_signal, at_horizon, now=now, replay=replay)
