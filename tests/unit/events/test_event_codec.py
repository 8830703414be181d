"""The codec, checked against the CloudEvents SDK as an independent reader and writer."""

import datetime as dt
import uuid

import pytest
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import from_http
from cloudevents.http.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.events import Event, MalformedEvent, event_type

TENANT = "0197c9d2-0000-7000-8000-000000000001"
ATTRIBUTES = {
    "id": "1",
    "source": "/functions/agents",
    "type": "com.alphapulse.signal.requested.v1",
    "time": "2026-01-02T03:04:05.000006Z",
}


def make(**fields: object) -> Event:
    values = {
        "type": event_type("signal.requested"),
        "source": "/functions/agents",
        "data": {"symbol": "BTC-USDT"},
        "extensions": {"tenantid": TENANT, "agent": "technical"},
    } | fields
    return Event(**values)  # type: ignore[arg-type]


def test_binary_event_is_read_by_the_sdk_with_every_attribute() -> None:
    event = make(subject="BTC-USDT")

    read = from_http(*event.to_http())

    assert event.data == read.data
    assert {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": "BTC-USDT",
        "tenantid": TENANT,
        "agent": "technical",
        "datacontenttype": "application/json",
        "time": event.to_record()["time"],
    } == dict(read.get_attributes())


@pytest.mark.parametrize("write", [to_binary, to_structured])
def test_event_written_by_the_sdk_is_read_alike_in_both_modes(write: object) -> None:
    headers, body = write(CloudEvent({**ATTRIBUTES, "tenantid": TENANT}, {"n": 1}))  # type: ignore[operator]

    event = Event.from_http({name.lower(): value for name, value in headers.items()}, body)

    assert (event.id, event.source, event.data) == ("1", "/functions/agents", {"n": 1})
    assert uuid.UUID(TENANT) == event.tenant_id
    assert dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC) == event.time


@given(st.text(min_size=1).filter(lambda t: "\x00" not in t and t.isprintable()))
def test_any_text_attribute_survives_the_header_encoding(text: str) -> None:
    event = make(subject=text)

    headers, body = event.to_http()

    assert all(value.isascii() for value in headers.values())
    assert text == Event.from_http(headers, body).subject


def test_record_round_trip_keeps_everything() -> None:
    event = make(subject="s")

    assert event == Event.from_record(event.to_record())


@pytest.mark.parametrize(
    ("headers", "body", "message"),
    [
        ({"content-type": "application/json"}, b"{}", "'id' is missing"),
        ({"content-type": "application/cloudevents+json"}, b"[]", "must be a JSON object"),
        ({"content-type": "application/cloudevents+json"}, b"{", "not JSON"),
        (
            {f"ce-{k}": v for k, v in ATTRIBUTES.items()} | {"ce-specversion": "0.3"},
            b"{}",
            "version must be 1.0",
        ),
        ({f"ce-{k}": v for k, v in ATTRIBUTES.items()} | {"ce-specversion": "1.0"}, b"3", "JSON object"),
        (
            {f"ce-{k}": v for k, v in ATTRIBUTES.items()} | {"ce-specversion": "1.0", "ce-time": "now"},
            b"{}",
            "RFC 3339",
        ),
        (
            {f"ce-{k}": v for k, v in ATTRIBUTES.items()} | {"ce-specversion": "1.0", "ce-subject": "%ff"},
            b"{}",
            "percent-encoding",
        ),
    ],
)
def test_malformed_event_is_refused_with_a_reason(headers: dict[str, str], body: bytes, message: str) -> None:
    with pytest.raises(MalformedEvent, match=message):
        Event.from_http(headers, body)


def test_tenant_that_is_no_uuid_is_refused() -> None:
    with pytest.raises(MalformedEvent, match="tenantid"):
        _ = make(extensions={"tenantid": "' OR 1=1"}).tenant_id


@pytest.mark.parametrize("name", ["Agent", "x" * 21, "data", "a-b", ""])
def test_extension_name_outside_the_specification_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="extension name"):
        make(extensions={name: "x"})


@pytest.mark.parametrize("name", ["signal", "Signal.requested", "signal requested", ""])
def test_event_name_outside_the_naming_scheme_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="event name"):
        event_type(name)
