"""Vault killed, down, hung or not Vault at all: what functions see, and what is lost (nothing)."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from alphapulse.runtime.problems import as_function_error
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.vault import (
    AppRoleLogin,
    VaultConnection,
    VaultDenied,
    VaultServer,
    VaultUnavailable,
    transport,
)
from alphapulse_local.embedded.secret_store import EmbeddedSecretStore
from tests.contract.vault.rig import Rig

_KRAKEN = ("exchanges", "kraken")


async def test_what_was_acknowledged_survives_kill_9(vault: Rig, store: EmbeddedSecretStore) -> None:
    tenant_id = await vault.new_tenant()
    async with vault.connection("credentials") as connection:
        own = connection.tenant(tenant_id)
        for round_ in range(3):
            for number in range(5):
                await own.write("exchanges", f"e{number}", data={"round": str(round_)})
            store.kill()
            store.start()

            # The login, the tenant's token and its policy are still good.
            found = [await own.read("exchanges", f"e{number}") for number in range(5)]
            assert [(secret and secret.data["round"], secret and secret.version) for secret in found] == [
                (str(round_), round_ + 1)
            ] * 5
        assert connection.session.logins == 1


async def test_a_kill_in_the_middle_of_writes_leaves_each_whole_or_undone(
    vault: Rig, store: EmbeddedSecretStore
) -> None:
    tenant_id, acknowledged = await vault.new_tenant(), 0
    async with vault.connection("credentials") as connection:
        own = connection.tenant(tenant_id)
        killer = threading.Timer(0.3, store.kill)
        killer.start()
        with contextlib.suppress(VaultUnavailable):
            while True:
                acknowledged = await own.write(*_KRAKEN, data={"a": "x" * 2000})
        killer.join()
        store.start()
        secret = await own.read(*_KRAKEN)

    assert acknowledged > 0
    assert secret is not None
    # The one under way may have been stored without its answer having been sent.
    assert secret.version - acknowledged in (0, 1)
    assert secret.data == {"a": "x" * 2000}


async def test_while_it_is_down_known_secrets_are_stale_and_unknown_ones_unavailable(
    vault: Rig, store: EmbeddedSecretStore
) -> None:
    tenant_id, now = await vault.new_tenant(), [0.0]
    async with vault.connection("credentials", clock=lambda: now[0]) as connection:
        own = connection.tenant(tenant_id)
        await own.write(*_KRAKEN, data={"api_key": "k"})
        await own.read(*_KRAKEN)
        store.stop()
        now[0] = 3599
        stale = await own.read(*_KRAKEN)

        assert stale is not None
        assert (dict(stale.data), stale.stale) == ({"api_key": "k"}, True)
        for call in (own.read("exchanges", "binance"), own.write(*_KRAKEN, data={"a": "b"}), own.list()):
            with pytest.raises(VaultUnavailable):
                await call
        # A write whose fate is unknown: what was remembered may be wrong by now.
        with pytest.raises(VaultUnavailable):
            await own.read(*_KRAKEN)

        store.start()
        again = await own.read(*_KRAKEN)
        assert again is not None
        assert not again.stale


async def test_after_an_hour_a_stale_secret_is_no_longer_given(
    vault: Rig, store: EmbeddedSecretStore
) -> None:
    tenant_id, now = await vault.new_tenant(), [0.0]
    async with vault.connection("credentials", clock=lambda: now[0]) as connection:
        own = connection.tenant(tenant_id)
        await own.write(*_KRAKEN, data={"api_key": "k"})
        await own.read(*_KRAKEN)
        store.stop()
        now[0] = 3601

        with pytest.raises(VaultUnavailable) as raised:
            await own.read(*_KRAKEN)

    answer = as_function_error(raised.value)
    assert (answer.status, answer.code, answer.retry_after_seconds) == (503, "dependency_down", 2)


async def test_denied_is_not_down_so_no_stale_value_is_given(vault: Rig) -> None:
    tenant_id, now = await vault.new_tenant(), [0.0]
    async with vault.connection("credentials", clock=lambda: now[0]) as connection:
        own = connection.tenant(tenant_id)
        await own.write(*_KRAKEN, data={"api_key": "k"})
        await own.read(*_KRAKEN)
        vault.ask("DELETE", f"sys/policies/acl/tenant-{tenant_id}")
        now[0] = 301

        with pytest.raises(VaultDenied):
            await own.read(*_KRAKEN)


async def test_many_readers_of_many_tenants_cost_one_login_and_two_requests_a_tenant(vault: Rig) -> None:
    tenants = [await vault.new_tenant() for _ in range(20)]
    async with vault.connection("credentials") as writer:
        for tenant_id in tenants:
            await writer.tenant(tenant_id).write(*_KRAKEN, data={"api_key": "k"})
    async with vault.connection("credentials") as connection:
        await asyncio.gather(
            *(connection.tenant(tenant_id).read(*_KRAKEN) for _ in range(50) for tenant_id in tenants)
        )

        assert connection.requests_sent == 1 + 20 + 20


@pytest.fixture
def hung() -> Iterator[str]:
    """An address that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _login(directory: Path) -> AppRoleLogin:
    for name in ("role-id", "secret-id"):
        (directory / name).write_text("a-login-nobody-may-see")
    return AppRoleLogin(directory / "role-id", directory / "secret-id")


