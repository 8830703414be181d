"""Ask a starting process whether it answers yet."""

import asyncio
import contextlib
import itertools

_FIRST_WAIT_SECONDS = 0.01
_LONGEST_WAIT_SECONDS = 0.1
_ANSWER_SECONDS = 3.0


async def answers(host: str, port: int, path: str) -> None:
    """Return once `GET path` gives a 2xx answer; poll until then."""
    for attempt in itertools.count():
        with contextlib.suppress(OSError, TimeoutError, ValueError, IndexError):
            async with asyncio.timeout(_ANSWER_SECONDS):
                if await _status(host, port, path) // 100 == 2:  # noqa: PLR2004 - the class of success
                    return
        # Connecting to a closed loopback port costs next to nothing, so the first polls are quick.
        await asyncio.sleep(_FIRST_WAIT_SECONDS if attempt < 200 else _LONGEST_WAIT_SECONDS)  # noqa: PLR2004


async def _status(host: str, port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
