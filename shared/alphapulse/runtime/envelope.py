"""The ASGI layer around every function: limits, trace, logs, metrics, and a last answer for surprises."""

import time
from typing import Any

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alphapulse.runtime import rate_limits
from alphapulse.runtime.errors import BodyTooLarge, FunctionError, Invalid, UnsupportedMedia
from alphapulse.runtime.metrics import collectors
from alphapulse.runtime.problems import as_function_error, is_our_fault, problem_response
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import Trace, continue_trace

_JSON = (b"application/json", b"application/cloudevents+json", b"application/problem+json")

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


def trace_of(scope: Scope) -> Trace:
    """Return the trace the envelope put on the request."""
    trace: Trace = scope["state"]["trace"]
    return trace


class Envelope:
    """Wraps a function's app.

    Parameters
    ----------
    app
        The function's ASGI app.
    body_limit_bytes
        Largest request body; a larger one is answered 413 whether its length is declared or not.
    limits
        Whose rate limiter counts requests by client address, also those that nobody else counts; None
        for what the broker alone reaches.
    unlimited_path
        A path that the broker alone reaches.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        body_limit_bytes: int,
        limits: Resources | None = None,
        unlimited_path: str | None = None,
    ) -> None:
        self.app = app
        self.body_limit_bytes = body_limit_bytes
        self.limits = limits
        self.unlimited_path = unlimited_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, body_limit_bytes=self.body_limit_bytes)
        if scope["path"] != self.unlimited_path:
            exchange.limits = self.limits
        await exchange.run(self.app)


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, body_limit_bytes: int) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._limit = body_limit_bytes
        self._read = 0
        self._too_large = False
        self._replaced = False
        self.limits: Resources | None = None
        self._started_at = time.perf_counter()
        self._status: int | None = None
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        traceparent = self.headers.get(b"traceparent", self.headers.get(b"ce-traceparent", b""))
        self.trace = continue_trace(traceparent.decode("latin-1"))
        scope.setdefault("state", {})["trace"] = self.trace

    async def run(self, app: ASGIApp) -> None:
        structlog.contextvars.bind_contextvars(trace_id=self.trace.trace_id)
        in_flight = collectors().in_flight
        in_flight.inc()
        try:
            if self.limits is not None:
                rate_limits.refuse_address(self.scope, self.limits)
            self._check_head()
            await app(self.scope, self.receive, self.send)
        except Exception as error:  # noqa: BLE001 - the last line of defence: answered and logged
            await self._answer(error)
        finally:
            in_flight.dec()
            self._record()
            structlog.contextvars.unbind_contextvars("trace_id", "tenant_id", "event_id")

    def _check_head(self) -> None:
        if b"%00" in self.scope.get("raw_path", b"") or b"%00" in self.scope["query_string"]:
            raise Invalid("the address holds a NUL character", code="invalid")
        declared = self.headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._limit:
            raise self._body_too_large()
        has_body = declared not in (b"0", b"") or b"transfer-encoding" in self.headers
        media_type = self.headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if has_body and media_type not in _JSON:
            raise UnsupportedMedia("the body must be application/json")

    def _body_too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"the body is larger than {self._limit} bytes")

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self._limit:
                self._too_large = True
                raise self._body_too_large()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self.limits is not None:
            refusal = await rate_limits.settle(self.scope, self.limits)
            if refusal is not None:
                self._replaced = True
                await self._problem(refusal)(self.scope, self.receive, self._pass_on)
        if not self._replaced:
            await self._pass_on(message)

    async def _pass_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message["headers"] = [
                *message.get("headers", []),
                (b"x-trace-id", self.trace.trace_id.encode()),
                *rate_limits.headers(self.scope),
            ]
        await self._send(message)

    async def _answer(self, error: Exception) -> None:
        # A framework may have wrapped the limit's own error while it read the body.
        cause = self._body_too_large() if self._too_large else error
        answer = as_function_error(cause)
        if is_our_fault(answer):
            logger.error("unexpected_error", exc_info=error)
        if self._status is not None:
            return  # the head is out; uvicorn cuts the connection
        await self._problem(answer)(self.scope, self.receive, self.send)

    def _problem(self, error: FunctionError) -> Response:
        return problem_response(error, instance=self.scope["path"], trace_id=self.trace.trace_id)

    def _record(self) -> None:
        elapsed = time.perf_counter() - self._started_at
        route: Any = self.scope.get("route")
        path = getattr(route, "path", "unmatched")
        method = self.scope["method"] if self.scope["method"] in _METHODS else "other"
        counters = collectors()
        counters.requests.labels(path, method, str(self._status)).inc()
        counters.latency.labels(path, method).observe(elapsed)
        logger.info(
            "request", method=method, route=path, status=self._status, milliseconds=round(elapsed * 1000, 2)
        )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
