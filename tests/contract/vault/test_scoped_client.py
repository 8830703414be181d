"""What functions use: a tenant's view of its own secrets, and the platform's work on tenants and keys."""

import asyncio

import pytest

from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.vault import CasMismatch, PlatformVault, VaultDenied, VaultSecret
from tests.contract.vault.rig import Rig

_KRAKEN = ("exchanges", "kraken")


async def test_what_a_tenant_writes_it_reads_lists_and_deletes(vault: Rig) -> None:
    tenant_id = await vault.new_tenant()
    async with vault.connection("credentials") as connection:
        own = connection.tenant(tenant_id)

        assert await own.read(*_KRAKEN) is None
        assert await own.list() == []
        assert await own.write(*_KRAKEN, data={"api_key": "k", "api_secret": "s"}) == 1
        assert await own.read(*_KRAKEN) == VaultSecret({"api_key": "k", "api_secret": "s"}, version=1)
        assert await own.list() == ["exchanges/"]
        assert await own.list("exchanges") == ["kraken"]
        await own.delete(*_KRAKEN)
        assert await own.read(*_KRAKEN) is None
        assert await own.list("exchanges") == []


async def test_an_older_version_is_readable_until_it_is_destroyed(vault: Rig) -> None:
    tenant_id = await vault.new_tenant()
    async with vault.connection("credentials") as connection:
        own = connection.tenant(tenant_id)
        for value in ("old", "new"):
            await own.write(*_KRAKEN, data={"api_key": value})
        before = await own.read(*_KRAKEN, version=1)

        await own.destroy(*_KRAKEN, versions=[1])

        assert before == VaultSecret({"api_key": "old"}, version=1)
        assert await own.read(*_KRAKEN, version=1) is None
        assert await own.read(*_KRAKEN) == VaultSecret({"api_key": "new"}, version=2)


async def test_versions_tell_what_a_writer_must_name_and_what_is_not_destroyed(vault: Rig) -> None:
    tenant_id = await vault.new_tenant()
    async with vault.connection("credentials") as connection:
        own = connection.tenant(tenant_id)
        none = await own.versions(*_KRAKEN)
        for value in ("one", "two", "three"):
            await own.write(*_KRAKEN, data={"api_key": value})

        await own.destroy(*_KRAKEN, versions=[1, 3])

        left = await own.versions(*_KRAKEN)
        assert (none.newest, none.kept) == (0, ())
        assert (left.newest, left.kept) == (3, (2,))
        assert await own.write(*_KRAKEN, data={"api_key": "four"}, cas=left.newest) == 4
        await own.delete(*_KRAKEN)
        assert (await own.versions(*_KRAKEN)).newest == 0


async def test_of_two_writers_at_once_one_learns_that_it_was_late(vault: Rig) -> None:
    tenant_id = await vault.new_tenant()
    async with vault.connection("credentials") as connection:
        own = connection.tenant(tenant_id)
        done = await asyncio.gather(
            *(own.write(*_KRAKEN, data={"api_key": str(n)}, cas=0) for n in range(4)), return_exceptions=True
        )

    assert done.count(1) == 1
    assert sum(isinstance(each, CasMismatch) for each in done) == 3


async def test_a_tenant_without_a_policy_is_denied(vault: Rig) -> None:
    async with vault.connection("credentials") as connection:
        with pytest.raises(VaultDenied):
            await connection.tenant(TenantId.new()).read(*_KRAKEN)


async def test_one_connection_serves_many_tenants_each_with_its_own_secrets(vault: Rig) -> None:
    tenants = [await vault.new_tenant() for _ in range(5)]
    async with vault.connection("credentials") as connection:
        views = {tenant_id: connection.tenant(tenant_id) for tenant_id in tenants}
        await asyncio.gather(
            *(view.write(*_KRAKEN, data={"owner": str(tenant_id)}) for tenant_id, view in views.items())
        )
        found = await asyncio.gather(*(view.read(*_KRAKEN) for view in views.values()))

    assert [secret and secret.data["owner"] for secret in found] == [str(tenant_id) for tenant_id in tenants]


@pytest.mark.parametrize(
    "parts",
    [
        ("..", "x"),
        (".", "x"),
        ("exchanges/kraken",),
        ("exchanges", ""),
        (" ",),
        ("*",),
        ("+",),
        ("a%2fb",),
        ("a%00",),
        ("a\n",),
        ("a?version=1",),
        ("a#b",),
        ("..\\x",),
        ("x" * 65,),
        ("ä",),
        ("{{identity.entity.id}}",),
    ],
    ids=repr,
)
async def test_no_part_leads_out_of_the_tenants_subtree(vault: Rig, parts: tuple[str, ...]) -> None:
    async with vault.connection("credentials") as connection:
        own = connection.tenant(TenantId.new())
        for call in (own.read, own.delete, own.list):
            with pytest.raises(ValueError, match="not a part of a secret's path"):
                await call(*parts)
        with pytest.raises(ValueError, match="not a part of a secret's path"):
            await own.write(*parts, data={"a": "b"})
        with pytest.raises(ValueError, match="not a part of a secret's path"):
            own.forget(*parts)
        assert connection.requests_sent == 0


