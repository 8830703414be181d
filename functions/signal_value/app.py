"""The event of `signal_value` and its wiring."""

from starlette.types import ASGIApp

from alphapulse.agents.function import agent_app
from alphapulse.runtime.resources import Resources


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    return agent_app(resources, "value")
