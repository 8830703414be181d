"""Start the simulation as a process."""

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from alphapulse_local.embedded.process import free_port, spawn, stop, wait_until

KEY_VARIABLE = "STRIPE_SIMULATOR_KEY"
PRICES = {
    "starter": "price_simulatedstarter",
    "pro": "price_simulatedpro",
    "enterprise": "price_simulatedenterprise",
}


class EmbeddedStripe:
    """One simulation on 127.0.0.1, its data below `directory`.

    Parameters
    ----------
    directory
        Created when missing; holds the data and the log.
    api_key
        What clients must present; there is no simulation without one.
    port
        TCP port; 0 picks a free one at the first start and keeps it for restarts.
    on_spawn
        Told of every process as soon as it exists, so that none can be left over.
    """

    def __init__(
        self,
        directory: Path,
        *,
        api_key: str,
        port: int = 0,
        on_spawn: Callable[[subprocess.Popen[bytes]], None] | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self.api_key = api_key
        self.port = port
        self.on_spawn = on_spawn
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What goes where `https://api.stripe.com` would."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """The process's log file."""
        return self.directory / "stripe-simulator.log"

    def start(self, *, timeout_seconds: float = 20) -> None:
        """Start the process and return when it answers."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.port = self.port or free_port()
        package = __package__ or ""
        command = [
            sys.executable,
            "-m",
            package,
            "--port",
            str(self.port),
            "--directory",
            str(self.directory),
        ]
        # The key is in the environment and never on a command line, where every user could read it.
        environment = {**os.environ, KEY_VARIABLE: self.api_key}
        self.process = spawn(command, log=self.log, environment=environment)
        if self.on_spawn is not None:
            self.on_spawn(self.process)
        wait_until(
            self._answers,
            self.process,
            log=self.log,
            name="the simulated Stripe",
            timeout_seconds=timeout_seconds,
        )

    def stop(self) -> None:
        """Stop the process; its data stay."""
        if self.process is not None:
            stop(self.process)

    def kill(self) -> None:
        """`kill -9` the process, as the crash tests do."""
        if self.process is not None:
            stop(self.process, how=signal.SIGKILL)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=0.5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
