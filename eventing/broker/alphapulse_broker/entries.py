"""One event waiting for one trigger, and its form in a stream."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from alphapulse_broker.cloudevents import HOPS, Event

EVENT = "event"
DEAD_LETTER = "deadletter"
UNREADABLE = "unreadable"

_NEEDED = frozenset({"id", "source", "type", HOPS})

# What dead-lettering and parking add to an entry, and replay takes away again.
ADDED_FIELDS = ("attempt", "kind", "error", "parked")


@dataclass(frozen=True, slots=True)
class Entry:
    """An event of a trigger's stream.

    Parameters
    ----------
    attempt
        Attempts that failed before this one, for the sink `kind` says.
    kind
        `event` goes to the subscriber, `deadletter` to the dead-letter sink; `unreadable` was not
        written by this version of the broker and can only be put aside.
    error
        Of a dead letter: the extensions that say why.
    deliveries
        How often the entry was handed to a dispatcher without being settled, this time included.
    """

    id: bytes
    event: Event
    attempt: int = 0
    kind: str = EVENT
    accepted_ms: int = 0
    error: dict[str, str] = field(default_factory=dict)
    deliveries: int = 1

    @property
    def tenant(self) -> str:
        """Tenant the event belongs to, or an empty string."""
        return self.event.attributes.get("tenantid", "")


def now_ms() -> int:
    """Return the wall clock in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def encode(event: Event) -> list[str | bytes]:
    """Return a fresh entry's fields and values."""
    fields: list[str | bytes] = [
        "attributes",
        orjson.dumps(event.attributes),
        "body",
        event.body,
        "accepted",
        str(now_ms()),
    ]
    if event.trace:
        fields += ["trace", orjson.dumps(event.trace)]
    return fields


def decode(entry_id: bytes, fields: Sequence[bytes], *, deliveries: int = 1) -> Entry:
    """Return the entry that a stream holds; one that cannot be read is `unreadable`, never an error.

    An error here would stop the dispatcher, and every trigger with it, at the same entry for ever.
    """
    try:
        return _decode(entry_id, fields, deliveries)
    except (KeyError, ValueError, TypeError, AttributeError):
        nothing = Event({"id": "", "source": "", "type": ""}, b"", {})
        return Entry(entry_id, nothing, kind=UNREADABLE, deliveries=deliveries)


def changes(**values: str | Mapping[str, object]) -> list[str | bytes]:
    """Return field changes for `move.lua`; mappings become JSON."""
    fields: list[str | bytes] = []
    for name, value in values.items():
        fields += [name, value if isinstance(value, str) else orjson.dumps(value)]
    return fields


def _decode(entry_id: bytes, fields: Sequence[bytes], deliveries: int) -> Entry:
    found = dict(zip(fields[::2], fields[1::2], strict=True))
    attributes = orjson.loads(found[b"attributes"])
    if not attributes.keys() >= _NEEDED:
        raise ValueError("an attribute that every accepted event has is missing")
    trace = found.get(b"trace")
    event = Event(attributes, found[b"body"], orjson.loads(trace) if trace is not None else {})
    error = found.get(b"error")
    return Entry(
        id=entry_id,
        event=event,
        attempt=int(found.get(b"attempt", 0)),
        kind=found.get(b"kind", b"event").decode(),
        accepted_ms=int(found[b"accepted"]),
        error=orjson.loads(error) if error is not None else {},
        deliveries=deliveries,
    )
