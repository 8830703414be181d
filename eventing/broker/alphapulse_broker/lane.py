"""One trigger's deliveries: its own reader, its own bound, so that no other trigger waits for it."""

import asyncio
import contextlib
import time
from dataclasses import dataclass

import structlog

from alphapulse_broker.entries import EVENT, UNREADABLE, Entry
from alphapulse_broker.errors import GroupMissing, LogUnavailable
from alphapulse_broker.event_log import CLAIM_START, EventLog
from alphapulse_broker.fair_queue import FairQueue
from alphapulse_broker.metrics import Metrics
from alphapulse_broker.sender import Sender
from alphapulse_broker.settings import Settings
from alphapulse_broker.settlement import Settlement
from alphapulse_broker.table_agent import TableAgent
from alphapulse_broker.triggers import Resolver, Trigger

_LOGGER = structlog.get_logger("broker.dispatcher")

_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 0.25
# One script call per so many entries: it holds Redis up for every other client.
_HEARTBEAT_BATCH = 500


def batched(ids: list[bytes], size: int) -> list[list[bytes]]:
    """Return the ids in lists of at most `size`."""
    return [ids[start : start + size] for start in range(0, len(ids), size)]


@dataclass(frozen=True)
class LaneParts:
    """What all lanes of a dispatcher share."""

    settings: Settings
    log: EventLog
    agent: TableAgent
    sender: Sender
    settlement: Settlement
    resolver: Resolver
    metrics: Metrics
    consumer: str


