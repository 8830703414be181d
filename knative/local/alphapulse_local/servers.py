"""Keep the platform's own processes running: embedded servers and broker processes."""

import asyncio
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import Popen
from typing import Any, Protocol

from alphapulse_local import children
from alphapulse_local.children import Children, describe
from alphapulse_local.embedded.process import ServerDidNotStart, log_tail
from alphapulse_local.launch import Reporter
from alphapulse_local.probe import answers

_STABLE_AFTER_SECONDS = 10.0
_LONGEST_BACKOFF_SECONDS = 10.0


class Server(Protocol):
    """Something that runs as one process on one port and can be started again there."""

    name: str
    stop_signal: int

    @property
    def process(self) -> Popen[bytes] | None:
        """The running process, or the last one."""

    @property
    def where(self) -> str:
        """Its address, without a password."""

    async def start(self) -> None:
        """Start it and return when it answers; raise `ServerDidNotStart` otherwise."""


class Embedded(Protocol):
    """A server out of `alphapulse_local.embedded`."""

    port: int
    process: Popen[bytes] | None
    on_spawn: Callable[[Popen[bytes]], None] | None

    def start(self) -> None:
        """Start it and return when it answers."""


class EmbeddedServer:
    """An embedded server under supervision."""

    def __init__(
        self,
        name: str,
        server: Embedded,
        *,
        processes: Children,
        stop_signal: int = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.stop_signal = stop_signal
        self._server = server
        server.on_spawn = lambda process: processes.record(
            name, process, command=name, stop_signal=stop_signal
        )

    @property
    def process(self) -> Popen[bytes] | None:
        """The server's process."""
        return self._server.process

    @property
    def where(self) -> str:
        """Its address, without a password."""
        return f"127.0.0.1:{self._server.port}"

    async def start(self) -> None:
        """Start it and return when it answers."""
        await asyncio.to_thread(self._server.start)


class BrokerProcess:
    """The broker's ingress or dispatcher.

    Parameters
    ----------
    role
        `ingress` or `dispatcher`: the argument of `python -m alphapulse_broker`.
    port
        Where it answers `/ready`.
    """

    stop_signal: int = signal.SIGTERM

    def __init__(
        self,
        role: str,
        command: Sequence[str],
        *,
        port: int,
        environment: Mapping[str, str],
        processes: Children,
        cwd: Path,
    ) -> None:
        self.name = f"broker-{role}"
        self.port = port
        self._process: Popen[bytes] | None = None
        self._command = command
        self._environment = environment
        self._children = processes
        self._cwd = cwd

    @property
    def process(self) -> Popen[bytes] | None:
        """The running process, or the last one."""
        return self._process

    @property
    def where(self) -> str:
        """Its address."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it and return when it answers."""
        process = self._children.spawn(self.name, self._command, environment=self._environment, cwd=self._cwd)
        self._process = process
        await ready_or_ended(self.name, process, port=self.port, log=self._children.log(self.name))


async def ready_or_ended(name: str, process: Popen[bytes], *, port: int, log: Path) -> None:
    """Wait until a process answers `/ready`.

    Raises
    ------
    ServerDidNotStart
        It ended, or stayed silent for 20 s; the message carries the end of its log.
    """
    ended = asyncio.create_task(children.ended(process))
    ready = asyncio.create_task(answers("127.0.0.1", port, "/ready"))
    try:
        await asyncio.wait({ended, ready}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            raise ServerDidNotStart(f"{name} ended with {describe(ended.result())}:\n{log_tail(log)}")
        if not ready.done():
            raise ServerDidNotStart(f"{name} did not answer within 20 s:\n{log_tail(log)}")
    finally:
        ended.cancel()
        ready.cancel()
        await asyncio.gather(ended, ready, return_exceptions=True)


class Supervisor:
    """Starts a server, starts it again when it dies, stops it."""

    def __init__(self, server: Server, *, processes: Children, reporter: Reporter) -> None:
        self.server = server
        self.restarts = 0
        self.state = "zero"
        self._children = processes
        self._reporter = reporter
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the server and keep it running from then on."""
        await self._start_once()
        self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        """Stop the server for good."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self.server.process is not None:
            await children.stop(self.server.process, how=self.server.stop_signal)
            self._children.forget(self.server.name)
        self.state = "zero"

    def status(self) -> dict[str, Any]:
        """Return what `status` shows of this server."""
        process = self.server.process
        return {
            "state": self.state,
            "pid": process.pid if process is not None and self.state == "ready" else None,
            "restarts": self.restarts,
            "where": self.server.where,
        }

    async def _start_once(self) -> None:
        self.state = "starting"
        # A start that runs in a thread cannot be taken back: let it end, so that what it started
        # is known and can be stopped.
        start = asyncio.ensure_future(self.server.start())
        try:
            await asyncio.shield(start)
        except asyncio.CancelledError:
            await asyncio.gather(start, return_exceptions=True)
            raise
        self.state = "ready"

    async def _keep(self) -> None:
        failures = 0
        while True:
            process = self.server.process
            if process is None:
                return
            since = time.monotonic()
            status = await children.ended(process)
            self.state = "crashed"
            self.restarts += 1
            self._reporter.warn(
                f"{self.server.name} ended ({describe(status)}); starting it again on {self.server.where}"
            )
            failures = 0 if time.monotonic() - since > _STABLE_AFTER_SECONDS else failures
            failures = await self._restart(failures)

    async def _restart(self, failures: int) -> int:
        """Start until it works; return how many failures in a row are behind it."""
        while True:
            if failures:
                await asyncio.sleep(min(0.25 * 2**failures, _LONGEST_BACKOFF_SECONDS))
            failures += 1
            try:
                await self._start_once()
            except (ServerDidNotStart, OSError) as error:
                self._reporter.warn(f"{self.server.name} did not start: {error}")
            else:
                self._reporter.note(f"{self.server.name} answers again on {self.server.where}")
                return failures
