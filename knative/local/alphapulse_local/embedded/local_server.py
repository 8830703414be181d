"""What the embedded servers have in common: one process on 127.0.0.1, its data below a directory."""

import http.client
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from alphapulse_local.embedded.process import free_port, spawn, stop, wait_until

OnSpawn = Callable[[subprocess.Popen[bytes]], None]


class LocalServer:
    """A server that is one process.

    Parameters
    ----------
    directory
        Holds its data and its log.
    port
        TCP port; 0 picks a free one at the first start and keeps it for restarts.
    on_spawn
        Told of every process as soon as it exists, so that none can be left over.
    """

    #: In messages, and of the log file.
    name: ClassVar[str]

    def __init__(self, directory: Path, *, port: int = 0, on_spawn: OnSpawn | None = None) -> None:
        self.directory = directory.resolve()
        self.port = port
        self.on_spawn = on_spawn
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What it has written."""
        return self.directory / f"{self.name}.log"

    def stop(self) -> None:
        """Stop it; its data stay."""
        if self.process is not None:
            stop(self.process)

    def kill(self) -> None:
        """`kill -9` it, as the crash tests do."""
        if self.process is not None:
            stop(self.process, how=signal.SIGKILL)

    def _prepare(self) -> None:
        """Make the directory, which nobody else reads, and choose the port."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.port = self.port or free_port()

    def _launch(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        self.process = spawn(command, log=self.log, environment=environment)
        if self.on_spawn is not None:
            self.on_spawn(self.process)

    def _until(self, ready: Callable[[], bool], timeout_seconds: float) -> None:
        if self.process is not None:
            wait_until(ready, self.process, log=self.log, name=self.name, timeout_seconds=timeout_seconds)

    def _answers_ok(self, path: str) -> bool:
        """Tell whether a GET is answered 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