class Lane:
    """Reads, delivers and settles the entries of one trigger.

    Entries are *held* from the moment they are read: waiting for their turn or being delivered. Held
    entries are kept by heartbeats; no more are read while too many are held.
    """

    def __init__(self, trigger: Trigger, parts: LaneParts) -> None:
        self.trigger = trigger
        self._parts = parts
        self._settings = parts.settings
        self._queue = FairQueue(tenant_limit=parts.settings.tenant_in_flight)
        self._held: dict[bytes, Entry] = {}
        self._held_bytes = 0
        self._deliveries: dict[bytes, asyncio.Task[None]] = {}
        self._room = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Read until cancelled."""
        wait = _FIRST_WAIT_SECONDS
        while True:
            room = await self._wait_for_room()
            try:
                entries = await self._read(room)
            except LogUnavailable:
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
                continue
            wait = _FIRST_WAIT_SECONDS
            for entry in entries:
                self._admit(entry)

    async def rescue(self) -> bool:
        """Take over what another dispatcher left; tell whether more may wait until there is room."""
        start = CLAIM_START
        while not self._stopping:
            if not self._count_room():
                return True
            start, entries = await self._parts.log.claim(
                self.trigger.name, consumer=self._parts.consumer, start=start
            )
            if entries:
                self._parts.metrics.reclaimed.labels(self.trigger.name).inc(len(entries))
                _LOGGER.warning("reclaimed", trigger=self.trigger.name, entries=len(entries))
            for entry in entries:
                self._admit(entry)
            if start == CLAIM_START:
                return False
        return False

    async def heartbeat(self) -> None:
        """Renew the hold on every held entry; forget those that somebody else took meanwhile."""
        if not self._held:
            return
        for ids in batched(list(self._held), _HEARTBEAT_BATCH):
            lost = await self._parts.log.heartbeat(self.trigger.name, consumer=self._parts.consumer, ids=ids)
            for entry_id in lost:
                if entry_id not in self._deliveries:
                    self._let_go(entry_id)

    async def stop(self, *, within_seconds: float) -> None:
        """Start nothing more, hand back what waits, and let what is under way end."""
        self._stopping = True
        waiting = [entry.id for entry in self._queue.clear()]
        for entry_id in waiting:
            self._let_go(entry_id)
        # Now, and not with the rest: these need not wait for what is under way.
        handing_back = asyncio.create_task(self._hand_back(waiting))
        running = list(self._deliveries.values())
        if running:
            _, late = await asyncio.wait(running, timeout=within_seconds)
            for delivery in late:
                delivery.cancel()
            if late:
                _LOGGER.warning("left_for_reclaim", trigger=self.trigger.name, entries=len(late))
                await asyncio.wait(late)
        await handing_back

    async def release(self) -> None:
        """Hand back whatever else Redis counts as held here, such as entries of a read that was cut off."""
        with contextlib.suppress(LogUnavailable):
            # Not handed back now, they are taken over after the usual silence.
            await self._parts.log.release(self.trigger.name, consumer=self._parts.consumer)

    async def _hand_back(self, waiting: list[bytes]) -> None:
        with contextlib.suppress(LogUnavailable):
            for ids in batched(waiting, _HEARTBEAT_BATCH):
                await self._parts.log.hand_back(self.trigger.name, consumer=self._parts.consumer, ids=ids)

    async def _wait_for_room(self) -> int:
        """Return how many entries may be read, when it is at least one."""
        while not (room := self._count_room()):
            self._room.clear()
            await self._room.wait()
        return room

    def _count_room(self) -> int:
        held, read_ahead = len(self._held), self._settings.read_ahead
        # Read in halves, not one by one as deliveries end.
        if held <= read_ahead // 2:
            return read_ahead - held
        if (
            len(self._deliveries) < self._settings.in_flight
            and self._held_bytes < self._settings.read_ahead_bytes
        ):
            # There is capacity, and yet entries wait: those of tenants at their bound. Further on
            # in the stream there may be others, who must not wait for them.
            return max(0, min(read_ahead, self._settings.read_ahead_limit - held))
        return 0

    async def _read(self, count: int) -> list[Entry]:
        try:
            return await self._parts.log.read(
                self.trigger.name,
                consumer=self._parts.consumer,
                count=count,
                block_seconds=self._settings.read_block_seconds,
            )
        except GroupMissing:
            await self._parts.agent.repair()
            raise

    def _admit(self, entry: Entry) -> None:
        if self._stopping or entry.id in self._held:
            return
        self._held[entry.id] = entry
        self._held_bytes += len(entry.event.body)
        self._queue.push(entry)
        self._start_deliveries()

    def _let_go(self, entry_id: bytes) -> None:
        entry = self._held.pop(entry_id, None)
        if entry is not None:
            self._held_bytes -= len(entry.event.body)

    def _start_deliveries(self) -> None:
        while not self._stopping and len(self._deliveries) < self._settings.in_flight:
            entry = self._queue.pop()
            if entry is None:
                return
            if self._held.get(entry.id) is not entry:
                # Somebody else took it while it waited; it may even have come back since, in another turn.
                self._queue.done(entry)
                continue
            delivery = asyncio.create_task(self._deliver(entry))
            self._deliveries[entry.id] = delivery
            delivery.add_done_callback(lambda task, entry=entry: self._ended(entry, task))  # type: ignore[misc]

    def _ended(self, entry: Entry, delivery: asyncio.Task[None]) -> None:
        del self._deliveries[entry.id]
        self._let_go(entry.id)
        self._queue.done(entry)
        if not delivery.cancelled() and (error := delivery.exception()) is not None:
            # The entry stays pending without a heartbeat: it is delivered again, and parked when
            # that happens too often.
            _LOGGER.error("delivery_broke", trigger=self.trigger.name, exc_info=error)
        self._start_deliveries()
        if self._count_room():
            self._room.set()

    async def _deliver(self, entry: Entry) -> None:
        trigger, parts = self.trigger, self._parts
        if entry.deliveries > self._settings.max_deliveries:
            await parts.settlement.park(trigger, entry, reason="crash_loop")
            return
        if entry.kind == UNREADABLE:
            await parts.settlement.park(trigger, entry, reason="unreadable")
            return
        destination = trigger.spec.subscriber
        if entry.kind != EVENT:
            if trigger.spec.delivery.deadLetterSink is None:
                await parts.settlement.park(trigger, entry, reason="no_dead_letter_sink")
                return
            destination = trigger.spec.delivery.deadLetterSink
        sink = parts.resolver.url(destination)
        started = time.perf_counter()
        answer = await parts.sender.send(
            sink,
            entry.event,
            extensions=entry.error,
            timeout_seconds=trigger.spec.delivery.attempt_timeout(self._settings.timeout_seconds),
        )
        parts.metrics.attempt_seconds.labels(trigger.name).observe(time.perf_counter() - started)
        await parts.settlement.settle(trigger, entry, sink=sink, answer=answer)
