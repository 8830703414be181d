"""Start, watch and stop child processes: each leads its own session and is recorded."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from alphapulse_local import leftovers
from alphapulse_local.embedded.process import spawn

LOG_LIMIT_BYTES = 5 * 1024 * 1024


class Children:
    """The processes one platform started.

    Parameters
    ----------
    run_directory
        Holds a record per process while it runs.
    log_directory
        Receives `<name>.log` per process.
    """

    def __init__(self, run_directory: Path, log_directory: Path) -> None:
        self.run_directory = run_directory
        self.log_directory = log_directory
        self._keeper: subprocess.Popen[bytes] | None = None

    def start_keeper(self) -> None:
        """Start the process that stops the others should this one be killed."""
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", leftovers.__file__, str(self.run_directory), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )

    def stop_keeper(self) -> None:
        """Let the keeper end; what is still recorded then, it stops."""
        if self._keeper is not None and self._keeper.stdin is not None:
            self._keeper.stdin.close()
            self._keeper.wait()

    def log(self, name: str) -> Path:
        """Return the log file of a child."""
        return self.log_directory / f"{name}.log"

    def spawn(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str], cwd: Path
    ) -> subprocess.Popen[bytes]:
        """Start and record a process; its output is appended to its log."""
        rotate(self.log(name))
        process = spawn(command, log=self.log(name), environment=environment, cwd=cwd)
        self.record(name, process, command=" ".join(command))
        return process

    def record(
        self,
        name: str,
        process: subprocess.Popen[bytes],
        *,
        command: str,
        stop_signal: int = signal.SIGTERM,
    ) -> None:
        """Remember a process somebody else started, so that it cannot be left over."""
        leftovers.write(
            self.run_directory, name=name, pid=process.pid, command=command, stop_signal=stop_signal
        )

    def forget(self, name: str) -> None:
        """Drop the record of a process that ended."""
        leftovers.forget(self.run_directory, name=name)


def rotate(log: Path, *, limit_bytes: int = LOG_LIMIT_BYTES) -> None:
    """Move a log that grew past the limit to `<name>.log.1`."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > limit_bytes:
            log.replace(log.with_name(log.name + ".1"))


async def ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process's end without a thread and return its status."""
    if process.poll() is None:
        loop = asyncio.get_running_loop()
        descriptor = os.pidfd_open(process.pid)
        over: asyncio.Future[None] = loop.create_future()
        loop.add_reader(descriptor, _resolve, over)
        try:
            await over
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
    return process.wait()


async def stop(
    process: subprocess.Popen[bytes], *, how: int = signal.SIGTERM, grace_seconds: float = 10
) -> int:
    """Signal a process group and wait for the leader's end; kill the group when it does not follow."""
    if process.poll() is None:
        _signal_group(process, how)
        try:
            await asyncio.wait_for(ended(process), grace_seconds)
        except TimeoutError:
            _signal_group(process, signal.SIGKILL)
            await ended(process)
    return process.wait()


def describe(status: int) -> str:
    """Say how a process ended: `exit status 3` or `killed by SIGKILL`."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _resolve(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)
