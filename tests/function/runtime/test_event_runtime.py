"""The life of an event, on an example function: what every event function gets from the runtime."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from alphapulse.data.errors import DatabaseUnavailable
from alphapulse.events import Event
from alphapulse.runtime.errors import NotFound, RateLimited
from alphapulse.runtime.events import EventHandlers, event_app
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.settings import Settings
from alphapulse.runtime.work import TenantWork
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.vault.errors import VaultDenied
from tests.function.conftest import Broker, Functions

MOMENT = "2026-01-02T03:04:05Z"
FACTS = {"equity": "1", "currency": "USD", "as_of": MOMENT}
Behaviour = Callable[[TenantWork], Awaitable[Event | None]]


class Example:
    """A function whose handler stores a notice and then does what the test says."""

    def __init__(self, settings: Settings) -> None:
        self.resources = Resources(settings.replace(function="example"))
        handlers = EventHandlers(consumer="example", tenant={"market.refresh.requested": self._handle})
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(event_app(self.resources, handlers)),  # type: ignore[arg-type]
            base_url="http://example.test",
        )
        self.behave: Behaviour = reply

    async def deliver(self, event: Event, **headers: str) -> httpx.Response:
        attributes, body = event.to_http()
        answer = await self._client.post("/", content=body, headers=attributes | headers)
        await self.resources.background.drain()
        return answer

    async def close(self) -> None:
        await self._client.aclose()
        await self.resources.close()

    async def _handle(self, event: Event, work: TenantWork) -> Event | None:
        await work.session.execute(
            "INSERT INTO notifications (tenant_id, id, channel, kind, subject, dedupe_key)"
            " VALUES ($1, gen_random_uuid(), 'in_app', 'note', $2, gen_random_uuid()::text)",
            work.tenant_id.value,
            event.id,
        )
        return await self.behave(work)


async def reply(work: TenantWork) -> Event | None:
    return work.scope.event("portfolio.changed", FACTS)


@pytest.fixture
async def example(function_settings: Settings) -> AsyncIterator[Example]:
    built = Example(function_settings)
    yield built
    await built.close()


@pytest.fixture
def event(functions: Functions, tenant: TenantId) -> Event:
    return functions.event("market.refresh.requested", {"requested_at": MOMENT}, tenant)


async def notices(database: Database, tenant: TenantId) -> int:
    async with database.tenant(tenant) as session:
        found: int = await session.fetchval(
            "SELECT count(*) FROM notifications WHERE tenant_id = $1", tenant.value
        )
    return found


async def test_deliveries_at_once_have_one_effect_and_one_reply(
    example: Example, event: Event, tenant: TenantId, app_database: Database
) -> None:
    answers = await asyncio.gather(*(example.deliver(event) for _ in range(5)))

    assert {200} == {answer.status_code for answer in answers}
    assert len({answer.headers["ce-id"] for answer in answers}) == 1
    assert answers[0].headers["ce-tenantid"] == str(tenant)
    assert answers[0].headers["ce-causationid"] == event.id
    assert await notices(app_database, tenant) == 1


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("nothing there"), 422, "not_found"),
        (RateLimited("too fast", retry_after_seconds=3), 429, "rate_limited"),
        (DatabaseUnavailable("a deadlock", retry_after_seconds=2), 503, "dependency_down"),
        (VaultDenied("Vault denies it: hunter2"), 503, "secret_store_denied"),
        (RuntimeError("the password is hunter2"), 500, "internal_error"),
    ],
)
async def test_an_error_tells_the_broker_what_to_do_and_leaves_the_event_to_be_handled(
    example: Example,
    event: Event,
    tenant: TenantId,
    app_database: Database,
    error: Exception,
    status: int,
    code: str,
) -> None:
    async def fail(_: TenantWork) -> Event | None:
        raise error

    example.behave = fail
    refused = await example.deliver(event)
    example.behave = reply
    again = await example.deliver(event)

    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert ("retry-after" in refused.headers) == (status in (429, 503))
    assert "hunter2" not in refused.text
    assert again.status_code == 200
    assert await notices(app_database, tenant) == 1


async def test_a_reply_that_does_not_fit_its_schema_is_the_functions_fault_and_not_the_events(
    example: Example, event: Event, tenant: TenantId, app_database: Database
) -> None:
    async def reply_badly(work: TenantWork) -> Event | None:
        return work.scope.event("portfolio.changed", {"equity": 1})

    example.behave = reply_badly
    answer = await example.deliver(event)

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert await notices(app_database, tenant) == 0


async def test_what_fails_after_the_commit_changes_neither_the_answer_nor_the_events(
    example: Example, event: Event, tenant: TenantId, broker: Broker
) -> None:
    async def fail() -> None:
        raise RuntimeError("the cache has a bug")

    async def emit(work: TenantWork) -> Event | None:
        work.after_commit(fail)
        await work.emit("portfolio.changed", FACTS)
        return None

    example.behave = emit
    answer = await example.deliver(event)

    assert answer.status_code == 204
    assert len(broker.named("portfolio.changed", tenant)) == 1


@pytest.mark.parametrize(
    ("attribute", "value", "code"),
    [
        ("ce-id", "a%00b", "malformed_event"),
        ("ce-source", "a%0Ab", "malformed_event"),
        ("ce-time", "0001-01-01T00:00:00+14:00", "malformed_event"),
        ("ce-tenantid", "nobody", "malformed_event"),
        ("ce-tenantid", "", "malformed_event"),
        ("ce-type", "com.alphapulse.market.refresh.requested.v2", "unknown_event_type"),
        ("ce-type", "com.alphapulse.nothing.known.v1", "unknown_event_type"),
    ],
)
async def test_an_event_that_will_never_be_handled_is_422(
    example: Example, event: Event, attribute: str, value: str, code: str
) -> None:
    answer = await example.deliver(event, **{attribute: value})

    assert (answer.status_code, answer.json()["code"]) == (422, code)
