"""The life of a request, on an example function: what every HTTP function gets from the runtime."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Request, Response
from pydantic import BaseModel, Field
from uuid_utils.compat import uuid7

from alphapulse.runtime.errors import Conflict, DependencyDown
from alphapulse.runtime.http import Work, http_app, public_router, tenant_router
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.settings import Secret, Settings
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tokens import TokenSigner
from tests.function.conftest import Broker, Functions

public = public_router()
tenant_routes = tenant_router()


class Note(BaseModel):
    title: Annotated[str, Field(max_length=100)]
    amount: float = 0


@public.get("/open")
async def open_to_all() -> dict[str, str]:
    return {"hello": "world"}


@tenant_routes.post("/notes", status_code=201)
async def add_note(body: Note, work: Work) -> dict[str, str]:
    identifier = uuid7()
    await work.session.execute(
        "INSERT INTO notifications (tenant_id, id, channel, kind, subject, dedupe_key)"
        " VALUES ($1, $2, 'in_app', 'note', $3, $4)",
        work.tenant_id.value,
        identifier,
        body.title,
        str(identifier),
    )
    moment = work.now.isoformat()
    await work.emit("portfolio.changed", {"equity": "1", "currency": "USD", "as_of": moment})
    if body.title == "conflict":
        raise Conflict("not this one", code="note_conflict", extra={"limit": 1})
    if body.title == "down":
        raise DependencyDown("try later", retry_after_seconds=7)
    if body.title == "bug":
        raise RuntimeError("the password is hunter2")
    return {"id": str(identifier)}


@tenant_routes.post("/slow", status_code=201)
async def wait_for_the_gate(request: Request, work: Work) -> dict[str, str]:
    await request.app.state.gate.wait()
    return {"tenant": str(work.tenant_id)}


@tenant_routes.get("/notes")
async def list_notes(work: Work) -> list[str]:
    rows = await work.session.fetch(
        "SELECT subject FROM notifications WHERE tenant_id = $1 ORDER BY id", work.tenant_id.value
    )
    return [row["subject"] for row in rows]


@tenant_routes.get("/echo/{name}")
async def echo(name: str, request: Request, work: Work) -> Response:
    assert work.principal.tenant_id == work.tenant_id
    return Response(name + request.url.query)


@pytest.fixture
async def api(function_settings: Settings, signer: TokenSigner) -> AsyncIterator[httpx.AsyncClient]:
    resources = Resources(function_settings)
    resources.use_keys(signer.jwks)
    app = http_app(resources, title="example", routers=[public, tenant_routes])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),  # type: ignore[arg-type]
        base_url="http://example.test",
    ) as client:
        client.resources = resources  # type: ignore[attr-defined]
        yield client
    await resources.close()


@pytest.fixture
def owner(functions: Functions, tenant: TenantId) -> dict[str, str]:
    return functions.authorization(tenant)


async def drained(api: httpx.AsyncClient) -> None:
    await api.resources.background.drain()  # type: ignore[attr-defined]


def check_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    document: dict[str, Any] = answer.json()
    assert (status, code) == (answer.status_code, document["code"])
    assert answer.headers["content-type"] == "application/problem+json"
    assert document["status"] == status
    assert {"type", "title", "detail", "instance"} <= set(document)
    assert document["trace_id"] == answer.headers["x-trace-id"]
    assert "Traceback" not in answer.text
    return document


async def test_a_public_route_needs_no_token(api: httpx.AsyncClient) -> None:
    answer = await api.get("/open")

    assert (answer.status_code, answer.json()) == (200, {"hello": "world"})


@pytest.mark.parametrize(
    "header",
    [{}, {"Authorization": "Bearer"}, {"Authorization": "Basic dTpw"}, {"Authorization": "bearer x.y.z"}],
)
async def test_a_tenant_route_without_a_good_token_is_401_with_a_challenge(
    api: httpx.AsyncClient, header: dict[str, str]
) -> None:
    answer = await api.get("/notes", headers=header)

    assert answer.json()["code"] in ("not_authenticated", "invalid_token")
    check_problem(answer, 401, answer.json()["code"])
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_viewer_reads_and_does_not_write(
    api: httpx.AsyncClient, functions: Functions, tenant: TenantId
) -> None:
    viewer = functions.authorization(tenant, role="viewer")

    assert (await api.get("/notes", headers=viewer)).status_code == 200
    check_problem(await api.post("/notes", json={"title": "x"}, headers=viewer), 403, "not_permitted")


async def test_the_effect_and_its_event_go_together(
    api: httpx.AsyncClient, owner: dict[str, str], tenant: TenantId, broker: Broker, app_database: Database
) -> None:
    answer = await api.post("/notes", json={"title": "first"}, headers=owner)
    await drained(api)

    assert answer.status_code == 201
    (event,) = broker.named("portfolio.changed", tenant)
    assert event.extensions["traceparent"].split("-")[1] == answer.headers["x-trace-id"]
    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT count(*) FROM outbox WHERE tenant_id = $1", tenant.value) == 0


async def test_with_the_broker_down_the_event_waits_in_the_outbox(
    api: httpx.AsyncClient, owner: dict[str, str], tenant: TenantId, broker: Broker, app_database: Database
) -> None:
    broker.up = False

    answer = await api.post("/notes", json={"title": "first"}, headers=owner)
    await drained(api)

    assert answer.status_code == 201
    async with app_database.tenant(tenant) as session:
        assert await session.fetchval("SELECT count(*) FROM outbox WHERE tenant_id = $1", tenant.value) == 1


@pytest.mark.parametrize(
    ("title", "status", "code"),
    [("conflict", 409, "note_conflict"), ("down", 503, "dependency_down"), ("bug", 500, "internal_error")],
)
async def test_an_error_rolls_back_effect_and_event_and_says_nothing_secret(
    api: httpx.AsyncClient,
    owner: dict[str, str],
    tenant: TenantId,
    broker: Broker,
    title: str,
    status: int,
    code: str,
) -> None:
    answer = await api.post("/notes", json={"title": title}, headers=owner)
    await drained(api)

    check_problem(answer, status, code)
    assert "hunter2" not in answer.text
    assert (await api.get("/notes", headers=owner)).json() == []
    assert broker.named("portfolio.changed", tenant) == []
    if status == 503:
        assert answer.headers["retry-after"] == "7"


async def test_the_same_key_twice_is_one_effect_and_one_answer(
    api: httpx.AsyncClient, owner: dict[str, str], tenant: TenantId, broker: Broker
) -> None:
    keyed = owner | {"Idempotency-Key": "k1"}

    first = await api.post("/notes", json={"title": "one"}, headers=keyed)
    second = await api.post("/notes", json={"title": "one"}, headers=keyed)
    await drained(api)

    assert (201, first.json()) == (second.status_code, second.json())
    assert "idempotent-replayed" in second.headers
    assert (await api.get("/notes", headers=owner)).json() == ["one"]
    assert len(broker.named("portfolio.changed", tenant)) == 1


async def test_the_same_key_twenty_times_at_once_is_one_effect(
    api: httpx.AsyncClient, owner: dict[str, str]
) -> None:
    keyed = owner | {"Idempotency-Key": "k2"}

    answers = await asyncio.gather(
        *(api.post("/notes", json={"title": "one"}, headers=keyed) for _ in range(20))
    )

    assert {201} == {answer.status_code for answer in answers}
    assert len({answer.text for answer in answers}) == 1
    assert (await api.get("/notes", headers=owner)).json() == ["one"]


async def test_requests_that_wait_for_the_first_with_their_key_leave_connections_to_others(
    function_settings: Settings, signer: TokenSigner, owner: dict[str, str]
) -> None:
    resources = Resources(function_settings.replace(database_pool_size=2))
    resources.use_keys(signer.jwks)
    gate = asyncio.Event()
    app = http_app(resources, title="example", routers=[tenant_routes], state={"gate": gate})
    keyed = owner | {"Idempotency-Key": "k-slow"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),  # type: ignore[arg-type]
        base_url="http://example.test",
    ) as client:
        waiting = [asyncio.create_task(client.post("/slow", headers=keyed)) for _ in range(6)]
        try:
            async with asyncio.timeout(3):
                others = [await client.get("/notes", headers=owner) for _ in range(10)]
        finally:
            gate.set()
            answers = await asyncio.gather(*waiting)
    await resources.close()

    assert {200} == {answer.status_code for answer in others}
    assert {201} == {answer.status_code for answer in answers}
    assert [answer.headers.get("idempotent-replayed") for answer in answers].count(None) == 1


async def test_the_same_key_with_another_body_is_refused(
    api: httpx.AsyncClient, owner: dict[str, str]
) -> None:
    keyed = owner | {"Idempotency-Key": "k3"}
    await api.post("/notes", json={"title": "one"}, headers=keyed)

    answer = await api.post("/notes", json={"title": "two"}, headers=keyed)

    check_problem(answer, 422, "idempotency_key_reused")


async def test_a_failed_request_gives_its_key_back(api: httpx.AsyncClient, owner: dict[str, str]) -> None:
    keyed = owner | {"Idempotency-Key": "k4"}

    first = await api.post("/notes", json={"title": "down"}, headers=keyed)
    again = await api.post("/notes", json={"title": "down"}, headers=keyed)

    assert (first.status_code, again.status_code) == (503, 503)


async def test_one_tenants_key_is_nothing_to_another(
    api: httpx.AsyncClient, owner: dict[str, str], other_tenant: TenantId, functions: Functions
) -> None:
    key = {"Idempotency-Key": "shared"}
    await api.post("/notes", json={"title": "mine"}, headers=owner | key)

    other = functions.authorization(other_tenant)
    answer = await api.post("/notes", json={"title": "theirs"}, headers=other | key)

    assert answer.status_code == 201
    assert (await api.get("/notes", headers=other)).json() == ["theirs"]


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
async def test_a_malformed_key_is_refused(api: httpx.AsyncClient, owner: dict[str, str], key: str) -> None:
    answer = await api.post("/notes", json={"title": "x"}, headers=owner | {"Idempotency-Key": key})

    check_problem(answer, 422, "invalid")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "malformed_json"),
        (b"", "validation_failed"),
        (b'{"title": "x", "amount": NaN}', "malformed_json"),
        (b'{"title": "x", "amount": 1e999}', "malformed_json"),
        (b'{"title": "\\u0000"}', "malformed_json"),
        (b'{"title": "\\ud800"}', "malformed_json"),
        (b"\xff\xfe", "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b'{"title": 3}', "validation_failed"),
        (b'{"amount": 3}', "validation_failed"),
        (b'"text"', "validation_failed"),
    ],
)
async def test_a_bad_body_is_422_with_the_place_and_without_the_input(
    api: httpx.AsyncClient, owner: dict[str, str], body: bytes, code: str
) -> None:
    answer = await api.post("/notes", content=body, headers=owner | {"content-type": "application/json"})

    document = check_problem(answer, 422, code)
    assert document["errors"]
    assert {"loc", "msg"} == set(document["errors"][0])


async def test_a_declared_body_over_the_limit_is_413(api: httpx.AsyncClient, owner: dict[str, str]) -> None:
    answer = await api.post("/notes", json={"title": "x" * 10_000_000}, headers=owner)

    check_problem(answer, 413, "body_too_large")


async def test_a_streamed_body_over_the_limit_is_413(api: httpx.AsyncClient, owner: dict[str, str]) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"x" * 65_536

    answer = await api.post("/notes", content=endless(), headers=owner | {"content-type": "application/json"})

    check_problem(answer, 413, "body_too_large")


async def test_a_caller_that_leaves_in_the_middle_of_the_body_is_no_error_of_ours(
    function_settings: Settings,
) -> None:
    resources = Resources(function_settings)
    app = http_app(resources, title="example", routers=[public])
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/open",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"10")],
    }
    await app(scope, receive, send)
    await resources.close()

    assert sent[0]["status"] == 422


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x"])
async def test_a_body_that_is_not_json_is_415(
    api: httpx.AsyncClient, owner: dict[str, str], media_type: str
) -> None:
    answer = await api.post("/notes", content=b"title=x", headers=owner | {"content-type": media_type})

    check_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("path", ["/echo/a%00b", "/echo/a?x=%00"])
async def test_a_nul_in_the_address_is_422(api: httpx.AsyncClient, owner: dict[str, str], path: str) -> None:
    check_problem(await api.get(path, headers=owner), 422, "invalid")


async def test_unknown_paths_and_methods_are_problems_too(api: httpx.AsyncClient) -> None:
    check_problem(await api.get("/nothing"), 404, "not_found")
    answer = await api.delete("/open")
    check_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


async def test_the_callers_trace_is_continued(api: httpx.AsyncClient) -> None:
    trace = uuid.uuid4().hex

    answer = await api.get("/open", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})

    assert trace == answer.headers["x-trace-id"]


async def test_with_the_database_down_the_answer_is_503(
    function_settings: Settings, signer: TokenSigner, owner: dict[str, str]
) -> None:
    settings = function_settings.replace(database_url=Secret("postgresql://nobody@127.0.0.1:1/none"))
    resources = Resources(settings)
    resources.use_keys(signer.jwks)
    app = http_app(resources, title="example", routers=[tenant_routes])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),  # type: ignore[arg-type]
        base_url="http://example.test",
    ) as client:
        answer = await client.get("/notes", headers=owner)
    await resources.close()

    check_problem(answer, 503, "dependency_down")
    assert "retry-after" in answer.headers
