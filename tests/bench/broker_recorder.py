"""The subscriber of the crash matrix: it writes down each delivery before it answers, to forget none.

`python -m tests.bench.broker_recorder PORT FILE`. The path names the trigger. Deliveries of `REPLYING` are
answered with an event, as a function would; every answer takes a few milliseconds.
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tests.bench.broker_matrix import REPLYING, reply_to
from tests.bench.broker_sink import serve

LONGEST_WORK_SECONDS = 0.005

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Recorder:
    """Appends one line per delivery: trigger, event id, monotonic nanoseconds."""

    def __init__(self, file: str) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._random = random.Random(os.getpid())

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Send) -> None:
        """Take one delivery."""
        while (await receive()).get("more_body", False):
            pass
        status, headers, body = 204, [], b""
        if scope["method"] == "POST":
            trigger = scope["path"].removeprefix("/")
            event_id = next(value for name, value in scope["headers"] if name == b"ce-id").decode()
            # One write with O_APPEND: whole or not at all, and in the kernel before the answer is out.
            os.write(self._file, f"{trigger} {event_id} {time.monotonic_ns()}\n".encode())
            await asyncio.sleep(self._random.uniform(0, LONGEST_WORK_SECONDS))
            if trigger == REPLYING:
                reply = reply_to(event_id)
                status, body = 200, b'{"reply":true}'
                headers = [(f"ce-{name}".encode(), value.encode()) for name, value in reply.items()]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    serve(Recorder(sys.argv[2]), int(sys.argv[1]))
