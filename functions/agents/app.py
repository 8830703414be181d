"""Routers of `agents` and their wiring."""

from starlette.types import ASGIApp

from alphapulse.runtime.http import http_app
from alphapulse.runtime.resources import Resources
from functions.agents import (
    auto_trading,
    backtests,
    configuration,
    history,
    replays,
    runs,
    subscriptions,
    track_record,
)


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    topics = (runs, subscriptions, replays, history, track_record, configuration, auto_trading, backtests)
    return http_app(resources, title="agents", routers=[topic.router for topic in topics])
