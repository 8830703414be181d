"""Answers that are none, or broken, or endless: each is an Answer, and none is an error or takes memory."""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from alphapulse_broker.cloudevents import HOPS, Event
from alphapulse_broker.sender import Answer, Sender

EVENT = Event({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", HOPS: "9"}, b"{}", {})
CLOUD_EVENT = b"ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: r\r\n"
MANY_HEADERS = b"".join(b"X-%d: a\r\n" % number for number in range(2000))
KILOBYTES_OF_30_MEGABYTES = 30_000

Write = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def subscriber(write: Write) -> AsyncIterator[str]:
    """Answer each request with what `write` writes, and close the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            await write(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


async def answer_to(write: Write) -> Answer:
    async with subscriber(write) as url, Sender(namespace="n", max_reply_bytes=1000) as sender:
        return await sender.send(url, EVENT, extensions={}, timeout_seconds=5)


def once(content: bytes) -> Write:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()

    return write


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"HTTP/1.1 2x OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + MANY_HEADERS + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n" + CLOUD_EVENT + b"Content-Length: 100\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n" + CLOUD_EVENT + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
)
async def test_9_answer_that_is_not_http_or_breaks_off_is_no_answer(content: bytes) -> None:
    answer = await answer_to(once(content))

    assert answer.status is None
    assert answer.detail.startswith(b"dispatch error: ")


@pytest.mark.parametrize("status", [422, 503])
async def test_9_status_counts_although_the_body_of_the_error_breaks_off(status: int) -> None:
    head = f"HTTP/1.1 {status} No\r\nRetry-After: 7\r\nContent-Length: 100\r\n\r\n"

    answer = await answer_to(once(head.encode() + b"because"))

    assert (status, "7") == (answer.status, answer.retry_after)
    assert answer.detail == b"the body broke off: ClientPayloadError"


@pytest.mark.parametrize(
    ("start", "part", "status"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-Endless: " + b"a" * 1000 + b"\r\n", None),
        (b"HTTP/1.1 500 No\r\n\r\n", b"a" * 50_000, 500),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 50_000, 200),
        (b"HTTP/1.1 200 OK\r\n" + CLOUD_EVENT + b"\r\n", b"a" * 50_000, 200),
    ],
    ids=["headers", "error", "success", "reply"],
)
async def test_11_endless_answer_is_cut_off_and_takes_no_memory(
    start: bytes, part: bytes, status: int | None
) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(part)
            await writer.drain()

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = await answer_to(endless)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert answer.status == status
    assert answer.reply is None
    assert after - before < KILOBYTES_OF_30_MEGABYTES
