"""Events on their way out: written with the change they tell of, deleted when the broker has them.

The writer sends its events right after the commit. What it could not send is found by the relay,
which leases rows instead of holding locks while it talks to the broker: a relay that dies gives
its rows back when the lease ends. An event may therefore be sent twice, and is never lost. One that
the broker refuses for good is marked and kept for an operator.
"""

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alphapulse.data import queries
from alphapulse.data.session import Session
from alphapulse.events import Event

GRACE = dt.timedelta(seconds=10)
LEASE = dt.timedelta(seconds=30)
_FIRST_DELAY = dt.timedelta(seconds=2)
_LONGEST_DELAY = dt.timedelta(minutes=5)
_ERROR_CHARACTERS = 500
# Bounds the statement's size: a record is about 1 KB.
_ROWS_AT_ONCE = 500
# Ids of events that are not UUIDs themselves are mapped to one.
_FOREIGN_IDS = uuid.UUID("5be1a1a8-3a5f-5d51-9f14-0d6a3a2f6c11")

_sql = queries.load(__file__, "outbox.sql")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row of the outbox that this process may send until its lease ends.

    Attributes
    ----------
    event : Event
        What to send.
    attempts : int
        How often it was leased, this time included.
    created_at : datetime
        When it was written; aware, UTC.
    """

    event: Event
    attempts: int
    created_at: dt.datetime


async def enqueue(session: Session, event: Event, *, grace: dt.timedelta = GRACE) -> None:
    """Write an event into the outbox of the session's transaction.

    Parameters
    ----------
    session
        Of the event's tenant, or of the platform.
    event
        Without a `tenantid` only a platform session may write it.
    grace
        How long the relay leaves the event to whoever writes it.
    """
    row = {"id": row_id(event.id), "event": event.to_record(), "grace": grace}
    if event.tenant_id is None:
        await _sql.enqueue_for_platform(session, **row)
    else:
        await _sql.enqueue_for_tenant(session, tenant_id=event.tenant_id, **row)


async def enqueue_many(session: Session, events: Sequence[Event], *, grace: dt.timedelta = GRACE) -> None:
    """Write events of the session's tenant into its outbox with one statement for up to 500 of them.

    Parameters
    ----------
    session
        Of the tenant of all these events.
    events
        In the order in which they are to be written.
    grace
        As for :func:`enqueue`.

    Raises
    ------
    ValueError
        An event is not of the session's tenant.
    """
    if any(event.tenant_id != session.tenant or event.tenant_id is None for event in events):
        raise ValueError("all events must be of the session's tenant")
    for start in range(0, len(events), _ROWS_AT_ONCE):
        part = events[start : start + _ROWS_AT_ONCE]
        await _sql.enqueue_many_for_tenant(
            session,
            tenant_id=session.tenant,
            ids=[row_id(event.id) for event in part],
            events=[event.to_record() for event in part],
            grace=grace,
        )


async def pending(session: Session, limit: int = 100, *, lease: dt.timedelta = LEASE) -> list[Waiting]:
    """Lease up to `limit` due events of all tenants and of the platform, oldest first.

    Two relays never get the same rows. Commit before sending; then :func:`mark_sent` what the
    broker accepted and :func:`mark_failed` the rest, in another transaction.

    Parameters
    ----------
    session
        Of the platform, without a tenant.
    """
    rows = [row async for row in _sql.lease_of_tenants(session, limit=limit, lease=lease)]
    if len(rows) < limit:
        rest = limit - len(rows)
        rows += [row async for row in _sql.lease_of_platform(session, limit=rest, lease=lease)]
    rows.sort(key=lambda row: (row["created_at"], row["id"]))
    return [Waiting(Event.from_record(row["event"]), row["attempts"], row["created_at"]) for row in rows]


async def mark_sent(session: Session, event_ids: Sequence[str]) -> None:
    """Delete what the broker has accepted; a tenant's session deletes that tenant's only."""
    ids = [row_id(event_id) for event_id in event_ids]
    if session.tenant is not None:
        await _sql.delete_of_tenant(session, tenant_id=session.tenant, ids=ids)
        return
    await _sql.delete_of_tenants(session, ids=ids)
    await _sql.delete_of_platform(session, ids=ids)


async def mark_failed(session: Session, waiting: Iterable[Waiting], *, error: str) -> None:
    """Postpone events that could not be sent: 2 s, doubling with each attempt, up to 5 minutes.

    Parameters
    ----------
    session
        Of the platform, without a tenant.
    waiting
        As :func:`pending` returned them.
    error
        Why, for the operator; cut to 500 characters.
    """
    by_delay: dict[dt.timedelta, list[uuid.UUID]] = {}
    for row in waiting:
        by_delay.setdefault(backoff(row.attempts), []).append(row_id(row.event.id))
    for delay, ids in by_delay.items():
        values = {"ids": ids, "delay": delay, "error": error[:_ERROR_CHARACTERS]}
        await _sql.postpone_of_tenants(session, **values)
        await _sql.postpone_of_platform(session, **values)


async def mark_refused(session: Session, waiting: Iterable[Waiting], *, error: str) -> None:
    """Keep events that the broker will never accept, and lease them no more.

    An operator who sets `refused_at` to null has them sent once more.

    Parameters
    ----------
    session, waiting, error
        As for :func:`mark_failed`.
    """
    values = {"ids": [row_id(row.event.id) for row in waiting], "error": error[:_ERROR_CHARACTERS]}
    await _sql.refuse_of_tenants(session, **values)
    await _sql.refuse_of_platform(session, **values)


async def refused(session: Session) -> int:
    """Return how many refused events are kept."""
    count: int = await _sql.refused(session)
    return count


async def backlog(session: Session) -> tuple[int, dt.datetime | None]:
    """Return how many events wait, and since when the oldest does; refused ones do not."""
    row = await _sql.backlog(session)
    return row["rows"], row["oldest"]


def backoff(attempts: int) -> dt.timedelta:
    """Return how long to wait after so many attempts."""
    doublings = min(max(attempts - 1, 0), 20)
    delay: dt.timedelta = _FIRST_DELAY * (1 << doublings)
    return min(delay, _LONGEST_DELAY)


def row_id(event_id: str) -> uuid.UUID:
    """Return the row's id for an event's id, which may be any text."""
    try:
        return uuid.UUID(event_id)
    except ValueError:
        return uuid.uuid5(_FOREIGN_IDS, event_id)
