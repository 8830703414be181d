"""Structured-mode JSON: attributes and data taken apart without altering the data.

`data` is cut out of the document as the text it arrived as. Parsing and printing it again would
round large numbers and reorder nothing visibly, which is altering all the same.
"""

import base64
import binascii
import json
import re
from typing import Any

from alphapulse_broker.errors import InvalidEvent

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()
_JSON_TYPE = re.compile(r"[^/]+/(?:[^;]+\+)?json\s*(?:;.*)?", re.IGNORECASE)


def parse_structured(body: bytes) -> tuple[dict[str, str], bytes]:
    """Return attributes (as text) and data of an `application/cloudevents+json` document.

    Raises
    ------
    InvalidEvent
        The document is no JSON object, or its members are no event's.
    """
    try:
        members = _members(body.decode())
    except (ValueError, IndexError, RecursionError) as error:
        raise InvalidEvent("structured event is not a JSON object") from error
    data = _data(members)
    attributes = {
        name: _text(name, value)
        for name, (value, _) in members.items()
        if name not in ("data", "data_base64") and value is not None
    }
    if attributes.get("specversion") == "0.3":
        attributes.pop("datacontentencoding", None)
    if "data" in members:
        # The JSON format's default must be said where no format implies it.
        attributes.setdefault("datacontenttype", "application/json")
    return attributes, data


def _members(text: str) -> dict[str, tuple[Any, str]]:
    """Return each member's value and the exact text of that value."""
    members: dict[str, tuple[Any, str]] = {}
    at = _skip(text, 0)
    if text[at] != "{":
        raise ValueError("not an object")
    at = _skip(text, at + 1)
    while text[at] != "}":
        if text[at] != '"':
            raise ValueError("a member's name is missing")
        name, at = _DECODER.raw_decode(text, at)
        at = _expect(text, at, ":")
        value, end = _DECODER.raw_decode(text, at)
        members[name] = (value, text[at:end])
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
            if text[at] == "}":
                raise ValueError("a comma before the end")
        elif text[at] != "}":
            raise ValueError("a comma is missing")
    if _skip(text, at + 1) != len(text):
        raise ValueError("text after the object")
    return members


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _expect(text: str, at: int, character: str) -> int:
    at = _skip(text, at)
    if text[at] != character:
        raise ValueError(f"{character} is missing")
    return _skip(text, at + 1)


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        _utf_8(value)
        return value
    if isinstance(value, int):
        return str(value)
    raise InvalidEvent(f"attribute {name[:40]!r} must be text, a whole number or a boolean")


def _data(members: dict[str, tuple[Any, str]]) -> bytes:
    encoded, _ = members.get("data_base64", (None, ""))
    value, text = members.get("data", (None, ""))
    if encoded is not None and value is not None:
        raise InvalidEvent("an event has data or data_base64, not both")
    if members.get("datacontentencoding", ("", ""))[0] == "base64":
        encoded, value = value, None
    if encoded is not None:
        return _decode(encoded)
    if value is None:
        return b"null" if text == "null" else b""
    content_type = members.get("datacontenttype", (None, ""))[0] or "application/json"
    if isinstance(value, str) and not _JSON_TYPE.fullmatch(str(content_type)):
        return _utf_8(value)
    return text.encode()


def _utf_8(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise InvalidEvent("text holds half of a surrogate pair") from error


def _decode(encoded: object) -> bytes:
    try:
        return base64.b64decode(str(encoded), validate=True)
    except binascii.Error as error:
        raise InvalidEvent("data_base64 is not base64") from error
