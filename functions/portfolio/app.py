"""Routes of `portfolio`, the trade events it follows, and their wiring."""

import datetime as dt
from typing import Annotated, Any

import orjson
from fastapi import Depends, Query, Request, Response
from pydantic import AwareDatetime, Field
from starlette.types import ASGIApp

from alphapulse.domain.instruments import Interval
from alphapulse.events import Event
from alphapulse.runtime.events import EventHandlers
from alphapulse.runtime.http import TenantScope, Work, http_app, tenant_router
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.work import TenantWork
from alphapulse.trading.venues import Venues
from functions.portfolio import service
from functions.portfolio.schemas import History, PortfolioView, PositionList, PositionView

tenant = tenant_router()


async def _venues(request: Request) -> Venues:
    venues: Venues = request.app.state.venues
    return venues


Exchanges = Annotated[Venues, Depends(_venues)]
# Bounds that every calculation with times stays within.
Moment = Annotated[
    AwareDatetime,
    Field(ge=dt.datetime(1970, 1, 1, tzinfo=dt.UTC), le=dt.datetime(2200, 1, 1, tzinfo=dt.UTC)),
]


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    venues = Venues(resources)

    async def traded(event: Event, work: TenantWork) -> Event | None:
        return await service.take_snapshot(event, work, venues)

    events = EventHandlers(
        consumer="portfolio",
        tenant={
            "trade.filled": traded,
            "trade.partially_filled": traded,
            "trade.cancelled": traded,
        },
    )
    return http_app(resources, title="portfolio", routers=[tenant], events=events, state={"venues": venues})


@tenant.get("/portfolio", response_model=PortfolioView)
async def portfolio(scope: TenantScope, venues: Exchanges) -> Response:
    """Return equity, cash, positions and profit."""
    return _json(await service.portfolio(scope, venues))


@tenant.get("/portfolio/history", response_model=History)
async def history(
    work: Work,
    start: Annotated[Moment | None, Query(alias="from")] = None,
    end: Annotated[Moment | None, Query(alias="to")] = None,
    interval: Interval = Interval.HOUR,
) -> Response:
    """Return the portfolio's figures over time; by default the last day by the hour."""
    return _json(await service.history(work, start=start, end=end, interval=interval))


@tenant.get("/positions", response_model=PositionList)
async def positions(scope: TenantScope, venues: Exchanges) -> Response:
    """Return what is held."""
    return _json(await service.positions(scope, venues))


@tenant.get("/positions/{symbol}", response_model=PositionView)
async def position(symbol: str, scope: TenantScope, venues: Exchanges) -> Response:
    """Return what is held of one symbol."""
    return _json(await service.position(scope, venues, symbol))


def _json(value: dict[str, Any]) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