async def test_a_server_that_hangs_is_given_up_and_never_blocks_the_event_loop(
    hung: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_ANSWER_TIMEOUT_SECONDS", 0.5)
    connection = VaultConnection(VaultServer(hung), _login(tmp_path))
    reading = asyncio.create_task(connection.tenant(TenantId.new()).read(*_KRAKEN))
    turns, began = 0, time.monotonic()
    while not reading.done():
        await asyncio.sleep(0.005)
        turns += 1
    with pytest.raises(VaultUnavailable) as raised:
        await reading
    await connection.close()

    assert turns > 20
    assert time.monotonic() - began < 10
    assert "a-login-nobody-may-see" not in f"{raised.value!r}"


async def test_those_who_wait_for_a_silent_server_are_not_each_made_to_wait_in_turn(
    hung: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_ANSWER_TIMEOUT_SECONDS", 0.5)
    vault_transport = transport.VaultTransport(VaultServer(hung))
    began = time.monotonic()
    done = await asyncio.gather(
        *(
            vault_transport.send(_login(tmp_path), token=None, what=f"request {number}")
            for number in range(100)
        ),
        return_exceptions=True,
    )
    await vault_transport.close()

    assert {isinstance(each, VaultUnavailable) for each in done} == {True}
    # One after the other, four at a time, they would take 12 s.
    assert time.monotonic() - began < 6


class _Elsewhere(BaseHTTPRequestHandler):
    """Sends every request to another place, and remembers what arrives there."""

    seen: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(f"{self.path} {body!r}")
        self.send_response(307)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


async def test_a_login_follows_no_redirect(tmp_path: Path) -> None:
    handler = type("Handler", (_Elsewhere,), {"seen": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        connection = VaultConnection(
            VaultServer(f"http://127.0.0.1:{server.server_address[1]}"), _login(tmp_path)
        )
        with pytest.raises(VaultUnavailable):
            await connection.tenant(TenantId.new()).read(*_KRAKEN)
        await connection.close()
        server.shutdown()

    assert [line.split()[0] for line in handler.seen] == ["/v1/auth/approle/login"]  # type: ignore[attr-defined]


async def test_a_login_without_its_files_is_denied_and_named(vault: Rig, tmp_path: Path) -> None:
    login = AppRoleLogin(tmp_path / "role-id", tmp_path / "secret-id")
    connection = VaultConnection(VaultServer(vault.address), login)
    with pytest.raises(VaultDenied, match="no login to Vault without role-id"):
        await connection.tenant(TenantId.new()).read(*_KRAKEN)
    await connection.close()


async def test_a_rotated_secret_id_is_picked_up_without_a_restart(vault: Rig) -> None:
    tenant_id = await vault.new_tenant()
    login = vault.login("credentials")
    old = login.secret_id_file.read_text()
    async with vault.connection("credentials") as connection:
        await connection.tenant(tenant_id).read(*_KRAKEN)
        new = vault.ask("POST", "auth/approle/role/credentials/secret-id", {})[1]["data"]["secret_id"]
        login.secret_id_file.write_text(new)
        vault.ask("POST", "auth/approle/role/credentials/secret-id/destroy", {"secret_id": old})
        vault.ask("POST", "auth/token/revoke-self", {}, token=await connection.session._token())

        assert await connection.tenant(await vault.new_tenant()).read(*_KRAKEN) is None
        assert connection.session.logins == 2
