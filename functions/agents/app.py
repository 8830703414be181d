"""Routers of `agents` and their wiring."""

from starlette.types import ASGIApp

from alphapulse.runtime.http import http_app
from alphapulse.runtime.resources import Resources
from functions.agents import auto_trading, configuration, history, runs


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    routers = [runs.router, history.router, configuration.router, auto_trading.router]
    return http_app(resources, title="agents", routers=routers)
