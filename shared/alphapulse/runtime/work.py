"""One unit of work for one tenant: a transaction, the events that follow from it, its cache.

The transaction holds the effect, the processed mark and the outbox rows. The events are sent
right after the commit, in the background; `outbox_relay` sweeps what was not.
"""

import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from alphapulse.data import audit, outbox
from alphapulse.data.audit import ActorType
from alphapulse.data.session import Session
from alphapulse.events import Event, event_type, schemas
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.sending import send
from alphapulse.runtime.trace import Trace
from alphapulse.tenancy.cache import SharedCache, TenantCache
from alphapulse.tenancy.principal import Principal
from alphapulse.tenancy.tenant import TenantId

#: Of the events that need no order; as many connections a process has to the broker.
_SENT_AT_ONCE: Final = 16

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Scope:
    """For whom and why something is done: the tenant, the user if any, the event that caused it."""

    resources: Resources
    tenant_id: TenantId
    trace: Trace
    principal: Principal | None = None
    cause: Event | None = None

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator["TenantWork"]:
        """Open one tenant transaction; on leaving, commit and send its events.

        Handlers that must commit before they call out (an order to an exchange) open several.
        """
        async with self.resources.database.tenant(self.tenant_id) as session:
            work = TenantWork(self, session)
            yield work
        await work.committed()

    @contextlib.asynccontextmanager
    async def platform_transaction(self) -> AsyncIterator["TenantWork"]:
        """Open a transaction of the platform role acting for this tenant (sign-up, provisioning)."""
        async with self.resources.platform.session(self.tenant_id) as session:
            work = TenantWork(self, session)
            yield work
        await work.committed()

    @property
    def cache(self) -> TenantCache:
        """The tenant's cache."""
        return self.resources.cache.tenant(self.tenant_id)

    @property
    def market_cache(self) -> SharedCache:
        """The market data cache all tenants share."""
        return self.resources.cache.market()

    @property
    def now(self) -> dt.datetime:
        """The time, aware, in UTC."""
        return self.resources.clock()

    def event(
        self,
        name: str,
        data: Mapping[str, Any],
        *,
        correlation_id: str | None = None,
        **extensions: str,
    ) -> Event:
        """Build an event of this tenant, with tenant, cause, correlation and trace filled in.

        Raises
        ------
        alphapulse.events.schemas.InvalidEventData
            `data` does not fit the JSON Schema of `name`.
        """
        schemas.validate(name, data)
        inherited = self.cause.extensions.get("correlationid") if self.cause else None
        attributes = {
            "tenantid": str(self.tenant_id),
            "correlationid": correlation_id or inherited,
            "causationid": self.cause.id if self.cause else None,
            "partitionkey": str(self.tenant_id),
            "traceparent": self.trace.traceparent,
            **extensions,
        }
        return Event(
            type=event_type(name),
            source=f"/functions/{self.resources.settings.function.replace('_', '-')}",
            data=data,
            time=self.now,
            extensions={key: value for key, value in attributes.items() if value is not None},
        )


class TenantWork:
    """An open tenant transaction with what a handler needs around it."""

    def __init__(self, scope: Scope, session: Session) -> None:
        self.scope = scope
        self.session = session
        self._emitted: list[Event] = []
        self._emitted_together: list[Event] = []
        self._after_commit: list[Callable[[], Awaitable[None]]] = []

    @property
    def tenant_id(self) -> TenantId:
        """The tenant."""
        return self.scope.tenant_id

    @property
    def principal(self) -> Principal:
        """The user that asked.

        Raises
        ------
        RuntimeError
            The work was caused by an event, which has no user.
        """
        if self.scope.principal is None:
            raise RuntimeError("an event has no principal")
        return self.scope.principal

    @property
    def now(self) -> dt.datetime:
        """The time, aware, in UTC."""
        return self.scope.now

    async def emit(
        self,
        name: str,
        data: Mapping[str, Any],
        *,
        correlation_id: str | None = None,
        **extensions: str,
    ) -> Event:
        """Write an event to the outbox of this transaction; it is sent after the commit."""
        event = self.scope.event(name, data, correlation_id=correlation_id, **extensions)
        await outbox.enqueue(self.session, event)
        self._emitted.append(event)
        return event

    async def emit_many(self, events: Sequence[Event]) -> None:
        """Write events of this tenant to the outbox together; see `Scope.event` for how to build them.

        They are sent after the commit and after those of `emit`, several at a time and in no order:
        each must stand for itself.
        """
        await outbox.enqueue_many(self.session, events)
        self._emitted_together += events

    async def audit(
        self,
        action: str,
        *,
        resource_type: str | None = None,
        resource_id: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Record in this transaction that the caller did something; `details` never hold a secret."""
        actor_type, actor_id = self._actor()
        entry = audit.AuditEntry(
            actor_type=actor_type,
            actor_id=actor_id,
            action=action,
            resource_type=resource_type,
            resource_id=resource_id,
            details=details or {},
            trace_id=self.scope.trace.trace_id,
        )
        await audit.append(self.session, self.tenant_id.value, entry)

    def _actor(self) -> tuple[ActorType, str]:
        principal = self.scope.principal
        if principal is None:
            return "function", self.scope.resources.settings.function.replace("_", "-")
        if principal.api_key_id is not None:
            return "api_key", str(principal.api_key_id)
        return "user", str(principal.user_id)

    def after_commit(self, action: Callable[[], Awaitable[None]]) -> None:
        """Run `action` once the transaction has committed (dropping a cached value, say).

        It cannot change the answer any more: an exception is logged.
        """
        self._after_commit.append(action)

    async def committed(self) -> None:
        """Send the events and run what waits for the commit; the runtime calls it."""
        if self._emitted or self._emitted_together:
            self.scope.resources.background.start(self._send())
        for action in self._after_commit:
            try:
                await action()
            except Exception:
                # What was asked for is done; an error would have it asked for again.
                logger.exception("after_commit_failed")

    async def _send(self) -> None:
        resources = self.scope.resources
        sent = await send(resources.publisher, self._emitted)
        sent += await send(resources.publisher, self._emitted_together, at_once=_SENT_AT_ONCE)
        if sent:
            async with resources.database.tenant(self.tenant_id) as session:
                await outbox.mark_sent(session, sent)
