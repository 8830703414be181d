"""Events of `auto_trade` and their wiring."""

from starlette.types import ASGIApp

from alphapulse.events import Event
from alphapulse.runtime.events import EventHandlers, event_app
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.work import Scope
from alphapulse.trading.venues import Venues
from functions.auto_trade import refusals, service


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    venues = Venues(resources)

    async def consensus_reached(event: Event, scope: Scope) -> Event | None:
        return await service.on_consensus(event, scope, venues)

    return event_app(
        resources,
        EventHandlers(
            consumer=service.CONSUMER,
            stepped={"consensus.reached": consensus_reached},
            tenant={"trade.refused": refusals.on_refused},
        ),
    )
