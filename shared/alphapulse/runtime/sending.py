"""Send the events of a committed transaction, whose rows are in the outbox."""

from collections.abc import Sequence

import structlog

from alphapulse.events import Event
from alphapulse.events.publish import BrokerUnavailable, EventRefused, Publisher
from alphapulse.runtime.metrics import collectors

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


async def send(publisher: Publisher, events: Sequence[Event]) -> list[str]:
    """Send events in order until the broker is away; return the ids of those it has.

    Nothing is lost: the rows of the rest stay in the outbox, and the relay sweeps them. It also marks
    those that are refused for good; here they only let the next one pass.
    """
    sent = []
    for event in events:
        try:
            await publisher.publish(event)
        except EventRefused as error:
            logger.warning("publish_refused", event_id=event.id, type=event.type, error=str(error))
            collectors().published.labels("failed").inc()
            continue
        except BrokerUnavailable as error:
            logger.warning("publish_failed", event_id=event.id, type=event.type, error=str(error))
            collectors().published.labels("failed").inc()
            break
        sent.append(event.id)
        collectors().published.labels("sent").inc()
    return sent