async def test_only_a_tenant_id_names_a_tenant(vault: Rig) -> None:
    async with vault.connection("credentials") as connection:
        with pytest.raises(TypeError, match="TenantId"):
            connection.tenant("../platform")  # type: ignore[arg-type]


async def test_an_expired_login_is_made_anew(vault: Rig) -> None:
    tenant_id, now = await vault.new_tenant(), [0.0]
    async with vault.connection("credentials", clock=lambda: now[0]) as connection:
        own = connection.tenant(tenant_id)
        await own.write(*_KRAKEN, data={"a": "b"})
        now[0] += 1250  # the login's 1,200 s and the tenant token's 300 s are over
        assert await own.read(*_KRAKEN) is not None

        assert connection.session.logins == 2


async def test_a_login_is_renewed_before_it_ends(vault: Rig) -> None:
    tenant_id, now = await vault.new_tenant(), [0.0]
    async with vault.connection("credentials", clock=lambda: now[0]) as connection:
        own = connection.tenant(tenant_id)
        await own.write(*_KRAKEN, data={"a": "b"})
        for _ in range(4):
            now[0] += 900
            assert await own.read(*_KRAKEN) is not None

        assert connection.session.logins == 1


async def test_a_revoked_login_is_made_anew_at_the_next_need(vault: Rig) -> None:
    first, second = await vault.new_tenant(), await vault.new_tenant()
    async with vault.connection("credentials") as connection:
        await connection.tenant(first).write(*_KRAKEN, data={"a": "b"})
        token = await connection.session._token()
        assert vault.ask("POST", "auth/token/revoke-self", {}, token=token)[0] in (200, 204)

        assert await connection.tenant(second).write(*_KRAKEN, data={"a": "b"}) == 1
        assert connection.session.logins == 2


async def test_a_denied_request_does_not_log_in_again_and_again(vault: Rig) -> None:
    async with vault.connection("credentials") as connection:
        platform = PlatformVault(connection)
        for _ in range(3):
            with pytest.raises(VaultDenied):
                await platform.create_tenant(TenantId.new())

        assert connection.session.logins == 1


async def test_a_tenant_is_made_twice_found_and_removed_with_everything(vault: Rig) -> None:
    tenant_id, neighbour = TenantId.new(), await vault.new_tenant()
    async with (
        vault.connection("provision-compensate") as login,
        vault.connection("provision-verify") as connection,
    ):
        platform = PlatformVault(login)
        assert not await platform.tenant_exists(tenant_id)
        await platform.create_tenant(tenant_id)
        await platform.create_tenant(tenant_id)
        assert await platform.tenant_exists(tenant_id)
        for owner in (tenant_id, neighbour):
            await connection.tenant(owner).write("exchanges", "kraken", data={"a": "b"})
            await connection.tenant(owner).write("a", "b", "c", data={"a": "b"})
        assert await platform.tenants_left(tenant_id) == [
            f"policy tenant-{tenant_id}",
            f"secret tenants/{tenant_id}/a/b/c",
            f"secret tenants/{tenant_id}/exchanges/kraken",
        ]

        await platform.remove_tenant(tenant_id)
        await platform.remove_tenant(tenant_id)

        assert await platform.tenants_left(tenant_id) == []
        assert not await platform.tenant_exists(tenant_id)
        assert len(await platform.tenants_left(neighbour)) == 3
        with pytest.raises(VaultDenied):
            await connection.tenant(tenant_id).read("a", "b", "c", version=1)


async def test_a_policy_that_was_tampered_with_is_not_taken_for_the_tenants(vault: Rig) -> None:
    tenant_id = await vault.new_tenant()
    vault.ask("PUT", f"sys/policies/acl/tenant-{tenant_id}", {"policy": "# nothing"})
    async with vault.connection("provision-compensate") as connection:
        platform = PlatformVault(connection)

        assert not await platform.tenant_exists(tenant_id)
        await platform.create_tenant(tenant_id)
        assert await platform.tenant_exists(tenant_id)


async def test_processes_that_start_at_once_agree_on_the_first_signing_key(vault: Rig) -> None:
    vault.ask("DELETE", "secret/metadata/platform/token-signing")
    vault.set_up()
    async with vault.connection("accounts") as one, vault.connection("accounts") as two:
        first, second = await asyncio.gather(
            PlatformVault(one).signing_keys(), PlatformVault(two).signing_keys()
        )

    assert first == second
    assert first.previous is None
    assert first.current.startswith(b"-----BEGIN PRIVATE KEY-----")


async def test_a_rotation_keeps_the_key_before_and_no_older_one(vault: Rig) -> None:
    async with vault.connection("accounts") as connection:
        platform = PlatformVault(connection)
        before = await platform.signing_keys()
        after = await platform.rotate_signing_key(before)
        late = await platform.rotate_signing_key(before)
        last = await platform.rotate_signing_key(after)

    assert late == after, "who has not seen the last rotation rotates nothing"
    assert after.previous == before.current
    assert last.previous == after.current
    assert len({before.current, after.current, last.current}) == 3
    assert "PRIVATE" not in repr(last)
    old = vault.ask("GET", f"secret/data/platform/token-signing?version={before.version}")
    assert before.current.decode().splitlines()[1] not in str(old)
