"""The operator's commands: how deep are the queues, what is parked, put it back."""

import base64
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from alphapulse_broker.entries import decode
from alphapulse_broker.errors import NoTriggerTable
from alphapulse_broker.event_log import EventLog, Outcome
from alphapulse_broker.triggers import TriggerTable

_DETAIL_SHOWN = 200


@dataclass(frozen=True)
class TriggerStatus:
    """How many entries of a trigger are in which state."""

    trigger: str
    lag: int
    in_flight: int
    delayed: int
    parked: int


@dataclass(frozen=True)
class ParkedEntry:
    """A parked entry without its data."""

    id: str
    trigger: str
    event_id: str
    event_type: str
    source: str
    tenant_id: str
    kind: str
    attempts: int
    reason: str
    detail: str
    parked_at_ms: int
    error: dict[str, str] = field(default_factory=dict)


async def status(log: EventLog) -> list[TriggerStatus]:
    """Return the state of every trigger of the table in force."""
    return [TriggerStatus(name, **await log.depths(name)) for name in await _names(log)]


async def parked(log: EventLog, *, trigger: str | None = None, limit: int = 100) -> list[ParkedEntry]:
    """Return parked entries, oldest first, of one trigger or of all."""
    names = [trigger] if trigger is not None else await _names(log)
    entries: list[ParkedEntry] = []
    for name in names:
        found = await log.parked(name, count=limit)
        entries += [_parked(name, entry_id, fields) for entry_id, fields in found]
    return entries


async def replay(log: EventLog, *, trigger: str, entry_id: str | None = None) -> int:
    """Put one parked entry (or all there are now) of a trigger back; return how many."""
    if entry_id is not None:
        return int(await log.replay(trigger, entry_id) is Outcome.REPLAYED)
    # What is parked again while this runs is left for another call, or a broken sink would make
    # this one endless.
    count = (await log.depths(trigger))["parked"]
    replayed = 0
    for found, _ in await log.parked(trigger, count=count) if count else []:
        replayed += await log.replay(trigger, found.decode()) is Outcome.REPLAYED
    return replayed


def as_json(rows: list[TriggerStatus] | list[ParkedEntry]) -> str:
    """Return rows as a JSON array."""
    return json.dumps([asdict(row) for row in rows], indent=2)


def as_table(rows: list[TriggerStatus] | list[ParkedEntry]) -> str:
    """Return rows as aligned columns."""
    if not rows:
        return "none"
    cells = [{name: str(value) for name, value in asdict(row).items() if name != "error"} for row in rows]
    widths = {name: max(len(name), *(len(row[name]) for row in cells)) for name in cells[0]}
    lines = ["  ".join(name.ljust(width) for name, width in widths.items())]
    lines += ["  ".join(row[name].ljust(width) for name, width in widths.items()) for row in cells]
    return "\n".join(line.rstrip() for line in lines)


async def _names(log: EventLog) -> tuple[str, ...]:
    found = await log.published()
    if found is None:
        raise NoTriggerTable("no trigger table has been published")
    return TriggerTable.from_json(found[1]).names


def _parked(trigger: str, entry_id: bytes, fields: list[bytes]) -> ParkedEntry:
    entry = decode(entry_id, fields)
    note: dict[str, Any] = json.loads(dict(zip(fields[::2], fields[1::2], strict=True)).get(b"parked", b"{}"))
    attributes = entry.event.attributes
    detail = note.get("detail") or _decoded(entry.error.get("knativeerrordata", ""))
    return ParkedEntry(
        id=entry_id.decode(),
        trigger=trigger,
        event_id=attributes["id"],
        event_type=attributes["type"],
        source=attributes["source"],
        tenant_id=entry.tenant,
        kind=entry.kind,
        attempts=entry.attempt + 1,
        reason=note.get("reason", ""),
        detail=" ".join(detail.split())[:_DETAIL_SHOWN],
        parked_at_ms=note.get("at_ms", 0),
        error=entry.error,
    )


def _decoded(data: str) -> str:
    return base64.b64decode(data).decode(errors="replace")
