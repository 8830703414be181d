"""The schedule of `retention` and its wiring."""

from starlette.types import ASGIApp

from alphapulse.events import Event
from alphapulse.runtime.events import EventHandlers, event_app
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import Trace
from functions.retention import service


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    return event_app(resources, EventHandlers(consumer="retention", schedules={"retention": _on_schedule}))


async def _on_schedule(_event: Event, resources: Resources, _trace: Trace) -> None:
    await service.sweep(resources)
