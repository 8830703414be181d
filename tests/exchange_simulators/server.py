"""A small HTTP server on which the exchange simulators run: real sockets, real HTTP, one process."""

import asyncio
import contextlib
import datetime as dt
import email.utils
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

Now = Callable[[], dt.datetime]


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived; `query` is as it was sent, percent-encoded."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str

    @property
    def parameters(self) -> dict[str, str]:
        """Decoded parameters of query and form body."""
        return dict(parse_qsl(self.query)) | dict(parse_qsl(self.body))


class Simulator:
    """Base of the exchange simulators.

    Attributes
    ----------
    requests
        Everything that arrived.
    fail_next
        Answers that are given instead of the right one, first first: a status, or `(status, body)`.
    hang
        Answer nothing while it is set.
    before_answer
        Awaited with each request before it is answered.
    clock_offset
        How far the exchange's clock is ahead of ours.
    """

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self.fail_next: list[int | tuple[int, Any]] = []
        self.down = 0
        self.hang = False
        self.before_answer: Callable[[], Awaitable[None]] | None = None
        self.clock_offset = dt.timedelta()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + self.clock_offset

    def answer(self, request: Request) -> tuple[int, Any]:
        """Return status and JSON for a request; the exchange's own part."""
        raise NotImplementedError

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                await self._answer_one(reader, writer)
        writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])
        }
        body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
        parts = urlsplit(target)
        request = Request(method, parts.path, parts.query, headers, body)
        self.requests.append(request)
        if self.hang:
            await asyncio.Event().wait()
        if self.before_answer is not None:
            await self.before_answer()
        status, document = self._failure() or self.answer(request)
        content = document if isinstance(document, bytes) else orjson.dumps(document)
        date = email.utils.format_datetime(self.now, usegmt=True)
        writer.write(
            f"HTTP/1.1 {status} X\r\ndate: {date}\r\ncontent-type: application/json\r\nretry-after: 7\r\n"
            f"content-length: {len(content)}\r\n\r\n".encode()
            + content
        )
        await writer.drain()

    def _failure(self) -> tuple[int, Any] | None:
        if self.down:
            return self.down, b"<html>down</html>"
        if not self.fail_next:
            return None
        failure = self.fail_next.pop(0)
        return (failure, b"<html>failed</html>") if isinstance(failure, int) else failure
