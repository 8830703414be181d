"""The platform's two ports: the public gateway, and the internal one for broker and functions."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from alphapulse.runtime.errors import FunctionError, NotFound
from alphapulse.runtime.trace import Trace, continue_trace
from alphapulse_local.function import Function
from alphapulse_local.manifests import Manifests
from alphapulse_local.ports import Handler
from alphapulse_local.proxy import Proxy, end_to_end, problem_answer

SERVICES_PREFIX = "/services/"
STATUS_PATH = "/_platform/status"

_SERVER = "alphapulse"
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip")
_REQUEST_ID_LIMIT = 128


class Gateway:
    """Routes requests to functions as the cluster's HTTPRoutes do."""

    def __init__(
        self,
        manifests: Manifests,
        functions: Mapping[str, Function],
        *,
        proxy: Proxy,
        status: Callable[[], Awaitable[dict[str, Any]]],
        page: Callable[[str], Handler | None] = lambda _: None,
    ) -> None:
        self._manifests = manifests
        self._functions = functions
        self._proxy = proxy
        self._status = status
        # The laptop's own pages, which no function serves.
        self._page = page

    async def public(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request from outside."""
        path, _, query = request.raw_path.partition("?")
        if path == "/healthz":
            return _named(web.json_response({"status": "ok"}))
        page = self._page(path)
        if page is not None:
            return _named(await page(request))
        trace = continue_trace(request.headers.get("traceparent"))
        route = None if _has_dot_segment(path) else self._manifests.route(path)
        if route is None:
            error = NotFound(f"no function serves {path}")
            return _named(problem_answer(error, path=path, trace_id=trace.trace_id))
        headers = _public_headers(request, trace)
        answer = await self._forward(
            request,
            self._functions[route.function],
            target=path + ("?" + query if query else ""),
            headers=headers,
            trace=trace,
        )
        if not answer.prepared:
            answer.headers.setdefault("X-Request-Id", headers["X-Request-Id"])
        return answer

    async def internal(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer the broker and the functions: `/services/<name>/...`, and the platform's status."""
        path, _, query = request.raw_path.partition("?")
        if path == STATUS_PATH:
            return _named(web.json_response(await self._status()))
        trace = continue_trace(request.headers.get("traceparent"))
        name, _, rest = path.removeprefix(SERVICES_PREFIX).partition("/")
        function = self._functions.get(name) if path.startswith(SERVICES_PREFIX) else None
        if function is None:
            error = NotFound(f"there is no function {name}")
            return _named(problem_answer(error, path=path, trace_id=trace.trace_id))
        headers = end_to_end(request.headers)
        headers.setdefault("traceparent", trace.traceparent)
        return await self._forward(
            request,
            function,
            target="/" + rest + ("?" + query if query else ""),
            headers=headers,
            trace=trace,
        )

    async def _forward(
        self,
        request: web.BaseRequest,
        function: Function,
        *,
        target: str,
        headers: CIMultiDict[str],
        trace: Trace,
    ) -> web.StreamResponse:
        try:
            answer = await self._proxy.forward(request, function, target=target, headers=headers)
        except FunctionError as error:
            path = request.raw_path.partition("?")[0]
            answer = problem_answer(error, path=path, trace_id=trace.trace_id)
        return answer if answer.prepared else _named(answer)


def _public_headers(request: web.BaseRequest, trace: Trace) -> CIMultiDict[str]:
    """Return the headers for the function; what a caller says about forwarding is not believed."""
    headers = end_to_end(request.headers, drop=_FORWARDED)
    headers["X-Forwarded-For"] = request.remote or "unknown"
    headers["X-Forwarded-Proto"] = "http"
    headers["X-Forwarded-Host"] = request.headers.get("Host", "")
    headers["traceparent"] = headers.get("traceparent") or trace.traceparent
    given = headers.get("X-Request-Id", "")
    if not given.isascii() or not given.isprintable() or not 0 < len(given) <= _REQUEST_ID_LIMIT:
        headers["X-Request-Id"] = secrets.token_hex(16)
    return headers


def _has_dot_segment(path: str) -> bool:
    """Tell whether a path could name something outside its prefix once somebody resolves it."""
    segments = path.lower().replace("%2e", ".").replace("%2f", "/").replace("\\", "/").split("/")
    return "." in segments or ".." in segments


def _named(answer: web.StreamResponse) -> web.StreamResponse:
    answer.headers["Server"] = _SERVER
    return answer
