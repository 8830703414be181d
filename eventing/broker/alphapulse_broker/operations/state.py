"""How the broker is: its processes, its Redis, its triggers, and how far behind each is."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from alphapulse_broker.durability import durability_problems, log_facts
from alphapulse_broker.event_log import EventLog
from alphapulse_broker.operations.names import all_names, known, table_in_force
from alphapulse_broker.triggers import Trigger

# A process that missed so many heartbeats is dead or cut off.
_MISSED_HEARTBEATS = 3


@dataclass(frozen=True)
class ProcessStatus:
    """One process of the broker and its last sign of life."""

    name: str
    role: str
    host: str
    pid: int
    alive: bool
    seen_seconds_ago: float
    started_at: datetime
    revision: str | None


@dataclass(frozen=True)
class RedisStatus:
    """The server that holds the broker's keys; `problems` says what durability lacks."""

    version: str
    role: str
    replicas: int
    used_memory_bytes: int
    max_memory_bytes: int
    max_memory_policy: str
    append_only_file: bool
    append_only_file_ok: bool
    problems: list[str]


@dataclass(frozen=True)
class BrokerStatus:
    """The broker as a whole; `leftovers` are removed triggers that still have entries."""

    namespace: str
    broker: str
    revision: str
    generation: int
    triggers: int
    leftovers: list[str]
    totals: dict[str, int]
    processes: list[ProcessStatus]
    redis: RedisStatus


@dataclass(frozen=True)
class TriggerDescription:
    """What a trigger wants, where it goes and how it is delivered."""

    trigger: str
    filters: list[dict[str, Any]]
    subscriber: dict[str, Any]
    delivery: dict[str, Any]


@dataclass(frozen=True)
class TriggerLag:
    """Entries of one trigger by state; see `event_log.Survey` for the figures."""

    trigger: str
    waiting: int
    in_flight: int
    delayed: int
    parked: int
    oldest_seconds: float
    next_retry_seconds: float | None
    dispatchers: int
    in_table: bool = True

    @property
    def undelivered(self) -> int:
        """Entries that still have to be delivered."""
        return self.waiting + self.in_flight + self.delayed


async def status(log: EventLog) -> BrokerStatus:
    """Return how the broker is."""
    table = await table_in_force(log)
    rows = await lag(log)
    return BrokerStatus(
        namespace=log.keys.namespace,
        broker=log.keys.broker,
        revision=table.revision,
        generation=int(await log.command("HGET", log.keys.table, "generation") or 0),
        triggers=len(table.triggers),
        leftovers=[row.trigger for row in rows if not row.in_table],
        totals={
            state: sum(getattr(row, state) for row in rows)
            for state in ("waiting", "in_flight", "delayed", "parked")
        },
        processes=await _processes(log),
        redis=await _redis(log),
    )


async def triggers(log: EventLog, *, trigger: str | None = None) -> list[TriggerDescription]:
    """Return the table in force, or one trigger of it."""
    table = await table_in_force(log)
    if trigger is not None:
        await known(log, trigger)
    return [_described(found) for found in table.triggers if trigger in (None, found.name)]


async def lag(log: EventLog, *, trigger: str | None = None) -> list[TriggerLag]:
    """Return how far behind each trigger is, those removed from the table with entries left included."""
    table = await table_in_force(log)
    names = [await known(log, trigger)] if trigger is not None else await all_names(log)
    return list(await asyncio.gather(*(lag_of(log, name, in_table=name in table.by_name) for name in names)))


async def lag_of(log: EventLog, name: str, *, in_table: bool) -> TriggerLag:
    """Return how far behind a trigger is, whether there is one of that name or not."""
    found = await log.survey(name)
    return TriggerLag(
        trigger=name,
        waiting=found.lag,
        in_flight=found.in_flight,
        delayed=found.delayed,
        parked=found.parked,
        oldest_seconds=found.oldest_seconds,
        next_retry_seconds=found.next_retry_seconds,
        dispatchers=found.consumers,
        in_table=in_table,
    )


def _described(trigger: Trigger) -> TriggerDescription:
    spec = trigger.spec
    filters = spec.filters
    if not filters and spec.filter.attributes:
        filters = [{"attributes": spec.filter.attributes}]
    return TriggerDescription(
        trigger=trigger.name,
        filters=filters,
        subscriber=spec.subscriber.model_dump(mode="json", exclude_none=True),
        delivery=spec.delivery.model_dump(mode="json", exclude_none=True),
    )


async def _processes(log: EventLog) -> list[ProcessStatus]:
    seconds, microseconds = await log.command("TIME")
    now = int(seconds) + int(microseconds) / 1e6
    seen = await log.command("ZRANGE", log.keys.processes, 0, -1, "WITHSCORES")
    if not seen:
        return []
    facts = await log.command("HMGET", log.keys.process_facts, *seen[::2])
    found = [
        _process(name.decode(), orjson.loads(text), silence=max(now - float(score) / 1000, 0.0))
        for name, score, text in zip(seen[::2], seen[1::2], facts, strict=True)
        if text is not None
    ]
    return sorted(found, key=lambda process: process.name)


def _process(name: str, facts: dict[str, Any], *, silence: float) -> ProcessStatus:
    return ProcessStatus(
        name=name,
        role=facts["role"],
        host=facts["host"],
        pid=facts["pid"],
        alive=silence <= facts["heartbeat_seconds"] * _MISSED_HEARTBEATS,
        seen_seconds_ago=round(silence, 3),
        started_at=datetime.fromtimestamp(facts["started_at"], UTC),
        revision=facts["revision"],
    )


async def _redis(log: EventLog) -> RedisStatus:
    info = await log_facts(log, "default")
    return RedisStatus(
        version=info.get("redis_version", ""),
        role=info.get("role", ""),
        replicas=int(info.get("connected_slaves", 0)),
        used_memory_bytes=int(info.get("used_memory", 0)),
        max_memory_bytes=int(info.get("maxmemory", 0)),
        max_memory_policy=info.get("maxmemory_policy", ""),
        append_only_file=info.get("aof_enabled") == "1",
        append_only_file_ok=info.get("aof_last_write_status", "ok") == "ok",
        problems=await durability_problems(log),
    )
