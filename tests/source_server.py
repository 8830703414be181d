"""A data source for tests: real sockets, real HTTP, answers as each test says."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson


@dataclass(frozen=True, slots=True)
class Question:
    """What arrived."""

    method: str
    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body, as JSON."""
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered.

    Attributes
    ----------
    body
        JSON of it is sent, bytes as they are.
    length
        What `Content-Length` claims; None for the truth.
    pause_seconds
        Between one byte and the next.
    hang
        Whether the answer never comes.
    """

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    pause_seconds: float = 0.0
    hang: bool = False

    @property
    def content(self) -> bytes:
        """Bytes of the body."""
        return self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)


class SourceServer:
    """Answers every question with what `answer` returns: a reply, or a JSON document.

    Attributes
    ----------
    questions
        Everything that arrived.
    delay_seconds
        Before each answer.
    """

    def __init__(self) -> None:
        self.url = ""
        self.questions: list[Question] = []
        self.answer: Callable[[Question], Any] = lambda _: Reply(status=404, body={})
        self.delay_seconds = 0.0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

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
                question = await self._question(reader)
                self.questions.append(question)
                await asyncio.sleep(self.delay_seconds)
                answer = self.answer(question)
                await self._reply(writer, answer if isinstance(answer, Reply) else Reply(answer))
        writer.close()

    @staticmethod
    async def _question(reader: asyncio.StreamReader) -> Question:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        lines = [line.partition(":") for line in head[1:-2]]
        headers = {name.lower(): value.strip() for name, _, value in lines}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        parts = urlsplit(target)
        return Question(method, parts.path, dict(parse_qsl(parts.query)), headers, body)

    @staticmethod
    async def _reply(writer: asyncio.StreamWriter, reply: Reply) -> None:
        if reply.hang:
            await asyncio.Event().wait()
        content = reply.content
        length = len(content) if reply.length is None else reply.length
        headers = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        writer.write(f"HTTP/1.1 {reply.status} X\r\ncontent-length: {length}\r\n{headers}\r\n".encode())
        if reply.pause_seconds:
            for byte in content:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(reply.pause_seconds)
        else:
            writer.write(content)
        await writer.drain()
        if length != len(content):
            raise ConnectionError("the answer breaks off")
