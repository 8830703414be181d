"""Waits until a trigger has nothing left to deliver."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from alphapulse_broker.event_log import EventLog
from alphapulse_broker.operations.state import TriggerLag, lag, lag_of

_POLL_SECONDS = 0.25


@dataclass(frozen=True)
class DrainResult:
    """How a drain ended; `lag` is what was left."""

    drained: bool
    seconds: float
    lag: TriggerLag


async def drain(
    log: EventLog,
    trigger: str,
    *,
    deadline_seconds: float,
    progress: Callable[[TriggerLag], None] = lambda _: None,
) -> DrainResult:
    """Wait until nothing of a trigger is waiting, in flight or delayed, at one moment.

    The broker goes on accepting: whoever wants the trigger to stay empty stops the senders first, or
    narrows its filter. Parked entries do not count, since they wait for an operator.

    Parameters
    ----------
    progress
        Called whenever the figures were read.
    """
    started = time.monotonic()
    (first,) = await lag(log, trigger=trigger)
    while True:
        # Not `lag` again: a trigger that was removed, and is empty at last, is none any more.
        row = await lag_of(log, trigger, in_table=first.in_table)
        progress(row)
        waited = time.monotonic() - started
        if not row.undelivered:
            return DrainResult(drained=True, seconds=waited, lag=row)
        if waited >= deadline_seconds:
            return DrainResult(drained=False, seconds=waited, lag=row)
        await asyncio.sleep(min(_POLL_SECONDS, max(deadline_seconds - waited, 0.0)))
