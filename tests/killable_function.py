"""A function in a process of its own that a test kills with `kill -9` and starts again."""

import asyncio
import contextlib
import datetime as dt
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import orjson

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tokens import TokenSigner
from alphapulse_local.embedded.process import free_port, log_tail, stop
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.logins import login_of
from tests.processes import ROOT, minimal_environment

DEADLINE_SECONDS = 30


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds; fail when it does not in time."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await condition():
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
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
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


class KillableFunction:
    """`python -m alphapulse.serve` of one function, asked as one tenant's owner."""

    def __init__(self, environment: Mapping[str, str], folder: Path, *, token: str) -> None:
        self.environment = dict(environment)
        self.log = folder / f"{environment['FUNCTION']}.log"
        self.headers = {"Authorization": f"Bearer {token}"}
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    async def start(self) -> None:
        """Start it and return when it is ready."""
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
        """`kill -9` it."""
        if self.process is not None:
            stop(self.process, how=signal.SIGKILL)

    async def send(
        self, method: str, path: str, body: dict[str, Any] | None = None, **headers: str
    ) -> httpx.Response:
        """Send a request to it."""
        async with httpx.AsyncClient(timeout=DEADLINE_SECONDS, trust_env=False) as client:
            return await client.request(method, self.url + path, json=body, headers=self.headers | headers)

    async def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, log_tail(self.log)
        async with httpx.AsyncClient(trust_env=False) as client:
            with contextlib.suppress(httpx.TransportError):
                return (await client.get(f"{self.url}/ready")).status_code == 200
        return False


@contextlib.asynccontextmanager
async def running_function(
    function: str,
    folder: Path,
    *,
    database: DatabaseUrls,
    redis_server: EmbeddedRedis,
    signing_key: bytes,
    tenant: TenantId,
    environment: Mapping[str, str],
) -> AsyncIterator[KillableFunction]:
    """Run a function against real stores, with neighbours that answer; kill it at the end."""
    token = TokenSigner(signing_key).sign(
        login_of(tenant), now=dt.datetime.now(dt.UTC), lifetime=dt.timedelta(hours=1)
    )
    async with neighbours(signing_key) as beside:
        running = KillableFunction(
            {
                "FUNCTION": function,
                "HOST": "127.0.0.1",
                "DATABASE_URL": database.app,
                "REDIS_URL": redis_server.url,
                "JWKS_URL": f"{beside}/.well-known/jwks.json",
                "BROKER_URL": f"{beside}/alphapulse/default",
                **environment,
            },
            folder,
            token=token,
        )
        await running.start()
        try:
            yield running
        finally:
            running.kill()
