"""The schedules of `agent_schedule` and their wiring."""

from functools import partial

from starlette.types import ASGIApp

from alphapulse.domain.instruments import Interval
from alphapulse.events import Event
from alphapulse.runtime.events import EventHandlers, event_app
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import Trace
from functions.agent_schedule import service


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    schedules = {f"agent-schedule-{interval}": partial(_on_tick, interval) for interval in Interval}
    return event_app(resources, EventHandlers(consumer="agent-schedule", schedules=schedules))


async def _on_tick(interval: Interval, event: Event, resources: Resources, trace: Trace) -> None:
    await service.begin_due_runs(resources, trace, interval, asked_at=event.time)
