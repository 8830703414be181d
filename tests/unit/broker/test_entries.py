"""Entries as they stand in a stream, and what cannot be one."""

import orjson
import pytest

from alphapulse_broker.cloudevents import HOPS, Event
from alphapulse_broker.entries import EVENT, UNREADABLE, decode, encode

ATTRIBUTES = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", HOPS: "9"}


def fields(attributes: object) -> list[bytes]:
    return [b"attributes", orjson.dumps(attributes), b"body", b"{}", b"accepted", b"1"]


def test_5_entry_is_read_as_it_was_written() -> None:
    event = Event(dict(ATTRIBUTES), b"data", {"traceparent": "00-1-2-01"})
    written = [part.encode() if isinstance(part, str) else part for part in encode(event)]

    found = decode(b"1-1", written, deliveries=3)

    assert (EVENT, event, 3) == (found.kind, found.event, found.deliveries)


@pytest.mark.parametrize(
    "attributes",
    [[], "text", None, 1, {}, *({k: v for k, v in ATTRIBUTES.items() if k != gone} for gone in ("id", HOPS))],
)
def test_11_entry_without_what_a_delivery_needs_is_unreadable_and_no_error(attributes: object) -> None:
    assert decode(b"1-1", fields(attributes)).kind == UNREADABLE
