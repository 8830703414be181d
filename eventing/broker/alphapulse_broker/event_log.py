"""The broker's log: what a process may do with the entries of the triggers' streams."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from alphapulse_broker.cloudevents import Event
from alphapulse_broker.entries import ADDED_FIELDS, DEAD_LETTER, Entry, changes, decode, encode
from alphapulse_broker.errors import LogUnavailable
from alphapulse_broker.keys import GROUP, Keys
from alphapulse_broker.redis_address import address_from
from alphapulse_broker.redis_link import Argument, ScriptRunner, call
from alphapulse_broker.redis_pool import Pool
from alphapulse_broker.settings import Settings
from alphapulse_broker.triggers import TriggerTable

CLAIM_START = b"0-0"

_SCRIPT_LANES = 2
_POOL_SIZE = 8
# One blocking read per trigger: an upper bound, connections open as triggers need them.
_READER_POOL_SIZE = 4_096
_CLAIM_BATCH = 100
_PROMOTE_BATCH = 500
_RELEASE_BATCH = 1_000
# Replies may fill a stream beyond the cap of the ingress, so that work under way can end.
_REPLY_ROOM = 2
_RELEASED_MS = 24 * 60 * 60 * 1000
_ENDED_CONSUMER = timedelta(hours=1)


class Outcome(StrEnum):
    """What a script answered."""

    STORED = "STORED"
    DUPLICATE = "DUPLICATE"
    FULL = "FULL"
    STALE = "STALE"
    DONE = "DONE"
    MOVED = "MOVED"
    GONE = "GONE"
    LOST = "LOST"
    REPLAYED = "REPLAYED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Survey:
    """Entries of one trigger by state, at one moment.

    Parameters
    ----------
    lag
        Entries that no dispatcher has read yet.
    in_flight
        Entries that a dispatcher holds: read ahead, or being delivered.
    delayed
        Entries that wait for a retry.
    oldest_seconds
        Age of the stream's first entry since its acceptance; 0 when the stream is empty.
    next_retry_seconds
        Time to the next retry; None when nothing is delayed.
    consumers
        Dispatchers that have read from the stream and have not taken their leave.
    """

    lag: int
    in_flight: int
    delayed: int
    parked: int
    oldest_seconds: float
    next_retry_seconds: float | None
    consumers: int

    @property
    def undelivered(self) -> int:
        """Entries that still have to be delivered."""
        return self.lag + self.in_flight + self.delayed


class EventLog:
    """One broker's streams. Every step that must not be torn apart is one Lua script.

    All methods raise LogUnavailable when Redis does not answer or refuses.
    """

    def __init__(self, settings: Settings) -> None:
        address = address_from(settings)
        self.keys = Keys(settings.namespace, settings.name)
        self._settings = settings
        self._timeout = settings.redis_timeout_seconds
        key = self.keys.prefix
        self._pool = Pool(address, key=key, size=_POOL_SIZE, timeout_seconds=self._timeout)
        self._readers = Pool(address, key=key, size=_READER_POOL_SIZE, timeout_seconds=self._timeout)
        self._scripts = ScriptRunner(self._pool, lanes=_SCRIPT_LANES, timeout_seconds=self._timeout)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()
        await self._readers.close()

    async def ping(self) -> None:
        """Raise LogUnavailable unless Redis answers."""
        await self.command("PING")

    async def command(self, *arguments: Argument) -> Any:
        """Send one command."""
        return await call(self._pool, *arguments, timeout_seconds=self._timeout)

    # The trigger table

    async def publish(self, table: TriggerTable, *, replacing: str | None = None) -> bool:
        """Make `table` the one every process must use; tell whether it was another before.

        With `replacing`, only a table of that revision (or none at all) is replaced; when yet
        another one is in force, nothing happens.
        """
        streams = [self.keys.stream(name) for name in table.names]
        condition = ["any", ""] if replacing is None else ["only", replacing]
        arguments = [GROUP, table.revision, table.to_json(), *condition, *table.names]
        keys = [self.keys.table, self.keys.names, *streams]
        answer: int = await self._scripts.run("publish", keys, arguments)
        return answer == 1

    async def published(self) -> tuple[str, bytes] | None:
        """Return revision and content of the table in force."""
        revision, triggers = await self.command("HMGET", self.keys.table, "revision", "triggers")
        return (revision.decode(), triggers) if revision is not None and triggers is not None else None

    # Ingress

    async def enqueue(self, event: Event, *, triggers: Iterable[str], revision: str) -> Outcome:
        """Store an event for all of `triggers` or for none."""
        window_ms = int(self._settings.dedupe_seconds * 1000)
        attributes = event.attributes
        seen = self.keys.dedupe(attributes["source"], attributes["id"]) if window_ms else self.keys.table
        keys = [self.keys.table, seen, *self._places(triggers)]
        cap = self._settings.max_stream_length
        arguments: list[Argument] = [revision, cap, window_ms, *encode(event)]
        return _outcome(await self._scripts.run("enqueue", keys, arguments))

    # Dispatch

    async def read(self, trigger: str, *, consumer: str, count: int, block_seconds: float) -> list[Entry]:
        """Wait for new entries of a trigger, at most `block_seconds`."""
        block_ms = max(1, int(block_seconds * 1000))
        answer = await call(
            self._readers,
            *("XREADGROUP", "GROUP", GROUP, consumer, "COUNT", count, "BLOCK", block_ms),
            *("STREAMS", self.keys.stream(trigger), ">"),
            timeout_seconds=block_seconds + self._timeout,
        )
        return [decode(entry_id, fields) for entry_id, fields in answer[0][1]] if answer else []

    async def claim(
        self, trigger: str, *, consumer: str, start: bytes = CLAIM_START
    ) -> tuple[bytes, list[Entry]]:
        """Take over entries of consumers that have been silent for too long.

        Returns where to go on as well; that is `CLAIM_START` when all have been looked at.
        """
        idle_ms = int(self._settings.claim_idle_seconds * 1000)
        arguments: list[Argument] = [GROUP, consumer, idle_ms, _CLAIM_BATCH, start]
        next_start, found = await self._scripts.run("claim", [self.keys.stream(trigger)], arguments)
        return next_start, [decode(entry_id, fields, deliveries=count) for entry_id, fields, count in found]

    async def heartbeat(self, trigger: str, *, consumer: str, ids: Sequence[bytes]) -> list[bytes]:
        """Keep entries in flight from being taken over; return those that already were."""
        keys = [self.keys.stream(trigger)]
        lost: list[bytes] = await self._scripts.run("heartbeat", keys, [GROUP, consumer, 0, *ids])
        return lost

    async def hand_back(self, trigger: str, *, consumer: str, ids: Sequence[bytes]) -> None:
        """Let the next claim take entries that this consumer holds and will not deliver."""
        keys = [self.keys.stream(trigger)]
        await self._scripts.run("heartbeat", keys, [GROUP, consumer, _RELEASED_MS, *ids])

    async def complete(self, trigger: str, entry_id: bytes) -> Outcome:
        """Acknowledge and delete an entry."""
        keys = [self.keys.table, self.keys.stream(trigger)]
        return _outcome(await self._scripts.run("complete", keys, [GROUP, entry_id, "", 0]))

    async def complete_with_reply(
        self, trigger: str, entry_id: bytes, *, reply: Event, triggers: Iterable[str], revision: str
    ) -> Outcome:
        """Acknowledge and delete an entry, and store its reply for `triggers`, in one step."""
        keys = [self.keys.table, self.keys.stream(trigger), *self._places(triggers)]
        cap = self._settings.max_stream_length * _REPLY_ROOM
        arguments: list[Argument] = [GROUP, entry_id, revision, cap, *encode(reply)]
        return _outcome(await self._scripts.run("complete", keys, arguments))

    async def retry(self, trigger: str, entry: Entry, *, consumer: str, delay: timedelta) -> Outcome:
        """Put an entry into the delayed set for its next attempt."""
        delay_ms = int(delay.total_seconds() * 1000)
        changed = changes(attempt=str(entry.attempt + 1))
        return await self._move(trigger, entry.id, consumer, ("delayed", delay_ms), changed)

    async def dead_letter(
        self, trigger: str, entry: Entry, *, consumer: str, error: Mapping[str, str]
    ) -> Outcome:
        """Turn an entry into a dead letter, to be sent next."""
        changed = changes(attempt="0", kind=DEAD_LETTER, error=error)
        return await self._move(trigger, entry.id, consumer, ("stream", 0), changed)

    async def park(
        self, trigger: str, entry: Entry, *, consumer: str, reason: Mapping[str, object]
    ) -> Outcome:
        """Put an entry aside, to be listed and replayed by an operator."""
        return await self._move(trigger, entry.id, consumer, ("parked", 0), changes(parked=reason))

    async def promote(self, triggers: Iterable[str]) -> tuple[str | None, int]:
        """Put due retries back into their streams; return the table's revision and their number."""
        keys = [self.keys.table]
        for name in triggers:
            keys += [self.keys.delayed(name), self.keys.bodies(name), self.keys.stream(name)]
        revision, promoted = await self._scripts.run("promote", keys, [_PROMOTE_BATCH])
        return (revision.decode() if revision is not None else None), promoted

    async def release(self, trigger: str, *, consumer: str) -> int:
        """Hand back what a stopping consumer still holds; return how many entries."""
        keys = [self.keys.stream(trigger)]
        released, first = 0, "-"
        while True:
            arguments: list[Argument] = [GROUP, consumer, _RELEASED_MS, first, _RELEASE_BATCH]
            count: int
            count, last = await self._scripts.run("release", keys, arguments)
            released += count
            if count < _RELEASE_BATCH:
                return released
            first = f"({last.decode()}"

    async def forget_ended_consumers(self, trigger: str) -> int:
        """Delete the empty consumers of processes that ended long ago."""
        idle_ms = int(_ENDED_CONSUMER.total_seconds() * 1000)
        forgotten: int = await self._scripts.run("forget", [self.keys.stream(trigger)], [GROUP, idle_ms])
        return forgotten

    # Operation

    async def run_script(self, name: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run `lua/<name>.lua`, for what is not the daily work of ingress and dispatcher."""
        return await self._scripts.run(name, keys, arguments)

    async def survey(self, trigger: str) -> Survey:
        """Return how many entries wait, are in flight, are delayed and are parked, at one moment."""
        keys = [self.keys.stream(trigger), self.keys.delayed(trigger), self.keys.parked(trigger)]
        found = await self._scripts.run("survey", keys, [GROUP])
        now, length, pending, delayed, parked, accepted, due, consumers = found
        return Survey(
            lag=max(length - pending, 0),
            in_flight=pending,
            delayed=delayed,
            parked=parked,
            oldest_seconds=max(now - int(accepted), 0) / 1000 if accepted else 0.0,
            next_retry_seconds=max(float(due) - now, 0) / 1000 if due else None,
            consumers=consumers,
        )

    async def replay(self, trigger: str, parked_id: str) -> Outcome:
        """Put a parked entry back into its stream as a fresh event."""
        keys = [self.keys.parked(trigger), self.keys.stream(trigger), self.keys.delayed(trigger)]
        arguments: list[Argument] = [parked_id, self._settings.max_stream_length, *ADDED_FIELDS]
        return _outcome(await self._scripts.run("replay", keys, arguments))

    def _places(self, triggers: Iterable[str]) -> list[str]:
        places: list[str] = []
        for name in triggers:
            places += [self.keys.stream(name), self.keys.delayed(name)]
        return places

    async def _move(
        self,
        trigger: str,
        entry_id: bytes,
        consumer: str,
        to: tuple[str, int],
        changed: Sequence[Argument],
    ) -> Outcome:
        keys = self.keys
        places = [keys.stream(trigger), keys.delayed(trigger), keys.bodies(trigger), keys.parked(trigger)]
        return _outcome(await self._scripts.run("move", places, [GROUP, entry_id, consumer, *to, *changed]))


def _outcome(answer: Any) -> Outcome:
    try:
        return Outcome(answer.decode())
    except (AttributeError, ValueError) as error:
        raise LogUnavailable(f"redis gave an answer no script gives: {answer!r:.80}") from error
