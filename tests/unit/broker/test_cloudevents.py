"""Checklist points 2, 6 and 8: what an event is, and that it stays what it was."""

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse_broker.cloudevents import HOPS, parse_event, take_hop, to_headers
from alphapulse_broker.errors import InvalidEvent

BINARY = [(b"ce-specversion", b"1.0"), (b"ce-id", b"1"), (b"ce-source", b"/s"), (b"ce-type", b"t")]
STRUCTURED = [(b"content-type", b"application/cloudevents+json")]
REQUIRED = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def test_2_binary_event_keeps_values_as_they_arrived() -> None:
    headers = [*BINARY, (b"ce-company", b"caf%C3%A9%20100%25"), (b"content-type", b"text/plain; charset=x")]

    event = parse_event(headers, b"\x00\xff")

    assert event.body == b"\x00\xff"
    assert to_headers(event.attributes, {}) == {
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-source": "/s",
        "ce-type": "t",
        "ce-company": "caf%C3%A9%20100%25",
        "content-type": "text/plain; charset=x",
    }


def test_12_filters_see_decoded_values() -> None:
    event = parse_event([*BINARY, (b"ce-company", b"caf%C3%A9%20100%25")], b"")

    assert event.for_filters()["company"] == "café 100%"


def test_2_raw_utf_8_in_a_header_is_sent_on_percent_encoded() -> None:
    event = parse_event([*BINARY, (b"ce-company", "café".encode())], b"")

    assert event.attributes["company"] == "caf%C3%A9"


@given(json_values.filter(lambda value: value is not None), st.sampled_from([None, 1, 3]))
def test_2_structured_json_data_is_cut_out_character_by_character(value: object, indent: int | None) -> None:
    data = json.dumps(value, indent=indent)
    members = ", ".join(f'"{name}" : "{text}"' for name, text in REQUIRED.items())
    document = f' {{ "before": "\\"data\\": 1",\n"data" : {data}\t, {members} }}\n'

    event = parse_event(STRUCTURED, document.encode())

    assert event.body.decode() == data
    assert event.attributes["datacontenttype"] == "application/json"


@given(st.binary())
def test_2_structured_base64_data_is_decoded(data: bytes) -> None:
    document = {**REQUIRED, "datacontenttype": "image/png", "data_base64": base64.b64encode(data).decode()}

    event = parse_event(STRUCTURED, json.dumps(document).encode())

    assert event.body == data
    assert "data_base64" not in event.attributes


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [("text/plain", b"hi"), ("application/json", b'"hi"'), ("application/x+json", b'"hi"'), (None, b'"hi"')],
)
def test_2_text_is_unquoted_only_for_a_content_type_that_is_not_json(
    content_type: str | None, expected: bytes
) -> None:
    document = {**REQUIRED, "datacontenttype": content_type, "data": "hi"}

    assert expected == parse_event(STRUCTURED, json.dumps(document).encode()).body


def test_2_structured_event_without_data_has_none() -> None:
    event = parse_event(STRUCTURED, json.dumps(REQUIRED).encode())

    assert event.body == b""
    assert event.attributes == REQUIRED


def test_2_version_0_3_base64_data_is_decoded_and_the_version_kept() -> None:
    document = {**REQUIRED, "specversion": "0.3", "datacontentencoding": "base64", "data": "AAE="}

    event = parse_event(STRUCTURED, json.dumps(document).encode())

    assert event.body == b"\x00\x01"
    assert event.attributes["specversion"] == "0.3"
    assert "datacontentencoding" not in event.attributes


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"{}",
        b'{"a":1,}',
        b'{"a" 1}',
        b'{"a":1 "b":2}',
        b"{1:2}",
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t"} x',
        b'{"specversion":"1.0","id":"1","source":"/s","type":1.5}',
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1,"data_base64":"AA=="}',
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"?"}',
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","Upper":"x"}',
        b"\xff\xfe",
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","tenantid":"\\ud800"}',
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"a\\r\\nb: c"}',
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"a/b","data":"\\udfff"}',
        b"[" * 100_000,
    ],
)
def test_2_structured_document_that_is_no_event_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidEvent):
        parse_event(STRUCTURED, document)


@given(st.binary(max_size=60))
def test_2_no_bytes_make_parsing_fail_in_another_way(document: bytes) -> None:
    with contextlib.suppress(InvalidEvent):
        parse_event(STRUCTURED, document)


@pytest.mark.parametrize("missing", ["specversion", "id", "source", "type"])
def test_2_binary_event_without_a_required_attribute_is_refused(missing: str) -> None:
    headers = [(name, value) for name, value in BINARY if name != f"ce-{missing}".encode()]

    with pytest.raises(InvalidEvent, match=missing):
        parse_event(headers, b"")


@pytest.mark.parametrize("value", [b"a\x01b", b"caf\xe9", "é\x7f".encode()])
def test_2_header_value_that_is_neither_printable_nor_utf_8_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidEvent, match="value"):
        parse_event([*BINARY, (b"ce-company", value)], b"")


def test_2_batch_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="batch"):
        parse_event([(b"content-type", b"application/cloudevents-batch+json")], b"[]")


def test_8_hops_start_at_255_count_down_and_never_leave_the_broker() -> None:
    event = parse_event(BINARY, b"")

    take_hop(event.attributes)
    assert event.attributes[HOPS] == "255"
    take_hop(event.attributes)
    assert event.attributes[HOPS] == "254"

    assert f"ce-{HOPS}" not in to_headers(event.attributes, {})


@pytest.mark.parametrize("hops", ["1", "0", "-5", "x", "", "1" * 5000, "²"])
def test_8_hop_count_used_up_or_unreadable_is_refused(hops: str) -> None:
    with pytest.raises(InvalidEvent, match=HOPS):
        take_hop({HOPS: hops})


def test_6_trace_context_of_the_request_is_kept_and_else_that_of_the_event() -> None:
    event = parse_event([*BINARY, (b"ce-traceparent", b"00-a"), (b"traceparent", b"00-b")], b"")

    assert to_headers(event.attributes, event.trace)["traceparent"] == "00-b"
    assert to_headers(event.attributes, {})["traceparent"] == "00-a"
