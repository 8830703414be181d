"""`/health`, `/ready` and `/metrics`, the same for ingress and dispatcher."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from alphapulse_broker.durability import log_facts
from alphapulse_broker.errors import LogUnavailable
from alphapulse_broker.event_log import EventLog
from alphapulse_broker.metrics import Metrics
from alphapulse_broker.operations.names import leftovers
from alphapulse_broker.table_agent import TableAgent

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_TEXT = b"text/plain; version=0.0.4; charset=utf-8"
_OK = 200
_NOT_FOUND = 404
_UNAVAILABLE = 503


class Probes:
    """Answers the platform's questions about this process."""

    def __init__(self, log: EventLog, agent: TableAgent, metrics: Metrics) -> None:
        self._log = log
        self._agent = agent
        self._metrics = metrics

    async def __call__(self, scope: MutableMapping[str, Any], _receive: object, send: Send) -> None:
        """Serve the probes alone, as the dispatcher does."""
        if not await self.answer(scope["path"], send):
            await _send(send, _NOT_FOUND, b"not found")

    async def answer(self, path: str, send: Send) -> bool:
        """Answer when `path` is one of the three; tell whether it was."""
        if path == "/health":
            await _send(send, _OK, b"ok")
        elif path == "/ready":
            reason = await self._why_not_ready()
            text = reason or f"ready with trigger table {self._agent.table.revision}"
            await _send(send, _UNAVAILABLE if reason else _OK, text.encode())
        elif path == "/metrics":
            await self._measure()
            await _send(send, _OK, self._metrics.exposition())
        else:
            return False
        return True

    async def _why_not_ready(self) -> str:
        try:
            await self._log.ping()
        except LogUnavailable as error:
            return str(error)
        return "" if self._agent.is_ready else "no trigger table is in force yet"

    async def _measure(self) -> None:
        if not self._agent.is_ready:
            return
        try:
            table = self._agent.table
            # Removed triggers too, as long as they have entries: those wait for an operator.
            names = [*table.names, *await leftovers(self._log, table)]
            surveys = [(name, await self._log.survey(name)) for name in names]
            self._metrics.depth.clear()
            self._metrics.oldest_seconds.clear()
            for name, found in surveys:
                for state in ("lag", "in_flight", "delayed", "parked"):
                    self._metrics.depth.labels(name, state).set(getattr(found, state))
                self._metrics.oldest_seconds.labels(name).set(found.oldest_seconds)
            memory = await log_facts(self._log, "memory")
            self._metrics.log_memory.set(int(memory.get("used_memory", 0)))
            self._metrics.log_max_memory.set(int(memory.get("maxmemory", 0)))
            self._metrics.log_up.set(1)
        except LogUnavailable:
            # Counters are still worth scraping; the gauge says why depths are old.
            self._metrics.log_up.set(0)


async def _send(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", _TEXT), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
