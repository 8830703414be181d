"""A TCP proxy that tests put before a server, to cut it off without touching the server."""

import asyncio
import contextlib
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit


class TcpProxy:
    """Passes bytes to 127.0.0.1:`target`; while it is down, nobody is connected and nobody gets in."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._silence: tuple[bytes, int] | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0

    async def up(self) -> None:
        """Accept connections, on the same port each time."""
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Cut all connections and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def before(self, url: str) -> str:
        """Return the address of the server as it is reached through the proxy."""
        parts = urlsplit(url)
        credentials, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{credentials}{at}127.0.0.1:{self.port}"))

    def fall_silent_after(self, request: bytes, *, times: int = 1) -> None:
        """Pass requests on and answers no more, on a connection that has sent these bytes so often."""
        self._silence = (request, times)

    def speak(self) -> None:
        """Pass all answers on again."""
        self._silence = None

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        far_writer: asyncio.StreamWriter | None = None
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            seen = bytearray()
            await asyncio.gather(
                _copy(reader, far_writer, seen.extend),
                _copy(far_reader, writer, dropped=lambda: self._is_silent(seen)),
            )
        except (OSError, asyncio.CancelledError):
            pass  # either end is gone, or the proxy went down: both ends are closed below
        finally:
            for end in (writer, far_writer):
                if end is not None:
                    end.transport.abort()

    def _is_silent(self, seen: bytearray) -> bool:
        if self._silence is None:
            return False
        request, times = self._silence
        return seen.count(request) >= times


async def _copy(
    source: asyncio.StreamReader,
    sink: asyncio.StreamWriter,
    note: Callable[[bytes], object] = lambda _: None,
    *,
    dropped: Callable[[], bool] = lambda: False,
) -> None:
    while data := await source.read(65536):
        note(data)
        if not dropped():
            sink.write(data)
            await sink.drain()
    with contextlib.suppress(OSError):
        sink.write_eof()
