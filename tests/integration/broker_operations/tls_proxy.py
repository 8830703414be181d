"""Ends TLS in front of a Redis that has none."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Coroutine

from alphapulse_local.embedded.process import free_port
from tests.integration.broker_operations.certificates import Authority

# The first byte of a TLS connection; no Redis command begins with it.
_HANDSHAKE = b"\x16"


class TlsProxy:
    """Takes TLS connections, asks for a client certificate, and passes their bytes on.

    Parameters
    ----------
    plain_too
        Also pass on connections without TLS: Redis servers and Sentinels, which are built without,
        reach each other at the addresses that they announce to clients.
    """

    def __init__(
        self,
        authority: Authority,
        target: int,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        plain_too: bool = False,
    ) -> None:
        self.port = port or free_port()
        self.encrypted = 0
        self._target = target
        self._plain_too = plain_too
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*authority.issue(f"server-{address}-{self.port}", address=address))
        self._context.load_verify_locations(authority.file)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._listener.setblocking(False)
        self._start(self._accept(self._listener))

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            connection.setblocking(False)
            self._start(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        encrypted = await _first_byte(connection) == _HANDSHAKE
        if not (encrypted or self._plain_too):
            connection.close()
            return
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        with contextlib.suppress(OSError):
            transport, protocol = await loop.connect_accepted_socket(
                lambda: asyncio.StreamReaderProtocol(reader),
                connection,
                ssl=self._context if encrypted else None,
            )
            self.encrypted += encrypted
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            try:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            except OSError:
                transport.abort()
                raise
            self._start(_pass(far_reader, writer))
            await _pass(reader, far_writer)


async def _first_byte(connection: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    loop.add_reader(connection, lambda: readable.done() or readable.set_result(None))
    try:
        await readable
        return connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return b""
    finally:
        loop.remove_reader(connection)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()
