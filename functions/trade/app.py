"""Routes and events of `trade` and their wiring."""

from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response
from starlette.types import ASGIApp

from alphapulse.domain.orders import OrderStatus
from alphapulse.events import Event
from alphapulse.runtime.admission import open_when
from alphapulse.runtime.events import EventHandlers
from alphapulse.runtime.http import (
    TenantScope,
    Work,
    fingerprint,
    http_app,
    idempotency_key,
    tenant_router,
)
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.work import Scope
from alphapulse.tenancy.states import TenantStatus
from alphapulse.trading.settlement import load_trade
from alphapulse.trading.venues import Venues
from functions.trade import cancellation, listing, placement, requests
from functions.trade.orderer import Orderer
from functions.trade.placement import Key
from functions.trade.schemas import Cancellations, OrderRequest, TradePage, TradeView

# The exchange is called between transactions, so these handlers open their own.
steps = tenant_router(stepped=True)
reads = tenant_router()


async def _venues(request: Request) -> Venues:
    venues: Venues = request.app.state.venues
    return venues


async def _key(request: Request) -> Key | None:
    text = idempotency_key(request)
    return None if text is None else Key(text, fingerprint(request, await request.body()))


Exchanges = Annotated[Venues, Depends(_venues)]
RequestKey = Annotated[Key | None, Depends(_key)]
SymbolFilter = Annotated[str | None, Query(max_length=31)]


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    venues = Venues(resources)

    async def requested(event: Event, scope: Scope) -> Event | None:
        return await requests.on_requested(event, scope, venues)

    return http_app(
        resources,
        title="trade",
        routers=[steps, reads],
        events=EventHandlers(consumer="trade", stepped={"trade.requested": requested}),
        state={"venues": venues},
    )


@steps.post("/trades", status_code=201, response_model=TradeView)
async def place(body: OrderRequest, scope: TenantScope, venues: Exchanges, key: RequestKey) -> Response:
    """Place an order; a retry with the same Idempotency-Key gets the same answer."""
    return await placement.place(scope, venues, body, key=key, orderer=Orderer.of(scope))


@reads.get("/trades", response_model=TradePage)
async def trades(
    work: Work,
    symbol: SymbolFilter = None,
    status: OrderStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> dict[str, Any]:
    """Return orders, newest first."""
    return await listing.trades(work, symbol=symbol, status=status, limit=limit, cursor=cursor)


@reads.get("/trades/{trade_id}", response_model=TradeView)
async def trade(trade_id: str, work: Work) -> dict[str, Any]:
    """Return one order with its executions."""
    return (await load_trade(work, listing.trade_id_of(trade_id))).to_json()


@steps.delete("/trades/{trade_id}", response_model=TradeView)
@open_when(TenantStatus.SUSPENDED)
async def cancel(trade_id: str, scope: TenantScope, venues: Exchanges, key: RequestKey) -> Response:
    """Cancel an order."""
    id_ = listing.trade_id_of(trade_id)

    async def act() -> dict[str, Any]:
        return (await cancellation.cancel(scope, venues, id_)).to_json()

    return await cancellation.once(scope, key, "DELETE /trades/{id}", act)


@steps.post("/trades/cancel-all", response_model=Cancellations)
@open_when(TenantStatus.SUSPENDED)
async def cancel_all(
    scope: TenantScope, venues: Exchanges, key: RequestKey, symbol: SymbolFilter = None
) -> Response:
    """Cancel every open order, of one symbol if given."""

    async def act() -> dict[str, Any]:
        return await cancellation.cancel_all(scope, venues, symbol=symbol)

    return await cancellation.once(scope, key, "POST /trades/cancel-all", act)
