"""TLS to Redis. The embedded redis-server is built without TLS, so a proxy ends it in front."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from alphapulse_local.embedded.process import free_port
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.integration.broker.rig import trigger
from tests.integration.broker_operations.certificates import Authority
from tests.integration.broker_operations.servers import OperatedRig

PASSWORD = "a-password-of-this-test"


class TlsProxy:
    """Takes TLS connections, asks for a client certificate, and passes their bytes on."""

    def __init__(self, authority: Authority, target: int, *, address: str = "127.0.0.1") -> None:
        self.port = free_port()
        self._target = target
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*authority.issue(f"server-{address}", address=address))
        self._context.load_verify_locations(authority.file)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._context)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(_pass(source, sink))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "certificates")


@pytest.fixture
async def proxies(authority: Authority, tmp_path: Path) -> AsyncIterator[dict[str, TlsProxy]]:
    server = EmbeddedRedis(tmp_path / "redis", password=PASSWORD)
    server.start()
    proxies = {
        "right": TlsProxy(authority, server.port),
        "of another host": TlsProxy(authority, server.port, address="192.0.2.1"),
    }
    try:
        for proxy in proxies.values():
            await proxy.start()
        yield proxies
    finally:
        for proxy in proxies.values():
            await proxy.stop()
        server.stop()


def url(proxy: TlsProxy, scheme: str = "rediss") -> str:
    return f"{scheme}://:{PASSWORD}@127.0.0.1:{proxy.port}/0"


def files(authority: Authority) -> dict[str, str]:
    certificate, key = authority.issue("client")
    return {
        "BROKER_REDIS_CA_FILE": str(authority.file),
        "BROKER_REDIS_CERT_FILE": str(certificate),
        "BROKER_REDIS_KEY_FILE": str(key),
    }


async def test_events_pass_over_tls_with_a_client_certificate(
    proxies: dict[str, TlsProxy], authority: Authority, tmp_path: Path
) -> None:
    rig = OperatedRig(tmp_path / "rig", url(proxies["right"]), **files(authority))
    try:
        await rig.start(trigger("work", types="t"))
        assert (await rig.send("a")).status == 202
        await rig.until_delivered("work", "a")
        status = await asyncio.to_thread(rig.attempt, "status")
    finally:
        await rig.close()

    assert status.returncode == 0
    assert "append-only on" in status.stdout


@pytest.mark.parametrize(
    ("proxy", "left_out", "said"),
    [
        ("right", "BROKER_REDIS_CA_FILE", "TLS: "),
        ("right", "BROKER_REDIS_CERT_FILE", "a TLS key is set without its certificate"),
        ("of another host", "", "IP address mismatch"),
    ],
    ids=["unknown authority", "key without certificate", "certificate of another host"],
)
async def test_connection_that_cannot_be_trusted_is_refused_by_name(
    proxy: str,
    left_out: str,
    said: str,
    proxies: dict[str, TlsProxy],
    authority: Authority,
    tmp_path: Path,
) -> None:
    settings = {name: value for name, value in files(authority).items() if name != left_out}
    rig = OperatedRig(tmp_path / "rig", url(proxies[proxy]), **settings)

    done = await asyncio.to_thread(rig.attempt, "status")

    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert PASSWORD not in done.stderr
    assert "Traceback" not in done.stderr


async def test_server_that_wants_a_client_certificate_refuses_who_has_none(
    proxies: dict[str, TlsProxy], authority: Authority, tmp_path: Path
) -> None:
    ca_only = {"BROKER_REDIS_CA_FILE": str(authority.file)}
    rig = OperatedRig(tmp_path / "rig", url(proxies["right"]), **ca_only)

    done = await asyncio.to_thread(rig.attempt, "status")

    assert done.returncode == 1
    assert "redis did not answer" in done.stderr


async def test_tls_files_without_tls_are_refused(
    proxies: dict[str, TlsProxy], authority: Authority, tmp_path: Path
) -> None:
    rig = OperatedRig(tmp_path / "rig", url(proxies["right"], "redis"), **files(authority))

    done = await asyncio.to_thread(rig.attempt, "status")

    assert done.returncode == 2
    assert "does not start with rediss" in done.stderr
