"""What a tenant's state and a user's standing allow at this moment, whatever the token says."""

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from uuid_utils.compat import uuid7

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.data.errors import DatabaseUnavailable
from alphapulse.runtime.admission import any_role, open_when
from alphapulse.runtime.http import Work, http_app, tenant_router
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.settings import Secret, Settings
from alphapulse.tenancy import facts as facts_module
from alphapulse.tenancy.api_keys import new_api_key
from alphapulse.tenancy.facts import FactsCache
from alphapulse.tenancy.principal import Role, Tier
from alphapulse.tenancy.states import TenantStatus
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tokens import TokenSigner
from tests.conftest import TenantFactory
from tests.function.conftest import Functions
from tests.logins import login_of
from tests.tenants import change_tenant

SECONDS_PROMISED = 1.0

routes = tenant_router()


@routes.get("/things")
async def read(work: Work) -> dict[str, str]:
    return {"role": work.principal.role, "tier": work.principal.tier}


@routes.post("/things")
async def write(work: Work) -> dict[str, str]:
    return {"tenant": str(work.tenant_id)}


@routes.delete("/things")
@open_when(TenantStatus.SUSPENDED)
async def lessen(work: Work) -> dict[str, str]:
    return {"tenant": str(work.tenant_id)}


@routes.post("/auth/password")
@any_role
@open_when(TenantStatus.SUSPENDED, TenantStatus.CANCELLED)
async def change_password(work: Work) -> dict[str, str]:
    return {"tenant": str(work.tenant_id)}


@routes.post("/tenants/{tenant_id}/provisioning/retry")
async def retry(tenant_id: str, work: Work) -> dict[str, str]:
    return {"tenant": tenant_id}


@pytest.fixture
async def api(function_settings: Settings, signer: TokenSigner) -> AsyncIterator[httpx.AsyncClient]:
    resources = Resources(function_settings)
    resources.use_keys(signer.jwks)
    app = http_app(resources, title="example", routers=[routes])
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://example.test") as client:
        yield client
    await resources.close()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("active", {"read": "", "write": "", "lessen": "", "password": "", "retry": ""}),
        (
            "suspended",
            {
                "read": "",
                "write": "tenant_suspended",
                "lessen": "",
                "password": "",
                "retry": "tenant_suspended",
            },
        ),
        (
            "cancelled",
            {
                "read": "",
                "write": "tenant_cancelled",
                "lessen": "tenant_cancelled",
                "password": "",
                "retry": "tenant_cancelled",
            },
        ),
        *(
            (
                status,
                {
                    "read": "tenant_not_active",
                    "write": "tenant_not_active",
                    "lessen": "tenant_not_active",
                    "password": "",
                    "retry": "",
                },
            )
            for status in ("pending", "provisioning", "failed")
        ),
        ("deleted", dict.fromkeys(("read", "write", "lessen", "password", "retry"), "tenant_deleted")),
    ],
)
async def test_each_state_allows_what_its_row_of_the_table_says(
    api: httpx.AsyncClient,
    functions: Functions,
    new_tenant: TenantFactory,
    status: str,
    expected: dict[str, str],
) -> None:
    owner = functions.authorization(await new_tenant(status=status))
    calls = {
        "read": ("GET", "/things"),
        "write": ("POST", "/things"),
        "lessen": ("DELETE", "/things"),
        "password": ("POST", "/auth/password"),
        "retry": ("POST", "/tenants/1/provisioning/retry"),
    }

    found = {}
    for name, (method, path) in calls.items():
        answer = await api.request(method, path, headers=owner)
        found[name] = "" if answer.status_code == 200 else answer.json()["code"]
        assert answer.status_code == (200 if not found[name] else 401 if status == "deleted" else 403)

    assert found == expected


async def test_a_viewer_changes_nothing_but_what_is_their_own(
    api: httpx.AsyncClient, functions: Functions, tenant: TenantId
) -> None:
    viewer = functions.authorization(tenant, role="viewer")

    assert (await api.post("/things", headers=viewer)).status_code == 403
    assert (await api.delete("/things", headers=viewer)).status_code == 403
    assert (await api.post("/auth/password", headers=viewer)).status_code == 200


async def test_role_and_tier_are_those_of_now_and_not_of_the_token(
    api: httpx.AsyncClient, functions: Functions, tenant: TenantId, database: DatabaseUrls
) -> None:
    token_of_before = functions.authorization(tenant, role="trader", tier="enterprise")
    await as_platform(database, tenant, "UPDATE users SET role = 'viewer' WHERE id = $1", role="trader")

    answer = await api.get("/things", headers=token_of_before)

    assert answer.json() == {"role": "viewer", "tier": "starter"}
    assert (await api.post("/things", headers=token_of_before)).status_code == 403


END_OF_A_LOGIN = {
    "login revoked": "UPDATE sessions SET revoked_at = now() WHERE user_id = $1",
    "login expired": "UPDATE sessions SET expires_at = now() - interval '1 second' WHERE user_id = $1",
    "login gone": "DELETE FROM sessions WHERE user_id = $1",
    "user disabled": "UPDATE users SET status = 'disabled' WHERE id = $1",
    "user gone": "DELETE FROM users WHERE id = $1",
}


