"""Runs one broker process: its HTTP server, its background work, its signals."""

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, MutableMapping
from typing import Any

import structlog
import uvicorn
import uvloop

from alphapulse_broker.settings import Settings
from alphapulse_broker.table_agent import TableAgent

_LOGGER = structlog.get_logger("broker")

Application = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the process decides in which order things stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def configure_logging(level: str) -> None:
    """Log JSON lines to standard error."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a process's main coroutine on uvloop."""
    uvloop.run(work)


class Process:
    """Signals, the HTTP server and background work of one process."""

    def __init__(self, settings: Settings, agent: TableAgent) -> None:
        self._settings = settings
        self._stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, agent.reload_now)

    async def _stopped(self) -> None:
        await self._stop.wait()

    async def serve(self, app: Application, *, port: int, work: list[Coroutine[Any, Any, None]]) -> None:
        """Serve until a signal comes or a part fails; raise what made it fail."""
        server = _Server(
            uvicorn.Config(
                app,
                host=self._settings.host,
                port=port,
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                backlog=2048,
                timeout_graceful_shutdown=max(1, int(self._settings.shutdown_seconds)),
            )
        )
        listening = asyncio.create_task(server.serve())
        tasks = [asyncio.create_task(part) for part in work]
        stopping = asyncio.create_task(self._stopped())
        # What was loaded at start stays: looking through it again and again would stall events.
        gc.collect()
        gc.freeze()
        _LOGGER.info("started", port=port, namespace=self._settings.namespace, broker=self._settings.name)
        done, _ = await asyncio.wait([stopping, listening, *tasks], return_when=asyncio.FIRST_COMPLETED)
        _LOGGER.info("stopping")
        server.should_exit = True
        await asyncio.wait([listening])
        # In reverse: the trigger table is followed until the last delivery has been settled.
        for task in reversed(tasks):
            task.cancel()
            await asyncio.wait([task])
        stopping.cancel()
        _LOGGER.info("stopped")
        for task in done - {stopping}:
            task.result()
            raise RuntimeError("a part of the process ended by itself")
