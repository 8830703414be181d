"""Events of `backtest` and their wiring."""

from starlette.types import ASGIApp

from alphapulse.runtime.events import EventHandlers, event_app
from alphapulse.runtime.resources import Resources
from functions.backtest import service


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    return event_app(
        resources,
        EventHandlers(consumer=service.CONSUMER, stepped={"backtest.requested": service.on_requested}),
    )
