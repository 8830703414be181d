"""Routes of `market` and their wiring."""

from typing import Annotated

from fastapi import Depends, Query, Request
from starlette.types import ASGIApp

from alphapulse.domain.instruments import SYMBOL_PATTERN, Interval
from alphapulse.runtime.http import TenantScope, Work, http_app, tenant_router
from alphapulse.runtime.resources import Resources
from functions.market import service
from functions.market.schemas import Candles, Instruments, SymbolPath, TickerView

tenant = tenant_router()

Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[str | None, Query(pattern=SYMBOL_PATTERN)]


async def _market(request: Request) -> service.Market:
    market: service.Market = request.app.state.market
    return market


Market = Annotated[service.Market, Depends(_market)]


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    state = {"market": service.Market(resources)}
    return http_app(resources, title="market", routers=[tenant], state=state)


@tenant.get("/market/instruments")
async def instruments(work: Work, limit: Limit = 500, cursor: Cursor = None) -> Instruments:
    """List what can be traded, in alphabetical order."""
    return await service.instrument_page(work, limit=limit, after=cursor or "")


@tenant.get("/market/{symbol}/ticker")
async def ticker(symbol: SymbolPath, scope: TenantScope, market: Market) -> TickerView:
    """Return the last price of a symbol."""
    return await market.ticker(scope, symbol)


@tenant.get("/market/{symbol}/candles")
async def candles(
    symbol: SymbolPath, scope: TenantScope, interval: Interval = Interval.DAY, limit: Limit = 100
) -> Candles:
    """Return the newest candles of a symbol, newest last; missing bars are reported as gaps."""
    return await service.candles(scope, symbol, interval, limit=limit)
