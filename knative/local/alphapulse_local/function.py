"""One function, held at zero until somebody needs it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from enum import StrEnum
from subprocess import Popen
from typing import Any

from alphapulse_local import children
from alphapulse_local.children import Children, describe
from alphapulse_local.embedded.process import free_port, log_tail
from alphapulse_local.failures import FunctionUnavailable
from alphapulse_local.launch import Launch, Reporter
from alphapulse_local.manifests import FunctionManifest
from alphapulse_local.probe import answers

_START_ATTEMPTS = 2
_STABLE_AFTER_SECONDS = 10.0
_CRASHES_BEFORE_BACKOFF = 3
_LONGEST_BACKOFF_SECONDS = 30.0
_LOG_LINE_LENGTH = 200
# A killed process closes its sockets before the kernel reports its end.
_DYING_SECONDS = 1.0


class State(StrEnum):
    """Where a function is between zero and ready."""

    ZERO = "zero"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    CRASHED = "crashed"


class Function:
    """The process of one function: started on demand, watched, stopped when idle.

    One process stands for all replicas a cluster would run.
    """

    def __init__(
        self, manifest: FunctionManifest, launch: Launch, *, processes: Children, reporter: Reporter
    ) -> None:
        self.manifest = manifest
        self.name = manifest.name
        self.state = State.ZERO
        self.process: Popen[bytes] | None = None
        self.in_flight = 0
        self.restarts = 0
        self.last_exit: str | None = None
        self._launch = launch
        self._children = processes
        self._reporter = reporter
        self._port = 0
        self._ready_at = 0.0
        self._crashes = 0
        self._not_before = 0.0
        self._slots = asyncio.Semaphore(manifest.container_concurrency or 1_000_000)
        self._start: asyncio.Task[None] | None = None
        self._stop: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._closed = False

    @contextlib.asynccontextmanager
    async def instance(self) -> AsyncIterator[str]:
        """Yield the address of a ready process, starting one when there is none.

        Raises
        ------
        FunctionUnavailable
            None became ready within the start deadline, or it backs off after crashes.
        """
        self._cancel_idle_timer()
        self.in_flight += 1
        try:
            await self._take_slot()
            try:
                yield await self._address()
            finally:
                self._slots.release()
        finally:
            self.in_flight -= 1
            self._arm_idle_timer()

    async def refused_connection(self) -> None:
        """Take notice of a process that accepts no connections: most likely it is just dying."""
        process = self.process
        if process is not None and self.state is State.READY:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(children.ended(process), _DYING_SECONDS)

    async def keep_warm(self) -> None:
        """Start without a request; a failure is reported, not raised."""
        with contextlib.suppress(FunctionUnavailable):
            await self._address()

    async def close(self) -> None:
        """Stop the process and start none any more."""
        self._closed = True
        self._cancel_idle_timer()
        if self._start is not None and not self._start.done():
            self._start.cancel()
            await asyncio.gather(self._start, return_exceptions=True)
        await self._stop_process()

    def status(self) -> dict[str, Any]:
        """Return what `status` shows of this function."""
        running = self.process is not None
        return {
            "name": self.name,
            "state": str(self.state),
            "pid": self.process.pid if self.process is not None else None,
            "uptime_seconds": round(time.monotonic() - self._ready_at, 1)
            if running and self.state is State.READY
            else None,
            "in_flight": self.in_flight,
            "restarts": self.restarts,
            "last_exit": self.last_exit,
        }

    async def _take_slot(self) -> None:
        """Wait for one of the `containerConcurrency` places, no longer than a request may take."""
        try:
            async with asyncio.timeout(self.manifest.timeout_seconds):
                await self._slots.acquire()
        except TimeoutError as error:
            limit = self.manifest.container_concurrency
            raise FunctionUnavailable(f"{self.name} is busy with {limit} requests") from error

    async def _address(self) -> str:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._launch.start_seconds * _START_ATTEMPTS
        while True:
            if self._closed:
                raise FunctionUnavailable(f"{self.name} is shutting down")
            if self.state is State.READY and self.process is not None:
                if self.process.poll() is None:
                    return f"http://127.0.0.1:{self._port}"
                self._died(self.process)
            if self._stop is not None and not self._stop.done():
                await asyncio.shield(self._stop)
                continue
            wait = self._not_before - loop.time()
            if wait > 0:
                raise FunctionUnavailable(
                    f"{self.name} crashed {self._crashes} times in a row; next attempt in {wait:.0f} s",
                    retry_after_seconds=max(1, round(wait)),
                )
            if self._start is None or self._start.done():
                self._start = loop.create_task(self._start_process())
                self._start.add_done_callback(_consume)
            try:
                await asyncio.wait_for(asyncio.shield(self._start), deadline - loop.time())
            except TimeoutError as error:
                raise FunctionUnavailable(f"{self.name} did not start in time") from error

    async def _start_process(self) -> None:
        reason = ""
        for _ in range(_START_ATTEMPTS):
            self.state = State.STARTING
            self._port = free_port()
            environment = {
                **self._launch.environment(self.manifest),
                "HOST": "127.0.0.1",
                "PORT": str(self._port),
            }
            process = self._children.spawn(
                self.name, self._launch.command, environment=environment, cwd=self._launch.cwd
            )
            self.process = process
            try:
                reason = await self._until_ready(process)
            except asyncio.CancelledError:
                await self._end(process)
                raise
            if not reason:
                self._became_ready(process)
                return
            silent = process.poll() is None
            await self._end(process)
            if silent:
                break
        self._start_failed(reason)

    async def _until_ready(self, process: Popen[bytes]) -> str:
        """Return an empty string when the process answers, else what went wrong."""
        ended = asyncio.create_task(children.ended(process))
        ready = asyncio.create_task(answers("127.0.0.1", self._port, self.manifest.health_path))
        try:
            await asyncio.wait(
                {ended, ready},
                timeout=self._launch.start_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if ended.done():
                self.last_exit = describe(ended.result())
                return f"ended with {self.last_exit} while starting"
            if not ready.done():
                return f"did not answer {self.manifest.health_path} in {self._launch.start_seconds:g} s"
            return ""
        finally:
            ended.cancel()
            ready.cancel()
            await asyncio.gather(ended, ready, return_exceptions=True)

    def _became_ready(self, process: Popen[bytes]) -> None:
        self.state = State.READY
        self._ready_at = time.monotonic()
        self._run(self._watch(process))
        self._arm_idle_timer()

    def _start_failed(self, reason: str) -> None:
        self.state = State.CRASHED
        self._crashes = max(self._crashes + 1, _CRASHES_BEFORE_BACKOFF)
        wait = self._back_off()
        log = self._children.log(self.name)
        last = log_tail(log, lines=1)[:_LOG_LINE_LENGTH]
        self._reporter.warn(f"{self.name} {reason}; next attempt in {wait:g} s; {log} ends with: {last}")
        if self._launch.warm:
            self._run(self._restart_after(wait))
        raise FunctionUnavailable(
            f"{self.name} could not be started", retry_after_seconds=max(1, round(wait))
        )

    async def _watch(self, process: Popen[bytes]) -> None:
        await children.ended(process)
        if self.state is State.READY and not self._closed and process is self.process:
            self._died(process)

    def _died(self, process: Popen[bytes]) -> None:
        self.state = State.CRASHED
        self.process = None
        self.restarts += 1
        self.last_exit = describe(process.wait())
        self._children.forget(self.name)
        stable = time.monotonic() - self._ready_at > _STABLE_AFTER_SECONDS
        self._crashes = 1 if stable else self._crashes + 1
        wait = self._back_off() if self._crashes >= _CRASHES_BEFORE_BACKOFF else 0.0
        when = f"in {wait:g} s" if wait else "on the next demand"
        self._reporter.warn(f"{self.name} ended ({self.last_exit}); it is started again {when}")
        if self._launch.warm:
            self._run(self._restart_after(wait))

    def _back_off(self) -> float:
        wait: float = min(2.0 ** (self._crashes - _CRASHES_BEFORE_BACKOFF), _LONGEST_BACKOFF_SECONDS)
        self._not_before = asyncio.get_running_loop().time() + wait
        return wait

    async def _restart_after(self, wait: float) -> None:
        await asyncio.sleep(wait)
        if not self._closed:
            await self.keep_warm()

    def _arm_idle_timer(self) -> None:
        if self._launch.warm or self._closed or self.in_flight or self.state is not State.READY:
            return
        self._cancel_idle_timer()
        idle = self._launch.idle_seconds
        window = self.manifest.window_seconds if idle is None else idle
        self._idle_timer = asyncio.get_running_loop().call_later(window, self._scale_to_zero)

    def _cancel_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _scale_to_zero(self) -> None:
        if not self.in_flight and self.state is State.READY:
            self._stop = asyncio.get_running_loop().create_task(self._stop_process())

    async def _stop_process(self) -> None:
        process = self.process
        if process is None:
            return
        self.state = State.STOPPING
        await self._end(process)
        self.state = State.ZERO

    async def _end(self, process: Popen[bytes]) -> None:
        await children.stop(process, grace_seconds=self._launch.stop_seconds)
        self._children.forget(self.name)
        if self.process is process:
            self.process = None

    def _run(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _consume(task: asyncio.Task[None]) -> None:
    """Mark a failure as seen, also when every request that waited for it has gone."""
    if not task.cancelled():
        task.exception()
