"""The store as a process of its own."""

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from alphapulse_local.embedded.process import free_port, spawn, stop, wait_until


class EmbeddedSecretStore:
    """One development store on 127.0.0.1, its data below `directory`.

    Parameters
    ----------
    directory
        Created when missing, mode 0700; nothing in it is encrypted.
    port
        TCP port; 0 picks a free one at the first start and keeps it for restarts.
    on_spawn
        Told of every process as soon as it exists, so that none can be left over.
    """

    name = "secret-store"

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        on_spawn: Callable[[subprocess.Popen[bytes]], None] | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self.port = port
        self.on_spawn = on_spawn
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address for `VAULT_ADDR`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What it has written."""
        return self.directory / "secret-store.log"

    @property
    def root_token(self) -> str:
        """The administrator's token, made at the first start."""
        return (self.directory / "root-token").read_text()

    def start(self, *, timeout_seconds: float = 20) -> None:
        """Start it and return when it answers."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.port = self.port or free_port()
        command = [sys.executable, "-m", "alphapulse_local.embedded.secret_store"]
        self.process = spawn(
            [*command, "--directory", str(self.directory), "--port", str(self.port)],
            log=self.log,
            environment={"PATH": os.environ.get("PATH", ""), "PYTHONUNBUFFERED": "1"},
        )
        if self.on_spawn is not None:
            self.on_spawn(self.process)
        wait_until(self._answers, self.process, log=self.log, name=self.name, timeout_seconds=timeout_seconds)

    def stop(self) -> None:
        """Stop it; its data stay."""
        if self.process is not None:
            stop(self.process)

    def kill(self) -> None:
        """`kill -9` it, as the crash tests do."""
        if self.process is not None:
            stop(self.process, how=signal.SIGKILL)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", "/v1/sys/health")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
