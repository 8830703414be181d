"""HTTP functions: FastAPI with the product's own request life.

A tenant route authenticates, checks the role, opens the tenant transaction when a handler asks
for it, replays an `Idempotency-Key`, runs the handler, commits, and sends the outbox.
"""

import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any

import orjson
import structlog
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from alphapulse.runtime import rate_limits
from alphapulse.runtime.admission import SAFE_METHODS, admit
from alphapulse.runtime.authentication import authenticate
from alphapulse.runtime.envelope import Envelope, trace_of
from alphapulse.runtime.errors import FunctionError, Invalid
from alphapulse.runtime.events import EventHandlers, event_endpoint
from alphapulse.runtime.problems import as_function_error, on_http_exception, problem_response
from alphapulse.runtime.replay import (
    MAX_KEY_CHARACTERS,
    fingerprint,
    idempotency_key,
    replay_of,
    replayed,
)
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.work import Scope, TenantWork

__all__ = [
    "FunctionResources",
    "TenantScope",
    "Work",
    "fingerprint",
    "http_app",
    "idempotency_key",
    "public_router",
    "replay_of",
    "tenant_router",
]

_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same request again with this key gets the first answer again, for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARACTERS, "pattern": "^[ -~]+$"},
}

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class JsonRequest(Request):
    """A request whose JSON is read strictly: no NaN, no lone surrogates, no NUL in any text."""

    async def json(self) -> Any:
        """Return the body as JSON."""
        body = await self.body()
        if b"\\u0000" in body:
            raise orjson.JSONDecodeError("NUL characters are not accepted", "", 0)
        return orjson.loads(body)


class _LazyWork:
    """A request's transaction: opened when first asked for, ended by `stack`."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.stack = contextlib.AsyncExitStack()
        self._work: TenantWork | None = None

    async def open(self) -> TenantWork:
        if self._work is None:
            self._work = await self.stack.enter_async_context(self.scope.transaction())
        return self._work

    async def close(self) -> None:
        self._work = None
        await self.stack.aclose()


class _Route(APIRoute):
    """Strict JSON, and the product's errors as problem documents."""

    def get_route_handler(self) -> Handler:
        inner = self.wrap(super().get_route_handler())

        async def handle(request: Request) -> Response:
            try:
                strict = JsonRequest(request.scope, request.receive)
                # Read here, where a body over the limit keeps its own error; FastAPI would call it a 400.
                await strict.body()
                return await inner(strict)
            except FunctionError as error:
                return _problem(request, error)

        return handle

    def wrap(self, handler: Handler) -> Handler:
        return handler


class PublicRoute(_Route):
    """A route without a token; its handler sees no tenant."""

    def wrap(self, handler: Handler) -> Handler:
        """Return `handler` behind the limit of the client's address."""

        async def handle(request: Request) -> Response:
            await rate_limits.take(request.scope, request.app.state.resources)
            return await handler(request)

        return handle


class TenantRoute(_Route):
    """A route for one tenant's user, in one transaction."""

    replays = True

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        extra: dict[str, Any] = {"security": [{"bearer": []}, {"api_key": []}, {"cookie": []}]}
        if not SAFE_METHODS.issuperset(options.get("methods") or ()):
            extra["parameters"] = [_KEY_PARAMETER]
        options["openapi_extra"] = extra | (options.get("openapi_extra") or {})
        super().__init__(path, endpoint, **options)

    def wrap(self, handler: Handler) -> Handler:
        """Return `handler` inside authentication, role check, transaction and idempotency."""

        async def handle(request: Request) -> Response:
            lazy = _LazyWork(await _tenant_scope(request))
            request.state.lazy_work = lazy
            async with lazy.stack:
                if not self.replays or request.method in SAFE_METHODS:
                    return await handler(request)
                return await replayed(lazy, request, handler)

        return handle


class SteppedRoute(TenantRoute):
    """A tenant route whose handler opens its own transactions and replays keys itself."""

    replays = False


async def _scope(request: Request) -> Scope:
    lazy: _LazyWork = request.state.lazy_work
    return lazy.scope


async def _work(request: Request) -> TenantWork:
    lazy: _LazyWork = request.state.lazy_work
    return await lazy.open()


async def _resources(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


Work = Annotated[TenantWork, Depends(_work)]
TenantScope = Annotated[Scope, Depends(_scope)]
FunctionResources = Annotated[Resources, Depends(_resources)]


def http_app(
    resources: Resources,
    *,
    title: str,
    routers: Sequence[APIRouter],
    events: EventHandlers | None = None,
    state: Mapping[str, Any] | None = None,
) -> ASGIApp:
    """Build the ASGI app of an HTTP function.

    Parameters
    ----------
    resources
        What the process reaches.
    title
        Title of the function's OpenAPI document.
    routers
        Made with `public_router` or `tenant_router`.
    events
        Handlers for events the broker delivers to `POST /`, which no public route leads to.
    state
        Objects handlers find under `request.app.state`.
    """
    app = FastAPI(title=title, version="1", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.resources = resources
    for name, value in (state or {}).items():
        setattr(app.state, name, value)
    for router in routers:
        app.include_router(router)
    if events is not None:
        app.add_route("/", event_endpoint(resources, events), methods=["POST"], include_in_schema=False)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(Exception, _on_surprise)
    envelope = Envelope(
        app,
        body_limit_bytes=resources.settings.body_limit_bytes,
        limits=resources,
        unlimited_path=None if events is None else "/",
    )
    envelope.openapi = app.openapi  # type: ignore[attr-defined] # the merged document is built from it
    return envelope


def tenant_router(*, stepped: bool = False, **options: Any) -> APIRouter:
    """Return a router whose routes need a token."""
    return APIRouter(route_class=SteppedRoute if stepped else TenantRoute, **options)


def public_router(**options: Any) -> APIRouter:
    """Return a router whose routes need none."""
    return APIRouter(route_class=PublicRoute, **options)


async def _tenant_scope(request: Request) -> Scope:
    resources: Resources = request.app.state.resources
    principal = await authenticate(request, resources)
    structlog.contextvars.bind_contextvars(tenant_id=str(principal.tenant_id))
    principal = await admit(request, resources, principal)
    return Scope(
        resources=resources,
        tenant_id=principal.tenant_id,
        trace=trace_of(request.scope),
        principal=principal,
    )


def _problem(request: Request, error: FunctionError) -> Response:
    return problem_response(error, instance=request.url.path, trace_id=trace_of(request.scope).trace_id)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    malformed = any(item["type"] == "json_invalid" for item in found)
    return _problem(
        request,
        Invalid(
            "the body is not valid JSON" if malformed else "the request does not fit the schema",
            code="malformed_json" if malformed else "validation_failed",
            # The input itself is left out: it may be a password.
            errors=[{"loc": [str(part) for part in item["loc"]], "msg": item["msg"]} for item in found],
        ),
    )


async def _on_surprise(request: Request, error: Exception) -> Response:
    return _problem(request, as_function_error(error))
