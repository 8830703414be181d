"""Events of a transaction go out in order or several at a time, and stop when the broker is away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from alphapulse.events import Event, event_type
from alphapulse.events import publish as publishing
from alphapulse.events.publish import BrokerUnavailable, EventRefused, Publisher
from alphapulse.runtime.sending import send


class Recorder(Publisher):
    """Takes events as a broker does, and remembers how many were under way together."""

    def __init__(self, *, refuses: frozenset[str] = frozenset(), away_from: str | None = None) -> None:
        super().__init__("http://broker.test")
        self.refuses = refuses
        self.away_from = away_from
        self.away = False
        self.tried: list[str] = []
        self.under_way = 0
        self.most_under_way = 0

    async def publish(self, event: Event) -> None:
        self.tried.append(event.id)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        self.away = self.away or event.id == self.away_from
        if self.away:
            raise BrokerUnavailable("broker answered 503")
        if event.id in self.refuses:
            raise EventRefused("broker answered 400")


def events(count: int) -> list[Event]:
    return [
        Event(type=event_type("signal.requested"), source="/functions/agents", data={}, id=f"{n:03d}")
        for n in range(count)
    ]


async def test_events_go_out_one_after_the_other_unless_told_otherwise() -> None:
    broker = Recorder()

    sent = await send(broker, events(5))

    assert broker.tried == sent == [f"{n:03d}" for n in range(5)]
    assert broker.most_under_way == 1


async def test_no_more_are_under_way_than_allowed() -> None:
    broker = Recorder()

    sent = await send(broker, events(50), at_once=16)

    assert sorted(sent) == [f"{n:03d}" for n in range(50)]
    assert broker.most_under_way == 16


@pytest.mark.parametrize("at_once", [1, 4])
async def test_refused_event_lets_the_others_pass(at_once: int) -> None:
    sent = await send(Recorder(refuses=frozenset({"001"})), events(6), at_once=at_once)

    assert sent == ["000", "002", "003", "004", "005"]


@pytest.mark.parametrize(("at_once", "tried"), [(1, 3), (4, 4)])
async def test_nothing_more_is_tried_once_the_broker_is_away(at_once: int, tried: int) -> None:
    broker = Recorder(away_from="002")

    sent = await send(broker, events(40), at_once=at_once)

    assert (sent, len(broker.tried)) == (["000", "001"], tried)


@contextlib.asynccontextmanager
async def slow_broker(seconds: float) -> AsyncIterator[str]:
    """A broker that takes its time with each event."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                await asyncio.sleep(seconds)
                writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


async def test_waiting_for_a_connection_does_not_count_against_an_events_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 64 events over 16 connections take four times 0.3 s, which is more than one of them may take.
    monkeypatch.setattr(publishing, "_TIMEOUT_SECONDS", 1.0)
    async with slow_broker(0.3) as address:
        publisher = Publisher(address)
        bursts = await asyncio.gather(*(send(publisher, events(16), at_once=16) for _ in range(4)))
        await publisher.close()

    assert [len(sent) for sent in bursts] == [16] * 4
