"""Keeps a process on the trigger table that all processes of the broker agree on.

The table in force is the one in Redis. A process that was given a directory of manifests publishes
it at start and whenever the files change; each process follows what is published. Without a
directory (in a cluster, where the controller publishes) it only follows.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from alphapulse_broker.durability import durability_problems
from alphapulse_broker.errors import InvalidManifest, LogUnavailable, NoTriggerTable
from alphapulse_broker.event_log import EventLog
from alphapulse_broker.settings import Settings
from alphapulse_broker.triggers import TriggerTable, broker_file, load, manifest_files

_LOGGER = structlog.get_logger("broker.table")

_SAY_AGAIN_SECONDS = 60.0

Fingerprint = tuple[tuple[str, int, int], ...]


class TableAgent:
    """Loads, publishes and follows the trigger table.

    `on_change` is called with each table that comes into force.
    """

    def __init__(self, settings: Settings, log: EventLog) -> None:
        self._settings = settings
        self._log = log
        self._table: TriggerTable | None = None
        self._source: TriggerTable | None = None
        self._fingerprint: Fingerprint = ()
        self._unpublished = False
        self._durability_checked = False
        self._hurry = asyncio.Event()
        self._refreshing = asyncio.Lock()
        self.on_change: Callable[[TriggerTable], None] = lambda _: None

    @property
    def table(self) -> TriggerTable:
        """The table in force; raises NoTriggerTable before there is one."""
        if self._table is None:
            raise NoTriggerTable("no trigger table is in force yet")
        return self._table

    @property
    def is_ready(self) -> bool:
        """Whether a table is in force."""
        return self._table is not None

    @property
    def revision(self) -> str | None:
        """Revision of the table in force; None before there is one."""
        return self._table.revision if self._table is not None else None

    def load(self) -> None:
        """Read the manifests, if this process has any.

        Raises
        ------
        InvalidManifest
            At start a broken manifest stops the process; later the table in force stays.
        """
        if self._settings.triggers is None:
            return
        self._fingerprint = self._look()
        self._source = load(
            self._settings.triggers,
            broker=self._settings.name,
            namespace=self._settings.namespace,
            manifest=self._settings.manifest,
        )
        self._unpublished = True

    def reload_now(self) -> None:
        """Read the manifests again at once (SIGHUP)."""
        self._fingerprint = ()
        self._hurry.set()

    async def run(self) -> None:
        """Publish and follow until cancelled."""
        problems = _Problems()
        while True:
            try:
                self._reload_if_changed()
            except InvalidManifest as error:
                problems.met("table_refused", str(error))
            try:
                await self.refresh()
                await self._check_durability()
                problems.over("log_unavailable", "waiting_for_table")
            except LogUnavailable as error:
                problems.met("log_unavailable", str(error))
            except NoTriggerTable as error:
                problems.over("log_unavailable")
                problems.met("waiting_for_table", str(error))
            with contextlib.suppress(TimeoutError):
                # Not wait_for, which before Python 3.12 may swallow a cancellation.
                async with asyncio.timeout(self._settings.table_poll_seconds):
                    await self._hurry.wait()
            self._hurry.clear()

    async def refresh(self) -> TriggerTable:
        """Bring the process onto the table in force and return it.

        Raises
        ------
        LogUnavailable, NoTriggerTable
        """
        async with self._refreshing:
            if self._unpublished and self._source is not None:
                await self._publish(self._source)
            found = await self._log.published()
            if found is None:
                if self._source is None:
                    raise NoTriggerTable("no trigger table has been published")
                await self._publish(self._source)
                found = (self._source.revision, self._source.to_json().encode())
            revision, content = found
            if self._table is None or self._table.revision != revision:
                self._adopt(_read(content))
            return self.table

    async def repair(self) -> None:
        """Make streams and groups again after Redis lost its data.

        A newer table stays in force: it may be the reason why a stream is gone.
        """
        await self._log.publish(self.table, replacing=self.table.revision)

    async def _check_durability(self) -> None:
        if self._durability_checked:
            return
        for problem in await durability_problems(self._log):
            _LOGGER.warning("log_not_durable", problem=problem)
        self._durability_checked = True

    def _reload_if_changed(self) -> None:
        if self._settings.triggers is None:
            return
        found = self._look()
        if found != self._fingerprint:
            # Remembered before loading: a broken file is reported once, not at every look.
            self._fingerprint = found
            self.load()

    def _look(self) -> Fingerprint:
        if self._settings.triggers is None:
            return ()
        files = manifest_files(self._settings.triggers)
        broker = broker_file(self._settings.triggers, self._settings.manifest)
        return tuple(_stamp(file) for file in (*files, *([broker] if broker else [])))

    async def _publish(self, table: TriggerTable) -> None:
        changed = await self._log.publish(table)
        self._unpublished = False
        if changed:
            _LOGGER.info("table_published", revision=table.revision, triggers=len(table.triggers))

    def _adopt(self, table: TriggerTable) -> None:
        self._table = table
        _LOGGER.info("table_in_force", revision=table.revision, triggers=len(table.triggers))
        self.on_change(table)


class _Problems:
    """Logs a problem when it appears or changes, and again now and then: a log is read from its end."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[str, float]] = {}

    def met(self, event: str, reason: str) -> None:
        before, at = self._said.get(event, ("", -math.inf))
        if reason != before or time.monotonic() - at >= _SAY_AGAIN_SECONDS:
            _LOGGER.warning(event, reason=reason)
            self._said[event] = (reason, time.monotonic())

    def over(self, *events: str) -> None:
        for event in events:
            self._said.pop(event, None)


def _read(content: bytes) -> TriggerTable:
    try:
        return TriggerTable.from_json(content)
    except InvalidManifest as error:
        # Published by a newer version of the broker: this process waits to be replaced.
        raise NoTriggerTable(str(error)) from error


def _stamp(file: Path) -> tuple[str, int, int]:
    try:
        found = file.stat()
    except OSError:
        return (str(file), 0, -1)
    return (str(file), found.st_mtime_ns, found.st_size)
