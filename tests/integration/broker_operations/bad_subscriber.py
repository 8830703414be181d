"""A subscriber in a process of its own; the path says how it misbehaves."""

import asyncio
import contextlib
import sys

LARGE = 10_000_000
_PART = b"x" * 50_000
_EVENT = b"ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: reply\r\n"


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
        misbehaviour = head.split(b" ", 2)[1].decode().strip("/")
        if misbehaviour == "hangs":
            await asyncio.sleep(3600)
        elif misbehaviour == "answers500":
            writer.write(b"HTTP/1.1 500 Broken\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n")
        elif misbehaviour == "answersgarbage":
            writer.write(b"\x00\xff\xfe not http at all\r\n\r\n")
        elif misbehaviour == "answers10megabytes":
            length = f"Content-Length: {LARGE}\r\n\r\n".encode()
            writer.write(b"HTTP/1.1 500 Broken\r\n" + length)
            await _write_large(writer)
        elif misbehaviour == "replies10megabytes":
            length = f"Content-Length: {LARGE}\r\n\r\n".encode()
            writer.write(b"HTTP/1.1 200 OK\r\n" + _EVENT + length)
            await _write_large(writer)
        await writer.drain()
    writer.close()


async def _write_large(writer: asyncio.StreamWriter) -> None:
    # In parts: a copy of ten megabytes for each answer would slow the machine, not the broker.
    for _ in range(LARGE // len(_PART)):
        writer.write(_PART)
        await writer.drain()


async def _main(port: int) -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
