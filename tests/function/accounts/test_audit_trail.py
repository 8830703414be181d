"""The audit log as a tenant's owner reads it."""

import asyncpg
import pytest

from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.postgres import EmbeddedPostgres
from tests.function.accounts.conftest import People, Person


async def act(owner: Person, times: int) -> None:
    for number in range(times):
        await owner.api.post("/auth/api-keys", json={"name": f"key {number}"})


async def test_an_owner_reads_what_was_done_page_by_page(owner: Person) -> None:
    await act(owner, 4)

    first = (await owner.api.get("/tenants/me/audit", params={"limit": 3})).json()
    second = (await owner.api.get("/tenants/me/audit", params={"cursor": first["next_cursor"]})).json()

    items = first["items"] + second["items"]
    assert [item["sequence"] for item in items] == [5, 4, 3, 2, 1]
    assert [item["action"] for item in items] == ["api_key.created"] * 4 + ["user.logged_in"]
    assert {("user", owner.user_id)} == {(item["actor_type"], item["actor_id"]) for item in items}
    assert (first["verified"], second["verified"], second["next_cursor"]) == (True, True, None)
    assert all(item["trace_id"] for item in items)


@pytest.mark.parametrize("role", ["trader", "viewer", "platform_admin"])
async def test_others_than_owners_do_not(people: People, tenant: TenantId, role: str) -> None:
    person = await (await people(tenant, role)).log_in()

    assert (await person.api.get("/tenants/me/audit")).status_code == 403


async def test_another_tenants_entries_are_not_in_it(owner: Person, stranger: Person) -> None:
    await act(owner, 2)

    items = (await stranger.api.get("/tenants/me/audit")).json()["items"]

    assert [stranger.user_id] == [item["actor_id"] for item in items]


async def test_an_entry_that_was_changed_shows_so(
    owner: Person, postgres: EmbeddedPostgres, tenant: TenantId
) -> None:
    await act(owner, 3)
    superuser = await asyncpg.connect(
        postgres.url(database="alphapulse"), server_settings={"search_path": "alphapulse"}
    )
    await superuser.execute("SET session_replication_role = replica")
    change = "UPDATE audit_log SET actor_id = 'x' WHERE tenant_id = $1 AND sequence = 2"
    await superuser.execute(change, tenant.value)
    await superuser.close()

    trail = (await owner.api.get("/tenants/me/audit")).json()

    assert trail["verified"] is False
    assert [item["sequence"] for item in trail["items"] if not item["verified"]] == [2]


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "cursor=0", "cursor=x", f"cursor={2**63}"])
async def test_a_bad_page_is_422(owner: Person, query: str) -> None:
    assert (await owner.api.get(f"/tenants/me/audit?{query}")).status_code == 422
