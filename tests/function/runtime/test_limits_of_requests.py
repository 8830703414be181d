"""Rate limits and quotas as callers meet them: headers on every answer, 429, and 402 with a way out."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import Request

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.runtime.admission import open_when
from alphapulse.runtime.events import EventHandlers
from alphapulse.runtime.http import Work, http_app, public_router, tenant_router
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.settings import Secret, Settings
from alphapulse.tenancy.states import TenantStatus
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tokens import TokenSigner
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.conftest import TenantFactory
from tests.function.conftest import Clock, Functions
from tests.tenants import change_tenant

IP_LIMIT = 30
HEADERS = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")

public = public_router()
tenant_routes = tenant_router()


@public.get("/open")
async def open_to_all() -> dict[str, str]:
    return {"hello": "world"}


@tenant_routes.get("/mine")
async def mine(work: Work) -> dict[str, str]:
    return {"tenant": str(work.tenant_id)}


@tenant_routes.get("/subscription")
async def subscription(work: Work) -> dict[str, str]:
    return {"tier": work.principal.tier}


@tenant_routes.post("/lessen")
@open_when(TenantStatus.SUSPENDED)
async def lessen(request: Request, work: Work) -> dict[str, str]:
    return {"done": str(work.tenant_id)}


@tenant_routes.post("/change")
async def change(work: Work) -> dict[str, str]:
    return {"done": str(work.tenant_id)}


class Api:
    """An example function, and a client of it that says where it comes from."""

    def __init__(self, settings: Settings, signer: TokenSigner, clock: Clock) -> None:
        self.resources = Resources(settings, clock=clock)
        self.resources.use_keys(signer.jwks)
        events = EventHandlers(consumer="example")
        app = http_app(self.resources, title="example", routers=[public, tenant_routes], events=events)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),  # type: ignore[arg-type]
            base_url="http://example.test",
            headers={"X-Forwarded-For": f"1.1.1.1, {new_address()}"},
        )

    async def close(self) -> None:
        await self.client.aclose()
        await self.resources.close()


def new_address() -> str:
    return ".".join(str(secrets.randbelow(256)) for _ in range(4))


@pytest.fixture
async def api(function_settings: Settings, signer: TokenSigner, clock: Clock) -> AsyncIterator[Api]:
    opened = Api(function_settings.replace(ip_requests_per_minute=IP_LIMIT), signer, clock)
    yield opened
    await opened.close()


@pytest.fixture
def owner(functions: Functions, tenant: TenantId) -> dict[str, str]:
    return functions.authorization(tenant)


def rate(answer: httpx.Response) -> tuple[int, int, int]:
    limit, remaining, reset = (int(answer.headers[name]) for name in HEADERS)
    return limit, remaining, reset


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/open", {}, 200),
        ("GET", "/nowhere", {}, 404),
        ("DELETE", "/open", {}, 405),
        ("GET", "/mine", {}, 401),
        ("GET", "/mine", {"headers": {"Authorization": "Bearer x.y.z"}}, 401),
        ("POST", "/change", {"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415),
        ("POST", "/change", {"json": {"x": "x" * 2_000_000}}, 413),
        ("GET", "/open?a=%00", {}, 422),
    ],
)
async def test_answers_without_a_tenant_show_the_limit_of_the_address(
    api: Api, method: str, path: str, options: dict[str, object], status: int
) -> None:
    answer = await api.client.request(method, path, **options)  # type: ignore[arg-type]

    assert answer.status_code == status
    assert rate(answer)[:2] == (IP_LIMIT, IP_LIMIT - 1)
    assert 0 < rate(answer)[2] <= 60


async def test_a_tenants_answers_show_its_own_limit_whatever_their_status(
    api: Api, functions: Functions, new_tenant: TenantFactory
) -> None:
    pro = await new_tenant(tier="pro")
    viewer, trader = (functions.authorization(pro, role=role) for role in ("viewer", "trader"))

    first = await api.client.get("/mine", headers=trader)
    refused = await api.client.post("/change", headers=viewer)

    assert (first.status_code, rate(first)[:2]) == (200, (500, 499))
    assert (refused.status_code, rate(refused)[:2]) == (403, (500, 498))


async def test_over_the_tenants_limit_is_429_and_the_named_wait_is_enough(
    api: Api,
    functions: Functions,
    owner: dict[str, str],
    tenant: TenantId,
    clock: Clock,
    database: DatabaseUrls,
) -> None:
    await change_tenant(database, tenant, limit_overrides={"requests_per_minute": 5})
    for _ in range(5):
        assert (await api.client.get("/mine", headers=owner)).status_code == 200

    refused = await api.client.get("/mine", headers=owner)

    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["content-type"] == "application/problem+json"
    wait = int(refused.headers["retry-after"])
    assert rate(refused) == (5, 0, wait)
    clock.advance(seconds=wait)
    assert (await api.client.get("/mine", headers=owner)).status_code == 200


async def test_all_callers_of_a_tenant_share_its_limit_and_no_other_tenants(
    api: Api, functions: Functions, tenant: TenantId, other_tenant: TenantId, database: DatabaseUrls
) -> None:
    await change_tenant(database, tenant, limit_overrides={"requests_per_minute": 3})
    roles = [functions.authorization(tenant, role=role) for role in ("owner", "trader", "viewer", "owner")]

    statuses = [(await api.client.get("/mine", headers=headers)).status_code for headers in roles]

    assert statuses == [200, 200, 200, 429]
    neighbour = functions.authorization(other_tenant)
    assert (await api.client.get("/mine", headers=neighbour)).status_code == 200


async def test_an_address_over_its_limit_is_refused_before_anything_else(
    api: Api, owner: dict[str, str], clock: Clock
) -> None:
    mixed = [
        (await api.client.get(path, headers={"Authorization": "Bearer x.y.z"})).status_code
        for path in ("/open", "/mine", "/nowhere") * (IP_LIMIT // 3)
    ]
    assert set(mixed) == {200, 401, 404}

    for path in ("/open", "/mine", "/nowhere", "/open?a=%00"):
        refused = await api.client.get(path, headers=owner)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited"), path
        assert rate(refused)[:2] == (IP_LIMIT, 0)
        assert int(refused.headers["retry-after"]) >= 1
    elsewhere = {"X-Forwarded-For": f"{new_address()}"}
    assert (await api.client.get("/open", headers=elsewhere)).status_code == 200
    clock.advance(seconds=int(refused.headers["retry-after"]))
    assert (await api.client.get("/mine", headers=owner)).status_code == 200


async def test_what_a_client_writes_about_itself_opens_no_second_allowance(api: Api) -> None:
    remaining = []
    mine = api.client.headers["x-forwarded-for"].rpartition(" ")[2]
    for claimed in ("9.9.9.9", "8.8.8.8, 7.7.7.7", "not an address", ""):
        headers = {
            "X-Forwarded-For": f"{claimed}, {mine}",
            "X-Real-IP": "6.6.6.6",
            "Forwarded": "for=5.5.5.5",
        }
        remaining.append(rate(await api.client.get("/open", headers=headers))[1])

    assert remaining == [29, 28, 27, 26]


async def test_a_day_used_up_is_402_with_the_way_to_more(
    api: Api, owner: dict[str, str], tenant: TenantId, clock: Clock, database: DatabaseUrls
) -> None:
    await change_tenant(database, tenant, limit_overrides={"api_calls_per_day": 2})
    for _ in range(2):
        assert (await api.client.get("/mine", headers=owner)).status_code == 200

    spent = await api.client.get("/mine", headers=owner)

    document = spent.json()
    assert (spent.status_code, document["code"]) == (402, "quota_exceeded")
    assert (document["limit"], document["value"], document["quota"]) == (2, 2, "api_calls_per_day")
    assert document["upgrade_url"] == "/subscription/upgrade"
    assert 1 <= int(spent.headers["retry-after"]) <= 86_400
    assert rate(spent)[1] == 0
    # What leads out of it, and what lessens risk, still works.
    assert (await api.client.get("/subscription", headers=owner)).status_code == 200
    assert (await api.client.post("/lessen", headers=owner)).status_code == 200
    clock.advance(days=1)
    assert (await api.client.get("/mine", headers=owner)).status_code == 200


async def test_events_of_the_broker_are_not_limited(api: Api) -> None:
    answers = [
        await api.client.post("/", json={}, headers={"ce-type": "x", "ce-id": "1", "ce-source": "/x"})
        for _ in range(IP_LIMIT + 5)
    ]

    assert {answer.status_code for answer in answers} == {422}
    assert all(name not in answer.headers for answer in answers for name in HEADERS)


async def test_without_redis_requests_are_still_answered_and_limited(
    function_settings: Settings,
    signer: TokenSigner,
    functions: Functions,
    tenant: TenantId,
    database: DatabaseUrls,
) -> None:
    await change_tenant(database, tenant, limit_overrides={"requests_per_minute": 4})
    absent = Api(function_settings.replace(redis_url=Secret("redis://127.0.0.1:1/0")), signer, Clock())
    owner = functions.authorization(tenant)

    answers = [await absent.client.get("/mine", headers=owner) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    assert [rate(answer)[1] for answer in answers] == [3, 2, 1, 0, 0]
    await absent.close()
    async with absent.resources.database.tenant(tenant) as session:
        assert await session.fetchval("SELECT sum(calls) FROM call_backlog") == 4
    await absent.resources.database.close()


async def test_a_redis_that_dies_in_the_middle_costs_no_request(
    function_settings: Settings, signer: TokenSigner, functions: Functions, tenant: TenantId, tmp_path: Path
) -> None:
    server = EmbeddedRedis(tmp_path, password=secrets.token_urlsafe(16))
    server.start()
    api = Api(function_settings.replace(redis_url=Secret(server.url)), signer, Clock())
    owner = functions.authorization(tenant)
    try:
        before = [(await api.client.get("/mine", headers=owner)).status_code for _ in range(3)]
        running = [asyncio.create_task(api.client.get("/mine", headers=owner)) for _ in range(10)]
        server.kill()
        during = [answer.status_code for answer in await asyncio.gather(*running)]
        server.start()
        after = [(await api.client.get("/mine", headers=owner)).status_code for _ in range(3)]

        assert {200} == {*before, *during, *after}
        await api.resources.limiter.close()
        assert (await api.resources.limiter.calls_today(tenant) or 0) >= 13
    finally:
        await api.close()
        server.stop()
