"""Events of `market_data` and their wiring."""

from starlette.types import ASGIApp

from alphapulse.events import Event
from alphapulse.runtime.events import EventHandlers, event_app
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import Trace
from functions.market_data.service import MarketData


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    market_data = MarketData(resources)

    async def on_schedule(_event: Event, _resources: Resources, trace: Trace) -> None:
        await market_data.refresh(trace)

    async def on_request(event: Event, _resources: Resources, trace: Trace) -> None:
        await market_data.refresh(trace, symbols=event.data.get("symbols", ()), every_bar=True)

    return event_app(
        resources,
        EventHandlers(
            consumer="market-data",
            platform={"market.refresh.requested": on_request},
            schedules={"market-refresh": on_schedule},
        ),
    )
