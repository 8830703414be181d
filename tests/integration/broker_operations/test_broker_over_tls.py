"""TLS to Redis. The embedded redis-server is built without TLS, so a proxy ends it in front."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.crc import key_slot

from alphapulse_broker.keys import Keys
from alphapulse_local.embedded.process import free_port
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.integration.broker.rig import trigger
from tests.integration.broker_operations.certificates import Authority
from tests.integration.broker_operations.servers import OperatedRig, Server, cluster, stop_all
from tests.integration.broker_operations.tls_proxy import TlsProxy

PASSWORD = uuid.uuid4().hex
CLUSTER_SLOTS = 16_384


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


@dataclass
class Watched:
    """A master and its Sentinel, each behind a proxy at the port that it is known by."""

    url: str
    master: TlsProxy
    sentinel: TlsProxy


@pytest.fixture
async def watched(authority: Authority, tmp_path: Path) -> AsyncIterator[Watched]:
    server = Server(tmp_path / "master", f"requirepass {PASSWORD}")
    master = TlsProxy(authority, server.port, plain_too=True)
    watcher = Server(
        tmp_path / "sentinel",
        f"sentinel monitor events 127.0.0.1 {master.port} 1",
        f"sentinel auth-pass events {PASSWORD}",
        sentinel=True,
    )
    sentinel = TlsProxy(authority, watcher.port)
    try:
        await master.start()
        await sentinel.start()
        for started in (server, watcher):
            await asyncio.to_thread(started.start)
        url = f"rediss+sentinel://:{PASSWORD}@127.0.0.1:{sentinel.port}/events/0"
        yield Watched(url, master, sentinel)
    finally:
        stop_all([watcher, server])
        await master.stop()
        await sentinel.stop()


@pytest.fixture
async def nodes(authority: Authority, tmp_path: Path) -> AsyncIterator[list[TlsProxy]]:
    """The proxies of a Cluster; its nodes announce the proxies' ports to clients."""
    ports = [free_port() for _ in range(3)]
    servers = await asyncio.to_thread(cluster, tmp_path / "cluster", password=PASSWORD, announced=ports)
    proxies = [
        TlsProxy(authority, server.port, port=port) for server, port in zip(servers, ports, strict=True)
    ]
    try:
        for proxy in proxies:
            await proxy.start()
        yield proxies
    finally:
        stop_all(servers)
        for proxy in proxies:
            await proxy.stop()


async def test_sentinel_and_the_master_it_names_are_reached_over_tls(
    watched: Watched, authority: Authority, tmp_path: Path
) -> None:
    await deliver_one(OperatedRig(tmp_path / "rig", watched.url, **files(authority)))

    assert watched.sentinel.encrypted > 0
    assert watched.master.encrypted > 0


async def test_each_node_of_a_cluster_is_reached_over_tls(
    nodes: list[TlsProxy], authority: Authority, tmp_path: Path
) -> None:
    slot = key_slot(Keys("alphapulse", "default").prefix.encode())
    holder = nodes[min(slot * len(nodes) // CLUSTER_SLOTS, len(nodes) - 1)]
    asked = [proxy for proxy in nodes if proxy is not holder]
    await deliver_one(OperatedRig(tmp_path / "rig", cluster_url(asked), **files(authority)))

    assert sum(proxy.encrypted for proxy in asked) > 0
    assert holder.encrypted > 0


async def test_sentinel_or_node_of_an_unknown_authority_gets_no_password_and_is_named_for_it(
    watched: Watched, nodes: list[TlsProxy], authority: Authority, tmp_path: Path
) -> None:
    others = {**files(authority), "BROKER_REDIS_CA_FILE": str(Authority(tmp_path / "others").file)}
    refused = [
        await asyncio.to_thread(OperatedRig(tmp_path / name, place, **others).attempt, "status")
        for name, place in (("sentinel", watched.url), ("cluster", cluster_url(nodes)))
    ]

    for done in refused:
        assert done.returncode == 1
        assert "TLS: " in done.stderr
        assert "certificate" in done.stderr
        assert PASSWORD not in done.stderr
    # What a proxy counts is a finished handshake.
    assert sum(proxy.encrypted for proxy in (watched.sentinel, watched.master, *nodes)) == 0


def cluster_url(nodes: list[TlsProxy]) -> str:
    seeds = ",".join(f"127.0.0.1:{proxy.port}" for proxy in nodes)
    return f"rediss+cluster://:{PASSWORD}@{seeds}"


async def deliver_one(rig: OperatedRig) -> None:
    try:
        await rig.start(trigger("work", types="t"))
        assert (await rig.send("a")).status == 202
        await rig.until_delivered("work", "a")
    finally:
        await rig.close()
