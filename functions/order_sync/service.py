"""Settle what is open, on its way, or unknown, by asking the exchange."""

import uuid

import structlog

from alphapulse.data import queries
from alphapulse.runtime.errors import DependencyDown, ExchangeFailed, NotFound
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.sending import send
from alphapulse.runtime.trace import Trace
from alphapulse.runtime.work import Scope
from alphapulse.tenancy.tenant import TenantId
from alphapulse.trading import dispatch
from alphapulse.trading.settlement import load_trade, settle, unsettled
from alphapulse.trading.trades import time_text
from alphapulse.trading.venues import Venues

logger: structlog.stdlib.BoundLogger = structlog.get_logger()

sql = queries.load(__file__)


async def synchronise(scope: Scope, venues: Venues, *, trade_id: uuid.UUID | None) -> int:
    """Settle a tenant's orders, or the one named; return how many were asked about.

    Raises
    ------
    ExchangeFailed
        The exchange could not be asked about some of them; the others are settled.
    """
    async with scope.transaction() as work:
        ids = await unsettled(work) if trade_id is None else [trade_id]
    failed = [id_ for id_ in ids if not await _settled(scope, venues, id_)]
    if failed:
        raise ExchangeFailed(
            f"{len(failed)} of {len(ids)} orders could not be settled", retry_after_seconds=5
        )
    return len(ids)


async def request_for_all(resources: Resources, trace: Trace) -> int:
    """Ask for the synchronisation of every tenant that has open orders; return how many there are.

    Raises
    ------
    DependencyDown
        The broker took only some of the requests.
    """
    async with resources.platform.session() as session:
        tenants = [row["tenant_id"] async for row in sql.tenants_with_open_orders(session)]
    asked = {"requested_at": time_text(resources.clock())}
    scopes = [Scope(resources=resources, tenant_id=TenantId(tenant), trace=trace) for tenant in tenants]
    requests = [scope.event("order.sync.requested", asked) for scope in scopes]
    if len(await send(resources.publisher, requests)) < len(requests):
        raise DependencyDown("the broker does not take requests")
    return len(requests)


async def _settled(scope: Scope, venues: Venues, trade_id: uuid.UUID) -> bool:
    try:
        async with scope.transaction() as work:
            trade = await load_trade(work, trade_id)
        if trade.status.is_final:
            return True
        venue = venues.account(trade.exchange, scope.tenant_id)
        outcome = await dispatch.ask(venue, trade, now=scope.now)
        async with scope.transaction() as work:
            await settle(work, trade_id, outcome, venue=venue)
    except NotFound:
        logger.warning("trade_to_settle_is_gone", trade_id=str(trade_id))
    except (dispatch.OrderInFlight, ExchangeFailed) as error:
        logger.warning("order_not_settled", trade_id=str(trade_id), code=error.code, detail=error.detail)
        return False
    return True
