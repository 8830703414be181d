"""Parked entries: events that no sink accepted. Listed without their data, shown one at a time."""

import base64
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from alphapulse_broker.entries import UNREADABLE, decode
from alphapulse_broker.errors import UnknownEntry
from alphapulse_broker.event_log import EventLog
from alphapulse_broker.operations.names import all_names, known

_DETAIL_SHOWN = 200
_PAGE = 200


@dataclass(frozen=True)
class Selection:
    """Which parked entries are meant; what is None does not matter.

    Parameters
    ----------
    since, before
        When the entry was parked: not before `since`, and before `before`.
    """

    trigger: str | None = None
    entry_id: str | None = None
    tenant: str | None = None
    event_type: str | None = None
    since: datetime | None = None
    before: datetime | None = None

    def wants(self, entry: "DeadLetter") -> bool:
        """Tell whether an entry is meant; its id and time are compared by Redis."""
        return self.tenant in (None, entry.tenant_id) and self.event_type in (None, entry.event_type)


@dataclass(frozen=True)
class DeadLetter:
    """A parked entry without its data.

    Parameters
    ----------
    attempts
        Attempts at the sink that `kind` says: `event` the subscriber, `deadletter` the dead-letter sink.
    error_code
        Status the subscriber answered; None when it gave no answer.
    """

    id: str
    trigger: str
    event_id: str
    event_type: str
    source: str
    tenant_id: str
    kind: str
    attempts: int
    reason: str
    error_code: int | None
    detail: str
    parked_at: datetime
    data_bytes: int
    error: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """A part of a listing; `following` is what to ask the next page with, None at the end."""

    entries: list[DeadLetter]
    following: str | None


@dataclass(frozen=True)
class ParkedEvent:
    """One parked entry in full: what is known of it, its context attributes and its data."""

    entry: DeadLetter
    attributes: dict[str, str]
    data: bytes

    def as_json(self) -> dict[str, Any]:
        """Return the entry for a JSON document; data that is no UTF-8 text becomes base64."""
        try:
            data = {"data": self.data.decode()}
        except UnicodeDecodeError:
            data = {"data_base64": base64.b64encode(self.data).decode()}
        return {"entry": self.entry, "attributes": self.attributes, **data}


async def dead_letters(
    log: EventLog, selection: Selection | None = None, *, limit: int = 100, after: str | None = None
) -> Page:
    """Return parked entries, by trigger and oldest first.

    Parameters
    ----------
    after
        `following` of the page before.
    """
    wanted = selection or Selection()
    found: list[DeadLetter] = []
    async for entry in each(log, wanted, after=after):
        if len(found) == limit:
            last = found[-1]
            return Page(found, f"{last.trigger}/{last.id}")
        found.append(entry)
    return Page(found, None)


async def show(log: EventLog, entry_id: str, *, trigger: str | None = None) -> list[ParkedEvent]:
    """Return the parked entry of this id with its data; of several triggers when they share the id.

    Raises
    ------
    UnknownEntry
        Nothing is parked under this id.
    """
    _check_id(entry_id)
    names = [await known(log, trigger)] if trigger is not None else await all_names(log)
    found = [event for name in names for event in await full(log, name, [entry_id])]
    if not found:
        raise UnknownEntry(f"nothing is parked under the id {entry_id}")
    return found


async def each(log: EventLog, selection: Selection, *, after: str | None = None) -> AsyncIterator[DeadLetter]:
    """Yield parked entries page by page, those only that are parked when their trigger's turn comes."""
    names = [await known(log, selection.trigger)] if selection.trigger else await all_names(log)
    last_name, _, last_id = (after or "").partition("/")
    if last_id:
        _check_id(last_id)
    for name in names:
        if name < last_name:
            continue
        first, last = await _range(log, selection)
        if name == last_name and last_id:
            # In this order: of two equal bounds the one that leaves out what was on the page before.
            first = max(f"({last_id}", first, key=_position)
        while True:
            rows = await log.run_script("parked", [log.keys.parked(name)], [first, last, _PAGE])
            for entry_id, fields, size in rows:
                entry = _listed(name, entry_id, fields, size)
                if selection.wants(entry):
                    yield entry
            if len(rows) < _PAGE:
                break
            first = f"({rows[-1][0].decode()}"


async def full(log: EventLog, trigger: str, ids: Sequence[str]) -> list[ParkedEvent]:
    """Return those of the entries that are still parked, with their data."""
    events = []
    for entry_id in ids:
        for found, fields in await log.command("XRANGE", log.keys.parked(trigger), entry_id, entry_id):
            event = decode(found, fields).event
            entry = _listed(trigger, found, fields, len(event.body))
            events.append(ParkedEvent(entry, event.attributes, event.body))
    return events


async def _range(log: EventLog, selection: Selection) -> tuple[str, str]:
    """Return first and last id, of which the time is when the entry was parked."""
    if selection.entry_id is not None:
        _check_id(selection.entry_id)
        return selection.entry_id, selection.entry_id
    first = f"{_ms(selection.since)}-0" if selection.since is not None else "0-0"
    if selection.before is not None:
        return first, f"({_ms(selection.before)}-0"
    # What is parked again while this runs is left for another call, or a broken sink would make a
    # replay endless.
    seconds, microseconds = await log.command("TIME")
    return first, str(int(seconds) * 1000 + int(microseconds) // 1000)


def _listed(trigger: str, entry_id: bytes, fields: list[bytes], size: int) -> DeadLetter:
    found = dict(zip(fields[::2], fields[1::2], strict=True))
    # A listing leaves the data out, and an entry without data counts as unreadable.
    entry = decode(entry_id, fields if b"body" in found or not size else [*fields, b"body", b""])
    note: dict[str, Any] = _note(found.get(b"parked", b"{}"))
    attributes = entry.event.attributes
    code = entry.error.get("knativeerrorcode") or note.get("status")
    detail = note.get("detail") or base64.b64decode(entry.error.get("knativeerrordata", "")).decode(
        errors="replace"
    )
    return DeadLetter(
        id=entry_id.decode(),
        trigger=trigger,
        event_id=attributes["id"],
        event_type=attributes["type"],
        source=attributes["source"],
        tenant_id=entry.tenant,
        kind=entry.kind,
        attempts=entry.attempt + (entry.kind != UNREADABLE),
        reason=note.get("reason", ""),
        error_code=int(code) if code else None,
        detail=" ".join(detail.split())[:_DETAIL_SHOWN],
        parked_at=datetime.fromtimestamp(int(entry_id.partition(b"-")[0]) / 1000, UTC),
        data_bytes=size,
        error=entry.error,
    )


def _note(text: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _check_id(entry_id: str) -> None:
    ms, dash, number = entry_id.partition("-")
    if not (dash and ms.isascii() and ms.isdigit() and number.isascii() and number.isdigit()):
        raise UnknownEntry(f"{entry_id!r} is no id of a parked entry, such as 1700000000000-0")


def _position(bound: str) -> tuple[int, int]:
    ms, _, number = bound.lstrip("(").partition("-")
    return int(ms), int(number or 0)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
