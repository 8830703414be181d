"""Redis as operators run it: with ACL users, behind TLS, watched by Sentinels, as a Cluster."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import redis

from alphapulse_local.embedded.process import free_port, spawn, stop, wait_until
from alphapulse_local.embedded.redis import server_binary
from tests.integration.broker.rig import Rig

# A cluster's nodes talk to each other on a port of their own.
BUS_PORTS = 10_000
LARGEST_CLIENT_PORT = 65_535 - BUS_PORTS


class Server:
    """One redis-server with the given configuration lines, and an append-only file."""

    def __init__(self, directory: Path, *lines: str, port: int = 0, sentinel: bool = False) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.sentinel = sentinel
        self.process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True)
        standing = [f"port {self.port}", "bind 127.0.0.1", f'dir "{directory}"']
        if not sentinel:
            standing += ["appendonly yes", "appendfsync everysec", 'save ""', "maxmemory-policy noeviction"]
        (directory / "redis.conf").write_text("\n".join([*standing, *lines]) + "\n")

    def start(self) -> None:
        log = self.directory / "redis.log"
        options = ["--sentinel"] if self.sentinel else []
        self.process = spawn([str(server_binary()), str(self.directory / "redis.conf"), *options], log=log)
        wait_until(self._answers, self.process, log=log, name="redis-server", timeout_seconds=10)

    def stop(self, *, how: int = 15) -> None:
        if self.process is not None:
            stop(self.process, how=how)

    def command(self, *arguments: str | bytes | int, username: str = "", password: str = "") -> Any:
        """Send one command and return the answer as Redis gave it."""
        connection = redis.Connection(
            host="127.0.0.1",
            port=self.port,
            username=username or None,
            password=password or None,
            protocol=2,
            driver_info=None,
        )
        try:
            connection.connect()
            connection.send_command(*arguments)
            return connection.read_response(disable_decoding=True)
        finally:
            connection.disconnect()

    def _answers(self) -> bool:
        try:
            self.command("PING")
        except (redis.exceptions.AuthenticationError, redis.exceptions.NoPermissionError):
            return True
        except redis.exceptions.RedisError:
            return False
        return True


class OperatedRig(Rig):
    """A broker whose Redis is somewhere else than the rig's own."""

    def __init__(self, directory: Path, url: str, **settings: str) -> None:
        super().__init__(directory)
        self.settings |= {"BROKER_REDIS_URL": url, **settings}

    def boot(self) -> None:
        self.launch("ingress")
        self.launch("dispatcher")

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run an operator's command that may fail."""
        return subprocess.run(
            [sys.executable, "-m", "alphapulse_broker", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )


def poll(holds: Callable[[], Any], *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"condition not met within {seconds} s"
        time.sleep(0.05)


def cluster(
    directory: Path, *, password: str, masters: int = 3, announced: Sequence[int] = ()
) -> list[Server]:
    """Start a Cluster of masters that serve all slots.

    Parameters
    ----------
    announced
        The port that each node tells clients instead of its own.
    """
    nodes = []
    for number in range(masters):
        told = [f"cluster-announce-port {announced[number]}"] if announced else []
        nodes.append(_cluster_node(directory / f"node{number}", *told, password=password))
    for node in nodes:
        node.start()
    share = 16_384 // masters
    for number, node in enumerate(nodes):
        last = 16_384 if number == masters - 1 else (number + 1) * share
        node.command("CLUSTER", "ADDSLOTS", *range(number * share, last), password=password)
        node.command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, password=password)
    poll(lambda: all(_is_whole(node, masters, password) for node in nodes))
    return nodes


def add_replica(directory: Path, master: Server, nodes: Sequence[Server], *, password: str) -> Server:
    """Start a node that follows `master` and takes its place when it fails; return once it is in step."""
    replica = _cluster_node(directory, password=password)
    replica.start()
    replica.command("CLUSTER", "MEET", "127.0.0.1", master.port, password=password)
    poll(lambda: all(_is_whole(node, len(nodes) + 1, password) for node in (*nodes, replica)))
    replica.command(
        "CLUSTER", "REPLICATE", master.command("CLUSTER", "MYID", password=password), password=password
    )
    poll(lambda: b"master_link_status:up" in replica.command("INFO", password=password))
    # Each node has a vote in the fail-over: all have to know whose replica this is.
    shown = f"127.0.0.1:{replica.port}@{replica.port + BUS_PORTS} slave".encode()
    poll(lambda: all(shown in node.command("CLUSTER", "NODES", password=password) for node in nodes))
    return replica


def _cluster_node(directory: Path, *lines: str, password: str) -> Server:
    port = free_port()
    while port > LARGEST_CLIENT_PORT:
        port = free_port()
    return Server(
        directory,
        "cluster-enabled yes",
        "cluster-node-timeout 2000",
        # The first copy at once, not after a wait for further replicas.
        "repl-diskless-sync yes",
        "repl-diskless-sync-delay 0",
        f"requirepass {password}",
        f"masterauth {password}",
        *lines,
        port=port,
    )


def _is_whole(node: Server, masters: int, password: str) -> bool:
    text = node.command("CLUSTER", "INFO", password=password).decode()
    found = dict(line.split(":") for line in text.split())
    return found["cluster_state"] == "ok" and found["cluster_known_nodes"] == str(masters)


def stop_all(servers: Sequence[Server]) -> None:
    for server in servers:
        server.stop()
