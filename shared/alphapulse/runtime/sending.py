"""Send the events of a committed transaction, whose rows are in the outbox."""

import asyncio
from collections.abc import Sequence
from enum import Enum

import structlog

from alphapulse.events import Event
from alphapulse.events.publish import BrokerUnavailable, EventRefused, Publisher
from alphapulse.runtime.metrics import collectors

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


class _Outcome(Enum):
    SENT = "sent"
    REFUSED = "refused"
    AWAY = "away"


async def send(publisher: Publisher, events: Sequence[Event], *, at_once: int = 1) -> list[str]:
    """Send events until the broker is away; return the ids of those it has.

    Nothing is lost: the rows of the rest stay in the outbox, and the relay sweeps them. It also marks
    those that are refused for good; here they only let the next one pass.

    Parameters
    ----------
    publisher, events
        What to send, and through whom.
    at_once
        How many are under way at a time; more than one gives up their order.
    """
    sent: list[str] = []
    for start in range(0, len(events), at_once):
        part = events[start : start + at_once]
        outcomes = await asyncio.gather(*(_publish(publisher, event) for event in part))
        answered = zip(part, outcomes, strict=True)
        sent += [event.id for event, outcome in answered if outcome is _Outcome.SENT]
        if _Outcome.AWAY in outcomes:
            break
    return sent


async def _publish(publisher: Publisher, event: Event) -> _Outcome:
    try:
        await publisher.publish(event)
    except EventRefused as error:
        logger.warning("publish_refused", event_id=event.id, type=event.type, error=str(error))
        collectors().published.labels("failed").inc()
        return _Outcome.REFUSED
    except BrokerUnavailable as error:
        logger.warning("publish_failed", event_id=event.id, type=event.type, error=str(error))
        collectors().published.labels("failed").inc()
        return _Outcome.AWAY
    collectors().published.labels("sent").inc()
    return _Outcome.SENT
