"""Tells the operator which processes of the broker are alive."""

import asyncio
import contextlib
import os
import socket
import time
import uuid

import orjson

from alphapulse_broker.errors import LogUnavailable
from alphapulse_broker.event_log import EventLog
from alphapulse_broker.settings import Settings
from alphapulse_broker.table_agent import TableAgent

_FORGOTTEN_MS = 3_600_000


class Presence:
    """Writes this process's sign of life at every heartbeat, and takes it back at the end.

    Nothing depends on it: deliveries are taken over by the age of their own heartbeats.
    """

    def __init__(self, settings: Settings, log: EventLog, agent: TableAgent, *, role: str) -> None:
        self._seconds = settings.heartbeat_seconds
        self._log = log
        self._agent = agent
        self._role = role
        self._started_at = time.time()
        self._name = f"{role}-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"

    async def run(self) -> None:
        """Announce this process until cancelled."""
        try:
            while True:
                with contextlib.suppress(LogUnavailable):
                    await self._announce(self._facts())
                await asyncio.sleep(self._seconds)
        finally:
            with contextlib.suppress(LogUnavailable):
                await self._announce(b"")

    def _facts(self) -> bytes:
        return orjson.dumps(
            {
                "role": self._role,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "started_at": self._started_at,
                "heartbeat_seconds": self._seconds,
                "revision": self._agent.table.revision if self._agent.is_ready else None,
            }
        )

    async def _announce(self, facts: bytes) -> None:
        keys = [self._log.keys.processes, self._log.keys.process_facts]
        await self._log.run_script("announce", keys, [self._name, facts, _FORGOTTEN_MS])
