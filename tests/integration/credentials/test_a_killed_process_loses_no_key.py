"""`kill -9` of the credentials process between Vault and the database."""

import asyncio
import contextlib
import datetime as dt
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tokens import TokenSigner
from alphapulse_local.embedded.process import free_port, log_tail, stop
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.exchange_simulators.running import RunningExchanges
from tests.logins import login_of
from tests.processes import ROOT, minimal_environment
from tests.vault_for_functions import FunctionVault, running_vault

DEADLINE_SECONDS = 30
HOLD_NEW_ROW = """INSERT INTO tenant_credentials (tenant_id, id, exchange, key_hint)
    VALUES ($1, gen_random_uuid(), 'binance', 'held')"""
HOLD_ROW = "SELECT 1 FROM tenant_credentials FOR UPDATE"


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await condition():
            await asyncio.sleep(0.02)


@pytest.fixture
async def neighbours(signing_key: bytes) -> AsyncIterator[str]:
    """One server for what the process asks for: public keys, and a broker that takes every event."""
    jwks = orjson.dumps(TokenSigner(signing_key).jwks)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            status, body = (b"200 OK", jwks) if head.startswith(b"GET") else (b"202 Accepted", b"")
            writer.write(
                b"HTTP/1.1 %s\r\ncontent-type: application/json\r\nconnection: close\r\n"
                b"content-length: %d\r\n\r\n%s" % (status, len(body), body)
            )
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


@pytest.fixture
def exchanges() -> Iterator[RunningExchanges]:
    simulated = RunningExchanges()
    simulated.start()
    yield simulated
    simulated.stop()


@pytest.fixture
def vault(tmp_path: Path, tenant: TenantId) -> Iterator[FunctionVault]:
    with running_vault(tmp_path) as running:
        running.admit(tenant)
        yield running


class CredentialsProcess:
    """`python -m alphapulse.serve` of the credentials function."""

    def __init__(self, environment: dict[str, str], folder: Path, headers: dict[str, str]) -> None:
        self.environment = environment
        self.log = folder / "credentials.log"
        self.headers = headers
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    async def start(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "alphapulse.serve"],
                cwd=ROOT,
                env=minimal_environment() | self.environment | {"PORT": str(port)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        await eventually(self._is_ready)

    def kill(self) -> None:
        if self.process is not None:
            stop(self.process, how=signal.SIGKILL)

    async def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        async with httpx.AsyncClient(timeout=DEADLINE_SECONDS, trust_env=False) as client:
            return await client.request(method, self.url + path, json=body, headers=self.headers)

    async def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, log_tail(self.log)
        async with httpx.AsyncClient(trust_env=False) as client:
            with contextlib.suppress(httpx.TransportError):
                return (await client.get(f"{self.url}/ready")).status_code == 200
        return False


@pytest.fixture
async def process(
    database: DatabaseUrls,
    redis_server: EmbeddedRedis,
    neighbours: str,
    signing_key: bytes,
    tenant: TenantId,
    vault: FunctionVault,
    exchanges: RunningExchanges,
) -> AsyncIterator[CredentialsProcess]:
    now = dt.datetime.now(dt.UTC)
    token = TokenSigner(signing_key).sign(login_of(tenant), now=now, lifetime=dt.timedelta(hours=1))
    environment = {
        "FUNCTION": "credentials",
        "HOST": "127.0.0.1",
        "DATABASE_URL": database.app,
        "REDIS_URL": redis_server.url,
        "JWKS_URL": f"{neighbours}/.well-known/jwks.json",
        "BROKER_URL": f"{neighbours}/alphapulse/default",
        "VAULT_ADDR": vault.store.url,
        "VAULT_ROLE_ID_FILE": str(vault.role_id_file),
        "VAULT_SECRET_ID_FILE": str(vault.secret_id_file),
        **exchanges.environment,
    }
    running = CredentialsProcess(
        environment, vault.store.directory.parent, {"Authorization": f"Bearer {token}"}
    )
    await running.start()
    yield running
    running.kill()


class _Release(Exception):
    """Ends a transaction that only held something, without a trace."""


async def _killed_before_its_commit(
    process: CredentialsProcess,
    request: Awaitable[httpx.Response],
    *,
    written: Callable[[], Awaitable[bool]],
    database: Database,
    tenant: TenantId,
    hold: tuple[Any, ...],
) -> None:
    """Send the request, and kill the process when Vault has the key and the row waits."""
    with contextlib.suppress(_Release):
        async with database.tenant(tenant) as holder:
            await holder.execute(*hold)
            sent = asyncio.ensure_future(request)
            await eventually(written)
            process.kill()
            raise _Release
    with pytest.raises(httpx.TransportError):
        await sent


async def test_key_whose_row_was_never_committed_is_not_there_and_the_next_one_takes_its_place(
    process: CredentialsProcess,
    tenant: TenantId,
    app_database: Database,
    vault: FunctionVault,
    exchanges: RunningExchanges,
) -> None:
    async def written() -> bool:
        return await asyncio.to_thread(vault.versions, tenant, "binance") == [1]

    await _killed_before_its_commit(
        process,
        process.send("POST", "/credentials", exchanges.binance_key()),
        written=written,
        database=app_database,
        tenant=tenant,
        hold=(HOLD_NEW_ROW, tenant.value),
    )
    await process.start()
    assert (await process.send("GET", "/credentials")).json()["items"] == []

    again = await process.send("POST", "/credentials", body := exchanges.binance_key())

    assert (again.status_code, again.json()["version"]) == (201, 2), again.text
    assert vault.versions(tenant, "binance") == [2]
    stored = vault.secret(tenant, "binance")
    assert stored is not None
    assert stored["api_secret"] == body["api_secret"]
    log = process.log.read_text()
    assert body["api_secret"] not in log
    assert all(json.loads(line) for line in log.splitlines() if line.startswith("{"))


async def test_rotation_whose_row_was_never_committed_leaves_the_old_key_in_use(
    process: CredentialsProcess,
    tenant: TenantId,
    app_database: Database,
    vault: FunctionVault,
    exchanges: RunningExchanges,
) -> None:
    old, lost, new = (exchanges.binance_key() for _ in range(3))
    for body in (lost, new):
        del body["exchange"]
    path = "/credentials/" + (await process.send("POST", "/credentials", old)).json()["id"]

    async def written() -> bool:
        return await asyncio.to_thread(vault.versions, tenant, "binance") == [1, 2]

    await _killed_before_its_commit(
        process,
        process.send("PUT", path, lost),
        written=written,
        database=app_database,
        tenant=tenant,
        hold=(HOLD_ROW,),
    )
    await process.start()
    # Were the lost one in use, the exchange would refuse it.
    del exchanges.binance.keys[lost["api_key"]]
    checked = await process.send("POST", f"{path}/check")
    rotated = await process.send("PUT", path, new)

    assert (checked.json()["status"], checked.json()["version"]) == ("valid", 1)
    assert (rotated.status_code, rotated.json()["version"]) == (200, 3)
    assert vault.versions(tenant, "binance") == [1, 3]
