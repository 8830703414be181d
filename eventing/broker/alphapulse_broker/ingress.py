"""The ingress: accepts events over HTTP and answers 202 once they are stored for every trigger.

Raw ASGI: a framework's routing and request objects would cost more than storing the event.
"""

import contextlib
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

import structlog

from alphapulse_broker.cloudevents import Event, parse_event, take_hop
from alphapulse_broker.errors import InvalidEvent, LogUnavailable, NoTriggerTable
from alphapulse_broker.event_log import EventLog, Outcome
from alphapulse_broker.metrics import Metrics
from alphapulse_broker.presence import Presence
from alphapulse_broker.probes import Probes
from alphapulse_broker.serving import Process
from alphapulse_broker.settings import Settings
from alphapulse_broker.table_agent import TableAgent
from alphapulse_broker.triggers import TriggerTable

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_LOGGER = structlog.get_logger("broker.ingress")

_ALLOW: Headers = [(b"allow", b"POST, OPTIONS")]
_RETRY_SOON: Headers = [(b"retry-after", b"1")]
# The table changes seldom; an event that meets a stale one twice in a row meets a busy operator.
_STALE_RETRIES = 5
_PATH_SEGMENTS = 3


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, reason: str, headers: Headers | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers or []


class Ingress:
    """ASGI application `POST /{namespace}/{broker}`."""

    def __init__(self, settings: Settings, log: EventLog, agent: TableAgent, metrics: Metrics) -> None:
        self._settings = settings
        self._log = log
        self._agent = agent
        self._metrics = metrics
        self._probes = Probes(log, agent, metrics)
        self._path = f"/{settings.namespace}/{settings.name}"
        self._waiting = 0
        self._reachable = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            raise ValueError(f"the ingress serves http, not {scope['type']}")
        if scope["method"] == "GET" and await self._probes.answer(scope["path"], send):
            return
        started = time.perf_counter()
        try:
            self._route(scope)
            await self._accept(scope, receive)
        except _Refused as refused:
            if refused.status is not HTTPStatus.OK:
                self._metrics.refused.labels(str(refused.status.value)).inc()
            await _answer(send, refused.status, refused.reason.encode(), refused.headers)
        else:
            self._metrics.accepted.inc()
            self._metrics.ingress_seconds.observe(time.perf_counter() - started)
            await _answer(send, HTTPStatus.ACCEPTED, b"", [])

    def _route(self, scope: Scope) -> None:
        method, path = scope["method"], scope["path"]
        if method == "OPTIONS":
            allowed = [(b"webhook-allowed-origin", b"*"), (b"webhook-allowed-rate", b"*")]
            raise _Refused(HTTPStatus.OK, "", _ALLOW + allowed)
        if method != "POST":
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "send events with POST", _ALLOW)
        if path.removesuffix("/") == self._path:
            return
        if path == "/":
            raise _Refused(HTTPStatus.NOT_FOUND, "send events to /{namespace}/{broker}")
        segments = path.removesuffix("/").split("/")
        if len(segments) != _PATH_SEGMENTS or not all(segments[1:]):
            raise _Refused(HTTPStatus.BAD_REQUEST, "the path must be /{namespace}/{broker}")
        raise _Refused(HTTPStatus.NOT_FOUND, "no such broker")

    async def _accept(self, scope: Scope, receive: Receive) -> None:
        if self._waiting >= self._settings.max_waiting:
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests are waiting", _RETRY_SOON)
        self._waiting += 1
        try:
            body = await self._body(scope, receive)
            try:
                event = parse_event(scope["headers"], body)
                take_hop(event.attributes)
            except InvalidEvent as error:
                raise _Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
            try:
                await self._store(event)
            except (LogUnavailable, NoTriggerTable) as error:
                self._report_outage(error)
                reason = "the event log is not available"
                raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, reason, _RETRY_SOON) from error
            self._reachable = True
        finally:
            self._waiting -= 1

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        limit = self._settings.max_event_bytes
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value[:18]) > limit:
                raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"an event has at most {limit} bytes")
        message = await receive()
        body: bytes = message.get("body", b"")
        while message.get("more_body", False) or message["type"] == "http.disconnect":
            if message["type"] == "http.disconnect":
                raise _Refused(HTTPStatus.BAD_REQUEST, "the sender left before the event was complete")
            message = await receive()
            body += message.get("body", b"")
            if len(body) > limit:
                raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"an event has at most {limit} bytes")
        if len(body) > limit:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"an event has at most {limit} bytes")
        return body

    async def _store(self, event: Event) -> None:
        table = self._agent.table
        attributes = event.for_filters()
        for _ in range(_STALE_RETRIES):
            if table.closed:
                table = await self._reopened(table)
            triggers = table.matching(attributes)
            outcome = await self._log.enqueue(event, triggers=triggers, revision=table.revision)
            if outcome is Outcome.STORED:
                for name in triggers:
                    self._metrics.enqueued.labels(name).inc()
                return
            if outcome is Outcome.DUPLICATE:
                return
            if outcome is Outcome.FULL:
                reason = "a matching trigger's stream is full"
                raise _Refused(HTTPStatus.TOO_MANY_REQUESTS, reason, _RETRY_SOON)
            table = await self._agent.refresh()
        raise LogUnavailable("the trigger table changes faster than an event can be stored")

    async def _reopened(self, closed: TriggerTable) -> TriggerTable:
        """Return the table of a broker that was made again; without one, this broker is none."""
        table = closed
        # Asked of Redis: a 404 is final to a sender, and the table in hand may be a second old.
        with contextlib.suppress(NoTriggerTable):
            table = await self._agent.refresh()
        if table.closed:
            raise _Refused(HTTPStatus.NOT_FOUND, "no such broker any more")
        return table

    def _report_outage(self, error: Exception) -> None:
        # Once per outage: a log line per refused event would be a second outage.
        if self._reachable:
            _LOGGER.warning("log_unavailable", reason=str(error))
        self._reachable = False


async def serve(settings: Settings) -> None:
    """Run the ingress process until SIGTERM or SIGINT."""
    log, metrics = EventLog(settings), Metrics()
    agent = TableAgent(settings, log)
    agent.load()
    process = Process(settings, agent)
    presence = Presence(settings, log, agent, role="ingress")
    ingress = Ingress(settings, log, agent, metrics)
    try:
        await process.serve(ingress, port=settings.port, work=[agent.run(), presence.run()])
    finally:
        await log.close()


async def _answer(send: Send, status: HTTPStatus, body: bytes, headers: Headers) -> None:
    length = (b"content-length", str(len(body)).encode())
    kind = [(b"content-type", b"text/plain; charset=utf-8")] if body else []
    await send({"type": "http.response.start", "status": status.value, "headers": [length, *kind, *headers]})
    await send({"type": "http.response.body", "body": body})
