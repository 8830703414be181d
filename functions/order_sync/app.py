"""Events and schedule of `order_sync` and their wiring."""

import uuid

import structlog
from starlette.types import ASGIApp

from alphapulse.events import Event
from alphapulse.runtime.events import EventHandlers, event_app
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import Trace
from alphapulse.runtime.work import Scope
from alphapulse.trading.venues import Venues
from functions.order_sync import service

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    venues = Venues(resources)

    async def requested(event: Event, scope: Scope) -> Event | None:
        text = event.data.get("trade_id")
        trade_id = None if text is None else uuid.UUID(text)
        count = await service.synchronise(scope, venues, trade_id=trade_id)
        logger.info("orders_settled", count=count)
        return None

    async def key_stored(_: Event, scope: Scope) -> Event | None:
        # What could not be asked about with the old key. Nothing needs to be forgotten: readers ask Vault
        # for the version that the credential's row names.
        count = await service.synchronise(scope, venues, trade_id=None)
        logger.info("orders_settled_with_new_key", count=count)
        return None

    async def scheduled(_: Event, resources: Resources, trace: Trace) -> None:
        count = await service.request_for_all(resources, trace)
        logger.info("synchronisation_requested", tenants=count)

    return event_app(
        resources,
        # The exchange is asked between transactions, and asking again is harmless: stepped.
        EventHandlers(
            consumer="order-sync",
            stepped={"order.sync.requested": requested, "credential.stored": key_stored},
            schedules={"order-sync": scheduled},
        ),
    )
