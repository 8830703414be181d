"""The dispatcher: one lane per trigger, and the clockwork that keeps entries moving."""

import asyncio
import contextlib
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable

import structlog

from alphapulse_broker.errors import GroupMissing, LogUnavailable, NoTriggerTable
from alphapulse_broker.event_log import EventLog
from alphapulse_broker.lane import Lane, LaneParts
from alphapulse_broker.metrics import Metrics
from alphapulse_broker.presence import Presence
from alphapulse_broker.probes import Probes
from alphapulse_broker.sender import Sender
from alphapulse_broker.serving import Process
from alphapulse_broker.settings import Settings
from alphapulse_broker.settlement import Settlement
from alphapulse_broker.table_agent import TableAgent
from alphapulse_broker.triggers import Resolver, TriggerTable

_LOGGER = structlog.get_logger("broker.dispatcher")

# A lane that had no room for abandoned entries looks for them again after this part of the interval.
_SOONER = 0.01


def consumer_name() -> str:
    """Return a name no other process has had: a restarted one must not pass for its predecessor."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class Dispatcher:
    """Delivers a broker's events until it is stopped.

    `failed` is set with the error when a part of it broke that cannot be repaired in place.
    """

    def __init__(self, settings: Settings, log: EventLog, agent: TableAgent, metrics: Metrics) -> None:
        self._settings = settings
        self._log = log
        self._agent = agent
        self._metrics = metrics
        self._sender = Sender(namespace=settings.namespace, max_reply_bytes=settings.max_event_bytes)
        consumer = consumer_name()
        self._parts = LaneParts(
            settings=settings,
            log=log,
            agent=agent,
            sender=self._sender,
            settlement=Settlement(log, agent, metrics, consumer=consumer),
            resolver=Resolver(settings.subscribers, settings.namespace),
            metrics=metrics,
            consumer=consumer,
        )
        self._lanes: dict[str, Lane] = {}
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._leaving: set[Lane] = set()
        self._crowded: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        agent.on_change = self._adopt

    async def run(self) -> None:
        """Deliver until cancelled, then finish what is in flight."""
        async with self._sender:
            heartbeat = self._start(self._every(self._settings.heartbeat_seconds, self._heartbeat))
            clockwork = [
                self._start(self._every(self._settings.promote_seconds, self._promote)),
                self._start(self._rescue_for_ever()),
            ]
            try:
                await self.failed
            finally:
                for task in clockwork:
                    task.cancel()
                await self._stop_lanes(list(self._lanes))
                if self._ending:
                    await asyncio.wait(self._ending)
                heartbeat.cancel()

    def _start(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        # Held here: the event loop itself keeps only weak references to tasks.
        self._tasks.add(task)
        task.add_done_callback(self._watch)
        return task

    def _watch(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self.failed.done():
            self.failed.set_exception(error)

    def _adopt(self, table: TriggerTable) -> None:
        """Start, change and stop lanes so that they are the table's."""
        for trigger in table.triggers:
            lane = self._lanes.get(trigger.name)
            if lane is not None:
                lane.trigger = trigger
                continue
            lane = self._lanes[trigger.name] = Lane(trigger, self._parts)
            self._readers[trigger.name] = self._start(lane.run())
        # Not at the next turn: what a predecessor handed back at its stop waits for nobody else.
        self._start(self._tolerate(self._rescue))
        gone = [name for name in self._lanes if name not in table.by_name]
        if gone:
            task = self._start(self._stop_lanes(gone))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _stop_lanes(self, names: list[str]) -> None:
        lanes = [self._lanes.pop(name) for name in names]
        readers = [self._readers.pop(name) for name in names]
        for reader in readers:
            reader.cancel()
        # What is under way in them still needs its heartbeats.
        self._leaving.update(lanes)
        try:
            if readers:
                await asyncio.wait(readers)
            await asyncio.gather(*(self._stop_lane(lane) for lane in lanes))
        finally:
            self._leaving.difference_update(lanes)

    async def _stop_lane(self, lane: Lane) -> None:
        await lane.stop(within_seconds=self._settings.shutdown_seconds)
        if lane.trigger.name not in self._lanes:
            # Else the trigger came back meanwhile: what its new lane delivers is held under the same name.
            await lane.release()

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._tolerate(work)
            await asyncio.sleep(seconds)

    async def _tolerate(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work`; an unreachable Redis is tried again at the next turn and reported by the agent."""
        try:
            await work()
        except (LogUnavailable, NoTriggerTable) as error:
            _LOGGER.debug("put_off", reason=str(error))

    async def _heartbeat(self) -> None:
        for lane in [*self._lanes.values(), *self._leaving]:
            # One stream that is gone must not cost the other lanes their entries.
            with contextlib.suppress(GroupMissing):
                await lane.heartbeat()

    async def _rescue_for_ever(self) -> None:
        seconds = self._settings.claim_every_seconds
        while True:
            await self._tolerate(self._rescue)
            next_round = time.monotonic() + seconds
            while (left := next_round - time.monotonic()) > 0:
                await asyncio.sleep(min(left, seconds * _SOONER) if self._crowded else left)
                await self._tolerate(self._rescue_crowded)

    async def _rescue(self) -> None:
        for name in list(self._lanes):
            with contextlib.suppress(GroupMissing):
                await self._rescue_lane(name)
                await self._log.forget_ended_consumers(name)

    async def _rescue_crowded(self) -> None:
        """Look again in the lanes that had no room, and in no other: they may stay full for long."""
        for name in list(self._crowded):
            with contextlib.suppress(GroupMissing):
                await self._rescue_lane(name)

    async def _rescue_lane(self, name: str) -> None:
        lane = self._lanes.get(name)
        if lane is not None and await lane.rescue():
            self._crowded.add(name)
        else:
            self._crowded.discard(name)

    async def _promote(self) -> None:
        if not self._agent.is_ready:
            return
        revision, promoted = await self._log.promote(self._agent.table.names)
        if promoted:
            self._metrics.promoted.inc(promoted)
        if revision != self._agent.table.revision:
            await self._agent.refresh()


async def serve(settings: Settings) -> None:
    """Run the dispatcher process until SIGTERM or SIGINT."""
    log, metrics = EventLog(settings), Metrics()
    agent = TableAgent(settings, log)
    agent.load()
    dispatcher = Dispatcher(settings, log, agent, metrics)
    process = Process(settings, agent)
    probes = Probes(log, agent, metrics)
    presence = Presence(settings, log, agent, role="dispatcher")
    work = [agent.run(), dispatcher.run(), presence.run()]
    try:
        await process.serve(probes, port=settings.dispatcher_port, work=work)
    finally:
        await log.close()
