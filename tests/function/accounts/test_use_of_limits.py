"""What a tenant is told of its limits and what it uses of them."""

import asyncio

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.tenancy.tenant import TenantId
from tests.function.conftest import Functions
from tests.tenants import change_tenant


async def test_calls_of_the_day_and_cached_bytes_are_shown_beside_the_limits(
    functions: Functions, tenant: TenantId, database: DatabaseUrls
) -> None:
    await change_tenant(database, tenant, limit_overrides={"requests_per_minute": 42})
    owner = functions.caller("accounts", tenant)
    await functions.resources("accounts").cache.tenant(tenant).put("signal", value="x" * 98, ttl_seconds=60)

    before = (await owner.get("/tenants/me")).json()
    await asyncio.gather(*(owner.get("/tenants/me") for _ in range(5)))
    after = await owner.get("/tenants/me")

    assert before["usage"] == {"open_positions": 0, "api_calls_today": 1, "cache_bytes": 100}
    assert after.json()["usage"]["api_calls_today"] == 7
    assert before["limits"]["requests_per_minute"] == 42
    assert before["limits"]["api_calls_per_day"] == 10_000
    assert after.headers["ratelimit-limit"] == "42"
