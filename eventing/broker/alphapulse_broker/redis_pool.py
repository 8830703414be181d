"""Connections to the one node that holds a broker's keys, found again when it is another."""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from typing import Any, Protocol

from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from alphapulse_broker.redis_address import CLUSTER, SENTINEL, RedisAddress

Node = tuple[str, int]

# Part of an exchange's time that one silent adviser may cost, so that there is time to ask another.
_ANSWER_SHARE = 0.4


class NodeUnknown(RedisConnectionError):
    """Those who were asked did answer, and none of them knows where the keys are."""


class Locator(Protocol):
    """Says which node holds the keys."""

    async def locate(self) -> Node:
        """Return the node; raises RedisError or OSError when nobody knows."""


class FixedNode:
    """A standalone server stays where it is."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def locate(self) -> Node:
        """Return the only node."""
        return self._node


class Advisers:
    """Nodes that are asked in turn; who answered last is asked first."""

    def __init__(self, address: RedisAddress, *, timeout_seconds: float) -> None:
        self._address = address
        self._timeout_seconds = timeout_seconds * _ANSWER_SHARE
        self._nodes: list[Node] = list(address.hosts)

    async def ask(self, *command: str, sentinel: bool) -> tuple[Node, Any]:
        """Return the first useful answer and who gave it.

        Raises
        ------
        RedisError, OSError
            Nobody gave one: what the first of those who spoke refused with, else why nobody spoke.
        """
        failure: Exception | None = None
        nobody = NodeUnknown("no node could say where the keys are")
        for node in list(self._nodes):
            connection = connect(
                self._address, node, sentinel=sentinel, timeout_seconds=self._timeout_seconds
            )
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    await connection.connect()  # type: ignore[no-untyped-call]
                    await connection.send_command(*command)
                    answer = await connection.read_response(disable_decoding=True)
            except (RedisError, OSError, TimeoutError) as error:
                # The next one may be alive. This one goes to the end, so that it does not cost each time.
                answer = None
                failure = _more_telling(failure, error)
            else:
                failure = failure if answer else _more_telling(failure, nobody)
            finally:
                await connection.disconnect(nowait=True)
            if answer:
                self._nodes.remove(node)
                self._nodes.insert(0, node)
                return node, answer
            self._nodes.remove(node)
            self._nodes.append(node)
        raise failure or nobody

    def doubt(self) -> None:
        """Ask who answered last only after all others: it may be cut off and know old news."""
        self._nodes.append(self._nodes.pop(0))

    def know(self, nodes: Sequence[Node]) -> None:
        """Remember further nodes to ask."""
        kept = [node for node in self._nodes if node in nodes or node in self._address.hosts]
        self._nodes = kept + [node for node in nodes if node not in kept]


class SentinelMaster:
    """The master of a service, as its Sentinels say."""

    def __init__(self, address: RedisAddress, *, timeout_seconds: float) -> None:
        self._service = address.service
        self._sentinels = Advisers(address, timeout_seconds=timeout_seconds)
        self._found: Node | None = None

    async def locate(self) -> Node:
        """Return the master's address."""
        command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
        _, (host, port) = await self._sentinels.ask(*command, sentinel=True)
        before, self._found = self._found, (host.decode(), int(port))
        if self._found == before:
            self._sentinels.doubt()
        return self._found


class ClusterSlot:
    """The master of the slot that a key belongs to. All keys of a broker share one slot."""

    def __init__(self, address: RedisAddress, *, key: str, timeout_seconds: float) -> None:
        self._slot = key_slot(key.encode())
        self._members = Advisers(address, timeout_seconds=timeout_seconds)
        self._found: Node | None = None

    async def locate(self) -> Node:
        """Return the master's address."""
        asked, ranges = await self._members.ask("CLUSTER", "SLOTS", sentinel=False)
        members = [_member(node, asked) for entry in ranges for node in entry[2:]]
        self._members.know(list(dict.fromkeys(members)))
        masters = (
            _member(master, asked) for first, last, master, *_ in ranges if first <= self._slot <= last
        )
        before, self._found = self._found, next(masters, None)
        if self._found == before:
            self._members.doubt()
        if self._found is None:
            raise NodeUnknown("no node of the cluster serves the broker's slot")
        return self._found


