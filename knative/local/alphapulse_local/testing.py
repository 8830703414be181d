"""A whole platform as a subprocess, for tests and demonstrations."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from alphapulse_local.commands import fetch_status
from alphapulse_local.embedded.process import log_tail
from alphapulse_local.options import REPOSITORY
from alphapulse_local.state import StateDirectory

_POLL_SECONDS = 0.05


class PlatformDidNotStart(RuntimeError):
    """The platform ended or stayed silent; the message carries its output."""


class RunningPlatform:
    """`python -m alphapulse_local up` on a free port with a state directory of its own.

    Parameters
    ----------
    directory
        Holds `state/` and `console.log`; created when missing. A second instance on the same
        directory finds the first one's data.
    market_data_dir, provider_data_dir
        Recorded data instead of public endpoints.
    warm, idle_seconds, port
        As on the command line.
    environment
        Added to this process's environment (`DATABASE_URL` and so on). Where neither names a source,
        data are simulated.
    arguments
        Further arguments of `up`.
    """

    def __init__(  # noqa: PLR0913 - what a test may wish for, each by name
        self,
        directory: Path,
        *,
        market_data_dir: Path | None = None,
        provider_data_dir: Path | None = None,
        warm: bool = False,
        idle_seconds: float | None = None,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.console = directory / "console.log"
        self.state = StateDirectory(directory / "state")
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.internal_url = ""
        # What can be reached differs from one machine to the next, so it is not looked for.
        self._environment = {
            "MARKET_DATA_SOURCE": "simulated",
            "PROVIDER_SOURCE": "simulated",
            **os.environ,
            **(environment or {}),
        }
        self._command = [sys.executable, "-m", "alphapulse_local", "up", "--stop-with-stdin"]
        self._command += ["--port", str(port), "--state-dir", str(self.state.path)]
        if warm:
            self._command.append("--warm")
        for name, value in (
            ("--idle", idle_seconds),
            ("--market-data-dir", market_data_dir),
            ("--provider-data-dir", provider_data_dir),
        ):
            if value is not None:
                self._command += [name, str(value)]
        self._command += arguments

    def start(self, *, timeout_seconds: float = 60) -> Self:
        """Start and return when the gateway answers.

        Raises
        ------
        PlatformDidNotStart
            The process ended, or `timeout_seconds` passed.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with self.console.open("ab") as output:
            self.process = subprocess.Popen(
                self._command,
                # Should this process be killed, the pipe closes and the platform stops.
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=REPOSITORY,
                env=self._environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout_seconds
        while not self._found():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise PlatformDidNotStart(log_tail(self.console, lines=40))
            time.sleep(_POLL_SECONDS)
        return self

    def stop(self, *, timeout_seconds: float = 40) -> int:
        """Stop the platform as Ctrl-C does and return its exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        status = self.process.wait(timeout_seconds)
        self._close_stdin()
        return status

    def kill(self) -> None:
        """`kill -9` the platform's own process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self._close_stdin()

    def status(self) -> dict[str, Any]:
        """Return the status document."""
        return fetch_status(self.internal_url)

    def function(self, name: str) -> dict[str, Any]:
        """Return the status of one function."""
        found: dict[str, Any] = next(f for f in self.status()["functions"] if f["name"] == name)
        return found

    def pids(self) -> dict[str, int]:
        """Return component or function -> process id, of those that run now."""
        document = self.status()
        components = {name: component["pid"] for name, component in document["components"].items()}
        functions = {function["name"]: function["pid"] for function in document["functions"]}
        return {name: pid for name, pid in {**components, **functions}.items() if pid is not None}

    def kill_component(self, name: str) -> int:
        """`kill -9` a component or function and return the process id it had.

        Raises
        ------
        KeyError
            It does not run.
        """
        pid = self.pids()[name]
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return pid

    def output(self) -> str:
        """Return what the platform printed so far."""
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _close_stdin(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()

    def _found(self) -> bool:
        running = self.state.running() or {}
        self.url = running.get("url", "")
        self.internal_url = running.get("internal_url", "")
        return bool(self.internal_url)
