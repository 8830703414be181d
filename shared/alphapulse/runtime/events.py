"""Event functions: one POST route that takes CloudEvents, without FastAPI.

A tenant's event is handled in one transaction with its processed mark; the reply is stored with
the mark, so that a redelivery whose first answer was lost gets the same reply again.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from alphapulse.data import processed
from alphapulse.events import Event, MalformedEvent, schemas
from alphapulse.runtime.envelope import Envelope, trace_of
from alphapulse.runtime.errors import FunctionError, Invalid, Permanent, Transient
from alphapulse.runtime.metrics import collectors
from alphapulse.runtime.problems import (
    as_function_error,
    is_our_fault,
    on_http_exception,
    problem_response,
)
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import Trace
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.tenancy.tenant import TenantId

PING = "dev.knative.sources.ping"

logger: structlog.stdlib.BoundLogger = structlog.get_logger()

TenantHandler = Callable[[Event, TenantWork], Awaitable[Event | None]]
SteppedHandler = Callable[[Event, Scope], Awaitable[Event | None]]
PlatformHandler = Callable[[Event, Resources, Trace], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventHandlers:
    """What a function does with which event.

    Parameters
    ----------
    consumer
        Service name; part of the processed mark.
    tenant
        `noun.verb` to a handler in one transaction, processed at most once.
    stepped
        `noun.verb` to a handler that opens its own transactions and is idempotent by itself.
    platform
        `noun.verb` to a handler for events without a tenant.
    schedules
        `schedule` attribute of a PingSource's event to a handler.
    """

    consumer: str
    tenant: Mapping[str, TenantHandler] = field(default_factory=dict)
    stepped: Mapping[str, SteppedHandler] = field(default_factory=dict)
    platform: Mapping[str, PlatformHandler] = field(default_factory=dict)
    schedules: Mapping[str, PlatformHandler] = field(default_factory=dict)


def event_app(resources: Resources, handlers: EventHandlers) -> ASGIApp:
    """Build the ASGI app of an event function."""
    route = Route("/", event_endpoint(resources, handlers), methods=["POST"])
    app = Starlette(routes=[route], exception_handlers={HTTPException: on_http_exception})
    return Envelope(app, body_limit_bytes=resources.settings.body_limit_bytes)


def event_endpoint(resources: Resources, handlers: EventHandlers) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint that answers one delivery.

    204 done, 200 with a reply event, 422 never again (dead letter), 503 and 429 try again.
    """

    async def deliver(request: Request) -> Response:
        trace = trace_of(request.scope)
        name = "malformed"
        try:
            event = Event.from_http(request.headers, await request.body())
            name = event.name
            structlog.contextvars.bind_contextvars(event_id=event.id)
            reply = await _dispatch(event, resources, handlers, trace)
        except Exception as error:
            answer = _delivery_error(error)
            if is_our_fault(answer):
                logger.exception("event_failed", type=name)
            else:
                logger.warning("event_refused", type=name, code=answer.code, detail=answer.detail)
            collectors().events.labels(name, answer.code).inc()
            return problem_response(answer, instance=request.url.path, trace_id=trace.trace_id)
        collectors().events.labels(name, "replied" if reply else "done").inc()
        if reply is None:
            return Response(status_code=204)
        headers, body = reply.to_http()
        return Response(body, status_code=200, headers=headers)

    return deliver


async def handle_once(event: Event, scope: Scope, consumer: str, handler: TenantHandler) -> Event | None:
    """Handle an event in one transaction with its processed mark; a redelivery gets the first reply again.

    For a stepped handler too, whose last step it is: what comes before must be harmless when repeated.
    """
    async with scope.transaction() as work:
        claim = await processed.claim(work.session, consumer, event)
        if not claim.first:
            return claim.reply
        reply = await handler(event, work)
        if reply is not None:
            await processed.store_reply(work.session, consumer, event, reply)
        return reply


async def _dispatch(
    event: Event, resources: Resources, handlers: EventHandlers, trace: Trace
) -> Event | None:
    if event.type == PING:
        schedule = event.extensions.get("schedule", "")
        if schedule not in handlers.schedules:
            raise Invalid(f"no handler for schedule {schedule!r}", code="unknown_schedule")
        await handlers.schedules[schedule](event, resources, trace)
        return None
    name = event.name
    known = (*handlers.tenant, *handlers.stepped, *handlers.platform)
    if name not in known:
        raise Invalid(f"no handler for event type {event.type!r}", code="unknown_event_type")
    try:
        schemas.validate(name, event.data)
    except schemas.InvalidEventData as error:
        # Only what came in is the sender's fault; a reply that does not fit is a bug of this function.
        raise MalformedEvent(str(error)) from error
    if name in handlers.platform:
        await handlers.platform[name](event, resources, trace)
        return None
    scope = _tenant_scope(event, resources, trace)
    if name in handlers.stepped:
        return await handlers.stepped[name](event, scope)
    return await handle_once(event, scope, handlers.consumer, handlers.tenant[name])


def _tenant_scope(event: Event, resources: Resources, trace: Trace) -> Scope:
    tenant = event.tenant_id
    if tenant is None:
        raise MalformedEvent("the event carries no tenantid")
    structlog.contextvars.bind_contextvars(tenant_id=str(tenant))
    return Scope(resources=resources, tenant_id=TenantId(tenant), trace=trace, cause=event)


def _delivery_error(error: Exception) -> FunctionError:
    """Return the error whose status tells the broker what to do."""
    if isinstance(error, MalformedEvent):
        return Invalid(str(error), code="malformed_event")
    answer = as_function_error(error)
    if isinstance(answer, Permanent):
        answer.status = 422  # whatever kind of permanent: to the dead letter
    elif isinstance(answer, Transient) and answer.status != 429:  # noqa: PLR2004 - 429 keeps its meaning
        answer.status = 503
    return answer