@pytest.mark.parametrize("how", END_OF_A_LOGIN)
async def test_a_token_outlives_its_login_by_no_more_than_a_second(
    api: httpx.AsyncClient, functions: Functions, tenant: TenantId, database: DatabaseUrls, how: str
) -> None:
    owner, trader = functions.authorization(tenant), functions.authorization(tenant, role="trader")
    assert (await api.get("/things", headers=owner)).status_code == 200
    await as_platform(database, tenant, END_OF_A_LOGIN[how])
    ended = time.monotonic()

    while (answer := await api.get("/things", headers=owner)).status_code == 200:
        assert time.monotonic() - ended < SECONDS_PROMISED
        await asyncio.sleep(0.02)

    assert answer.status_code == 401
    assert answer.json()["code"] in ("session_ended", "invalid_token")
    assert (await api.get("/things", headers=trader)).status_code == 200


async def test_a_foreign_users_id_in_a_good_token_is_nobody(
    api: httpx.AsyncClient, signer: TokenSigner, tenant: TenantId, other_tenant: TenantId
) -> None:
    theirs = login_of(other_tenant)
    principal = type(theirs)(
        tenant_id=tenant,
        user_id=theirs.user_id,
        role=Role.OWNER,
        tier=Tier.STARTER,
        session_id=theirs.session_id,
    )
    token = signer.sign(principal, now=dt.datetime.now(dt.UTC), lifetime=dt.timedelta(hours=1))

    assert (await api.get("/things", headers={"Authorization": f"Bearer {token}"})).status_code == 401


async def test_an_api_key_may_do_what_both_it_and_its_user_may(
    api: httpx.AsyncClient, tenant: TenantId, database: DatabaseUrls
) -> None:
    key = new_api_key(tenant)
    insert = """INSERT INTO api_keys (tenant_id, id, user_id, name, prefix, key_hash, role)
        VALUES ($2, $3, $1, 'script', $4, $5, 'trader')"""
    await as_platform(database, tenant, insert, tenant.value, uuid7(), key.prefix, key.digest)
    headers = {"X-API-Key": key.text}

    assert (await api.get("/things", headers=headers)).json()["role"] == "trader"
    assert (await api.post("/things", headers=headers)).status_code == 200
    await as_platform(database, tenant, "UPDATE users SET role = 'viewer' WHERE id = $1")
    changed = time.monotonic()
    while (await api.post("/things", headers=headers)).status_code == 200:
        assert time.monotonic() - changed < SECONDS_PROMISED
        await asyncio.sleep(0.02)
    await change_tenant(database, tenant, status="deleted")
    changed = time.monotonic()
    while (await api.get("/things", headers=headers)).status_code == 200:
        assert time.monotonic() - changed < SECONDS_PROMISED
        await asyncio.sleep(0.02)


class CountedDatabase:
    """A tenant's database that counts transactions and can be made to fail."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self.asked = 0
        self.down = False

    def tenant(self, tenant_id: TenantId) -> object:
        self.asked += 1
        if self.down:
            raise DatabaseUnavailable("gone")
        return self.resources.database.tenant(tenant_id)


@pytest.fixture
async def counted(function_settings: Settings) -> AsyncIterator[CountedDatabase]:
    resources = Resources(function_settings)
    yield CountedDatabase(resources)
    await resources.close()


async def test_a_hundred_requests_at_once_ask_the_database_once(
    counted: CountedDatabase, tenant: TenantId
) -> None:
    facts = FactsCache(counted, clock=lambda: dt.datetime.now(dt.UTC))  # type: ignore[arg-type]

    found = await asyncio.gather(*(facts.of(login_of(tenant)) for _ in range(100)))

    assert counted.asked == 1
    assert {fact.live for fact in found if fact is not None} == {True}
    await facts.of(login_of(tenant))
    assert counted.asked == 1


async def test_while_the_database_is_away_what_is_known_holds_for_a_few_seconds_only(
    counted: CountedDatabase, tenant: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = FactsCache(counted, clock=lambda: dt.datetime.now(dt.UTC))  # type: ignore[arg-type]
    login, started = login_of(tenant), time.monotonic()
    assert await facts.of(login) is not None
    counted.down = True

    class Later:
        offset = 0.0

        @classmethod
        def monotonic(cls) -> float:
            return started + cls.offset

    monkeypatch.setattr(facts_module, "time", Later)
    Later.offset = 2.5
    assert await facts.of(login) is not None
    Later.offset = 3.5
    with pytest.raises(DatabaseUnavailable):
        await facts.of(login)
    with pytest.raises(DatabaseUnavailable):
        await facts.of(login_of(tenant, role="viewer"))


async def test_without_the_database_a_request_is_503(
    function_settings: Settings, signer: TokenSigner, functions: Functions, tenant: TenantId
) -> None:
    settings = function_settings.replace(database_url=Secret("postgresql://u:p@127.0.0.1:1/alphapulse"))
    resources = Resources(settings)
    resources.use_keys(signer.jwks)
    app = http_app(resources, title="example", routers=[routes])
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://example.test") as client:
        answer = await client.get("/things", headers=functions.authorization(tenant))

    assert (answer.status_code, answer.json()["code"]) == (503, "dependency_down")
    assert int(answer.headers["retry-after"]) >= 1
    assert "ratelimit-limit" in answer.headers
    await resources.close()


async def as_platform(
    database: DatabaseUrls, tenant: TenantId, statement: str, *args: object, role: str = "owner"
) -> None:
    connection = await asyncpg.connect(database.platform)
    try:
        await connection.execute(statement, login_of(tenant, role=role).user_id, *args)
    finally:
        await connection.close()