def _member(node: Sequence[Any], asked: Node) -> Node:
    host, port, *_ = node
    # A node that does not know its own address, or is not to tell it, leaves it out: it is where it
    # was asked.
    return host.decode() if host else asked[0], int(port)


def _more_telling(first: Exception | None, second: Exception) -> Exception:
    """Return what an operator should read: who is silent says less than who refuses."""
    told = isinstance(first, (AuthenticationError, NodeUnknown, ResponseError)) or _tls_problem(first)
    return first if first is not None and told else second


def _tls_problem(error: BaseException | None) -> bool:
    # redis-py calls it a lost connection.
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None


def locator(address: RedisAddress, *, key: str, timeout_seconds: float) -> Locator:
    """Return the way to find the node that holds `key`."""
    if address.mode == SENTINEL:
        return SentinelMaster(address, timeout_seconds=timeout_seconds)
    if address.mode == CLUSTER:
        return ClusterSlot(address, key=key, timeout_seconds=timeout_seconds)
    return FixedNode(address.hosts[0])


def connect(address: RedisAddress, node: Node, *, sentinel: bool, timeout_seconds: float) -> Connection:
    """Return a connection that is not open yet."""
    kind = SSLConnection if address.tls is not None else Connection
    options = address.options(sentinel=sentinel)
    if address.tls is not None:
        options["ssl_min_version"] = ssl.TLSVersion.TLSv1_2
    return kind(
        host=node[0],
        port=node[1],
        # Every exchange has a deadline of its own. redis-py's would go through asyncio.wait_for,
        # which before Python 3.12 may swallow the cancellation that stops a process.
        socket_timeout=None,
        socket_connect_timeout=timeout_seconds,
        # A dead machine sends no reset: without probes a blocked read would wait for it for hours.
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
        **options,
    )


class Pool:
    """Opens at most `size` connections, each on first use, all to the node that holds the keys."""

    def __init__(self, address: RedisAddress, *, key: str, size: int, timeout_seconds: float) -> None:
        self._address = address
        self._timeout_seconds = timeout_seconds
        self._locator = locator(address, key=key, timeout_seconds=timeout_seconds)
        self._node: Node | None = None
        self._locating = asyncio.Lock()
        self._free = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()

    async def acquire(self) -> Connection:
        """Return an open connection; raises RedisError or OSError."""
        await self._free.acquire()
        try:
            node = self._node or await self._locate()
            while self._idle:
                connection = self._idle.pop()
                if _usable(connection, node):
                    self._busy.add(connection)
                    return connection
                await connection.disconnect(nowait=True)
            connection = connect(self._address, node, sentinel=False, timeout_seconds=self._timeout_seconds)
            self._busy.add(connection)
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
            except BaseException:
                self._busy.discard(connection)
                self.distrust()
                await connection.disconnect(nowait=True)
                raise
        except BaseException:
            self._free.release()
            raise
        return connection

    async def release(self, connection: Connection, *, broken: bool = False) -> None:
        """Take a connection back; close it when it is `broken` or leads to another node."""
        self._busy.discard(connection)
        self._free.release()
        if broken or (connection.host, connection.port) != self._node:
            await connection.disconnect(nowait=True)
        else:
            self._idle.append(connection)

    def distrust(self) -> None:
        """Ask again where the keys are before the next exchange."""
        self._node = None

    async def close(self) -> None:
        """Close every connection."""
        connections = [*self._idle, *self._busy]
        self._idle.clear()
        for connection in connections:
            with contextlib.suppress(RedisError, OSError):
                await connection.disconnect()

    async def _locate(self) -> Node:
        async with self._locating:
            if self._node is None:
                self._node = await self._locator.locate()
            return self._node


def _usable(connection: Connection, node: Node) -> bool:
    if (connection.host, connection.port) != node or not connection.is_connected:
        return False
    reader = connection._reader  # noqa: SLF001 - redis-py's own check reads the socket each time
    return reader is not None and not reader.at_eof() and reader.exception() is None
