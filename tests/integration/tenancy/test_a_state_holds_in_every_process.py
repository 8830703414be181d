"""A suspension, seen from two processes of two functions: it holds in both within a second."""

import asyncio
import contextlib
import datetime as dt
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tokens import TokenSigner
from alphapulse_local.embedded.process import free_port, log_tail, stop
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.logins import login_of
from tests.processes import ROOT, minimal_environment
from tests.tenants import change_tenant

START_SECONDS = 30
SECONDS_PROMISED = 1.0
HALF_AN_ORDER = {"symbol": "BTC-USDT", "side": "buy", "type": "market", "quantity": "0"}


@pytest.fixture
async def keys_url(signing_key: bytes) -> AsyncIterator[str]:
    """The public keys, as `accounts` serves them."""
    jwks = orjson.dumps(TokenSigner(signing_key).jwks)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(jwks)
            writer.write(head + jwks)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/.well-known/jwks.json"
    server.close()


@pytest.fixture
async def processes(
    database: DatabaseUrls, redis_server: EmbeddedRedis, keys_url: str, tmp_path: Path
) -> AsyncIterator[dict[str, str]]:
    """The address of each process; one is of `agents`, two are of `trade`."""
    started: list[subprocess.Popen[bytes]] = []
    urls = {}
    for name, function in (("agents", "agents"), ("trade 1", "trade"), ("trade 2", "trade")):
        environment = {
            "FUNCTION": function,
            "HOST": "127.0.0.1",
            "PORT": str(free_port()),
            "DATABASE_URL": database.app,
            "REDIS_URL": redis_server.url,
            "JWKS_URL": keys_url,
            "IP_REQUESTS_PER_MINUTE": "1000000",
            "BROKER_URL": "http://127.0.0.1:1/alphapulse/default",
        }
        with (tmp_path / f"{name}.log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "alphapulse.serve"],
                cwd=ROOT,
                env=minimal_environment() | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        urls[name] = f"http://127.0.0.1:{environment['PORT']}"
    async with httpx.AsyncClient(trust_env=False) as client:
        for (name, url), process in zip(urls.items(), started, strict=True):
            await _until_ready(client, url, tmp_path / f"{name}.log", process)
    yield urls
    for process in started:
        stop(process, how=signal.SIGKILL)


async def _until_ready(
    client: httpx.AsyncClient, url: str, log: Path, process: subprocess.Popen[bytes]
) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            assert process.poll() is None, log_tail(log)
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(f"{url}/ready")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("limit_overrides", [{"requests_per_minute": 100_000}])
async def test_a_suspension_and_its_end_hold_in_every_process_within_a_second(
    processes: dict[str, str],
    tenant: TenantId,
    database: DatabaseUrls,
    signing_key: bytes,
    limit_overrides: dict[str, int],
) -> None:
    await change_tenant(database, tenant, limit_overrides=limit_overrides)
    now = dt.datetime.now(dt.UTC)
    token = TokenSigner(signing_key).sign(login_of(tenant), now=now, lifetime=dt.timedelta(hours=1))
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:

        async def codes() -> dict[str, str]:
            """What a change is refused with; the body is wrong, so that nothing is ever changed."""
            found = {}
            for name, url in processes.items():
                path = "/agents/config" if name == "agents" else "/trades"
                answer = await client.post(url + path, json=HALF_AN_ORDER)
                found[name] = answer.json()["code"]
            return found

        async def seconds_until(expected: str) -> float:
            changed = time.monotonic()
            while set((await codes()).values()) != {expected}:
                assert time.monotonic() - changed < START_SECONDS
                await asyncio.sleep(0.01)
            return time.monotonic() - changed

        await seconds_until("validation_failed")
        for status, code in (("suspended", "tenant_suspended"), ("active", "validation_failed")) * 2:
            await change_tenant(database, tenant, status=status)
            # The last look around all processes takes its own time.
            assert await seconds_until(code) < SECONDS_PROMISED + 0.2
            reads = [
                (await client.get(url + ("/agents/config" if name == "agents" else "/trades"))).status_code
                for name, url in processes.items()
            ]
            assert set(reads) == {200}
