"""The load generator of the broker's measurements: events over HTTP, as cheap as Python sends them.

`python -m tests.bench.broker_load HOST:PORT PATH EVENTS CONNECTIONS [RATE]` prints one line of JSON.
Without a rate each connection sends its next event when the last one is answered. With a rate, events are
due at even intervals and times count from then, so that a stall is seen by every event that it delays.
"""

import asyncio
import json
import sys
import time
from collections import Counter, deque

import uvloop

from tests.bench.broker_events import SENT_HEADER, TYPE, attributes, data, percentiles

_END_OF_HEADERS = b"\r\n\r\n"
_TICK_SECONDS = 0.001


class Requests:
    """Writes the requests and collects what became of them."""

    def __init__(self, *, host: str, path: str, event_type: str = TYPE) -> None:
        self._type = event_type
        self._body = data()
        self._start = (
            f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(self._body)}\r\n".encode()
        )
        self.statuses: Counter[str] = Counter()
        self.times_ms: list[float] = []
        self.sent = 0

    def next(self, due_ns: int) -> bytes:
        """Return the next request."""
        known = {**attributes(self.sent), "type": self._type}
        self.sent += 1
        kind = known.pop("datacontenttype")
        lines = [f"ce-{name}: {value}\r\n" for name, value in known.items()]
        head = f"{''.join(lines)}content-type: {kind}\r\n{SENT_HEADER.decode()}: {due_ns}\r\n\r\n"
        return self._start + head.encode() + self._body

    def answered(self, head: bytes, due_ns: int) -> None:
        """Note an answer."""
        self.statuses[head[9:12].decode()] += 1
        self.times_ms.append((time.monotonic_ns() - due_ns) / 1e6)


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request under way; answers have no body."""

    def __init__(self, requests: Requests, load: "Load") -> None:
        self._requests = requests
        self._load = load
        self._received = b""
        self._due_ns = 0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def send(self, due_ns: int) -> None:
        """Send the next event."""
        assert self._transport is not None
        self._due_ns = due_ns
        self._transport.write(self._requests.next(due_ns))

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.endswith(_END_OF_HEADERS):
            self._requests.answered(self._received, self._due_ns)
            self._received = b""
            self._load.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.broken(exc)


class Load:
    """Sends a number of events over some connections; each may pause between an answer and its next event."""

    def __init__(self, requests: Requests, *, events: int, pause_seconds: float = 0) -> None:
        self._requests = requests
        self._events = events
        self._pause_seconds = pause_seconds
        self._connections: list[Connection] = []
        self._idle: deque[Connection] = deque()
        self._due: deque[int] = deque()
        self._paced = False
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, *, host: str, port: int, connections: int, rate: float) -> None:
        """Send all events and return when each is answered."""
        loop = asyncio.get_running_loop()
        self._paced = rate > 0
        for _ in range(connections):
            _, protocol = await loop.create_connection(lambda: Connection(self._requests, self), host, port)
            self._idle.append(protocol)
            self._connections.append(protocol)
        if self._paced:
            pacing = asyncio.create_task(self._pace(rate))
            await self._done
            await pacing
        else:
            for connection in list(self._idle):
                self.free(connection)
            await self._done

    def close(self) -> None:
        """Close the connections, for who goes on without them."""
        for connection in self._connections:
            connection.close()

    def free(self, connection: Connection) -> None:
        """Use a connection whose answer came."""
        if len(self._requests.times_ms) == self._events:
            self._done.set_result(None)
        elif self._paced:
            if self._due:
                connection.send(self._due.popleft())
            else:
                self._idle.append(connection)
        elif self._requests.sent < self._events:
            if self._pause_seconds:
                asyncio.get_running_loop().call_later(self._pause_seconds, self._send_now, connection)
            else:
                self._send_now(connection)

    def broken(self, error: Exception | None) -> None:
        """Fail: a measurement has no connection that breaks."""
        if not self._done.done():
            self._done.set_exception(error or ConnectionError("the ingress closed a connection"))

    @staticmethod
    def _send_now(connection: Connection) -> None:
        connection.send(time.monotonic_ns())

    async def _pace(self, rate: float) -> None:
        start, interval = time.monotonic_ns(), 1e9 / rate
        for number in range(self._events):
            due = start + int(number * interval)
            while time.monotonic_ns() < due:
                await asyncio.sleep(_TICK_SECONDS)
            if self._idle:
                self._idle.popleft().send(due)
            else:
                self._due.append(due)


async def main(address: str, path: str, events: int, connections: int, rate: float) -> None:
    """Run the load and print its figures."""
    host, _, port = address.partition(":")
    requests = Requests(host=address, path=path)
    started = time.monotonic()
    await Load(requests, events=events).run(host=host, port=int(port), connections=connections, rate=rate)
    seconds = time.monotonic() - started
    figures = {
        "statuses": requests.statuses,
        "seconds": seconds,
        "started": started,
        **percentiles(requests.times_ms),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    _, _address, _path, _events, _connections, *_rate = sys.argv
    uvloop.run(main(_address, _path, int(_events), int(_connections), float(_rate[0]) if _rate else 0.0))
