"""The subscriber of the broker's measurements: an ASGI application that answers 204 to everything.

Run by itself: `python -m tests.bench.broker_sink PORT`. `POST /reset` forgets, `GET /figures` tells what came
since and how long each event had been under way.
"""

import json
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

from tests.bench.broker_events import SENT_HEADER, percentiles

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Sink:
    """Counts deliveries and keeps the time from an event's due sending to its arrival."""

    def __init__(self) -> None:
        self.latencies_ns: list[int] = []

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Send) -> None:
        """Take one delivery, or answer a question of the measurement."""
        arrived = time.monotonic_ns()
        if scope["path"] == "/figures":
            times = [value / 1e6 for value in self.latencies_ns]
            await _answer(send, 200, json.dumps({"count": len(times), **percentiles(times)}).encode())
            return
        while (await receive()).get("more_body", False):
            pass
        if scope["path"] == "/reset":
            self.latencies_ns.clear()
        else:
            sent = next(value for name, value in scope["headers"] if name == SENT_HEADER)
            self.latencies_ns.append(arrived - int(sent))
        await _answer(send, 204, b"")


async def _answer(send: Send, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


def serve(app: Any, port: int) -> None:
    """Serve `app` the way the product's functions are served."""
    config = uvicorn.Config(
        app,
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
        date_header=False,
        server_header=False,
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    serve(Sink(), int(sys.argv[1]))
