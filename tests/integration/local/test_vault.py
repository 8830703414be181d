"""Vault on the laptop: who gets a login, where it comes from, and what a second start finds."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.vault import AppRoleLogin, PlatformVault, VaultConnection, VaultServer
from alphapulse_local.children import Children
from alphapulse_local.embedded.process import ServerDidNotStart
from alphapulse_local.embedded.secret_store import EmbeddedSecretStore
from alphapulse_local.embedded.vault_server import vault_binary
from alphapulse_local.manifests import FunctionManifest, ManifestError, Manifests
from alphapulse_local.options import REPOSITORY
from alphapulse_local.state import StateDirectory
from alphapulse_local.vault import Vault

NewVault = Callable[..., Vault]


class _Silent:
    def note(self, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""


def _manifests(mounts: Mapping[str, str]) -> Manifests:
    """Return functions, each with one Secret mounted."""
    functions = {
        name: FunctionManifest(
            name=name,
            path=Path(f"{name}.yaml"),
            variables=(),
            config_maps=(),
            secrets=(),
            secret_mounts={"/secrets": secret},
            container_concurrency=0,
            timeout_seconds=1,
            window_seconds=1,
            health_path="/health",
        )
        for name, secret in mounts.items()
    }
    return Manifests(functions=functions, routes=(), schedules=(), config_maps={})


@pytest.fixture
async def new_vault(tmp_path: Path) -> AsyncIterator[NewVault]:
    """Build the laptop's Vault over one state directory; what was started is stopped."""
    made = []

    def build(mounts: Mapping[str, str], **environment: str) -> Vault:
        state = StateDirectory(tmp_path / "state")
        state.create()
        vault = Vault(
            REPOSITORY,
            state,
            {"PATH": os.environ["PATH"], **environment},
            manifests=_manifests(mounts),
            processes=Children(state.run, state.logs),
            reporter=_Silent(),
        )
        made.append(vault)
        return vault

    yield build
    for vault in made:
        await vault.stop()


async def _works(vault: Vault, function: str) -> None:
    folder = vault.secret_directories()[f"vault-{function}"]
    login = AppRoleLogin(folder / "role-id", folder / "secret-id")
    connection = VaultConnection(VaultServer(vault.settings()["VAULT_ADDR"]), login)
    try:
        await PlatformVault(connection).create_tenant(TenantId.new())
    finally:
        await connection.close()


async def test_functions_that_mount_a_login_get_one_that_works(new_vault: NewVault) -> None:
    vault = new_vault({"provision-vault": "vault-provision-vault", "market": "other"})
    await vault.start()

    assert list(vault.secret_directories()) == ["vault-provision-vault"]
    assert "is not Vault" in vault.notes()
    await _works(vault, "provision-vault")


async def test_without_a_function_that_needs_it_nothing_is_started(new_vault: NewVault) -> None:
    vault = new_vault({"market": "other"}, VAULT_ADDR="http://127.0.0.1:1")
    await vault.start()

    assert (vault.supervisors, vault.settings()["VAULT_ADDR"], vault.notes()) == ({}, "", "")


async def test_a_second_start_finds_secrets_and_logins(new_vault: NewVault) -> None:
    mounts = {"provision-vault": "vault-provision-vault"}
    first = new_vault(mounts)
    await first.start()
    file = first.secret_directories()["vault-provision-vault"] / "secret-id"
    before = file.read_text()
    await first.stop()

    second = new_vault(mounts)
    await second.start()

    assert file.read_text() == before
    await _works(second, "provision-vault")


async def test_a_killed_store_is_started_again(new_vault: NewVault) -> None:
    vault = new_vault({"provision-vault": "vault-provision-vault"})
    await vault.start()
    supervisor = vault.supervisors["secret-store"]
    process = supervisor.server.process
    assert process is not None
    process.kill()
    async with asyncio.timeout(15):
        while supervisor.restarts == 0 or supervisor.state != "ready":
            await asyncio.sleep(0.05)

    await _works(vault, "provision-vault")


def test_the_login_of_another_function_is_refused(new_vault: NewVault) -> None:
    with pytest.raises(ManifestError, match="market mounts vault-accounts, the login of another"):
        new_vault({"market": "vault-accounts"})


async def test_a_function_without_policies_is_named(new_vault: NewVault) -> None:
    vault = new_vault({"market": "vault-market"})

    with pytest.raises(ManifestError, match="no policies of market"):
        await vault.start()


async def test_a_named_server_is_set_up_and_used(new_vault: NewVault, tmp_path: Path) -> None:
    store = EmbeddedSecretStore(tmp_path / "named")
    store.start()
    try:
        vault = new_vault(
            {"provision-vault": "vault-provision-vault"}, VAULT_ADDR=store.url, VAULT_TOKEN=store.root_token
        )
        await vault.start()

        assert vault.settings()["VAULT_ADDR"] == store.url
        assert vault.supervisors == {}
        await _works(vault, "provision-vault")
    finally:
        store.stop()


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"VAULT_ADDR": "http://127.0.0.1:1"}, "VAULT_TOKEN, an administrator's, is not"),
        ({"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": "t0ken-hidden"}, "Vault does not answer"),
    ],
)
async def test_a_named_server_that_cannot_be_used_ends_the_start_with_a_reason(
    new_vault: NewVault, environment: dict[str, str], message: str
) -> None:
    vault = new_vault({"credentials": "vault-credentials"}, **environment)

    with pytest.raises(ServerDidNotStart, match=message) as raised:
        await vault.start()
    assert "t0ken-hidden" not in str(raised.value)


def test_a_real_server_that_is_asked_for_and_not_there_is_told(
    new_vault: NewVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alphapulse_local.vault.vault_binary", lambda *_: None)

    with pytest.raises(ServerDidNotStart, match="make bao"):
        new_vault({"credentials": "vault-credentials"}, BAO="1", PATH=str(tmp_path))


@pytest.mark.skipif(
    vault_binary(REPOSITORY, os.environ.get("PATH", "")) is None,
    reason="no OpenBao or Vault in .tools/bin or on PATH; `make bao` gets one",
)
async def test_a_real_server_keeps_its_data_over_a_restart(new_vault: NewVault) -> None:
    mounts = {"provision-vault": "vault-provision-vault"}
    first = new_vault(mounts, BAO="1")
    await first.start()
    assert first.notes() == ""
    file = first.secret_directories()["vault-provision-vault"] / "secret-id"
    before = file.read_text()
    await first.stop()

    second = new_vault(mounts, BAO="1")
    await second.start()

    assert file.read_text() == before
    await _works(second, "provision-vault")
