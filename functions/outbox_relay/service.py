"""Send what was left in the outbox."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from alphapulse.data import outbox
from alphapulse.data.outbox import Waiting
from alphapulse.events.publish import BrokerUnavailable, EventRefused
from alphapulse.runtime.metrics import collectors
from alphapulse.runtime.resources import Resources

_BATCH: Final = 200
_AT_ONCE: Final = 16
# Below the trigger's timeout of 60 s; what is left is swept a minute later.
_BUDGET_SECONDS: Final = 40

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True)
class Sweep:
    """What one sweep did.

    Attributes
    ----------
    sent, failed, refused : int
        Events the broker accepted, did not accept, and refused for good.
    broker_down : bool
        None of the last few was accepted, so the sweep ended early.
    """

    sent: int = 0
    failed: int = 0
    refused: int = 0
    broker_down: bool = False


async def sweep(resources: Resources) -> Sweep:
    """Send due events in batches until none is left, the broker is down, or time is up.

    Rows are leased and not locked while they are sent. A relay that dies in the middle gives them back
    when the lease ends; an event may then be sent twice, and consumers skip the second.
    """
    done = Sweep()
    ends_at = time.monotonic() + _BUDGET_SECONDS
    while time.monotonic() < ends_at and not done.broker_down:
        async with resources.platform.session() as session:
            batch = await outbox.pending(session, _BATCH)
        if not batch:
            break
        await _send_batch(resources, batch, done, ends_at=ends_at)
    await _report(resources, done)
    return done


async def _send_batch(resources: Resources, batch: Sequence[Waiting], done: Sweep, *, ends_at: float) -> None:
    for start in range(0, len(batch), _AT_ONCE):
        if time.monotonic() >= ends_at:
            return  # the rest is due again when its lease ends
        part = batch[start : start + _AT_ONCE]
        errors = await asyncio.gather(*(_publish(resources, waiting) for waiting in part))
        await _mark(resources, part, errors)
        refused = sum(isinstance(error, EventRefused) for error in errors)
        failed = sum(error is not None for error in errors) - refused
        done.sent += len(part) - failed - refused
        done.failed += failed
        done.refused += refused
        if failed == len(part):
            done.broker_down = True
            return


async def _publish(resources: Resources, waiting: Waiting) -> BrokerUnavailable | None:
    try:
        await resources.publisher.publish(waiting.event)
    except BrokerUnavailable as error:
        return error
    return None


async def _mark(
    resources: Resources, part: Sequence[Waiting], errors: Sequence[BrokerUnavailable | None]
) -> None:
    outcomes = list(zip(part, errors, strict=True))
    async with resources.platform.session() as session:
        await outbox.mark_sent(session, [waiting.event.id for waiting, error in outcomes if error is None])
        for kind, reason in {(type(error), str(error)) for error in errors if error is not None}:
            rows = [waiting for waiting, error in outcomes if type(error) is kind and str(error) == reason]
            mark = outbox.mark_refused if kind is EventRefused else outbox.mark_failed
            await mark(session, rows, error=reason)
    for waiting, error in outcomes:
        if isinstance(error, EventRefused):
            logger.error(
                "event_refused", event_id=waiting.event.id, type=waiting.event.type, error=str(error)
            )


async def _report(resources: Resources, done: Sweep) -> None:
    collectors().published.labels("swept").inc(done.sent)
    collectors().published.labels("failed").inc(done.failed)
    collectors().published.labels("refused").inc(done.refused)
    async with resources.platform.session() as session:
        waiting, oldest = await outbox.backlog(session)
        kept = await outbox.refused(session)
    log = logger.warning if done.failed or done.refused else logger.info
    log(
        "outbox_swept",
        sent=done.sent,
        failed=done.failed,
        refused=done.refused,
        refused_kept=kept,
        broker_down=done.broker_down,
        waiting=waiting,
        oldest=None if oldest is None else oldest.isoformat(),
    )
