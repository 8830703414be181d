"""Tells the operator which processes of the broker are alive."""

import asyncio
import contextlib
import os
import socket
import time
import uuid
from typing import Protocol

import orjson

from alphapulse_broker.errors import LogUnavailable
from alphapulse_broker.event_log import EventLog
from alphapulse_broker.settings import Settings

_FORGOTTEN_MS = 3_600_000


class Follower(Protocol):
    """Whoever knows a trigger table of the broker."""

    @property
    def revision(self) -> str | None:
        """Revision of the table that the process uses; None before it has one."""


class Presence:
    """Writes this process's sign of life at every heartbeat, and takes it back at the end.

    Nothing depends on it: deliveries are taken over by the age of their own heartbeats.
    """

    def __init__(self, settings: Settings, log: EventLog, agent: Follower, *, role: str) -> None:
        self._seconds = settings.heartbeat_seconds
        self._log = log
        self._agent = agent
        self._role = role
        self._started_at = time.time()
        self._left = False
        self._writing = asyncio.Lock()
        self._name = f"{role}-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"

    async def run(self) -> None:
        """Announce this process until cancelled."""
        try:
            while True:
                await self.announce()
                await asyncio.sleep(self._seconds)
        finally:
            await self.leave()

    async def announce(self) -> None:
        """Write one sign of life; a Redis that does not answer gets the next one."""
        async with self._writing:
            if not self._left:
                with contextlib.suppress(LogUnavailable):
                    await self._write(self._facts())

    async def leave(self) -> None:
        """Take the sign of life back; none follows."""
        async with self._writing:
            self._left = True
            with contextlib.suppress(LogUnavailable):
                await self._write(b"")

    def _facts(self) -> bytes:
        return orjson.dumps(
            {
                "role": self._role,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "started_at": self._started_at,
                "heartbeat_seconds": self._seconds,
                "revision": self._agent.revision,
            }
        )

    async def _write(self, facts: bytes) -> None:
        keys = [self._log.keys.processes, self._log.keys.process_facts]
        await self._log.run_script("announce", keys, [self._name, facts, _FORGOTTEN_MS])
