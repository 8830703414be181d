"""Which events a consumer has handled already, so that a redelivery has no second effect."""

from dataclasses import dataclass

from alphapulse.data import queries
from alphapulse.data.session import Session
from alphapulse.events import Event

_sql = queries.load(__file__, "processed.sql")


@dataclass(frozen=True, slots=True)
class Claim:
    """Whether this delivery is the one to act on.

    Attributes
    ----------
    first : bool
        True: act, in this transaction. False: it was done; answer with `reply`.
    reply : Event or None
        What the first delivery replied.
    """

    first: bool
    reply: Event | None


async def claim(session: Session, consumer: str, event: Event) -> Claim:
    """Record that `consumer` handles `event` in the session's transaction.

    Of two deliveries at once the second waits here for the first one's transaction: it is a
    redelivery if that commits, and the first if that rolls back.

    Parameters
    ----------
    session
        Of the event's tenant, or of the platform for an event without one.
    consumer
        The function's name.
    """
    kind, key = _key(consumer, event)
    if await getattr(_sql, f"claim_for_{kind}")(session, **key):
        return Claim(first=True, reply=None)
    return Claim(first=False, reply=await reply_to(session, consumer, event))


async def reply_to(session: Session, consumer: str, event: Event) -> Event | None:
    """Return what `consumer` replied to the event; None if nothing, or if it has not handled it."""
    kind, key = _key(consumer, event)
    record = await getattr(_sql, f"reply_for_{kind}")(session, **key)
    return None if record is None else Event.from_record(record)


async def store_reply(session: Session, consumer: str, event: Event, reply: Event) -> None:
    """Keep the reply for redeliveries; in the transaction that made the claim."""
    kind, key = _key(consumer, event)
    await getattr(_sql, f"store_for_{kind}")(session, **key, reply=reply.to_record())


def _key(consumer: str, event: Event) -> tuple[str, dict[str, object]]:
    key: dict[str, object] = {"consumer": consumer, "source": event.source, "event_id": event.id}
    if event.tenant_id is None:
        return "platform", key
    return "tenant", key | {"tenant_id": event.tenant_id}
