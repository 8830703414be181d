"""The brokers' logs as the controller uses them: publish a table, count, remove."""

import asyncio
import contextlib

import orjson

from alphapulse_broker.controller.manifests import Key
from alphapulse_broker.entries import now_ms
from alphapulse_broker.errors import InvalidManifest, LogUnavailable
from alphapulse_broker.event_log import EventLog
from alphapulse_broker.keys import GROUP
from alphapulse_broker.presence import Presence
from alphapulse_broker.redis_link import Argument
from alphapulse_broker.settings import Settings
from alphapulse_broker.triggers import TriggerTable

_RETIRE_BATCH = 200
# Long enough for every process to see the empty table, even one that Redis was hidden from.
_CLOSING_SECONDS = 120


class _Attended:
    """A broker that is looked after, and the table that was last seen in force."""

    def __init__(self, settings: Settings, log: EventLog) -> None:
        self.revision: str | None = None
        self.presence = Presence(settings, log, self, role="controller")


class BrokerLogs:
    """One log per broker, all in the Redis of the settings; opened on first use.

    All methods raise LogUnavailable when Redis does not answer or refuses.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._logs: dict[Key, EventLog] = {}
        self._attended: dict[Key, _Attended] = {}
        self._news = asyncio.Event()

    async def close(self) -> None:
        """Take leave of every broker and close every connection."""
        for attended in self._attended.values():
            await attended.presence.leave()
        for log in self._logs.values():
            await log.close()
        self._attended.clear()
        self._logs.clear()

    async def announce(self) -> None:
        """Give every broker that is looked after a sign of life, until cancelled."""
        while True:
            self._news.clear()
            for attended in list(self._attended.values()):
                await attended.presence.announce()
            with contextlib.suppress(TimeoutError):
                # Not wait_for, which before Python 3.12 may swallow a cancellation.
                async with asyncio.timeout(self._settings.heartbeat_seconds):
                    await self._news.wait()

    async def generations(self) -> dict[Key, int | None]:
        """Return how often the table of each broker was changed; None where Redis does not answer."""
        found: dict[Key, int | None] = {}
        for broker in list(self._attended):
            log = self._of(broker)
            try:
                found[broker] = int(await log.command("HGET", log.keys.table, "generation") or 0)
            except LogUnavailable:
                found[broker] = None
        return found

    async def in_force(self, broker: Key) -> tuple[str | None, TriggerTable | None]:
        """Return revision and content of a broker's table; content None: not readable by this version."""
        found = await self._of(broker).published()
        self._attend(broker, found[0] if found is not None else None)
        if found is None:
            return None, None
        revision, content = found
        try:
            return revision, TriggerTable.from_json(content)
        except InvalidManifest:
            return revision, None

    async def publish(self, broker: Key, table: TriggerTable, *, replacing: str | None) -> bool:
        """Put a table in force, unless another one than `replacing` came in between."""
        return await self._of(broker).publish(table, replacing=replacing or "")

    async def undelivered(self, broker: Key, trigger: str) -> int:
        """Return how many entries of a trigger are still to be delivered."""
        return (await self._of(broker).survey(trigger)).undelivered

    async def retire(self, broker: Key, trigger: str) -> int:
        """Park what is left of a trigger and remove its keys; return how many entries were parked."""
        log = self._of(broker)
        keys = [log.keys.stream(trigger), log.keys.delayed(trigger)]
        keys += [log.keys.bodies(trigger), log.keys.parked(trigger), log.keys.names]
        total = 0
        while True:
            note = {"reason": "trigger_removed", "detail": "", "at_ms": now_ms()}
            arguments: list[Argument] = [GROUP, _RETIRE_BATCH, orjson.dumps(note), trigger]
            parked, done = await log.run_script("retire", keys, arguments)
            total += int(parked)
            if done:
                return total

    async def close_broker(self, broker: Key) -> None:
        """Let the empty, closed table of a deleted broker go."""
        log = self._of(broker)
        arguments: list[Argument] = [TriggerTable([], closed=True).revision, _CLOSING_SECONDS]
        await log.run_script("close", [log.keys.table], arguments)
        if broker in self._attended:
            await self._attended.pop(broker).presence.leave()
        await self._logs.pop(broker).close()

    def _attend(self, broker: Key, revision: str | None) -> None:
        if broker not in self._attended:
            self._attended[broker] = _Attended(self._settings, self._of(broker))
            self._news.set()
        self._attended[broker].revision = revision

    def _of(self, broker: Key) -> EventLog:
        if broker not in self._logs:
            own = self._settings.model_copy(update={"namespace": broker.namespace, "name": broker.name})
            self._logs[broker] = EventLog(own)
        return self._logs[broker]
