"""Events of `provision_compensate` and their wiring."""

from starlette.types import ASGIApp

from alphapulse.events import Event
from alphapulse.provisioning import compensation, steps
from alphapulse.provisioning.sweep import sweep
from alphapulse.runtime.errors import Invalid
from alphapulse.runtime.events import EventHandlers, event_app
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import Trace
from alphapulse.runtime.work import Scope


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    handlers = EventHandlers(
        consumer="provision-compensate",
        stepped={**dict.fromkeys(steps.ASKED, _on_dead_letter), steps.DELETION_REQUESTED: _on_deletion},
        schedules={"provisioning-sweep": _on_schedule},
    )
    return event_app(resources, handlers)


async def _on_dead_letter(event: Event, scope: Scope) -> None:
    if "knativeerrordest" not in event.extensions:
        raise Invalid("only what could not be delivered to a step is undone", code="not_a_dead_letter")
    await compensation.on_dead_letter(event, scope)


async def _on_deletion(event: Event, scope: Scope) -> None:
    await compensation.on_deletion_requested(event, scope)


async def _on_schedule(_event: Event, resources: Resources, trace: Trace) -> None:
    await sweep(resources, trace)
