"""Events of `consensus` and their wiring."""

from starlette.types import ASGIApp

from alphapulse.events import Event
from alphapulse.runtime.events import EventHandlers, event_app
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import Trace
from functions.consensus import service, sweep


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    return event_app(
        resources,
        EventHandlers(
            consumer="consensus",
            tenant={"signal.generated": service.on_spoken, "signal.abstained": service.on_spoken},
            schedules={"consensus-sweep": _on_schedule},
        ),
    )


async def _on_schedule(_event: Event, resources: Resources, trace: Trace) -> None:
    await sweep.conclude_overdue(resources, trace)
