"""A subscriber in a process of its own; the path says how it misbehaves.

`GET /behaves` makes it answer 204 to everything, also to requests that hang at that moment;
`GET /misbehaves` ends that.
"""

import asyncio
import contextlib
import re
import sys

LARGE = 10_000_000
_PART = b"x" * 50_000
_EVENT = b"ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: reply\r\n"
_GOOD = b"HTTP/1.1 204 No Content\r\n\r\n"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class BadSubscriber:
    """Misbehaves until it is told to behave."""

    def __init__(self) -> None:
        self._behaves = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; only good answers leave it open."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._answer(reader, writer):
                await writer.drain()
            await writer.drain()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        if found := _LENGTH.search(head):
            await reader.readexactly(int(found[1]))
        path = head.split(b" ", 2)[1].decode().strip("/")
        if path == "behaves":
            self._behaves.set()
        elif path == "misbehaves":
            self._behaves.clear()
        elif path == "hangs":
            await self._behaves.wait()
        elif path != "answers204" and not self._behaves.is_set():
            await _misbehave(path, writer)
            return False
        writer.write(_GOOD)
        return True


async def _misbehave(how: str, writer: asyncio.StreamWriter) -> None:
    if how == "answers500":
        writer.write(b"HTTP/1.1 500 Broken\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n")
    elif how == "answersgarbage":
        writer.write(b"\x00\xff\xfe not http at all\r\n\r\n")
    elif how in ("answers10megabytes", "replies10megabytes"):
        status, event = ("500 Broken", b"") if how.startswith("answers") else ("200 OK", _EVENT)
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {LARGE}\r\n".encode() + event + b"\r\n")
        # In parts: a copy of ten megabytes for each answer would slow the machine, not the broker.
        for _ in range(LARGE // len(_PART)):
            writer.write(_PART)
            await writer.drain()


async def _main(port: int) -> None:
    server = await asyncio.start_server(BadSubscriber().serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
