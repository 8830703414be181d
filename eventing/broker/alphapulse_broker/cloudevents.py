"""CloudEvents over HTTP: what arrives, what is stored, what is sent.

An event is kept in the form of its binary-mode headers. Values that arrive as headers are stored
as they are, percent-encoding included, so that nothing is altered on the way; they are decoded
only for filters.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from alphapulse_broker.errors import InvalidEvent

SPEC_VERSIONS = frozenset({"1.0", "0.3"})
REQUIRED = ("id", "source", "type")
HOPS = "knativebrokerttl"
DEFAULT_HOPS = 255
STRUCTURED = "application/cloudevents+json"

_ATTRIBUTE = re.compile(r"[a-z0-9]+")
# Printable ASCII without space, double quote and percent sign travels unencoded.
_UNENCODED = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_TRACE_HEADERS = (b"traceparent", b"tracestate")


@dataclass(frozen=True, slots=True)
class Event:
    """A CloudEvent: context attributes in header form, the data untouched, HTTP trace headers."""

    attributes: dict[str, str]
    body: bytes
    trace: dict[str, str]

    def for_filters(self) -> Mapping[str, str]:
        """Return the attributes' values as filters compare them."""
        if any("%" in value for value in self.attributes.values()):
            return {name: unquote(value) for name, value in self.attributes.items()}
        return self.attributes


def parse_event(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Event:
    """Parse an HTTP message in binary or structured mode.

    Parameters
    ----------
    headers
        Names in lower case.

    Raises
    ------
    InvalidEvent
        No event, a batch, an unknown specversion, or a required attribute is missing.
    """
    attributes: dict[str, str] = {}
    trace: dict[str, str] = {}
    content_type = ""
    for name, value in headers:
        if name.startswith(b"ce-"):
            attributes[_attribute_name(name[3:].decode("latin-1"))] = _header_text(value)
        elif name == b"content-type":
            content_type = value.decode("latin-1")
        elif name in _TRACE_HEADERS and _is_printable(value):
            trace[name.decode()] = value.decode()
    if content_type.startswith("application/cloudevents"):
        attributes, body = _structured(content_type, body)
    elif content_type:
        attributes["datacontenttype"] = content_type
    require(attributes)
    if not _is_printable(attributes.get("datacontenttype", "").encode()):
        raise InvalidEvent("datacontenttype must be printable ASCII")
    return Event(attributes, body, trace)


def is_event(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether an answer claims to be a CloudEvent."""
    return any(
        name == b"ce-specversion"
        or (name == b"content-type" and value.startswith(b"application/cloudevents"))
        for name, value in headers
    )


def require(attributes: Mapping[str, str]) -> None:
    """Raise InvalidEvent unless the context attributes make a CloudEvent."""
    version = attributes.get("specversion")
    if version is None:
        raise InvalidEvent("no CloudEvent: specversion is missing")
    if version not in SPEC_VERSIONS:
        raise InvalidEvent("specversion must be 1.0 or 0.3")
    for name in REQUIRED:
        if not attributes.get(name):
            raise InvalidEvent(f"attribute {name} must not be empty")


def take_hop(attributes: dict[str, str]) -> None:
    """Count one pass through the broker.

    Raises
    ------
    InvalidEvent
        The hop count is used up or is not a number: the event goes round in a loop.
    """
    found = attributes.get(HOPS)
    if found is None:
        attributes[HOPS] = str(DEFAULT_HOPS)
        return
    # The sign and length are bounded so that a hostile value costs nothing to convert.
    if re.fullmatch(r"-?[0-9]{1,9}", found) is None:
        raise InvalidEvent(f"attribute {HOPS} must be a whole number")
    hops = int(found) - 1
    if hops <= 0:
        raise InvalidEvent(f"attribute {HOPS} is used up: the event goes round in a loop")
    attributes[HOPS] = str(hops)


def to_headers(attributes: Mapping[str, str], trace: Mapping[str, str]) -> dict[str, str]:
    """Return the binary-mode headers of a delivery; the hop count stays with the broker."""
    headers = {f"ce-{name}": value for name, value in attributes.items()}
    headers.pop(f"ce-{HOPS}", None)
    content_type = headers.pop("ce-datacontenttype", None)
    if content_type is not None:
        headers["content-type"] = content_type
    if trace:
        headers.update(trace)
    elif "traceparent" in attributes:
        headers["traceparent"] = attributes["traceparent"]
        if "tracestate" in attributes:
            headers["tracestate"] = unquote(attributes["tracestate"])
    return headers


def encode_value(value: str) -> str:
    """Percent-encode an attribute's value for a header."""
    return quote(value, safe=_UNENCODED)


def _structured(content_type: str, body: bytes) -> tuple[dict[str, str], bytes]:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != STRUCTURED:
        raise InvalidEvent(f"content type {media_type} is not supported; send {STRUCTURED} or binary mode")
    # Few senders use structured mode; binary ones need not load a JSON scanner.
    from alphapulse_broker.structured import parse_structured  # noqa: PLC0415 - see above

    attributes, data = parse_structured(body)
    return {
        _attribute_name(name): value if name == "datacontenttype" else encode_value(value)
        for name, value in attributes.items()
    }, data


def _attribute_name(name: str) -> str:
    if _ATTRIBUTE.fullmatch(name) is None:
        raise InvalidEvent("attribute names are lower-case letters and digits")
    return name


def _header_text(value: bytes) -> str:
    if _is_printable(value):
        return value.decode()
    try:
        text = value.decode()
        if any(c.isascii() and not c.isprintable() for c in text):
            raise InvalidEvent("an attribute's value holds a control character")
        return "".join(c if c.isascii() else quote(c) for c in text)
    except UnicodeDecodeError as error:
        raise InvalidEvent("an attribute's value is neither ASCII nor UTF-8") from error


def _is_printable(value: bytes) -> bool:
    return value.isascii() and value.decode().isprintable()
