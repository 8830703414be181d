"""The schedule of `signal_scoring` and its wiring."""

from starlette.types import ASGIApp

from alphapulse.events import Event
from alphapulse.runtime.events import EventHandlers, event_app
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import Trace
from functions.signal_scoring import service


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    return event_app(
        resources, EventHandlers(consumer="signal-scoring", schedules={"signal-scoring": _on_schedule})
    )


async def _on_schedule(_event: Event, resources: Resources, trace: Trace) -> None:
    await service.score_due(resources, trace)
