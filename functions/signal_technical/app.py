"""Events of `signal_technical` and their wiring."""

from starlette.types import ASGIApp

from alphapulse.runtime.events import EventHandlers, event_app
from alphapulse.runtime.resources import Resources
from functions.signal_technical import service


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    return event_app(
        resources,
        EventHandlers(consumer="signal-technical", tenant={"signal.requested": service.on_requested}),
    )
