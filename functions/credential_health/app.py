"""Events and schedule of `credential_health` and their wiring."""

import datetime as dt

import structlog
from starlette.types import ASGIApp

from alphapulse.events import Event
from alphapulse.runtime.events import EventHandlers, event_app
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import Trace
from alphapulse.runtime.work import Scope
from functions.credential_health import service

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""

    async def requested(event: Event, scope: Scope) -> Event | None:
        await service.check_tenant(
            scope, requested_at=dt.datetime.fromisoformat(str(event.data["requested_at"]))
        )
        return None

    async def scheduled(event: Event, resources: Resources, trace: Trace) -> None:
        count = await service.request_for_all(resources, trace, requested_at=event.time)
        logger.info("credential_checks_requested", tenants=count)

    return event_app(
        resources,
        # Exchange and Vault are asked between transactions, and doing it again is harmless: stepped.
        EventHandlers(
            consumer="credential-health",
            stepped={"credential.check.requested": requested},
            schedules={"credential-health": scheduled},
        ),
    )
