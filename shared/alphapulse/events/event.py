"""One CloudEvent of AlphaPulse, independent of any CloudEvents SDK.

The two SDK generations in use around Knative functions exclude each other (functions-framework
pins one, kn func's scaffold needs the other), so the product carries its own value and codec.
"""

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from uuid_utils.compat import uuid7

TYPE_PREFIX = "com.alphapulse."
_TYPE = re.compile(r"^com\.alphapulse\.(?P<noun_verb>[a-z]+(?:\.[a-z_]+)+)\.v(?P<version>[1-9]\d*)$")
_EXTENSION_NAME = re.compile(r"^[a-z0-9]{1,20}$")
# What the specification (CloudEvents 1.0, 2.3) leaves out of texts; PostgreSQL stores no NUL either.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CORE = frozenset(
    {"id", "source", "type", "specversion", "time", "subject", "datacontenttype", "dataschema", "data"}
)


class MalformedEvent(ValueError):
    """A request that is not a CloudEvent this product can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A CloudEvent 1.0 with JSON data.

    Parameters
    ----------
    type
        `com.alphapulse.<noun>.<verb>.v<n>`; use :func:`event_type` for the short form.
    source
        `/functions/<name>`.
    data
        A JSON object.
    extensions
        Attribute name to text: `tenantid`, `correlationid`, `causationid`, `partitionkey`,
        `traceparent`, `agent`, `symbol`.
    """

    type: str
    source: str
    data: Mapping[str, Any]
    extensions: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid7()))
    time: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    subject: str | None = None

    def __post_init__(self) -> None:
        for name in self.extensions:
            if name in _CORE or not _EXTENSION_NAME.match(name):
                raise ValueError(f"not a CloudEvents extension name: {name!r}")

    @property
    def tenant_id(self) -> uuid.UUID | None:
        """Tenant the event belongs to; None for platform events.

        Raises
        ------
        MalformedEvent
            `tenantid` is present and not a UUID.
        """
        text = self.extensions.get("tenantid")
        if text is None:
            return None
        try:
            return uuid.UUID(text)
        except ValueError as error:
            raise MalformedEvent("tenantid is not a UUID") from error

    @property
    def name(self) -> str:
        """`noun.verb`, or the full type of a foreign event or of a version other than 1."""
        match = _TYPE.match(self.type)
        return match["noun_verb"] if match and match["version"] == "1" else self.type

    def to_record(self) -> dict[str, Any]:
        """Return the structured JSON form (CloudEvents JSON format)."""
        record: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "time": self.time.isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            **self.extensions,
            "data": self.data,
        }
        if self.subject is not None:
            record["subject"] = self.subject
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Event":
        """Read the structured JSON form.

        Raises
        ------
        MalformedEvent
            A required attribute is missing or of the wrong type, an attribute holds a control
            character, or the version is not 1.0.
        """
        for name in ("id", "source", "type"):
            if not isinstance(record.get(name), str) or not record[name]:
                raise MalformedEvent(f"CloudEvents attribute {name!r} is missing or empty")
        if record.get("specversion") != "1.0":
            raise MalformedEvent(f"CloudEvents version must be 1.0, was {record.get('specversion')!r}")
        data = record.get("data")
        if not isinstance(data, dict):
            raise MalformedEvent("event data must be a JSON object")
        for name, value in record.items():
            if isinstance(value, str) and _CONTROL.search(value):
                raise MalformedEvent(f"CloudEvents attribute {name!r} holds a control character")
        return cls(
            id=record["id"],
            source=record["source"],
            type=record["type"],
            time=_parse_time(record.get("time")),
            subject=record.get("subject"),
            extensions={
                name: str(value)
                for name, value in record.items()
                if name not in _CORE and value is not None and _EXTENSION_NAME.match(name)
            },
            data=data,
        )

    def to_http(self) -> tuple[dict[str, str], bytes]:
        """Return headers and body of the binary HTTP mode."""
        record = self.to_record()
        data = record.pop("data")
        headers = {"content-type": record.pop("datacontenttype")}
        headers |= {f"ce-{name}": _quote(str(value)) for name, value in record.items()}
        return headers, orjson.dumps(data)

    @classmethod
    def from_http(cls, headers: Mapping[str, str], body: bytes) -> "Event":
        """Read binary or structured HTTP mode; header names are lower case.

        Raises
        ------
        MalformedEvent
            The request is not a CloudEvent with a JSON object as data.
        """
        content_type = headers.get("content-type", "")
        try:
            payload = orjson.loads(body) if body else {}
        except orjson.JSONDecodeError as error:
            raise MalformedEvent(f"event body is not JSON: {error}") from error
        if content_type.startswith("application/cloudevents+json"):
            if not isinstance(payload, dict):
                raise MalformedEvent("a structured event must be a JSON object")
            return cls.from_record(payload)
        record: dict[str, Any] = {
            name[3:]: _unquote(value) for name, value in headers.items() if name.startswith("ce-")
        }
        return cls.from_record(record | {"data": payload})


def event_type(name: str, *, version: int = 1) -> str:
    """Return the full type of `noun.verb`.

    Raises
    ------
    ValueError
        The name does not fit `com.alphapulse.<noun>.<verb>.v<n>`.
    """
    full = f"{TYPE_PREFIX}{name}.v{version}"
    if not _TYPE.match(full):
        raise ValueError(f"not an event name: {name!r}")
    return full


def _parse_time(value: object) -> dt.datetime:
    if value is None:
        return dt.datetime.now(dt.UTC)
    try:
        time = dt.datetime.fromisoformat(str(value))
        in_utc = time.astimezone(dt.UTC)
    except (ValueError, OverflowError) as error:
        raise MalformedEvent(f"event time is not RFC 3339: {value!r}") from error
    if time.tzinfo is None:
        raise MalformedEvent(f"event time has no offset: {value!r}")
    return in_utc


def _quote(value: str) -> str:
    # CloudEvents HTTP binding 3.1.3.2: percent-encode what is not printable ASCII, space, '"', '%'.
    return "".join(
        c if "!" <= c <= "~" and c not in '"%' else "".join(f"%{b:02X}" for b in c.encode()) for c in value
    )


def _unquote(value: str) -> str:
    if "%" not in value:
        return value
    from urllib.parse import unquote  # noqa: PLC0415 - most headers carry no escape

    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError as error:
        raise MalformedEvent("a ce- header carries an invalid percent-encoding") from error
