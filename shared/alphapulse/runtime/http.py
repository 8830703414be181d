"""HTTP functions: FastAPI with the product's own request life.

A tenant route authenticates, checks the role, opens the tenant transaction when a handler asks
for it, replays an `Idempotency-Key`, runs the handler, commits, and sends the outbox.
"""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any

import orjson
import structlog
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from alphapulse.data import idempotency
from alphapulse.runtime.envelope import Envelope, trace_of
from alphapulse.runtime.errors import (
    Conflict,
    FunctionError,
    Invalid,
    NotAuthenticated,
    NotPermitted,
)
from alphapulse.runtime.events import EventHandlers, event_endpoint
from alphapulse.runtime.problems import as_function_error, on_http_exception, problem_response
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.tenancy.principal import Principal
from alphapulse.tenancy.tokens import InvalidToken

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_KEY_CHARACTERS = 255
_WAIT_FOR_FIRST_SECONDS = 5.0
_POLL_SECONDS = 0.02

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


class TenantRoute(_Route):
    """A route for one tenant's user, in one transaction."""

    replays = True

    def wrap(self, handler: Handler) -> Handler:
        """Return `handler` inside authentication, role check, transaction and idempotency."""

        async def handle(request: Request) -> Response:
            lazy = _LazyWork(await _tenant_scope(request))
            request.state.lazy_work = lazy
            async with lazy.stack:
                if not self.replays or request.method in _SAFE_METHODS:
                    return await handler(request)
                return await _replayed(lazy, request, handler)

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
    envelope = Envelope(app, body_limit_bytes=resources.settings.body_limit_bytes)
    envelope.openapi = app.openapi  # type: ignore[attr-defined] # the merged document is built from it
    return envelope


def tenant_router(*, stepped: bool = False, **options: Any) -> APIRouter:
    """Return a router whose routes need a token."""
    return APIRouter(route_class=SteppedRoute if stepped else TenantRoute, **options)


def public_router(**options: Any) -> APIRouter:
    """Return a router whose routes need none."""
    return APIRouter(route_class=PublicRoute, **options)


def fingerprint(request: Request, body: bytes) -> bytes:
    """Return what an idempotency key is bound to: method, address and body."""
    head = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(head + body).digest()


def idempotency_key(request: Request) -> str | None:
    """Return the checked `Idempotency-Key` of a request, or None.

    Raises
    ------
    Invalid
        The key is empty, longer than 255 characters, or not printable ASCII.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= _MAX_KEY_CHARACTERS or not key.isascii() or not key.isprintable():
        raise Invalid("Idempotency-Key must be 1 to 255 printable ASCII characters")
    return key


async def _tenant_scope(request: Request) -> Scope:
    resources: Resources = request.app.state.resources
    principal = await _authenticate(request, resources)
    structlog.contextvars.bind_contextvars(tenant_id=str(principal.tenant_id))
    if request.method not in _SAFE_METHODS and not principal.may_change:
        raise NotPermitted(f"role {principal.role} may only read")
    return Scope(
        resources=resources,
        tenant_id=principal.tenant_id,
        trace=trace_of(request.scope),
        principal=principal,
    )


async def _authenticate(request: Request, resources: Resources) -> Principal:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotAuthenticated("a bearer token is required")
    try:
        return await resources.verifier.verify(token.strip())
    except InvalidToken as error:
        raise NotAuthenticated(str(error), code="invalid_token") from error


async def _replayed(lazy: _LazyWork, request: Request, handler: Handler) -> Response:
    """Run the handler once per key: claim, effect and stored answer are one transaction."""
    key = idempotency_key(request)
    if key is None:
        return await handler(request)
    work = await lazy.open()
    body = await request.body()
    replay = replay_of(await _claim(work, request, key, fingerprint(request, body)))
    if replay is not None:
        return replay
    response = await handler(request)
    await idempotency.store(
        work.session, key, status=response.status_code, body=bytes(response.body), headers={}
    )
    return response


async def _claim(work: TenantWork, request: Request, key: str, print_: bytes) -> idempotency.Claim:
    """Claim the key; while the first request with it runs, wait for its answer, up to a deadline."""
    deadline = time.monotonic() + _WAIT_FOR_FIRST_SECONDS
    while True:
        claim = await idempotency.claim(
            work.session, key, fingerprint=print_, operation=f"{request.method} {request.url.path}"[:300]
        )
        if not isinstance(claim, idempotency.InProgress) or time.monotonic() > deadline:
            return claim
        await asyncio.sleep(_POLL_SECONDS)


def replay_of(claim: idempotency.Claim) -> Response | None:
    """Return the first answer again, or None when this request is the first with its key.

    Raises
    ------
    Invalid
        `idempotency_key_reused`: the key came with another request before.
    Conflict
        `request_in_progress`: the first request has not been answered yet.
    """
    match claim:
        case idempotency.Fresh():
            return None
        case idempotency.Replay(status=status, body=body):
            return Response(
                body,
                status_code=status,
                media_type="application/json",
                headers={"Idempotent-Replayed": "true"},
            )
        case idempotency.Reused():
            raise Invalid("this Idempotency-Key was used with another request", code="idempotency_key_reused")
        case _:
            raise Conflict(
                "the first request with this Idempotency-Key is still running", code="request_in_progress"
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
