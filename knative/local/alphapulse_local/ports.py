"""The platform's listening ports."""

import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

_DRAIN_SECONDS = 5.0

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class PortInUse(RuntimeError):
    """The gateway's port belongs to another program."""


def listen(port: int) -> socket.socket:
    """Take a port of 127.0.0.1 before anything else is started; 0 picks a free one.

    Raises
    ------
    PortInUse
        Another program has it.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise PortInUse(
            f"port {port} cannot be used ({error.strerror}); choose another one: make up PORT={port + 1}"
        ) from error
    return listener


def address(listener: socket.socket) -> str:
    """Return the URL of a port."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.asynccontextmanager
async def serving(listener: socket.socket, handler: Handler) -> AsyncIterator[None]:
    """Answer requests on a port until the block ends; those in flight are finished first."""
    # Bodies are passed on as they came; a caller that goes away takes its request along.
    runner = web.ServerRunner(
        web.Server(handler, auto_decompress=False, handler_cancellation=True, access_log=None),
        shutdown_timeout=_DRAIN_SECONDS,
    )
    await runner.setup()
    await web.SockSite(runner, listener).start()
    try:
        yield
    finally:
        await runner.cleanup()
